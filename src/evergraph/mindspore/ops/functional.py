"""Every name of `ops`, for programs that import it from `mindspore.ops.functional`."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("evergraph.mindspore.ops"), name)
