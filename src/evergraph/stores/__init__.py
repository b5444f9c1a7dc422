"""Bytes at a URI: mapped and ranged reads, atomic commits."""

from evergraph.stores.commit import Sink, Transaction, commit
from evergraph.stores.opening import exists, list_folder, open_source
from evergraph.stores.source import BytesSource, LocalSource, Source, human
from evergraph.stores.uri import PROTOCOLS, Location, locate, redact

__all__ = [
    "PROTOCOLS",
    "BytesSource",
    "LocalSource",
    "Location",
    "Sink",
    "Source",
    "Transaction",
    "commit",
    "exists",
    "human",
    "list_folder",
    "locate",
    "open_source",
    "redact",
]
