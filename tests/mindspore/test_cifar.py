"""CIFAR's binary files: the columns, types and order of MindSpore 2.10."""

import numpy as np
import pytest

from evergraph.errors import DamagedError, StoreError, UsageError
from evergraph.mindspore import dataset as ds


def records(seed, count, labels):
    draw = np.random.default_rng(seed)
    held = draw.integers(0, 256, (count, labels + 3072), dtype=np.uint8)
    held[:, :labels] = draw.integers(0, 10, (count, labels))
    return held


def written(folder, labels, names):
    found = {name: records(i, 4, labels) for i, name in enumerate(names)}
    for name, held in found.items():
        (folder / name).write_bytes(held.tobytes())
    return found


def test_reads_the_files_in_mindspores_order(tmp_path):
    names = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    held = written(tmp_path, 1, names)
    for usage, files in ((None, names), ("train", names[:5]), ("test", names[5:]), ("all", names)):
        data = ds.Cifar10Dataset(str(tmp_path), usage=usage, shuffle=False)
        assert (data.get_dataset_size(), data.get_col_names()) == (4 * len(files), ["image", "label"])
        rows = list(data.create_tuple_iterator(output_numpy=True))
        wanted = np.concatenate([held[name] for name in files])
        for (image, label), record in zip(rows, wanted, strict=True):
            np.testing.assert_array_equal(image, record[1:].reshape(3, 32, 32).transpose(1, 2, 0))
            assert (label.dtype, label.shape, int(label)) == (np.uint32, (), record[0])


def test_reads_both_labels_of_a_hundred_classes(tmp_path):
    held = written(tmp_path, 2, ["train.bin", "test.bin"])
    data = ds.Cifar100Dataset(str(tmp_path), usage="test", shuffle=False)
    assert data.get_col_names() == ["image", "coarse_label", "fine_label"]
    assert [(int(c), int(f)) for _, c, f in data.create_tuple_iterator(output_numpy=True)] == [
        (c, f) for c, f in held["test.bin"][:, :2].tolist()
    ]


def test_tells_what_is_wrong_with_the_folder(tmp_path):
    with pytest.raises(StoreError, match="no CIFAR files"):
        ds.Cifar10Dataset(str(tmp_path))
    with pytest.raises(UsageError, match="usage is"):
        ds.Cifar10Dataset(str(tmp_path), usage="bad")
    (tmp_path / "test_batch.bin").write_bytes(b"0" * 3074)
    with pytest.raises(DamagedError, match="whole number of records"):
        ds.Cifar10Dataset(str(tmp_path), usage="test")
