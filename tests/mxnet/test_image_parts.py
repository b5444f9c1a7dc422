"""Parts of packed images: the batches of three epochs that MXNet 1.9.1 gave."""

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/image_parts.json").read_text())
KINDS = {"plain": mx.io.ImageRecordIter, "boxes": mx.io.ImageDetRecordIter}


def picture(value, width, height=12):
    """A picture of one color, whose size in bytes no library decides."""
    row = bytes([value]) * (3 * width)
    body = (row + b"\0" * (-len(row) % 4)) * height
    start = struct.pack("<2sIHHI", b"BM", 54 + len(body), 0, 0, 54)
    return start + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(body), 0, 0, 0, 0) + body


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("parts")
    for kind in KINDS:
        with mx.recordio.MXIndexedRecordIO(str(found / f"{kind}.idx"), str(found / f"{kind}.rec"), "w") as file:
            for i in range(10):
                label = float(i) if kind == "plain" else [2.0, 5.0, i % 3, 0.1, 0.1, 0.6, 0.6]
                file.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, label, i, 0), picture(i * 20, 12 + i)))
    return found


def epochs(folder, kind, number=3, **options):
    settings = {"data_shape": (3, 12, 12), "preprocess_threads": 1, **options}
    images, found = KINDS[kind](path_imgrec=str(folder / f"{kind}.rec"), **settings), []
    for _ in range(number):
        found.append([[(b.data[0].asnumpy()[:, 0, 0, 0] / 20).tolist(), b.pad] for b in images])
        images.reset()
    images.close()
    return found


@pytest.mark.parametrize("case", RECORDED)
def test_parts_give_the_batches_of_1_9_1_in_three_epochs(folder, case):
    kind, *_ = case.split()
    part, parts, size = map(int, re.findall(r"\d", case))
    options: dict[str, Any] = {"path_imgidx": str(folder / f"{kind}.idx")} if "idx" in case else {}
    found = epochs(folder, kind, part_index=part, num_parts=parts, batch_size=size, **options)
    assert found == RECORDED[case]


@pytest.mark.parametrize("options", [{"prefetch_buffer": 1}, {"prefetch_buffer": 8}])
def test_buffers_do_not_change_the_batches(folder, options):
    found = epochs(folder, "plain", num_parts=2, part_index=0, batch_size=4, **options)
    assert found == RECORDED["plain 0/2 by 4"]


def test_shuffled_parts_hold_the_same_records_in_an_order_that_seed_repeats(folder):
    options = {"num_parts": 2, "part_index": 1, "batch_size": 2, "shuffle": True}
    rows = [epochs(folder, "plain", seed=seed, **options) for seed in (5, 5, 6)]
    orders = [[[x for values, _ in epoch for x in values] for epoch in found] for found in rows]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert len({tuple(epoch) for epoch in orders[0]}) > 1
    assert all(sorted(epoch) == [6, 7, 8, 9] for found in orders for epoch in found)


def test_a_part_of_fewer_records_than_a_batch_is_repeated_in_it(folder):
    found = epochs(folder, "plain", num_parts=3, part_index=2, batch_size=3)
    assert found == [[[[8, 9, 8], 1]], [[[9, 8, 9], 2]], [[[8, 9, 8], 1]]]
