"""Values of details as plain JSON and back, without loss: tuples, bytes and mappings with any keys."""

import base64
import math
from collections.abc import Mapping
from typing import Any

from evergraph.errors import ConversionError, printable

__all__ = ["from_plain", "to_plain"]

_MARK = "$"
"""What begins the only key of an object that stands for something JSON does not have."""


def to_plain(value: Any) -> Any:
    """A value that JSON can hold, from which `from_plain` makes the value again.

    Arrays stand for tuples; what JSON lacks becomes an object with one key that begins with `$`.

    Raises:
        ConversionError: a value of another kind.

    >>> to_plain({"device": (1, 0), "head": b"ab"})
    {'device': [1, 0], 'head': {'$bytes': 'YWI='}}
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, tuple):
        return [to_plain(v) for v in value]
    if isinstance(value, list):
        return {"$list": [to_plain(v) for v in value]}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        if all(isinstance(k, str) and not k.startswith(_MARK) for k in value):
            return {k: to_plain(v) for k, v in value.items()}
        return {"$pairs": [[to_plain(k), to_plain(v)] for k, v in value.items()]}
    raise ConversionError("a value that JSON cannot hold", found=printable(type(value).__name__))


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given.

    Raises:
        ValueError: not what `to_plain` makes.

    >>> from_plain([1, {"$bytes": "YWI="}])
    (1, b'ab')
    """
    if isinstance(value, list):
        return tuple(from_plain(v) for v in value)
    if not isinstance(value, dict):
        return value
    mark = next(iter(value), "")
    if len(value) != 1 or not mark.startswith(_MARK):
        return {k: from_plain(v) for k, v in value.items()}
    content = value[mark]
    if mark == "$bytes" and isinstance(content, str):
        return base64.b64decode(content, validate=True)
    if mark == "$float" and content in ("nan", "inf", "-inf"):
        return float(content)
    if mark == "$list" and isinstance(content, list):
        return [from_plain(v) for v in content]
    if mark == "$pairs" and isinstance(content, list):
        return {from_plain(k): from_plain(v) for k, v in content}
    raise ValueError(f"an unknown mark {mark!r}")
