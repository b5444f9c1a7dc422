"""Reads pickles without running them: an interpreter of the opcodes that can only build plain data and inert records.

Nothing is ever imported or called by a name from the stream. A global is looked up in a closed table; the table gives
back a maker of this project's own, or the global is refused, by name, after the whole stream was seen.
"""

from typing import Any

from evergraph.errors import DamagedError, UnsafeError, printable
from evergraph.formats.pickle_opcodes import OPERATIONS, STOP
from evergraph.formats.pickle_stack import Resolve, Stack

__all__ = ["Machine", "Resolve"]


class Machine(Stack):
    """Interprets one pickle; see `Stack` for what it takes.

    After `run`, `position` is the byte behind the stream.

    >>> import pickle
    >>> from evergraph.stores import BytesSource
    >>> Machine(BytesSource(pickle.dumps({"a": (1, 2.5, None)})), 0, lambda module, name: None).run()
    {'a': (1, 2.5, None)}
    """

    def run(self) -> Any:
        """The value of the stream.

        Raises:
            UnsafeError: it names globals that are not in the table (all are listed), or grows without bound.
            DamagedError: it is cut short or no pickle.
        """
        try:
            value = self._run()
        except DamagedError as error:
            if self.refused:
                # what makes a stream dangerous matters more than that it is also broken
                raise self._refusal() from error
            raise
        if self.refused:
            raise self._refusal()
        return value

    def _run(self) -> Any:
        operations, byte = OPERATIONS, self.cursor.u8
        while True:
            code = byte()
            if code == STOP:
                break
            operation = operations[code]
            if operation is None:
                raise self.damaged("an unknown opcode", found=f"0x{code:02x}")
            try:
                operation(self)
            except IndexError:
                raise self.damaged("an operation without its operands", found=f"opcode {chr(code)!r}") from None
        if self.marks or len(self.stack) != 1:
            raise self.damaged("the stream leaves more or less than one value", expected=1, found=len(self.stack))
        return self.stack.pop()

    def _refusal(self) -> UnsafeError:
        names = [printable(n) for n in self.refused]
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        return UnsafeError(
            f"pickle refused: global{'s' if len(names) > 1 else ''} {shown}",
            where=f"{self.source.name}, byte {min(self.refused.values())}",
            expected="classes that a checkpoint is made of",
            fix="a pickle can run any code when its framework loads it: do not open it elsewhere unless you trust "
            "where it comes from; plain data classes can be named with inert=[...], they are kept as records",
        )
