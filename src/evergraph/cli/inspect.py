"""`evergraph inspect`: what a file is and holds, from its table alone."""

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import Any

from evergraph.cli.output import Output
from evergraph.errors import counted, printable

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from evergraph.cli.opening import reading
    from evergraph.formats.registry import FORMATS

    parser.add_argument(
        "path", metavar="PATH", help="a file, a prefix, a folder, an archive, a URI, or - (standard input)"
    )
    parser.add_argument("--format", help="name of the format, where the content does not tell")
    parser.add_argument("--values", action="store_true", help="read the values too: least, greatest, mean, not finite")
    parser.add_argument("--graph", action="store_true", help="list the graph's nodes")
    reading(parser)
    # what is inside decides, so that the names of formats serve --format alone
    parser.epilog = f"Formats: {', '.join(FORMATS)}."


def run(args: argparse.Namespace, out: Output) -> int:
    """Show the file."""
    from evergraph.cli.opening import open_checkpoint

    with out.progress():
        checkpoint = open_checkpoint(args)
        facts = _facts(checkpoint, args.values)
    out.report(facts)
    if out.json:
        return 0
    out.heading(checkpoint.name or args.path)
    _labelled(_summary(checkpoint, facts), out)
    if len(checkpoint):
        out.line()
        _tensors(facts["tensors"], args.values, out)
    if checkpoint.graph is not None:
        out.line()
        _graph(checkpoint.graph, facts["graph"], args.graph, out)
    return 0


def _facts(checkpoint: Any, values: bool) -> dict[str, Any]:
    tensors = {}
    for name, tensor in checkpoint.items():
        row: dict[str, Any] = {
            "dtype": str(tensor.dtype),
            "shape": None if tensor.shape is None else list(tensor.shape),
            "storage": tensor.storage,
            "bytes": tensor.nbytes,
        }
        if tensor.storage == "text":
            row["text"] = str(tensor)
        if values:
            row["values"] = _values(tensor)
        tensors[name] = row
    facts: dict[str, Any] = {"name": checkpoint.name, "format": checkpoint.format, "bytes": checkpoint.nbytes}
    facts |= {"tensors": tensors, "metadata": dict(checkpoint.metadata)}
    facts |= {k: checkpoint.details[k] for k in ("archive", "aliases", "training") if k in checkpoint.details}
    facts["graph"] = None if checkpoint.graph is None else _graph_facts(checkpoint.graph)
    return facts


def _values(tensor: Any) -> dict[str, Any]:
    """Least, greatest, mean and the number of values that are not finite."""
    import numpy as np

    if tensor.storage not in ("dense", "row_sparse", "csr") or not tensor.data.size or tensor.dtype.kind not in "fiub":
        return {}
    array = tensor.data.numpy()
    if tensor.dtype.kind == "f" and tensor.dtype.itemsize < 4:
        array = array.astype(np.float32)
    finite = array[np.isfinite(array)] if tensor.dtype.kind == "f" else array
    found: dict[str, Any] = {"not finite": int(array.size - finite.size)}
    if finite.size:
        found |= {"least": finite.min().item(), "greatest": finite.max().item(), "mean": finite.mean(dtype="f8").item()}
    return found


def _summary(checkpoint: Any, facts: dict[str, Any]) -> list[tuple[str, str]]:
    from evergraph.formats import by_name
    from evergraph.stores import human

    title = by_name(checkpoint.format).title if checkpoint.format else "made in memory"
    roles = Counter(n.split(":", 1)[0] if n.startswith(("arg:", "aux:")) else "" for n in checkpoint)
    words = ", ".join(f"{count} {role}" for role, count in roles.items() if role)
    kinds = Counter(str(t.dtype) for t in checkpoint.values())
    rows = [("format", f"{checkpoint.format}: {title}")]
    if len(checkpoint):
        count = counted(len(checkpoint), "tensor") + (f" ({words})" if words else "")
        rows.append(("holds", f"{count}, {human(facts['bytes'])}"))
        rows.append(("types", ", ".join(f"{kind} {n}" for kind, n in kinds.most_common())))
    elif checkpoint.graph is None:
        rows.append(("holds", "no tensors"))
    archive = facts.get("archive")
    if isinstance(archive, dict):
        rows.append(("archive", f"{archive.get('kind', '')}, {counted(len(archive.get('members', ())), 'member')}"))
    rows += _training(facts.get("training"))
    rows += [("alias", f"{one} is {other}") for one, other in dict(facts.get("aliases") or {}).items()]
    rows += [(k, text) for k in ("structure", "optimizer") if (text := _record(checkpoint.metadata.get(k)))]
    rows += [(str(k), str(v)) for k, v in checkpoint.metadata.items() if isinstance(v, (str, int, float, bool))]
    return rows


def _record(value: Any) -> str:
    """A pickled object, such as an optimizer, by its class and its plain attributes; nothing for anything else."""
    if not isinstance(value, dict) or "object" not in value:
        return ""
    state = value.get("state")
    pairs = state.get("dict", ()) if isinstance(state, dict) else ()
    plain = [f"{k} {v}" for k, v in pairs if isinstance(k, str) and isinstance(v, (str, int, float, bool))]
    return f"{value['object']}" + (f": {', '.join(plain)}" if plain else "")


def _labelled(rows: Sequence[tuple[str, str]], out: Output) -> None:
    """Words with what they say, one below the other."""
    width = max((len(printable(label)) for label, _ in rows), default=0)
    for label, text in rows:
        out.line(f"  {printable(label).ljust(width)}  {printable(text, 2000)}", hang=width + 4)


def _training(facts: Any) -> list[tuple[str, str]]:
    """Of a training's state: when it was taken, and by what it is trained."""
    if not isinstance(facts, dict):
        return []
    batches = f", {facts['batch']} batches done" if facts.get("batch") else ""
    settings = ", ".join(f"{k} {v}" for k, v in facts["settings"].items() if v not in (0, None))
    return [
        ("taken", f"in epoch {facts['epoch']}{batches}, after {facts.get('step', 0)} batches in all"),
        ("by", f"{facts.get('processes', 1)} process(es), measured by {facts['metric']}"),
        ("optimizer", f"{facts['optimizer']}: {settings}"),
        ("besides", "its arrays and counts, random streams, and where the data stands"),
    ]


def _tensors(tensors: dict[str, Any], values: bool, out: Output) -> None:
    from evergraph.stores import human

    heading = ["name", "type", "shape", "bytes"] + (["least", "greatest", "mean", "not finite"] if values else [])
    rows: list[list[object]] = [list(heading)]
    for name, row in tensors.items():
        shape = "none" if row["shape"] is None else "x".join(map(str, row["shape"])) or "scalar"
        kind = row["dtype"] if row["storage"] == "dense" else f"{row['dtype']} {row['storage']}"
        text = repr(row["text"]) if "text" in row else shape
        cells: list[object] = [name or "''", kind, text, human(row["bytes"])]
        if values:
            cells += [_number(row["values"].get(k)) for k in heading[4:]]
        rows.append(cells)
    out.table(rows, right=range(3, len(heading)))


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _graph_facts(graph: Any) -> dict[str, Any]:
    from evergraph.graph import version_words

    facts: dict[str, Any] = {"version": graph.version, "written by": version_words(graph.version)}
    facts |= {"nodes": len(graph), "outputs": len(graph.heads), "operators": graph.operators()}
    facts["remarks"] = list(graph.remarks())
    return facts


def _graph(graph: Any, facts: dict[str, Any], nodes: bool, out: Output) -> None:
    counts = sorted(facts["operators"].items(), key=lambda item: (-item[1], item[0]))
    out.heading("graph")
    rows = [("written by", facts["written by"]), ("nodes", str(facts["nodes"]))]
    rows.append(("operators", ", ".join(f"{op} {n}" for op, n in counts) or "none"))
    rows.append(("outputs", ", ".join(graph.nodes[h[0]].name for h in graph.heads)))
    rows += [("note", remark) for remark in facts["remarks"]]
    _labelled(rows, out)
    if nodes:
        out.line()
        lines: list[tuple[object, ...]] = [("node", "operator", "inputs")]
        lines += [
            (n.name, "variable" if n.is_variable else n.op, ", ".join(graph.nodes[i[0]].name for i in n.inputs))
            for n in graph.nodes
        ]
        out.table(lines)
