"""Is it whole? Opens, checks everything that can be checked, and says all that is wrong."""

from collections.abc import Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.checkpoint.match import match
from evergraph.errors import EvergraphError, FormatError, GraphError, counted, printable
from evergraph.formats import by_name
from evergraph.formats.opening import open_checkpoint
from evergraph.graph import Graph
from evergraph.saving.verify import Report, check_checkpoint
from evergraph.stores import locate

__all__ = ["verify"]

_PARAMETERS = frozenset(("weight", "bias", "gamma", "beta", "mean", "var", "avg", "alpha", "parameters"))
"""How the parameters of layers end: moving_mean as well."""


def verify(uri: object, *, format: str | None = None, **options: Any) -> Report:
    """Check a checkpoint: its table, every value, checksums, sparse parts, its graph, and whether the two fit.

    Args:
        uri: where it is.
        format: name of its format, where the content does not tell.
        options: what the format takes, such as `dec_key=b"..."`.

    Returns:
        A report that is true where nothing is wrong. Content that cannot be read at all is a finding.

    Raises:
        StoreError: the bytes cannot be reached.

    >>> import numpy as np, tempfile, os
    >>> from evergraph.saving import save
    >>> path = os.path.join(tempfile.mkdtemp(), "w.params")
    >>> _ = save({"arg:w": np.zeros(3, "float32")}, path, checksum=True)
    >>> bool(verify(path)), verify(path).checked[1]
    (True, '1 checksum agrees')
    """
    name = locate(uri).shown
    try:
        checkpoint = _open(uri, format, options)
        # a graph is read when it is first asked for
        _ = checkpoint.graph
    except (FormatError, GraphError) as error:
        return Report(name, findings=(str(error),))
    report = check_checkpoint(checkpoint, uri)
    checked, findings, notes = _check_graph(checkpoint)
    findings += [f"arg:{n} and aux:{n} both: one name cannot be a parameter and a state" for n in _both(checkpoint)]
    return Report(
        report.name,
        report.format,
        (*report.checked, *checked),
        (*report.findings, *findings),
        (*report.notes, *notes),
        report.sums,
    )


def _open(uri: object, form: str | None, options: Mapping[str, Any]) -> Checkpoint:
    checkpoint = open_checkpoint(uri, form, **options)
    known = by_name(checkpoint.format).read_options if checkpoint.format else {}
    # a whole-file checksum inside the file is compared where there is one
    if "crc_check" in known and "crc_check" not in options and checkpoint.details.get("crc"):
        return open_checkpoint(uri, form, crc_check=True, **options)
    return checkpoint


def _both(checkpoint: Checkpoint) -> list[str]:
    names = (n.removeprefix("arg:") for n in checkpoint if n.startswith("arg:"))
    return [printable(n) for n in names if f"aux:{n}" in checkpoint]


def _check_graph(checkpoint: Checkpoint) -> tuple[list[str], list[str], list[str]]:
    """What is good, wrong, and worth knowing about the graph and its parameters."""
    from evergraph.passes.check import check
    from evergraph.passes.upgrade import upgrade

    graph = checkpoint.graph
    if graph is None:
        return [], [], []
    whole = f"the graph of {counted(len(graph), 'node')} is well formed"
    checked, findings, notes = [whole], [], []
    try:
        upgraded = upgrade(graph)
        notes += upgraded.remarks
        if upgraded.edits:
            notes.append(
                f"the graph is not in today's form ({counted(len(upgraded.edits), 'change')}): see evergraph upgrade"
            )
        problems = check(upgraded.graph)
        # an operator or a parameter that is not known may be a fork's; a wrong number of inputs can be run by nobody
        findings += [str(p) for p in problems if p.kind in ("inputs", "outputs")]
        notes += [str(p) for p in problems if p.kind not in ("inputs", "outputs")]
        if not problems:
            checked.append("every operator and parameter of it is known")
    except GraphError as error:
        checked.remove(whole)
        findings.append(str(error))
    except EvergraphError as error:
        findings.append(str(error))
    if len(checkpoint):
        found = match(checkpoint, graph, mode="report")
        layers = _read_by_layers(graph)
        missing = [n for n in found.missing if n in layers or n.rpartition("_")[2] in _PARAMETERS]
        if not (missing or found.extra or found.clashes):
            checked.append("the graph has all its parameters")
        findings += [f"another shape: {line}" for line in found.clashes]
        findings += [f"the graph's parameter {printable(name)} is missing" for name in missing]
        fed = [n for n in found.missing if n not in missing]
        notes += [f"taken for an input, because no layer has it as a parameter: {printable(name)}" for name in fed]
        notes += [f"not used by the graph: {line}" for line in found.extra]
    return checked, findings, notes


def _read_by_layers(graph: Graph) -> set[str]:
    """Names of the variables that a layer reads as one of its parameters."""
    from evergraph.passes.binding import meanings

    names = set()
    for node, found in zip(graph.nodes, meanings(graph), strict=True):
        labels = (found.inputs if found is not None else None) or ()
        for label, (source, _, _) in zip(labels, node.inputs, strict=False):
            if label.rpartition("_")[2] in _PARAMETERS and graph.nodes[source].is_variable:
                names.add(graph.nodes[source].name)
    return names
