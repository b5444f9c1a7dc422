"""Counting tokens."""

import re
from collections import Counter

__all__ = ["count_tokens_from_str"]


def count_tokens_from_str(
    source_str: str,
    token_delim: str = " ",  # noqa: S107 - no password
    seq_delim: str = "\n",
    to_lower: bool = False,
    counter_to_update: Counter[str] | None = None,
) -> Counter[str]:
    r"""How often each token stands in a text.

    Args:
        source_str: the text.
        token_delim: what stands between tokens, a regular expression.
        seq_delim: what stands between sequences, a regular expression.
        to_lower: whether to count in lower case.
        counter_to_update: a counter to add to and to return; None makes one.

    >>> sorted(count_tokens_from_str("a b\nB a", to_lower=True).items())
    [('a', 2), ('b', 2)]
    """
    tokens = [t for t in re.split(f"{token_delim}|{seq_delim}", source_str) if t]
    counter = Counter[str]() if counter_to_update is None else counter_to_update
    counter.update(t.lower() for t in tokens) if to_lower else counter.update(tokens)
    return counter
