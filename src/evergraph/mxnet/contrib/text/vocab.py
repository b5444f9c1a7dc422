"""Tokens and their indices."""

from collections import Counter
from collections.abc import Hashable
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.base import InputTypeError

__all__ = ["Vocabulary"]


class Vocabulary:
    """Indices of the unknown token (0), of reserved tokens, and of counted tokens, the most frequent first.

    Args:
        counter: how often each token was seen; equally frequent ones stand in their own order.
        most_freq_count: how many counted tokens are indexed at most.
        min_freq: how often a token must have been seen.
        unknown_token: stands for every other token.
        reserved_tokens: tokens that are always indexed.

    Raises:
        InputTypeError: min_freq is not positive, reserved tokens repeat or hold the unknown one, or counter is none.

    >>> Vocabulary(Counter("banana"), reserved_tokens=["<pad>"]).to_indices(["a", "b", "z"])
    [2, 4, 0]
    """

    def __init__(
        self,
        counter: Counter[Any] | None = None,
        most_freq_count: int | None = None,
        min_freq: int = 1,
        unknown_token: Hashable = "<unk>",  # noqa: S107 - no password
        reserved_tokens: list[Any] | None = None,
    ) -> None:
        fixed = [unknown_token, *(reserved_tokens or ())]
        wrong = [] if min_freq > 0 else ["min_freq is not positive"]
        if len(set(fixed)) != len(fixed):
            wrong.append("reserved_tokens repeat a token or hold unknown_token")
        if counter is not None and not isinstance(counter, Counter):
            wrong.append(f"counter is of type {type(counter).__name__}, not collections.Counter")
        if wrong:
            raise InputTypeError("no vocabulary can be made", details=wrong)
        self._unknown_token = unknown_token
        self._reserved_tokens = None if reserved_tokens is None else list(reserved_tokens)
        ordered = sorted(sorted((counter or {}).items(), key=lambda x: x[0]), key=lambda x: -x[1])
        counted = [t for t, n in ordered if n >= min_freq and t not in set(fixed)]
        self._idx_to_token = fixed + counted[:most_freq_count]
        self._token_to_idx = {t: i for i, t in enumerate(self._idx_to_token)}

    def __len__(self) -> int:
        return len(self._idx_to_token)

    @property
    def token_to_idx(self) -> dict[Any, int]:
        """The index of each token."""
        return self._token_to_idx

    @property
    def idx_to_token(self) -> list[Any]:
        """The tokens by index."""
        return self._idx_to_token

    @property
    def unknown_token(self) -> Any:
        """What stands for unknown tokens."""
        return self._unknown_token

    @property
    def reserved_tokens(self) -> list[Any] | None:
        """The tokens that are always indexed."""
        return self._reserved_tokens

    def to_indices(self, tokens: Any) -> Any:
        """The index of a token, or of each of a list; 0 for unknown ones."""
        if not isinstance(tokens, list):
            return self._token_to_idx.get(tokens, 0)
        return [self._token_to_idx.get(t, 0) for t in tokens]

    def to_tokens(self, indices: Any) -> Any:
        """The token of an index, or of each of a list.

        Raises:
            ValueError: an index that no token has.
        """
        asked = indices if isinstance(indices, list) else [indices]
        wrong = [repr(i) for i in asked if not isinstance(i, int) or i >= len(self)]
        if wrong:
            raise UsageError("no token has this index", expected=f"below {len(self)}", found=", ".join(wrong))
        found = [self._idx_to_token[i] for i in asked]
        return found if isinstance(indices, list) else found[0]
