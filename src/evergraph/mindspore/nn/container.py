"""Cells that hold cells: SequentialCell, CellList, CellDict."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.mindspore.nn.cell import Cell

__all__ = ["CellDict", "CellList", "SequentialCell"]


class _Listed(Cell):
    """Children by position, named `0`, `1`, ..."""

    def _set(self, cells: Iterable[Cell]) -> None:
        self._modules.clear()
        for index, cell in enumerate(cells):
            self._put(str(index), cell)

    def _put(self, name: str, cell: Cell, prefix: str = "") -> None:
        if not isinstance(cell, Cell):
            raise UsageError(
                "only Cells are held", where=f"{type(self).__name__}, {name}", found=printable(type(cell).__name__)
            )
        if self._auto_prefix:
            cell.update_parameters_name(f"{prefix}{name}.")
        self._modules[name] = cell

    def _place(self) -> tuple[str, int]:
        """What stands before the children's names in those of their parameters, and how many parts of the name it is.

        A list that is changed within a network keeps the names that it got from there.
        """
        heads = [(key, next(cell.get_parameters(), None)) for key, cell in self._modules.items()]  # type: ignore[union-attr]
        named = [(key, param.name.split(".")) for key, param in heads if param is not None][:2]
        if not named:
            return "", 0
        key, parts = named[0]
        places = [i for i, part in enumerate(parts) if part == key]
        agreed = [i for i in places if len(named) == 2 and named[1][1][i : i + 1] == [named[1][0]]]
        if not places:
            return "", 0
        place = agreed[0] if agreed else places[-1]
        return "".join(f"{part}." for part in parts[:place]), place

    def _numbered(self, cells: list[Any], prefix: str, place: int) -> None:
        """Hold cells under their positions, and let the names of their parameters follow."""
        self._modules.clear()
        for index, cell in enumerate(cells):
            for param in cell.get_parameters() if self._auto_prefix else ():
                param.name = ".".join([f"{prefix}{index}", *param.name.split(".")[place + 1 :]])
            self._modules[str(index)] = cell

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Cell]:
        return iter(list(self._modules.values()))  # type: ignore[arg-type]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            return self._modules[index]
        held = list(self._modules.values())
        if isinstance(index, slice):
            kind: Any = type(self)
            return kind(held[index])
        return held[index]

    def __setitem__(self, index: int, cell: Cell) -> None:
        self._put(list(self._modules)[index], cell, self._place()[0])

    def __delitem__(self, index: Any) -> None:
        for name in list(self._modules)[index] if isinstance(index, slice) else [list(self._modules)[index]]:
            del self._modules[name]
        if all(name.isdigit() for name in self._modules):
            prefix, place = self._place()
            self._numbered(list(self._modules.values()), prefix, place)

    def append(self, cell: Cell) -> Any:
        """Hold one more at the end."""
        self._put(str(len(self)), cell, self._place()[0])
        return self

    def extend(self, cells: Iterable[Cell]) -> Any:
        """Hold more at the end."""
        for cell in cells:
            self.append(cell)
        return self

    def insert(self, index: int, cell: Cell) -> None:
        """Hold one more before a position."""
        prefix, place = self._place()
        held: list[Any] = list(self._modules.values())
        at = range(len(held) + 1)[index] if index >= 0 else max(len(held) + index, 0)
        self._numbered([*held[:at], Cell(), *held[at:]], prefix, place)
        self._put(str(at), cell, prefix)


class SequentialCell(_Listed):
    """Cells that run one after the other.

    Args:
        args: cells, one list of cells, or one OrderedDict of named cells.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], dict):
            for name, cell in args[0].items():
                self._put(name, cell)
        else:
            self._set(args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args)

    def construct(self, x: Any) -> Any:
        """Run them all."""
        for cell in self._modules.values():
            x = cell(x)  # type: ignore[misc]
        return x


class CellList(_Listed):
    """Cells in a list; the program calls them.

    Args:
        args: cells, or one list of them.
        auto_prefix: whether their parameters get the positions before their names.
    """

    def __init__(self, *args: Any, auto_prefix: bool = True) -> None:
        super().__init__(auto_prefix=auto_prefix)
        self._set(args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args)


class CellDict(_Listed):
    """Cells by name; the program calls them.

    Args:
        cells: mapping or pairs.
    """

    def __init__(self, cells: Any = None, auto_prefix: bool = True) -> None:
        super().__init__(auto_prefix=auto_prefix)
        for name, cell in OrderedDict(cells or {}).items():
            self._put(name, cell)

    def __setitem__(self, index: Any, cell: Cell) -> None:
        self._put(index, cell, self._place()[0])

    def __delitem__(self, index: str) -> None:
        del self._modules[index]

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def values(self) -> Any:
        """The cells."""
        return self._modules.values()

    def items(self) -> Any:
        """Names and cells."""
        return self._modules.items()
