"""`log`: MindSpore's logger, on Python's own."""

import logging

__all__ = ["critical", "debug", "error", "get_level", "info", "warning"]

_logger = logging.getLogger("evergraph.mindspore")
debug, info, warning, error, critical = (
    getattr(_logger, level) for level in ("debug", "info", "warning", "error", "critical")
)

_LEVELS = {logging.DEBUG: "0", logging.INFO: "1", logging.WARNING: "2", logging.ERROR: "3", logging.CRITICAL: "4"}


def get_level() -> str:
    """The level from which on messages are shown, as MindSpore counts: "0" debug to "4" critical."""
    return _LEVELS.get(_logger.getEffectiveLevel(), "2")
