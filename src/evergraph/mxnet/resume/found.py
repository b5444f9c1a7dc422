"""The newest state of a training: read, its checksums compared, held against the program; nothing is changed yet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evergraph.errors import DamagedError, EvergraphError, UsageError, collect
from evergraph.mxnet.io.positions import differences
from evergraph.mxnet.resume import living, parts
from evergraph.mxnet.resume.checkpoint import TrainingCheckpoint
from evergraph.mxnet.resume.meeting import Meeting
from evergraph.saving.state import Moment, read_part, read_state, states
from evergraph.saving.values import unpack

__all__ = ["AnotherTrainingError", "Found", "look"]


class AnotherTrainingError(UsageError):
    """A state that belongs to another training than the program's."""


@dataclass
class Found:
    """A state that fits.

    Attributes:
        moment: when it was taken.
        place: its folder.
        step: batches that were done in all.
        steps: what puts parameters and optimizers back.
        own: what this process had of its own; None where other processes saved it.
        metric: whether the metric's values are taken over.
        data: whether the data's place is.
    """

    moment: Moment
    place: str
    step: int
    steps: list[Callable[[], None]]
    own: dict[str, Any] | None
    metric: bool
    data: bool


def look(
    asked: TrainingCheckpoint,
    meeting: Meeting,
    modules: list[Any],
    data: Any,
    metric: Any,
    logger: Any,
) -> Found | None:
    """The newest state in a folder, or None where there is none; all processes see the same, or the same error.

    Raises:
        AnotherTrainingError: listing everything that differs.
        DamagedError: listing every damaged array.
        UsageError: there is a state and should be none, or the other way round.
    """
    found, error, warnings = None, None, []
    moment = _newest(asked, meeting)
    if moment is None:
        return None
    try:
        found, warnings = _read(asked, meeting, moment, modules, data, metric)
    except EvergraphError as problem:
        error = problem
    meeting.together(error)
    for line in warnings:
        logger.warning("The state is of another training, and goes on as the program says: %s", line)
    return found


def _newest(asked: TrainingCheckpoint, meeting: Meeting) -> Moment | None:
    error, whole = None, []
    try:
        whole = states(asked.folder) if meeting.rank == 0 else []
    except EvergraphError as problem:
        error = problem
    meeting.together(error)
    newest = meeting.gather(tuple(whole[-1]) if whole else None)[0]
    if newest is None and asked.resume is True:
        raise UsageError(
            "there is no training state to go on from",
            where=asked.folder,
            fix="give resume=None to begin where there is none",
        )
    if newest is not None and asked.resume is False:
        raise UsageError(
            "there is a training state already, and resume=False",
            where=asked.folder,
            found=Moment(*newest),
            fix="give another folder, remove this one, or give resume=None to go on from it",
        )
    return None if newest is None else Moment(*newest)


def _read(
    asked: TrainingCheckpoint, meeting: Meeting, moment: Moment, modules: list[Any], data: Any, metric: Any
) -> tuple[Found, list[str]]:
    place = f"{asked.folder.rstrip('/')}/{moment.name}"
    manifest = read_state(asked.folder, moment)
    rows = manifest["parts"]
    first = read_part(asked.folder, moment, rows[0])
    mine = (
        first
        if meeting.rank == 0 or len(rows) != meeting.count
        else read_part(asked.folder, moment, rows[meeting.rank])
    )
    tensors = dict(first.tensors)
    if manifest.get("sharded"):
        from evergraph.training.shards import read_shards

        tensors |= read_shards(place)
    shared = unpack(first.values.get("shared"), tensors, place)
    own = unpack(mine.values.get("own"), mine.tensors, place)
    try:
        return _compared(
            asked, meeting, moment, manifest, living.alive(shared), living.alive(own), modules, data, metric
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise DamagedError(
            "the training state lacks parts that it must have", where=place, found=f"{type(error).__name__}: {error}"
        ) from error


def _compared(
    asked: TrainingCheckpoint,
    meeting: Meeting,
    moment: Moment,
    manifest: dict[str, Any],
    shared: dict[str, Any],
    own: dict[str, Any],
    modules: list[Any],
    data: Any,
    metric: Any,
) -> tuple[Found, list[str]]:
    place = f"{asked.folder.rstrip('/')}/{moment.name}"
    networks, settings, metrics, order = _differences(shared, own, modules, metric, data)
    alone = [line for line in networks if line.startswith("computation")]
    other = (
        []
        if len(manifest["parts"]) == meeting.count
        else [f"processes: {len(manifest['parts'])} in the state, {meeting.count} here"]
    )
    soft = [*alone, *settings, *metrics, *order, *other]
    hard = [line for line in networks if line not in alone]
    collect(
        AnotherTrainingError,
        "the training state belongs to another training; nothing was changed",
        [*hard, *(() if asked.changes else soft)],
        where=place,
        fix="run the program that saved it, give another folder, or, where networks are alike,"
        " TrainingCheckpoint(..., changes=True): what the program says then counts",
    )
    kept = None if other else own
    steps = []
    for number, part in enumerate(modules):
        changed = {**part.optimizer_settings}
        same = shared["settings"][number]
        changed = {k: v for k, v in changed.items() if parts.compare({k: same.get(k)}, {k: v}, "")}
        # of other processes' auxiliary states, those of the first are taken
        mine = (
            own["modules"][number] if kept is not None else {**own["modules"][number], "residuals": {}, "gradients": {}}
        )
        steps += parts.put_back(part, shared["modules"][number], mine, changed)
    found = Found(moment, place, manifest["step"], steps, kept, not metrics, not order)
    return found, soft


def _differences(
    shared: dict[str, Any], own: dict[str, Any], modules: list[Any], metric: Any, data: Any
) -> tuple[list[str], list[str], list[str], list[str]]:
    if len(shared["network"]) != len(modules):
        return [f"modules: {len(shared['network'])} in the state, {len(modules)} here"], [], [], []
    networks, settings = [], []
    for part, network, rates in zip(modules, shared["network"], shared["settings"], strict=True):
        networks += parts.compare(network, parts.network(part), "")
        settings += parts.compare(rates, part.optimizer_settings, "optimizer's")
    kind, names = type(metric).__name__, set(living.take(metric))
    metrics = []
    if own["metric"]["kind"] != kind or not names <= set(own["metric"]["values"]):
        metrics = [f"metric: {own['metric']['kind']} in the state, {kind} here"]
    position = own["data"]["position"]
    order = [] if position is None else differences(data, position)
    return networks, settings, metrics, order
