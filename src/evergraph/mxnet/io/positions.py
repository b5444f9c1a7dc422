"""Where an iterator stands: taken before a batch is fetched, and gone back to in a later process.

Iterators of this package tell it here or by `register`; any other object does by `state_dict()` and
`load_state_dict(state)`, as torchdata's loaders have them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from evergraph.errors import printable

__all__ = ["Position", "differences", "move", "position", "register"]


class Position(NamedTuple):
    """How a class of iterators tells where it stands.

    Attributes:
        take: iterator -> plain values and arrays; None where something inside it cannot tell.
        put: (iterator, what `take` gave) -> None.
        facts: iterator -> plain values that must be the same in both processes, such as the number of examples.
        inner: (iterator, what `take` gave) -> iterators inside it, each with its position.
    """

    take: Callable[[Any], Any]
    put: Callable[[Any, Any], None]
    facts: Callable[[Any], dict[str, Any]] = lambda _: {}
    inner: Callable[[Any, Any], Any] = lambda *_: ()


_KNOWN: dict[type, Position] = {}
_STEPS = ("next", "__next__", "iter_next", "reset", "__iter__", "_fetch", "_restart")


def register(kind: type, how: Position) -> None:
    """Say how a class of iterators tells where it stands; subclasses that fetch in another way say it again."""
    _KNOWN[kind] = how


def _how(iterator: Any) -> Position | None:
    if hasattr(iterator, "state_dict") and hasattr(iterator, "load_state_dict"):
        return _OWN
    for kind in type(iterator).__mro__:
        if kind in _KNOWN:
            return _KNOWN[kind]
        if any(name in vars(kind) for name in _STEPS):
            return None  # it goes its own way: what its base knows is not all
    return None


def position(iterator: Any) -> dict[str, Any] | None:
    """Where an iterator stands now, or None where it cannot tell.

    >>> import numpy as np
    >>> from evergraph.mxnet import io
    >>> batches = io.NDArrayIter(np.arange(6.0), batch_size=2); _ = batches.next()
    >>> here = position(batches); batches.next().data[0].asnumpy()
    array([2., 3.], dtype=float32)
    >>> move(batches, here); batches.next().data[0].asnumpy()
    array([2., 3.], dtype=float32)
    """
    how = _how(iterator)
    found = None if how is None else how.take(iterator)
    if how is None or found is None:
        return None
    return {"kind": type(iterator).__name__, "facts": how.facts(iterator), "at": found}


def differences(iterator: Any, found: Any) -> list[str]:
    """Why a position does not belong to an iterator, one line each."""
    how = _how(iterator)
    kind = type(iterator).__name__
    if how is None or found.get("kind") != kind:
        return [f"the data comes from {kind}, and came from {printable(found.get('kind'))}"]
    now, then = how.facts(iterator), found["facts"]
    lines = [
        f"{kind}'s {name}: {printable(now.get(name))}, and {printable(then.get(name))} in the state"
        for name in dict.fromkeys((*then, *now))
        if now.get(name) != then.get(name)
    ]
    if lines:
        return lines
    return [line for inner, one in how.inner(iterator, found["at"]) for line in differences(inner, one)]


def move(iterator: Any, found: Any) -> None:
    """Go to a position of which `differences` finds nothing wrong."""
    how = _how(iterator)
    if how is not None:
        how.put(iterator, found["at"])


_OWN = Position(lambda it: it.state_dict(), lambda it, state: it.load_state_dict(state))


# ---- arrays in memory


def _array_take(it: Any) -> Any:
    caches = {"cache_data": it._cache_data, "cache_label": it._cache_label}
    return {"cursor": it.cursor, "order": it.idx, "arranged": it._arranged, **caches}


def _array_put(it: Any, state: Any) -> None:
    places = np.empty_like(it._arranged)
    places[it._arranged] = np.arange(len(places))
    wanted = np.array(state["arranged"])
    if not np.array_equal(wanted, it._arranged):
        it._rearrange(places[wanted])
    it.idx, it.cursor = np.array(state["order"]), state["cursor"]
    it._cache_data, it._cache_label = state["cache_data"], state["cache_label"]


def _array_facts(it: Any) -> dict[str, Any]:
    inputs = [[name, list(value.shape[1:])] for name, value in it.data + it.label]
    handling = {"batch_size": it.batch_size, "last_batch_handle": it.last_batch_handle, "shuffle": it.shuffle}
    return {"number of examples": it.num_data, "inputs": inputs, **handling}


ARRAYS = Position(_array_take, _array_put, _array_facts)


# ---- rows of files


def _row_take(it: Any) -> Any:
    if it._ahead is not None:  # the first batch was fetched when it was made, and nobody has taken it
        return {"at": 0, "carried": 0, "last": np.zeros(it._size, np.int64), "epoch": getattr(it, "_epoch", 0)}
    return {"at": it._at, "carried": it._carried, "last": it._last, "epoch": getattr(it, "_epoch", 0)}


def _row_put(it: Any, state: Any) -> None:
    it._ahead = None
    it._at, it._carried, it._last = state["at"], state["carried"], np.array(state["last"])


def _row_facts(it: Any) -> dict[str, Any]:
    return {"number of examples": it._count, "batch_size": it._size, "round_batch": it._round}


ROWS = Position(_row_take, _row_put, _row_facts)


def _image_put(it: Any, state: Any) -> None:
    if it._asked is not None:
        it._workers.drop()
        it._asked = None
    it._epoch = state["epoch"]
    it._mix()
    _row_put(it, state)


def _image_facts(it: Any) -> dict[str, Any]:
    return {**_row_facts(it), "shuffle": it._shuffled, "seed": it._seed}


IMAGES = Position(_row_take, _image_put, _image_facts)


def _digit_put(it: Any, state: Any) -> None:
    it._ahead, it._at = None, state


DIGITS = Position(
    lambda it: it._at if it._ahead is None else 0,
    _digit_put,
    lambda it: {"number of examples": len(it._order), "batch_size": it._size, "first": int(it._order[0])},
)


# ---- iterators over iterators


def _resize_take(it: Any) -> Any:
    inner = position(it.data_iter)
    return None if inner is None else {"done": it.cur, "inside": inner}


def _resize_put(it: Any, state: Any) -> None:
    it.cur = state["done"]
    move(it.data_iter, state["inside"])


def _prefetch_take(it: Any) -> Any:
    if any(future.exception() is not None for future in it._ahead):
        return None  # the next batch raises it
    inner = [future.result()[1] for future in it._ahead]
    return None if None in inner else inner


def _prefetch_put(it: Any, state: Any) -> None:
    for future in it._ahead:
        future.exception()  # wait: an iterator is not moved while it is read
    for source, one in zip(it.iters, state, strict=True):
        move(source, one)
    it._submit()


RESIZED = Position(
    _resize_take,
    _resize_put,
    lambda it: {"size": it.size},
    lambda it, state: [(it.data_iter, state["inside"])],
)
PREFETCHED = Position(
    _prefetch_take,
    _prefetch_put,
    lambda it: {"number of iterators": len(it.iters)},
    lambda it, state: zip(it.iters, state, strict=True),
)


# ---- sentences and image lists


def _sentence_put(it: Any, state: Any) -> None:
    it.curr_idx, it.idx = state["done"], [tuple(pair) for pair in np.array(state["order"]).tolist()]
    it._arrange([np.array(one) for one in state["arranged"]])


SENTENCES = Position(
    lambda it: {"done": it.curr_idx, "order": np.array(it.idx, np.int64), "arranged": list(it._arranged)},
    _sentence_put,
    lambda it: {"buckets": list(it.buckets), "batch_size": it.batch_size, "sentences": [len(r) for r in it.data]},
)


def _listed_put(it: Any, state: Any) -> None:
    places = {int(source): place for place, source in enumerate(it._arranged)}
    wanted = np.array(state["arranged"])
    it.seq = [it.seq[places[int(i)]] for i in wanted]
    it._arranged, it.cur, it._allow_read = wanted.tolist(), state["done"], not state.get("ended", False)
    it._held = [(np.array(image), np.array(label)) for image, label in state.get("held", [])]


def _listed_take(it: Any) -> Any:
    held = [(image, np.asarray(label)) for image, label in it._held]
    return {"done": it.cur, "arranged": np.array(it._arranged, np.int64), "ended": not it._allow_read, "held": held}


LISTED = Position(
    _listed_take,
    _listed_put,
    lambda it: {"number of examples": len(it.seq), "batch_size": it.batch_size, "shuffle": it.shuffle},
)
