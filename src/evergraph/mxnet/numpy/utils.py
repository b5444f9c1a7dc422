"""Constants and element types of `mx.np`."""

import numpy as onp

__all__ = [
    "NAN",
    "NINF",
    "NZERO",
    "PINF",
    "PZERO",
    "NaN",
    "bool",
    "bool_",
    "e",
    "finfo",
    "float16",
    "float32",
    "float64",
    "inf",
    "int8",
    "int32",
    "int64",
    "nan",
    "newaxis",
    "pi",
    "uint8",
]

bool, bool_ = bool, onp.bool_  # noqa: PLW0127
uint8, int8, int32, int64 = onp.uint8, onp.int8, onp.int32, onp.int64
float16, float32, float64 = onp.float16, onp.float32, onp.float64

pi, e, newaxis = onp.pi, onp.e, None
inf = PINF = onp.inf
NINF = -onp.inf
nan = NAN = NaN = onp.nan
PZERO, NZERO = 0.0, -0.0

finfo = onp.finfo
