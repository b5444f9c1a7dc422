"""Into quantized numbers, out of them, and from int32 to fewer bits."""

from typing import Any, Literal

from evergraph.ops.families.quantized.scales import LEVELS, constant_range, kind_of, peak, per, quantized, store
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify

__all__: list[str] = []

ONE = (1,)


def with_range(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """The shape rule of data, with or without a range, that becomes data of its shape with a range."""
    shape = unify(ins[0], outs[0])
    ranges: list[Dims] = [unify(s, ONE, "a range") for s in ins[1:]]
    return [shape, *ranges], [shape, *[unify(s, ONE, "a range") for s in outs[1:]]]


def _kinds(choose: Any) -> Any:
    """The type rule: what `choose` says of the parameters, then float32 ranges."""

    def rule(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
        given = [ins[0], *[i or "float32" for i in ins[1:]]]
        return given, [choose(p, ins[0]), *["float32"] * (len(outs) - 1)]

    return rule


@operator(
    "_contrib_quantize",
    aliases=("_npx_contrib_quantize",),
    shape=with_range,
    dtype=_kinds(lambda p, _: p.out_type),
    outputs=3,
)
def quantize(data, min_range, max_range, *, out_type: Literal["int8", "uint8"] = "uint8"):
    """Data as int8 (127 levels to the range's end) or uint8 (255 levels), and the range, symmetric for int8."""
    with torch.no_grad():
        reach = peak(min_range, max_range)
        found = store(data * per(127.0 if out_type == "int8" else 255.0, reach), out_type)
        return found, *((-reach, reach) if out_type == "int8" else (min_range.clone(), max_range.clone()))


def _calibrated(p: Any) -> bool:
    return p["min_calib_range"] is not None and p["max_calib_range"] is not None


def _wanted(p: Any) -> str:
    if p["out_type"] != "auto":
        return p["out_type"]
    return "uint8" if _calibrated(p) and p["min_calib_range"] >= 0 else "int8"


def _found_range(p: Any, data: Any) -> tuple[Any, Any]:
    """The range that calibration found, or that of the data themselves."""
    if _calibrated(p):
        low, high = constant_range(p["min_calib_range"], p["max_calib_range"], data)
        return low, high
    low, high = data.aminmax()
    return low.reshape(1).float(), high.reshape(1).float()


def _stated(kind: str, low: Any, high: Any) -> tuple[Any, Any]:
    """The range as an operator states it: that of int8 is symmetric."""
    if kind == "uint8":
        return low, high
    reach = peak(low, high)
    return -reach, reach


@operator(
    "_contrib_quantize_v2",
    aliases=("_npx_contrib_quantize_v2",),
    shape=with_range,
    dtype=_kinds(lambda p, _: _wanted(p)),
    outputs=3,
)
def quantize_v2(
    data,
    *,
    out_type: Literal["auto", "int8", "uint8"] = "int8",
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
):
    """Data as int8 or uint8 in the calibrated range, or in their own, and that range.

    auto means uint8 for a calibrated range that begins at 0 or above, int8 otherwise. Quantized data pass as they
    are, with the calibrated range, or that of their type.
    """
    p = locals()
    kind = _wanted(p)
    with torch.no_grad():
        if data.dtype in (torch.int8, torch.uint8):
            whole = (-127.5, 127.5) if data.dtype is torch.int8 else (0.0, 255.5)
            low, high = (min_calib_range, max_calib_range) if _calibrated(p) else whole
            return data.to(getattr(torch, kind), copy=True), *constant_range(low or 0.0, high or 0.0, data)
        low, high = _found_range(p, data)
        return quantized(data, kind, low, high), *_stated(kind, low, high)


@operator(
    "_contrib_quantize_asym",
    shape=with_range,
    dtype=_kinds(lambda *_: "uint8"),
    outputs=("output", "scale", "shift"),
)
def quantize_asym(data, *, min_calib_range: float | None = None, max_calib_range: float | None = None):
    """Data as uint8 data * scale + shift, so that 0 and 255 are the ends of the calibrated range, or of their own."""
    p = locals()
    with torch.no_grad():
        low, high = _found_range(p, data)
        scale = per(255.0, high - low)
        shift = -low * scale
        return store(data * scale + shift, "uint8"), scale, shift


@operator(
    "_contrib_dequantize",
    shape=with_range,
    dtype=_kinds(lambda *_: "float32"),
)
def dequantize(data, min_range, max_range, *, out_type: Literal["float32"] = "float32"):
    """Float32 values of int8 or uint8 data in a range."""
    kind = kind_of(data)
    with torch.no_grad():
        return data.to(torch.float32) * (peak(min_range, max_range) / LEVELS[kind])


@operator(
    "_contrib_requantize",
    shape=with_range,
    dtype=_kinds(lambda p, _: _wanted(p)),
    outputs=3,
)
def requantize(
    data,
    min_range,
    max_range,
    *,
    out_type: Literal["auto", "int8", "uint8"] = "int8",
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
):
    """Int32 data in a range as int8 or uint8 in the calibrated range, or in that of the values, and that range.

    auto means uint8 for a calibrated range that begins at 0 or above, int8 otherwise.
    """
    p = locals()
    with torch.no_grad():
        kind = _wanted(p)
        unit = peak(min_range, max_range) / LEVELS["int32"]
        if _calibrated(p):
            low, high = _found_range(p, data)
        else:
            low, high = (v.reshape(1) * unit for v in data.aminmax())
        reach, levels = peak(low, high), 127.0 if kind == "int8" else 255.0
        return store(data * (unit * per(levels, reach)), kind), reach * 0 if kind == "uint8" else -reach, reach
