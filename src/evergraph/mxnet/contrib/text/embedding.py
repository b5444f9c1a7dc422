"""Vectors of tokens, read from local files."""

import os
import warnings
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, StoreError, UsageError, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import registry
from evergraph.mxnet.contrib.text.vocab import Vocabulary

__all__ = [
    "CompositeEmbedding",
    "CustomEmbedding",
    "FastText",
    "GloVe",
    "create",
    "get_pretrained_file_names",
    "register",
]


_ROOT = os.path.join("~", ".mxnet", "embeddings")


class _NameError(UsageError, KeyError):
    """A name that no embedding has."""


class _TokenEmbedding(Vocabulary):
    """A vocabulary with a vector for each token."""

    _idx_to_vec: Any = None
    _vec_len = 0

    @property
    def vec_len(self) -> int:
        """How long a vector is."""
        return self._vec_len

    @property
    def idx_to_vec(self) -> Any:
        """The vectors by index, an NDArray (tokens, vec_len)."""
        return self._idx_to_vec

    def get_vecs_by_tokens(self, tokens: Any, lower_case_backup: bool = False) -> Any:
        """The vector of a token (vec_len), or of each of a list (tokens, vec_len).

        Args:
            tokens: a token or a list of them; unknown ones have the unknown token's vector.
            lower_case_backup: whether to look for a token in lower case where it is not known as it is.
        """
        asked = tokens if isinstance(tokens, list) else [tokens]
        known = self._token_to_idx
        rows = [known.get(t, known.get(t.lower(), 0) if lower_case_backup else 0) for t in asked]
        found = nd.array(self._idx_to_vec.asnumpy()[rows])
        return found if isinstance(tokens, list) else found[0]

    def update_token_vectors(self, tokens: Any, new_vectors: Any) -> None:
        """Give tokens new vectors.

        Raises:
            ValueError: a token is unknown, or the shapes do not fit.
        """
        asked = tokens if isinstance(tokens, list) else [tokens]
        values = new_vectors.asnumpy()
        values = values[None] if values.ndim == 1 and len(asked) == 1 else values
        wrong = [repr(t) for t in asked if t not in self._token_to_idx]
        if wrong or values.shape != (len(asked), self._vec_len):
            raise UsageError(
                "the vectors cannot be set",
                expected=f"known tokens, and shape {(len(asked), self._vec_len)}",
                found=f"unknown {', '.join(wrong)}" if wrong else f"shape {values.shape}",
            )
        table = self._idx_to_vec.asnumpy().copy()
        table[[self._token_to_idx[t] for t in asked]] = values
        self._idx_to_vec = nd.array(table)

    def _take_vocabulary(self, vocabulary: Vocabulary, embeddings: list[Any]) -> None:
        """Keep a vocabulary's tokens, each with its vectors of all embeddings side by side."""
        tokens = list(vocabulary.idx_to_token)
        parts = [
            np.concatenate(
                [e.idx_to_vec.asnumpy()[:1], e.get_vecs_by_tokens(tokens[1:]).asnumpy().reshape(-1, e.vec_len)]
            )
            for e in embeddings
        ]
        table = np.concatenate(parts, axis=1)
        self._idx_to_token, self._token_to_idx = tokens, dict(vocabulary.token_to_idx)
        self._unknown_token, self._reserved_tokens = vocabulary.unknown_token, vocabulary.reserved_tokens
        self._idx_to_vec, self._vec_len = nd.array(table), table.shape[1]


def register(embedding_cls: Any) -> Any:
    """Register a class of embeddings under its name in lower case."""
    return registry.get_register_func(_TokenEmbedding, "token embedding")(embedding_cls)


def create(embedding_name: str, **kwargs: Any) -> Any:
    """An embedding by the name of its class."""
    return registry.get_create_func(_TokenEmbedding, "token embedding")(embedding_name, **kwargs)


def get_pretrained_file_names(embedding_name: str | None = None) -> Any:
    """Names of the published vectors that lie in `~/.mxnet/embeddings`: a list, or lists by embedding's name.

    Args:
        embedding_name: `glove` or `fasttext`; all where not given.

    Raises:
        KeyError: there is no such embedding.
    """
    known = {k.__name__.lower(): k for k in (GloVe, FastText)}
    if embedding_name is None:
        return {name: get_pretrained_file_names(name) for name in known}
    if embedding_name.lower() not in known:
        raise _NameError(
            f"Cannot find embedding_name {printable(embedding_name)}", expected=", ".join(known), found=embedding_name
        )
    folder = os.path.expanduser(os.path.join(_ROOT, embedding_name.lower()))
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


class CustomEmbedding(_TokenEmbedding):
    """Vectors of a text file: in each line a token and its numbers.

    Args:
        pretrained_file_path: path of the file.
        elem_delim: what stands between the token and the numbers.
        encoding: of the file.
        init_unknown_vec: makes the unknown token's vector where the file has none.
        vocabulary: keep its tokens only.
        **kwargs: unknown_token and reserved_tokens.

    Raises:
        StoreError: the file cannot be read.
        DamagedError: lines that are no token and numbers.
    """

    def __init__(
        self,
        pretrained_file_path: str,
        elem_delim: str = " ",
        encoding: str = "utf8",
        init_unknown_vec: Any = nd.zeros,
        vocabulary: Vocabulary | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._load(pretrained_file_path, elem_delim, encoding, init_unknown_vec or nd.zeros)
        if vocabulary is not None:
            self._take_vocabulary(vocabulary, [self])

    def _load(self, path: str, delimiter: str, encoding: str, unknown: Any) -> None:
        vectors: dict[Any, list[float]] = {}
        number = 0
        try:
            with open(os.path.expanduser(path), encoding=encoding) as file:
                for number, line in enumerate(file, 1):
                    token, *numbers = line.rstrip().split(delimiter)
                    if token in vectors or len(numbers) == 1:
                        reason = "repeats a token" if token in vectors else "is likely a header"
                        warnings.warn(f"line {number} of {path} {reason} and is left out", UserWarning, stacklevel=4)
                        continue
                    vectors[token] = [float(n) for n in numbers]
        except OSError as error:
            raise StoreError("the embedding cannot be read", where=printable(path), found=error.strerror) from error
        except ValueError as error:
            raise DamagedError("a line is no token and numbers", where=f"{printable(path)}, line {number}") from error
        lengths = {len(v) for v in vectors.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise DamagedError("vectors differ in length", where=printable(path), found=sorted(lengths))
        self._vec_len = lengths.pop()
        first = vectors.pop(self._unknown_token, None)
        start = unknown(shape=(self._vec_len,)).asnumpy() if first is None else first
        # reserved tokens without a vector of their own have zeros, so that rows and indices stay together
        reserved = [vectors.pop(t, [0.0] * self._vec_len) for t in self._idx_to_token[1:]]
        self._idx_to_token += list(vectors)
        self._token_to_idx = {t: i for i, t in enumerate(self._idx_to_token)}
        self._idx_to_vec = nd.array(np.array([start, *reserved, *vectors.values()], np.float32))


class CompositeEmbedding(_TokenEmbedding):
    """The vectors of several embeddings side by side, for the tokens of a vocabulary.

    Args:
        vocabulary: the tokens.
        token_embeddings: an embedding or a list of them.
    """

    def __init__(self, vocabulary: Vocabulary, token_embeddings: Any) -> None:
        super().__init__()
        self._take_vocabulary(
            vocabulary, token_embeddings if isinstance(token_embeddings, list) else [token_embeddings]
        )


class _LocalEmbedding(CustomEmbedding):
    """Published vectors from a folder of local files; nothing is downloaded."""

    _usual = ""

    def __init__(
        self,
        pretrained_file_name: str = "",
        embedding_root: str = _ROOT,
        init_unknown_vec: Any = nd.zeros,
        vocabulary: Vocabulary | None = None,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__.lower()
        path = os.path.expanduser(os.path.join(embedding_root, name, pretrained_file_name or self._usual))
        if not os.path.isfile(path):
            raise StoreError(
                "the embedding is not on this machine, and is not downloaded",
                where=printable(path),
                fix="put the file there, or pass its path to CustomEmbedding",
            )
        super().__init__(path, init_unknown_vec=init_unknown_vec, vocabulary=vocabulary, **kwargs)


@register
class GloVe(_LocalEmbedding):
    """Vectors of GloVe, from `embedding_root/glove/pretrained_file_name`; `glove.840B.300d.txt` where not given."""

    _usual = "glove.840B.300d.txt"


@register
class FastText(_LocalEmbedding):
    """Vectors of fastText, from `embedding_root/fasttext/pretrained_file_name`; `wiki.simple.vec` where not given."""

    _usual = "wiki.simple.vec"
