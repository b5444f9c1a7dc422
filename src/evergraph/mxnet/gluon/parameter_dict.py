"""Dictionaries of parameters under a common prefix."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

import numpy as np

from evergraph.errors import collect, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.context import Context
from evergraph.mxnet.gluon.errors import BlockValueError, ParameterFitError
from evergraph.mxnet.gluon.loading import load_values, or_as_before
from evergraph.mxnet.gluon.parameter import Constant, Parameter

__all__ = ["ParameterDict"]


class ParameterDict:
    """Parameters by name, in order.

    Args:
        prefix: stands before the names of all that `get` makes.
        shared: another dictionary whose parameters are taken where they have the name.

    >>> params = ParameterDict("net_")
    >>> params.get("weight", shape=(2, 3)).name, list(params.keys())
    ('net_weight', ['net_weight'])
    """

    def __init__(self, prefix: str = "", shared: "ParameterDict | None" = None) -> None:
        self._prefix, self._shared = prefix, shared
        self._params: dict[str, Parameter] = {}

    def __repr__(self) -> str:
        name = f"{self._prefix} " if self._prefix else ""
        lines = "\n".join(f"  {p!r}" for p in self.values())
        return f"{name}(\n{lines}\n)"

    def __getitem__(self, key: str) -> Parameter:
        return self._params[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __contains__(self, key: object) -> bool:
        return key in self._params

    def items(self) -> ItemsView[str, Parameter]:
        """Names with parameters."""
        return self._params.items()

    def keys(self) -> KeysView[str]:
        """Names."""
        return self._params.keys()

    def values(self) -> ValuesView[Parameter]:
        """Parameters."""
        return self._params.values()

    @property
    def prefix(self) -> str:
        """What stands before the names."""
        return self._prefix

    def _find(self, name: str) -> Parameter | None:
        if name not in self._params and self._shared is not None and name in self._shared._params:
            self._params[name] = self._shared._params[name]
        return self._params.get(name)

    def get(self, name: str, **kwargs: Any) -> Parameter:
        """The parameter of a name, made with these keywords where there is none.

        Args:
            name: its name without the prefix.
            kwargs: as `Parameter` takes them.

        Raises:
            AssertionError: it is there, and differs from the keywords.
        """
        full = self._prefix + name
        found = self._find(full)
        if found is None:
            found = self._params[full] = Parameter(full, **kwargs)
            return found
        for key, value in kwargs.items():
            _agree(found, key, value)
        return found

    def get_constant(self, name: str, value: Any = None) -> Parameter:
        """The constant of a name, made of this value where there is none.

        Raises:
            KeyError: it is not there, and no value is given.
            AssertionError: what is there is no constant, or has another value.
        """
        full = self._prefix + name
        found = self._find(full)
        if found is None:
            if value is None:
                raise KeyError(
                    f"No constant named '{full}'. Please specify value if you want to create a new constant."
                )
            found = self._params[full] = Constant(full, value)
        elif value is not None:
            if not isinstance(found, Constant):
                raise ParameterFitError(f"Parameter '{full}' already exists but it is not a constant.")
            given = value.asnumpy() if isinstance(value, nd.NDArray) else np.asarray(value)
            held = found.value.asnumpy()
            if given.shape != held.shape or not (given == held).all():
                raise ParameterFitError(f"Constant '{full}' already exists but it's value doesn't match new value")
        return found

    def update(self, other: "ParameterDict | Mapping[str, Parameter]") -> None:
        """Take all parameters of another dictionary.

        Raises:
            AssertionError: another parameter has the name.
        """
        for name, each in other.items():
            if self._params.get(name, each) is not each:
                raise ParameterFitError(
                    "Cannot update self with other because they have different Parameters with the same name",
                    found=printable(name),
                )
            self._params[name] = each

    def initialize(self, init: Any = None, ctx: Any = None, verbose: bool = False, force_reinit: bool = False) -> None:
        """Initialize all; parameters with an initializer of their own use it."""
        from evergraph.mxnet import initializer

        found = initializer.Uniform() if init is None else init
        if verbose:
            found.set_verbosity(verbose=verbose)
        with or_as_before(self.values()):
            for each in self.values():
                each.initialize(None, ctx, found, force_reinit=force_reinit)

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        for each in self.values():
            each.zero_grad()

    def reset_ctx(self, ctx: Any) -> None:
        """Move all to one or several other devices."""
        for each in self.values():
            each.reset_ctx(ctx)

    def list_ctx(self) -> list[Context]:
        """The devices they are on, each once."""
        return list(dict.fromkeys(c for each in self.values() for c in each.list_ctx()))

    def setattr(self, name: str, value: Any) -> None:
        """Set an attribute of all: `params.setattr("grad_req", "add")`."""
        for each in self.values():
            setattr(each, name, value)

    def save(self, filename: str, strip_prefix: str = "") -> None:
        """Save all to a file, at any URI.

        Raises:
            ValueError: a name does not begin with `strip_prefix`.
        """
        wrong = [printable(p.name) for p in self.values() if not p.name.startswith(strip_prefix)]
        collect(
            BlockValueError, f"parameters do not begin with the prefix {strip_prefix!r} that is to be stripped", wrong
        )
        nd.save(filename, {p.name[len(strip_prefix) :]: p._reduce() for p in self.values()})

    def load(
        self,
        filename: str,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        restore_prefix: str = "",
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """Load values from a file, at any URI.

        Args:
            filename: what `save` wrote, or a checkpoint's parameters.
            ctx: one or several devices.
            allow_missing: whether parameters may be missing in the file.
            ignore_extra: whether the file may hold others.
            restore_prefix: stands before the names in the file.
            cast_dtype: whether other element types are cast.
            dtype_source: "current" to cast the file's values, "saved" to change the parameters.

        Raises:
            AssertionError: parameters are missing in the file, or it holds others; all are listed.
        """
        loaded = nd.load(filename)
        if not isinstance(loaded, dict):
            raise BlockValueError("the file holds arrays without names", where=printable(filename))
        self.load_dict(loaded, ctx, allow_missing, ignore_extra, restore_prefix, filename, cast_dtype, dtype_source)

    def load_dict(
        self,
        param_dict: Any,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        restore_prefix: str = "",
        filename: str | None = None,
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """Load values by name, with `arg:` and `aux:` before the names or without; for the rest see `load`.

        Args:
            param_dict: the arrays.
            ctx: one or several devices.
            allow_missing: whether parameters may be missing in it.
            ignore_extra: whether it may hold others.
            restore_prefix: stands before its names.
            filename: where it is from, for errors.
            cast_dtype: whether other element types are cast.
            dtype_source: "current" to cast its values, "saved" to change the parameters.

        Raises:
            AssertionError: parameters are missing in it, or it holds others; all are listed.
        """
        loaded = dict(param_dict)
        given = {restore_prefix + k.removeprefix("arg:").removeprefix("aux:"): v for k, v in loaded.items()}
        _compare(self._params, given, filename or "param_dict", allow_missing, ignore_extra)
        pairs = [(self._params[name], name, value) for name, value in given.items() if name in self._params]
        load_values(pairs, ctx, cast_dtype, dtype_source, filename)


def _agree(found: Parameter, key: str, value: Any) -> None:
    """Raise where a shared parameter contradicts what is asked for; fill in what it leaves open."""
    held = getattr(found, key, None)
    if held is None:
        setattr(found, key, value)
        return
    if value is None or held == value:
        return
    if key == "shape" and len(value) == len(held):
        pairs = list(zip(value, held, strict=True))
        if all(a == b or a <= 0 or b <= 0 for a, b in pairs):
            found._shape = tuple(max(a, b) for a, b in pairs)
            return
    if key == "dtype" and np.dtype(held) == np.dtype(value):
        return
    raise ParameterFitError(
        f"Cannot retrieve Parameter '{found.name}' because desired attribute does not match with stored",
        where=key,
        expected=value,
        found=held,
    )


def _compare(
    mine: Mapping[str, Any], given: Mapping[str, Any], filename: str, allow_missing: bool, ignore_extra: bool
) -> None:
    """Raise where a file and a dictionary do not hold the same names; all differences are listed."""
    wrong = [] if allow_missing else [f"missing in the file: {printable(n)}" for n in mine if n not in given]
    wrong += [] if ignore_extra else [f"only in the file: {printable(n)}" for n in given if n not in mine]
    collect(
        ParameterFitError,
        f"the parameters of {printable(filename)} do not match",
        wrong,
        fix="allow_missing=True keeps parameters that the file lacks; ignore_extra=True passes over others",
    )
