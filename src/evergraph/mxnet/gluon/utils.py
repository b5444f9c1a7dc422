"""`mx.gluon.utils`: batches over devices, gradients' norms, files."""

import hashlib
import itertools
import os
import warnings
from collections.abc import MutableMapping
from typing import Any

import numpy as np

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.errors import BlockValueError
from evergraph.mxnet.gluon.parameter import shape_is_known
from evergraph.stores import commit, open_source

__all__ = ["HookHandle", "check_sha1", "clip_global_norm", "download", "shape_is_known", "split_and_load", "split_data"]


def split_data(data: Any, num_slice: int, batch_axis: int = 0, even_split: bool = True) -> list[Any]:
    """A batch in parts, the first of which have one more where they are uneven.

    Args:
        data: the batch.
        num_slice: how many parts.
        batch_axis: its axis.
        even_split: whether all parts must have one size.

    Raises:
        ValueError: the batch cannot be split so.

    >>> [part.shape for part in split_data(nd.ones((5, 2)), 2, even_split=False)]
    [(3, 2), (2, 2)]
    """
    size = data.shape[batch_axis]
    if even_split and size % num_slice:
        raise BlockValueError(
            f"data with shape {data.shape} cannot be evenly split into {num_slice} slices along axis {batch_axis}",
            fix=f"Use a batch size that's multiple of {num_slice} or set even_split=False to allow uneven partitioning"
            " of data.",
        )
    if size < num_slice:
        raise BlockValueError(f"a batch of {size} cannot be split into {num_slice} parts")
    each, more = divmod(size, num_slice)
    edges = [each * i + min(i, more) for i in range(num_slice + 1)]
    if batch_axis == 0 and not STATE.np_array:
        return [data[a:b] for a, b in itertools.pairwise(edges)]
    return [nd.slice_axis(data, axis=batch_axis, begin=a, end=b) for a, b in itertools.pairwise(edges)]


def split_and_load(data: Any, ctx_list: list[Any], batch_axis: int = 0, even_split: bool = True) -> list[Any]:
    """A batch in parts, one on each device."""
    if not isinstance(data, nd.NDArray):
        data = nd.array(data, ctx=ctx_list[0])
        data = data.as_np_ndarray() if STATE.np_array else data
    if len(ctx_list) == 1:
        return [data.as_in_ctx(ctx_list[0])]
    parts = split_data(data, len(ctx_list), batch_axis, even_split)
    return [part.as_in_ctx(ctx) for part, ctx in zip(parts, ctx_list, strict=True)]


def clip_global_norm(arrays: list[Any], max_norm: float, check_isfinite: bool = True) -> Any:
    """Scale arrays in place so that the norm of all of them together is at most `max_norm`.

    Returns:
        The norm before: a number, or an array where finiteness is not checked.
    """
    if not arrays:
        raise BlockValueError("no arrays are given")
    arrays = [a.as_nd_ndarray() for a in arrays]
    ctx = arrays[0].context
    total = nd.add_n(*[nd.square(a).sum().as_in_context(ctx) for a in arrays]).sqrt()
    if check_isfinite and not np.isfinite(total.asscalar()):
        warnings.warn(UserWarning("nan or inf is detected. Clipping results will be undefined."), stacklevel=2)
    scale = nd.minimum(max_norm / (total + 1e-8), 1.0)
    for each in arrays:
        each *= scale.as_in_context(each.context)
    return total.asscalar() if check_isfinite else total


def check_sha1(filename: str, sha1_hash: str) -> bool:
    """Whether a file has this SHA-1."""
    with open_source(filename) as source:
        return hashlib.sha1(bytes(source.head(source.size)), usedforsecurity=False).hexdigest() == sha1_hash


def download(
    url: str,
    path: str | None = None,
    overwrite: bool = False,
    sha1_hash: str | None = None,
    retries: int = 5,  # noqa: ARG001 - the store has its own
    verify_ssl: bool = True,
) -> str:
    """Copy a file from a URI; returns where it lies.

    Args:
        url: any URI.
        path: a file's name, or a folder; the URI's last part where it is not given.
        overwrite: whether a file that is there is fetched again.
        sha1_hash: what the file must have.
        retries: kept for MXNet's signature.
        verify_ssl: must be true: what is not verified is not fetched.

    Raises:
        MXNetError: the file cannot be read, or is another one than the hash says.
    """
    if not verify_ssl:
        raise BlockValueError("files are not fetched without verifying who sends them", fix="leave verify_ssl=True")
    name = url.rsplit("/", 1)[-1]
    target = name if path is None else os.path.join(path, name) if os.path.isdir(path) else path
    if not overwrite and os.path.exists(target) and (sha1_hash is None or check_sha1(target, sha1_hash)):
        return target
    with open_source(url) as source:
        data = bytes(source.head(source.size))
    found = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    if sha1_hash is not None and found != sha1_hash:
        raise BlockValueError("the file is not the one that was asked for", where=url, expected=sha1_hash, found=found)
    with commit(target, total=len(data)) as sink:
        sink.write(data)
    return target


class HookHandle:
    """What registering a hook returns; `detach` takes the hook away again.

    Args:
        hooks: the dictionary that the hook stands in.
    """

    def __init__(self, hooks: MutableMapping[int, Any]) -> None:
        self._hooks = hooks

    def detach(self) -> None:
        """Take the hook away."""
        self._hooks.pop(id(self), None)

    def __enter__(self) -> "HookHandle":
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()
