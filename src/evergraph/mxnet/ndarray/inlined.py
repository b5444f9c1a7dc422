"""The short way of a call with so many arrays, written out for the names of an operator's inputs.

A function for any number of arrays goes round them in a loop, puts its key together piece by piece, and finds arrays
that are given by name among other keywords: FullyConnected took 2.3 times torch's own time that way, and takes 1.7
times written out. The text of the function is made from the names of the inputs, once for all operators that share
them; names with an underscore in front are its own.

Calls come in rows that are alike: the last one's plan is looked at first, which compares the keywords where a look in
the table of plans would hash them, and spares 0.1 to 0.5 us of 3 us.
"""

import functools
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["writable", "written_out"]

_OWN = (
    *("_plans", "_general", "_first", "_finished", "_unshared", "_unseen"),
    *("_left", "_state", "_enabled", "_dense", "_new", "_tensor"),
)
_FIXED = """
_tracked = False
if _state.recording:
{recorded}
    if _tracked and not _enabled():
        {otherwise}
else:
{plain}
_kinds = ({kinds}, {run}_tracked)
if out is not None:
    _kinds += (out is {first},)
try:
    _before, _options, _more, _plan = _last
    if _before != _kinds or _options != kwargs or _more != args:
        _plan = _plans[_kinds, args, *kwargs.items()]
        _last = _kinds, kwargs, args, _plan
    _function, _fresh, _visible = _plan
    _found = _function({values})
except _left:
    return _first(({given},), args, kwargs, out, (_kinds, args, *kwargs.items()))
if out is not None or _visible or _found.__class__ is not _tensor:
    return _finished(out, _found, _visible, ({values},), _ctx, _tracked)
if not _fresh:
    _found = _unshared(_found, ({values},))
elif not _found.is_contiguous():
    _found = _found.contiguous()
_array = _new(_dense)
_array._ctx = _ctx
if not _tracked:
    _array._data = _found
elif _found.requires_grad:
    _array._leaf = _found
else:
    _unseen(_array, _found, ({values},))
return _array
"""


def writable(names: Sequence[str]) -> bool:
    """Whether inputs of these names can be arguments of a function beside its own `out` and `name`."""
    return all(n.isidentifier() and not n.startswith("_") for n in names) and {"out", "name"}.isdisjoint(names)


@functools.cache
def written_out(names: tuple[str, ...], optional: bool, wants_run: bool) -> Callable[..., Callable[..., Any]]:
    """The function that makes the function of a call.

    Args:
        names: the inputs.
        optional: whether the last of them may be left out.
        wants_run: whether what is computed depends on the device and on training.

    Returns:
        A function of the names in `_OWN`; see `evergraph.mxnet.ndarray.quick` for what they are.
    """
    body = _body(names, wants_run)
    if optional:
        shorter = textwrap.indent(_body(names[:-1], wants_run), "    ")
        body = f"if {names[-1]} is None:\n{shorter}{body}"
    arguments = ", ".join(f"{n}=None" for n in names)
    text = f"def make({', '.join(_OWN)}):\n    _last = None, None, None, None\n"
    text += f"    def call({arguments}, *args, out=None, name=None, **kwargs):\n        nonlocal _last\n"
    text += f"{textwrap.indent(body, ' ' * 8)}    return call\n"
    space: dict[str, Any] = {"__name__": "evergraph.mxnet.ndarray.quick"}
    exec(compile(text, f"<a call with {', '.join(names)}>", "exec"), space)  # noqa: S102 - of names that passed `writable`
    return space["make"]


def _body(names: Sequence[str], wants_run: bool) -> str:
    """The text of a call with all of these arrays."""
    values = {n: f"_value{i}" for i, n in enumerate(names)}
    first, given = names[0], ", ".join(names)
    otherwise = f"return _general({given}, *args, out=out, **kwargs)"
    checks = [f"{n}.__class__ is not _dense" for n in names]
    checks.append("(out is not None and (out.__class__ is not _dense or _state.recording))")
    text = f"if {' or '.join(checks)}:\n    {otherwise}\n_ctx = {first}._ctx\n"
    for n in names[1:]:
        text += f"if {n}._ctx is not _ctx and {n}._ctx != _ctx:\n    {otherwise}\n"
    recorded = [f"    {v} = {n}._leaf\n    if {v} is None:\n        {v} = {n}._data\n    else:\n        _tracked = True"
                for n, v in values.items()]  # fmt: skip
    return text + _FIXED.lstrip().format(
        otherwise=otherwise,
        recorded="\n".join(recorded),
        plain="\n".join(f"    {v} = {n}._data" for n, v in values.items()),
        kinds=", ".join(f"{v}.dtype, {v}.ndim" for v in values.values()),
        run="_state.training, _ctx.device_typeid, _ctx.device_id, " if wants_run else "",
        values=", ".join(values.values()),
        first=first,
        given=given,
    )
