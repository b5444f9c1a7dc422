"""Checkpoints of several devices recut and put together: MindSpore 2.10's bytes, for strategies drawn by chance."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

import evergraph.mindspore as ms
from tests.goldens import MINDSPORE
from tests.mindspore import shards
from tests.mindspore.shards import piece

RECORDED = json.loads((MINDSPORE / "shards.json").read_text())
SHAPES = {name: tuple(shape) for name, shape in RECORDED["shapes"].items()}
CASES = RECORDED["cases"]
NAMED = pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{i}" for i in range(len(CASES))])


def whole(name):
    return shards.whole(name, SHAPES[name])


def strategy_file(path, layouts, stage=0):
    items = {"op": {"stage": stage, "parallel_strategy": [1]}}
    text = {"current_stage": 1, "parallel_strategy_item": items, "parallel_layout_item": layouts}
    path.write_text(json.dumps(text))
    return str(path)


def sources(folder, case, format="ckpt"):
    """The checkpoints of a case's source ranks."""
    for rank in range(case["counts"][0]):
        place = folder / format / f"rank_{rank}"
        place.mkdir(parents=True)
        rows = [{"name": n, "data": ms.Tensor(piece(whole(n), rank, case["source"][n]))} for n in SHAPES]
        rows.append({"name": "global_step", "data": ms.Tensor(np.array([rank], "int32"))})
        ms.save_checkpoint(rows, str(place / f"m.{format}"), format=format)
    return str(folder / format)


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@NAMED
def test_recut_checkpoints_have_mindspores_bytes(number, tmp_path):
    case = CASES[number]
    src = strategy_file(tmp_path / "src.json", case["source"])
    dst = strategy_file(tmp_path / "dst.json", case["target"]) if case["counts"][1] > 1 else None
    ms.transform_checkpoints(sources(tmp_path, case), str(tmp_path / "out"), "new_", src, dst)
    found = [digest(tmp_path / f"out/rank_{r}/new_{r}.ckpt") for r in range(case["counts"][1])]
    assert found == case["files"]
    # and one rank alone, from the files that it needs
    rank = case["counts"][1] - 1
    needed = ms.rank_list_for_transform(rank, src, dst)
    assert set(needed) <= set(case["ranks"][rank])
    files = {r: str(tmp_path / f"ckpt/rank_{r}/m.ckpt") for r in needed}
    ms.transform_checkpoint_by_rank(rank, files, str(tmp_path / "one.ckpt"), src, dst)
    loaded = ms.load_checkpoint(str(tmp_path / "one.ckpt"))
    for name in SHAPES:
        wanted = whole(name) if dst is None else piece(whole(name), rank, case["target"][name])
        np.testing.assert_array_equal(loaded[name].asnumpy(), wanted)


@NAMED
def test_unified_files_have_mindspores_bytes_and_are_cut_again(number, tmp_path):
    case = CASES[number]
    src = tmp_path / "src.ckpt"
    src.write_bytes(bytes.fromhex(case["message"]))  # the strategy as MindSpore's protobuf message
    ms.unified_safetensors(sources(tmp_path, case, "safetensors"), str(src), str(tmp_path / "unified"))
    assert {n: digest(tmp_path / "unified" / n) for n in case["unified"]} == case["unified"]
    names = json.loads((tmp_path / "unified/param_name_map.json").read_text())
    assert names["weight_map"] == dict.fromkeys(SHAPES, "part0.safetensors")
    dst = strategy_file(tmp_path / "dst.json", case["target"])
    ms.load_distributed_checkpoint(
        None,
        format="safetensors",
        unified_safetensors_dir=str(tmp_path / "unified"),
        predict_strategy=dst,
        dst_safetensors_dir=str(tmp_path / "cut"),
    )
    for rank in range(case["counts"][1]):
        loaded = ms.load_checkpoint(str(tmp_path / f"cut/rank_{rank}/net.safetensors"), format="safetensors")
        for name in SHAPES:
            np.testing.assert_array_equal(
                loaded[name].asnumpy(), piece(whole(name), rank, case["target"][name]), err_msg=name
            )


class Net(ms.nn.Cell):
    def __init__(self):
        super().__init__()
        for i, name in enumerate(SHAPES):
            setattr(self, f"p{i}", ms.Parameter(ms.Tensor(np.zeros(SHAPES[name], "float32")), name=name))


@NAMED
def test_pieces_are_merged_and_loaded(number, tmp_path):
    case = CASES[number]
    src = tmp_path / "src.ckpt"
    src.write_bytes(bytes.fromhex(case["message"]))
    strategy = ms.build_searched_strategy(str(src))
    for name in SHAPES:
        held = [
            ms.Parameter(ms.Tensor(piece(whole(name), r, case["source"][name])), name=name)
            for r in range(case["counts"][0])
        ]
        np.testing.assert_array_equal(ms.merge_sliced_parameter(held, strategy).asnumpy(), whole(name))
    sources(tmp_path, case)
    files = [str(tmp_path / f"ckpt/rank_{r}/m.ckpt") for r in range(case["counts"][0])]
    net = Net()
    assert ms.load_distributed_checkpoint(net, files, None, str(src)) is True
    for param in net.get_parameters():
        np.testing.assert_array_equal(param.asnumpy(), whole(param.name))


def test_stages_of_a_pipeline_are_merged_and_put_together(tmp_path):
    layout = {"dev_matrix": [2], "field": 0, "opt_weight_shard_size": 0, "opt_weight_shard_step": 0}
    stages = {"a.weight": 0, "b.weight": 1, "c.bias": 1}
    maps = {"a.weight": [0, -1], "b.weight": [-1, 0, -1], "c.bias": [-1]}
    folder = tmp_path / "strategies"
    folder.mkdir()
    for stage in (0, 1):
        items = {n: layout | {"tensor_map": maps[n]} for n, s in stages.items() if s == stage}
        strategy_file(folder / f"s{stage}.json", items, stage)
        for device in (0, 1):
            place = tmp_path / f"ckpt/rank_{2 * stage + device}"
            place.mkdir(parents=True)
            rows = [{"name": n, "data": ms.Tensor(piece(whole(n), device, items[n]))} for n in items]
            ms.save_checkpoint(rows, str(place / "m.ckpt"))
    merged = str(tmp_path / "merged.json")
    ms.merge_pipeline_strategys(str(folder), merged)
    assert list(ms.build_searched_strategy(merged)) == ["0-a.weight", "1-b.weight", "1-c.bias"]
    assert ms.rank_list_for_transform(0, merged, None) == [3, 2, 1, 0]
    ms.transform_checkpoints(str(tmp_path / "ckpt"), str(tmp_path / "out"), "n", merged, None)
    loaded = ms.load_checkpoint(str(tmp_path / "out/rank_0/n0.ckpt"))
    for name in SHAPES:
        np.testing.assert_array_equal(loaded[name].asnumpy(), whole(name))


def test_refuses_what_mindspore_refuses_with_its_classes(tmp_path):
    case = next(c for c in CASES if c["counts"][0] == 4)
    src = strategy_file(tmp_path / "src.json", case["source"])
    cuts = [piece(whole("a.weight"), rank, case["source"]["a.weight"]) for rank in range(4)]
    params = [ms.Parameter(ms.Tensor(cut), name="a.weight") for cut in cuts]
    strategy = ms.build_searched_strategy(src)
    (tmp_path / "odd.ckpt").write_bytes(b"PK\x03\x04 no strategy")
    (tmp_path / "empty.ckpt").write_bytes(b"")
    refused = [
        (ValueError, lambda: ms.merge_sliced_parameter(params[:2], strategy)),
        (ValueError, lambda: ms.merge_sliced_parameter([], strategy)),
        (TypeError, lambda: ms.merge_sliced_parameter([1], strategy)),
        (TypeError, lambda: ms.merge_sliced_parameter(params[0], strategy)),
        (KeyError, lambda: ms.merge_sliced_parameter(params, {"x": 1})),
        (TypeError, lambda: ms.merge_sliced_parameter(params, [1])),
        (TypeError, lambda: ms.build_searched_strategy(1)),
        (ValueError, lambda: ms.build_searched_strategy(str(tmp_path / "nope"))),
        (ValueError, lambda: ms.build_searched_strategy(str(tmp_path / "empty.ckpt"))),
        (TypeError, lambda: ms.build_searched_strategy(str(tmp_path / "odd.ckpt"))),
        (TypeError, lambda: ms.rank_list_for_transform("0", src, None)),
        (ValueError, lambda: ms.transform_checkpoints(str(tmp_path / "nope"), str(tmp_path), "n", src, None)),
        (NotADirectoryError, lambda: ms.merge_pipeline_strategys(str(tmp_path / "nope"), str(tmp_path / "m.json"))),
        (ValueError, lambda: ms.transform_checkpoint_by_rank(0, {}, str(tmp_path / "a.bin"), src, None)),
    ]
    for number, (kind, call) in enumerate(refused):
        try:
            call()
        except kind:
            continue
        pytest.fail(f"call {number} did not raise {kind.__name__}")


def test_missing_ranks_and_pieces_that_do_not_fit_are_named_before_anything_is_written(tmp_path):
    case = next(c for c in CASES if c["counts"][0] == 4 and c["counts"][1] == 1)
    src = strategy_file(tmp_path / "src.json", case["source"])
    folder = sources(tmp_path, case)
    os.chmod(f"{folder}/rank_3/m.ckpt", 0o600)
    os.remove(f"{folder}/rank_3/m.ckpt")
    with pytest.raises(ValueError, match=r"rank 3, for rank 0"):
        ms.transform_checkpoints(folder, str(tmp_path / "out"), "n", src, None)
    assert not (tmp_path / "out").exists()
    odd = [{"name": "a.weight", "data": ms.Tensor(np.zeros((3, 3), "float32"))}]
    ms.save_checkpoint(odd, f"{folder}/rank_3/m.ckpt")
    with pytest.raises(ValueError, match="do not fit together"):
        ms.transform_checkpoints(folder, str(tmp_path / "out"), "n", src, None)
    lying = {n: v | {"tensor_map": [9] * len(SHAPES[n])} for n, v in case["source"].items()}
    with pytest.raises(ValueError, match="make no sense"):
        ms.build_searched_strategy(strategy_file(tmp_path / "lying.json", lying))


def test_restores_the_ranks_of_a_group(tmp_path):
    (tmp_path / "g.pb").write_bytes(b"\x12\x06\x08\x00\x08\x01\x08\x02")
    assert ms.restore_group_info_list(str(tmp_path / "g.pb")) == [0, 1, 2]
    with pytest.raises(ValueError, match="no such file"):
        ms.restore_group_info_list(str(tmp_path / "nope"))
