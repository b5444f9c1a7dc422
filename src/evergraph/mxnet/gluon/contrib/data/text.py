"""Texts as samples of a language model, where their files lie in a local folder."""

import os
import zipfile
from collections import Counter
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, StoreError, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.base import data_dir
from evergraph.mxnet.contrib.text.utils import count_tokens_from_str
from evergraph.mxnet.contrib.text.vocab import Vocabulary
from evergraph.mxnet.gluon.data.dataset import Dataset
from evergraph.mxnet.gluon.errors import BlockValueError

__all__ = ["WikiText2", "WikiText103"]

_END = "<eos>"
_FILES = {"train": "wiki.train.tokens", "validation": "wiki.valid.tokens", "test": "wiki.test.tokens"}


class _WikiText(Dataset):
    """Rows of tokens, each with the tokens that follow."""

    _home = ""

    def __init__(self, root: Any, segment: str, vocab: Any, seq_len: int) -> None:
        if segment not in _FILES:
            raise BlockValueError("unknown segment", expected=", ".join(_FILES), found=printable(segment))
        if not isinstance(seq_len, int) or seq_len < 1:
            raise BlockValueError("seq_len must be a positive number", found=printable(seq_len))
        given = os.path.join(data_dir(), "datasets", self._home) if root is None else root
        self._root, self._segment, self._seq_len = os.path.expanduser(os.fspath(given)), segment, seq_len
        text = self._text()
        lines = [words for words in (line.split() for line in text.splitlines()) if words]
        # counted at spaces and line feeds only, as MXNet counts: words at other white space have no number
        self._counter = count_tokens_from_str(text)
        self._vocab = Vocabulary(self._counter, reserved_tokens=[_END]) if vocab is None else vocab
        numbers = np.array(self._vocab.to_indices([w for words in lines for w in (*words, _END)]), dtype=np.int32)
        count = max(0, (len(numbers) - 1) // seq_len)
        used = count * seq_len
        self._data = nd.array(numbers[:used].reshape(count, seq_len), dtype=np.int32)
        self._label = nd.array(numbers[1 : used + 1].reshape(count, seq_len), dtype=np.int32)

    def _text(self) -> str:
        """The text of the segment: a file of its own, or one in the archive that is published."""
        name, archive = _FILES[self._segment], os.path.join(self._root, f"{self._home}-v1.zip")
        for path in (os.path.join(self._root, name), os.path.join(self._root, self._home, name)):
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    return file.read()
        if not os.path.exists(archive):
            raise StoreError(
                f"the files of {type(self).__name__} are not here, and are not downloaded",
                where=self._root,
                expected=f"{name}, or {self._home}-v1.zip",
                fix="put them there, or name their folder by root=",
            )
        try:
            with zipfile.ZipFile(archive) as file:
                return file.read(f"{self._home}/{name}").decode("utf-8")
        except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
            raise DamagedError("the archive cannot be read", where=archive, found=printable(error)) from error

    @property
    def vocabulary(self) -> Any:
        """The tokens' numbers."""
        return self._vocab

    @property
    def frequencies(self) -> Counter[str]:
        """How often each token stands in the text."""
        return self._counter

    def __getitem__(self, idx: int) -> Any:
        return self._data[idx], self._label[idx]

    def __len__(self) -> int:
        return len(self._label)


class WikiText2(_WikiText):
    """Articles of two million tokens, as rows of `seq_len` int32 numbers and of those that follow; nothing is fetched.

    Args:
        root: the folder of `wiki.train.tokens`, `wiki.valid.tokens` and `wiki.test.tokens`, or of the archive.
        segment: "train", "validation" or "test".
        vocab: the tokens' numbers; those of this text where it is not given. Lines end with "<eos>".
        seq_len: length of a row; what is left at the end is not used.

    Raises:
        StoreError: the files are not there.
        ValueError: another segment.
    """

    _home = "wikitext-2"

    def __init__(self, root: Any = None, segment: str = "train", vocab: Any = None, seq_len: int = 35) -> None:
        super().__init__(root, segment, vocab, seq_len)


class WikiText103(_WikiText):
    """Articles of a hundred million tokens; as `WikiText2`."""

    _home = "wikitext-103"

    def __init__(self, root: Any = None, segment: str = "train", vocab: Any = None, seq_len: int = 35) -> None:
        super().__init__(root, segment, vocab, seq_len)
