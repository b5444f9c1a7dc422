"""`mx.kvstore_server`: there are no server processes; workers sum among themselves."""

from typing import Any

from evergraph.errors import UsageError

__all__ = ["KVStoreServer"]


class KVStoreServer:
    """What a server process of MXNet runs; no process of this library is one.

    Args:
        kvstore: the store.
    """

    def __init__(self, kvstore: Any) -> None:
        self.kvstore = kvstore
        self.handle = getattr(kvstore, "handle", None)
        self.init_logging = False

    def run(self) -> None:
        """Refused.

        Raises:
            MXNetError: always.
        """
        raise UsageError(
            "there are no key-value servers: the workers sum their gradients among themselves",
            fix="start the workers only: torchrun --nproc-per-node N program.py, with kvstore='dist_sync'",
        )
