"""The short way of a call with so many arrays, written out for the names of an operator's inputs.

A function for any number of arrays goes round them in a loop, puts its key together piece by piece, and finds arrays
that are given by name among other keywords: FullyConnected took 2.3 times torch's own time that way, and takes 1.7
times written out. The text of the function is made from the names of the inputs, once for all operators that share
them; names with an underscore in front are its own.

Calls come in rows that are alike: the last one's plan is looked at first. Types and ranks are compared one by one and
the keywords as they are, where a look in the table of plans would make a key and hash it, which spares 0.2 to 0.6 us
of 3 us. What is known of the last call is one tuple, so that threads never see halves of two.
"""

import functools
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["writable", "written_out"]

_OWN = (
    *("_plans", "_find", "_general", "_first", "_finished", "_unshared", "_unseen"),
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
_over = None if out is None else out is {first}
try:
    {held}, _options, _more, _function, _fresh, _visible = {last}
    if ({differs}
        or (kwargs if _options is None else kwargs != _options) or (args if _more is None else args != _more)):
        (_function, _fresh, _visible), _more, _options = _find(_plans, ({now}), args, kwargs)
        {last} = {now}, _options or None, _more or None, _function, _fresh, _visible
    _found = _function({values})
except _left:
    return _first(({given},), args, kwargs, out, ({now}, args, *kwargs.items()))
if out is not None or _visible or _found.__class__ is not _tensor:
    return _finished(out, _found, _visible, ({values},), _ctx, _tracked)
if not _fresh:
    _found = _unshared(_found, ({values},))
elif not _found.is_contiguous():
    _found = _found.contiguous()
_array = _new(_dense)
_array._ctx = _ctx
if not _tracked:
    _array._value = _found
elif _found.requires_grad:
    _array._leaf, _array._value = _found, None
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
    bodies = [(n, *_body(n, wants_run)) for n in ((names, names[:-1]) if optional else (names,))]
    body = bodies[0][1]
    if optional:
        body = f"if {names[-1]} is None and not args:\n{textwrap.indent(bodies[1][1], '    ')}{body}"
    arguments = ", ".join(f"{n}=None" for n in names)
    text = f"def make({', '.join(_OWN)}):\n"
    for given, _, length in bodies:
        text += f"    _last{len(given)} = (None,) * {length}\n"
    text += f"    def call({arguments}, *args, out=None, name=None, **kwargs):\n"
    text += f"        nonlocal {', '.join(f'_last{len(n)}' for n, *_ in bodies)}\n"
    text += f"{textwrap.indent(body, ' ' * 8)}    return call\n"
    space: dict[str, Any] = {"__name__": "evergraph.mxnet.ndarray.quick", "_type": type}
    exec(compile(text, f"<a call with {', '.join(names)}>", "exec"), space)  # noqa: S102 - of names that passed `writable`
    return space["make"]


def _body(names: Sequence[str], wants_run: bool) -> tuple[str, int]:
    """The text of a call with all of these arrays, and how many things it keeps of the last one."""
    values = {n: f"_value{i}" for i, n in enumerate(names)}
    first, given = names[0], ", ".join(names)
    otherwise = f"return _general({given}, *args, out=out, **kwargs)"
    checks = [f"_type({n}) is not _dense" for n in names]
    checks.append("(out is not None and (_type(out) is not _dense or _state.recording))")
    text = f"if {' or '.join(checks)}:\n    {otherwise}\n_ctx = {first}._ctx\n"
    for n in names[1:]:
        text += f"if {n}._ctx is not _ctx and {n}._ctx != _ctx:\n    {otherwise}\n"
    recorded = [
        f"    {v} = {n}._leaf\n    if {v} is None:\n        {v} = {n}._value\n    else:\n        _tracked = True"
        for n, v in values.items()
    ]
    plain = [f"    {v} = {n}._value\n    if {v} is None:\n        {v} = {n}._data" for n, v in values.items()]
    # what a plan holds for: these agree with the last call's, or the plan is looked up
    singles = [*[f"{v}.dtype" for v in values.values()], "_tracked", "_over"]
    numbers = [f"{v}.ndim" for v in values.values()]
    if wants_run:
        singles.append("_state.training")
        numbers += ["_ctx.device_typeid", "_ctx.device_id"]
    now = [*singles, *numbers]
    held = [f"_held{i}" for i in range(len(now))]
    differs = [f"{a} {'is not' if a in singles else '!='} {b}" for a, b in zip(now, held, strict=True)]
    text += _FIXED.lstrip().format(
        last=f"_last{len(names)}",
        otherwise=otherwise,
        recorded="\n".join(recorded),
        plain="\n".join(plain),
        held=", ".join(held),
        differs=" or ".join(differs),
        now=", ".join(now),
        values=", ".join(values.values()),
        first=first,
        given=given,
    )
    return text, len(now) + 5
