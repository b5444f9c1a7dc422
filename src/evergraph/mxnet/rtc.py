"""`mx.rtc`: CUDA kernels compiled while the program runs, which need MXNet's own compiler."""

from collections.abc import Sequence

from evergraph.errors import UsageError

__all__ = ["CudaKernel", "CudaModule"]

_FIX = "write it with torch's operators, or as a kernel of torch.utils.cpp_extension, inside an mx.operator.CustomOp"


class CudaModule:
    """Kernels compiled from CUDA source.

    Args:
        source: the source.
        options: of the compiler.
        exports: names of kernels.

    Raises:
        UsageError: always.
    """

    def __init__(self, source: str, options: Sequence[str] = (), exports: Sequence[str] = ()) -> None:
        raise UsageError("CUDA source is not compiled here", found=f"{len(source)} characters of source", fix=_FIX)


class CudaKernel:
    """A kernel of a `CudaModule`.

    Raises:
        UsageError: always.
    """

    def __init__(self, *_: object) -> None:
        raise UsageError("CUDA kernels are made by CudaModule.get_kernel", fix=_FIX)
