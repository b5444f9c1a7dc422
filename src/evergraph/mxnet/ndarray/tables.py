"""MXNet's numbers for types, storage and gradient requests, as programs look them up."""

from typing import Any

import numpy as np

from evergraph.mxnet.ndarray.types import numpy_type, torch_type

__all__ = ["_DTYPE_MX_TO_NP", "_DTYPE_NP_TO_MX", "_GRAD_REQ_MAP", "_STORAGE_TYPE_ID_TO_STR", "_STORAGE_TYPE_STR_TO_ID"]

_BFLOAT16 = numpy_type(torch_type("bfloat16"))
_DTYPE_NP_TO_MX: dict[Any, int] = {
    None: -1,
    np.float32: 0,
    np.float64: 1,
    np.float16: 2,
    np.uint8: 3,
    np.int32: 4,
    np.int8: 5,
    np.int64: 6,
    np.bool_: 7,
    _BFLOAT16: 12,
}
_DTYPE_MX_TO_NP: dict[int, Any] = {number: kind for kind, number in _DTYPE_NP_TO_MX.items()}
_STORAGE_TYPE_STR_TO_ID = {"undefined": -1, "default": 0, "row_sparse": 1, "csr": 2}
_STORAGE_TYPE_ID_TO_STR = {number: name for name, number in _STORAGE_TYPE_STR_TO_ID.items()}
_GRAD_REQ_MAP = {"null": 0, "write": 1, "add": 3}
