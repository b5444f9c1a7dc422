"""Records what MindSpore 2.10 does, for the tests: run by hand with its Python, never in a test.

MINDSPORES_PYTHON -m benchmarks.mindspore_recordings shards tests/data/mindspore/shards.json
MINDSPORES_PYTHON -m benchmarks.mindspore_recordings cells tests/data/mindspore/cells
MINDSPORES_PYTHON -m benchmarks.mindspore_recordings fits tests/data/mindspore/fits.json
"""

import contextlib
import hashlib
import io
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.mindspore.cells import CELLS, METHODS, OPERATORS, evaluated
from tests.mindspore.fits import FITS, fitted
from tests.mindspore.shards import piece, whole

SHAPES = {"a.weight": (16, 8), "b.weight": (8, 16, 8), "c.bias": (16,)}


def matrix(count):
    found = []
    while count > 1:
        size = random.choice([2, count])
        found.append(size)
        count //= size
    if random.random() < 0.3:
        found.insert(random.randrange(len(found) + 1), 1)
    return found or [1]


def strategy(count, optimizer):
    items = {}
    for name, shape in SHAPES.items():
        devices = matrix(count)
        axes = list(range(len(devices)))
        random.shuffle(axes)
        axes = [axes.pop() if axes and random.random() < 0.6 else -1 for _ in shape]
        free = [i for i in range(len(devices)) if len(devices) - 1 - i not in axes and devices[i] > 1]
        step = size = 0
        if optimizer and free == [0]:
            size, step = devices[0], int(np.prod(devices[1:]))
        items[name] = {"dev_matrix": devices, "tensor_map": axes, "field": 0, "param_split_shape": []}
        items[name] |= {"opt_weight_shard_size": size, "opt_weight_shard_step": step, "indices_offset": []}
    stage = {"op": {"stage": 0, "parallel_strategy": [1]}}
    return {"current_stage": 1, "parallel_strategy_item": stage, "parallel_layout_item": items}


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_sources(ms, folder, layouts, count, format):
    for rank in range(count):
        place = folder / format / f"rank_{rank}"
        place.mkdir(parents=True)
        rows = [{"name": n, "data": ms.Tensor(piece(whole(n, s), rank, layouts[n]))} for n, s in SHAPES.items()]
        rows.append({"name": "global_step", "data": ms.Tensor(np.array([rank], "int32"))})
        ms.save_checkpoint(rows, str(place / f"m.{format}"), format=format)


def message(layouts):
    """A strategy as MindSpore's protobuf message."""
    import mindspore.train.node_strategy_pb2 as pb

    found = pb.ParallelStrategyMap()
    found.current_stage = 1
    item = found.parallel_strategy_item.add()
    item.node_name, item.parallel_strategys.stage = "op", 0
    item.parallel_strategys.parallel_strategy.add().dim.append(1)
    for name, values in layouts.items():
        item = found.parallel_layout_item.add()
        item.param_name, layout = name, item.parallel_layouts
        layout.dev_matrix.add().dim.extend(values["dev_matrix"])
        layout.tensor_map.add().dim.extend(values["tensor_map"])
        layout.param_split_shape.add(), layout.indices_offset.add()
        layout.field = 0
        layout.opt_weight_shard_step = values["opt_weight_shard_step"]
        layout.opt_weight_shard_size = values["opt_weight_shard_size"]
    return found.SerializeToString()


def shards(target):
    """Random strategies: the ranks that are needed, and the digest of every file that MindSpore makes."""
    import mindspore as ms

    random.seed(5)
    cases = []
    for number in range(24):
        folder = Path(tempfile.mkdtemp())
        counts = random.choice([1, 2, 4, 8]), random.choice([1, 2, 4, 8])
        source, wanted = (strategy(n, number % 3 == 0) for n in counts)
        names = folder / "src.json", folder / "dst.json"
        names[0].write_text(json.dumps(source)), names[1].write_text(json.dumps(wanted))
        message_name = folder / "src.ckpt"
        message_name.write_bytes(message(source["parallel_layout_item"]))
        dst = str(names[1]) if counts[1] > 1 else None
        write_sources(ms, folder, source["parallel_layout_item"], counts[0], "ckpt")
        write_sources(ms, folder, source["parallel_layout_item"], counts[0], "safetensors")
        row = {"counts": counts, "source": source["parallel_layout_item"], "target": wanted["parallel_layout_item"]}
        row["message"] = message_name.read_bytes().hex()
        row["ranks"] = [[int(r) for r in ms.rank_list_for_transform(i, str(names[0]), dst)] for i in range(counts[1])]
        ms.transform_checkpoints(str(folder / "ckpt"), str(folder / "out"), "new_", str(names[0]), dst)
        row["files"] = [digest(folder / f"out/rank_{r}/new_{r}.ckpt") for r in range(counts[1])]
        ms.unified_safetensors(str(folder / "safetensors"), str(message_name), str(folder / "unified"))
        row["unified"] = {n: digest(folder / "unified" / n) for n in ("part0.safetensors", "hyper_param.safetensors")}
        cases.append(row)
    Path(target).write_text(json.dumps({"shapes": SHAPES, "cases": cases}))


def cells(target):
    """Every line of `CELLS` in training, its output in evaluation too, and every line of `OPERATORS`."""
    import mindspore as ms
    from mindspore import nn, ops

    lines, arrays, left = [], {}, []
    groups = [(group, *line) for group, rows in CELLS.items() for line in rows]
    for group, text, inputs in [*groups, *(("operators", *line) for line in OPERATORS + METHODS)]:
        key = str(len(lines))
        try:
            found = evaluated(ms, nn, ops, text, inputs, False)
            if group != "operators":
                found |= {f"train {k}": v for k, v in evaluated(ms, nn, ops, text, inputs, True).items()}
        except Exception as error:  # noqa: BLE001 - whatever MindSpore refuses is left out, and named
            left.append((text, f"{type(error).__name__}: {str(error)[:100]}"))
            continue
        lines.append({"group": group, "text": text, "inputs": inputs})
        arrays |= {f"{key}|{k}": v for k, v in found.items()}
    Path(f"{target}.json").write_text(json.dumps(lines, indent=0))
    np.savez_compressed(f"{target}.npz", **arrays)
    print(len(lines), "recorded; left out:")
    for text, why in left:
        print("  ", text, why.replace("\n", " "))


def fits(target):
    """Every line of `FITS`, and one that evaluates after some epochs only."""
    import mindspore as ms
    from mindspore import dataset, nn, train

    rows = []
    for text, frequency in [*((text, 1) for text in FITS), ("LossMonitor(2)", 2), ("LossMonitor(2)", [2, 5])]:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            found = fitted(ms, nn, train, dataset, text, frequency)
        lines = [line for line in shown.getvalue().splitlines() if line.startswith("epoch:")]
        rows.append({"text": text, "frequency": frequency, "rows": found, "shown": lines})
    Path(target).write_text(json.dumps(rows, indent=0))


if __name__ == "__main__":
    {"shards": shards, "cells": cells, "fits": fits}[sys.argv[1]](sys.argv[2])
