"""`load_param_into_net`: a dictionary of Parameters into a network, name by name, all or nothing."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evergraph.errors import ShapeError, collect, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.serialization.problems import TextError, WrongTypeError, WrongValueError
from evergraph.mindspore.serialization.stored import read_all

__all__ = ["Loaded", "load_param_into_net"]


_FLOATS = frozenset(map(mstype.of, ("float16", "float32", "float64", "bfloat16")))
_INTEGERS = frozenset(map(mstype.of, ("int8", "int16", "int32", "int64")))


@dataclass
class Loaded:
    """What became of every name.

    Attributes:
        by_name: parameters whose own name is in the dictionary.
        by_suffix: parameter -> the dictionary's longer name that it was taken from.
        cast: parameter -> "from type -> to type".
        reshaped: parameter -> "from shape -> to shape".
        param_not_load: parameters that nothing was found for.
        ckpt_not_load: the dictionary's names that are no parameter's own name.
    """

    by_name: list[str] = field(default_factory=list)
    by_suffix: dict[str, str] = field(default_factory=dict)
    cast: dict[str, str] = field(default_factory=dict)
    reshaped: dict[str, str] = field(default_factory=dict)
    param_not_load: list[str] = field(default_factory=list)
    ckpt_not_load: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The table in words."""
        used = set(self.by_suffix.values())
        found = [f"{n}: by its name" for n in self.by_name]
        found += [f"{n}: by the end of {k}" for n, k in self.by_suffix.items()]
        found += [f"{n}: cast, {text}" for n, text in self.cast.items()]
        found += [f"{n}: reshaped, {text}" for n, text in self.reshaped.items()]
        found += [f"{n}: nothing in the dictionary" for n in self.param_not_load]
        found += [f"{n}: in the dictionary, asked for by no parameter" for n in self.ckpt_not_load if n not in used]
        return [printable(line, 400) for line in found]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def load_param_into_net(
    net: Any,
    parameter_dict: Mapping[str, Any],
    strict_load: bool = False,
    remove_redundancy: bool = False,
    *,
    report: bool = False,
    really_strict: bool = False,
) -> Any:
    """Load Parameters into a network by their names, as MindSpore 2.10 matches them, all or nothing.

    A name that is missing from the dictionary may be the end of a longer one there (`net.conv.w` feeds `conv.w`): the
    first such name gives a prefix, with which all remaining names are looked for. Float types are cast into each other,
    and signed integers into each other. The network's parameters share the dictionary's memory afterwards.

    Args:
        net: the network.
        parameter_dict: Parameters by name, as `load_checkpoint` gives them.
        strict_load: names must be equal, and types too.
        remove_redundancy: for jobs of several devices.
        report: return a table of what became of every name instead of the two lists.
        really_strict: raise where anything is left over on either side.

    Returns:
        Names of parameters that were not loaded, and names of the dictionary that are no parameter's; or the table.

    Raises:
        TypeError: arguments of another kind.
        RuntimeError: shapes or types that do not fit; all are listed, and the network stays as it was.
    """
    _check(net, parameter_dict, strict_load, remove_redundancy)
    params = {p.name: p for p in net.get_parameters()}
    plan = _Plan(parameter_dict, strict_load)
    plan.by_own_names(params)
    if plan.table.param_not_load and not strict_load:
        plan.by_suffixes(params)
    plan.raise_findings()
    table = plan.table
    if really_strict:
        left = [f"{printable(n)}: not in the dictionary" for n in table.param_not_load]
        left += [f"{printable(n)}: not in the network" for n in table.ckpt_not_load]
        collect(WrongValueError, "network and dictionary do not fit; nothing was loaded", left)
    # what cannot be read any more is found before anything is changed
    read_all(value for _, value in plan.updates)
    for param, value in plan.updates:
        # shared from now on, as in MindSpore: training the network changes the dictionary's Parameter
        param.set_data(value, slice_shape=True)
    return table if report else (table.param_not_load, table.ckpt_not_load)


def _check(net: Any, parameter_dict: Any, strict_load: Any, remove_redundancy: Any) -> None:
    from evergraph.mindspore.nn import Cell

    who = "For 'load_param_into_net', "
    if not isinstance(net, Cell):
        raise WrongTypeError(f"{who}the argument 'net' should be a Cell", found=type(net).__name__)
    if not isinstance(parameter_dict, dict):
        raise WrongTypeError(
            f"{who}the argument 'parameter_dict' should be a dict", found=type(parameter_dict).__name__
        )
    wrong = [
        f"{printable(str(k))}: {type(v).__name__}"
        for k, v in parameter_dict.items()
        if not isinstance(k, str) or not isinstance(v, (Parameter, str, list))
    ]
    collect(WrongTypeError, f"{who}'parameter_dict' holds Parameters, texts and lists by name", wrong)
    if not isinstance(strict_load, bool):
        raise WrongTypeError(f"{who}the argument 'strict_load' should be a bool", found=type(strict_load).__name__)
    if not isinstance(remove_redundancy, bool):
        raise WrongValueError(f"{who}the argument 'remove_redundancy' should be a bool", found=remove_redundancy)
    if remove_redundancy:
        raise WrongTypeError(f"{who}'remove_redundancy' can only be used in parallel scenarios, with several devices")


class _Plan:
    """What would be loaded, worked out from shapes and types before anything is read or changed."""

    def __init__(self, found: Mapping[str, Any], strict: bool) -> None:
        self._found, self._strict = found, strict
        self.table = Loaded()
        self.updates: list[tuple[Any, Any]] = []
        self._wrong: list[Exception] = []

    def by_own_names(self, params: Mapping[str, Any]) -> None:
        """Pass 1: equal names."""
        used = set()
        for name, param in params.items():
            if name not in self._found:
                if not name.startswith("accu_grads"):
                    self.table.param_not_load.append(name)
                continue
            value = self._found[name]
            if not isinstance(value, Parameter):
                continue
            self._update(param, value)
            self.table.by_name.append(name)
            used.add(name)
        self.table.ckpt_not_load = [k for k in self._found if k not in used]

    def by_suffixes(self, params: Mapping[str, Any]) -> None:
        """Pass 2: longer names of the dictionary, by the prefix that the first of them has."""
        # in the network's order, as both are; a dictionary, because a list's removals would be quadratic
        left, sentinel = dict.fromkeys(self.table.param_not_load), self.table.param_not_load[0]
        endings = _Endings(self._found)
        while left:
            prefix = next((p for n in left if (p := endings.prefix(n, sentinel)) is not None), None)
            if prefix is None:
                break
            for name in [n for n in left if prefix + n in self._found]:
                value = self._found[prefix + name]
                if isinstance(value, Parameter):
                    self._update(params[name], value)
                    self.table.by_suffix[name] = prefix + name
                else:
                    what = f"{type(value).__name__!r} object has no attribute 'data'"
                    self._wrong.append(TextError(what, where=printable(name)))
                del left[name]
        self.table.param_not_load = list(left)

    def _update(self, param: Any, value: Any) -> None:
        old, new, name = param.shape, value.shape, printable(param.name)
        if old != new:
            if not _only_ones_behind(old, new):
                self._wrong.append(ShapeError(f"{name} should have the same shape", expected=old, found=new))
                return
            if math.prod(old) != math.prod(new):
                self._wrong.append(WrongValueError(f"{name} cannot be reshaped", expected=old, found=new))
                return
            self.table.reshaped[param.name] = f"{old} -> {new}"
        if param.dtype != value.dtype:
            alike = any({param.dtype, value.dtype} <= kinds for kinds in (_FLOATS, _INTEGERS))
            if self._strict or not alike:
                self._wrong.append(
                    ShapeError(f"{name} should have the same type", expected=param.dtype, found=value.dtype)
                )
                return
            self.table.cast[param.name] = f"{value.dtype} -> {param.dtype}"
        self.updates.append((param, value))

    def raise_findings(self) -> None:
        """Raise one error for all that does not fit."""
        if not self._wrong:
            return
        first = self._wrong[0]
        if len(self._wrong) == 1:
            raise first
        lines = [str(e).replace("\n", ";") for e in self._wrong]
        collect(type(first), "parameters do not fit the network; nothing was loaded", lines)  # type: ignore[arg-type]


class _Endings:
    """Names by their ends."""

    def __init__(self, names: Iterable[str]) -> None:
        self._sorted = sorted((name[::-1], place, name) for place, name in enumerate(names))

    def prefix(self, ending: str, refused: str) -> str | None:
        """What stands before an ending in the first name that has it, where that is not what is refused."""
        backwards = ending[::-1]
        at, best = bisect_left(self._sorted, (backwards, -1, "")), None
        while at < len(self._sorted) and self._sorted[at][0].startswith(backwards):
            _, place, name = self._sorted[at]
            prefix = name[: len(name) - len(ending)]
            if prefix != refused and (best is None or place < best[0]):
                best = place, prefix
            at += 1
        return best[1] if best is not None else None


def _only_ones_behind(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether a shape has more dimensions, and all further ones are 1; leading ones are not compared."""
    return len(new) > len(old) and all(d == 1 for d in new[len(old) :])
