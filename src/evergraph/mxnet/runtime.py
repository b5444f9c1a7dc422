"""`mx.runtime`: what this installation can do.

>>> Features().is_enabled("INT64_TENSOR_SIZE")
True
"""

from collections import OrderedDict
from typing import NamedTuple

__all__ = ["Feature", "Features", "feature_list"]


class Feature(NamedTuple):
    """Something that MXNet may have been built with.

    Attributes:
        name: what it is called.
        enabled: whether it is here.
    """

    name: str
    enabled: bool

    def __repr__(self) -> str:
        return f"{'✔' if self.enabled else '✖'} {self.name}"


_NEVER = [
    "NCCL",
    "CUDA_RTC",
    "TENSORRT",
    "SSE",
    "BLAS_ATLAS",
    "BLAS_APPLE",
    "OPENCV",
    "CAFFE",
    "DIST_KVSTORE",
    "CXX14",
    "SIGNAL_HANDLER",
    "DEBUG",
    "TVM_OP",
    "JEMALLOC",
    "CPU_SSE4A",
]
_ALWAYS = ["LAPACK", "PROFILER", "INT64_TENSOR_SIZE", "F16C"]


def feature_list() -> list[Feature]:
    """Every feature, with what PyTorch has for it."""
    import torch

    cuda = torch.cuda.is_available()
    level = torch.backends.cpu.get_cpu_capability()
    found = {
        "CUDA": cuda,
        "CUDNN": cuda and torch.backends.cudnn.is_available(),
        "OPENMP": torch.backends.openmp.is_available(),
        "MKLDNN": torch.backends.mkldnn.is_available(),
        "BLAS_MKL": torch.backends.mkl.is_available(),
        "BLAS_OPEN": not torch.backends.mkl.is_available(),
        "CPU_AVX": level.startswith("AVX"),
        "CPU_AVX2": level in ("AVX2", "AVX512"),
    }
    found |= {f"CPU_SSE{v}": level != "NO AVX" and level.startswith("AVX") for v in ("", "2", "3", "4_1", "4_2")}
    found |= dict.fromkeys(_NEVER, False) | dict.fromkeys(_ALWAYS, True)
    return [Feature(name, bool(on)) for name, on in found.items()]


class Features(OrderedDict[str, Feature]):
    """Features by name; there is one such object."""

    _one: "Features | None" = None

    def __new__(cls) -> "Features":
        """The one object."""
        if cls._one is None:
            cls._one = super().__new__(cls)
            super().__init__(cls._one, [(f.name, f) for f in feature_list()])
        return cls._one

    def __init__(self) -> None:
        pass

    def __repr__(self) -> str:
        return str(list(self.values()))

    def is_enabled(self, feature_name: str) -> bool:
        """Whether a feature is here.

        Raises:
            RuntimeError: there is no such feature.
        """
        found = self.get(feature_name.upper())
        if found is None:
            raise RuntimeError(f"Feature '{feature_name}' is unknown, known features are: {list(self)}")
        return found.enabled
