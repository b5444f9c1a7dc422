"""Images for gluon: transforms to MXNet 1.9.1's values, and data sets of local files."""

import gzip
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.errors import DamagedError, StoreError
from evergraph.mxnet.gluon.data import DataLoader, RecordFileDataset, SimpleDataset, vision
from evergraph.mxnet.gluon.data import SequentialSampler as Order
from evergraph.mxnet.gluon.data.vision import transforms as T

X = np.arange(60).reshape(4, 5, 3) * 4
# result's type, shape, sum and first values, as MXNet 1.9.1 gave them
FLOATS = [0.0, 0.04705882, 0.09411765, 0.14117648, 0.1882353, 0.23529412]
VALUES = {
    "to_tensor": (T.ToTensor, (), "float32", (3, 4, 5), 27.76470653153956, FLOATS),
    "cast": (T.Cast, ("float16",), "float16", (4, 5, 3), 7080.0, [0, 4, 8, 12, 16, 20]),
    "resize": (T.Resize, ((3, 6),), "uint8", (6, 3, 3), 6372.0, [4, 8, 12, 24, 28, 32]),
    "resize short": (T.Resize, (3, True), "uint8", (3, 3, 3), 3186.0, [14, 18, 22, 34, 38, 42]),
    "center": (T.CenterCrop, ((2, 3),), "uint8", (3, 2, 3), 1476.0, [12, 16, 20, 24, 28, 32]),
    "center of a larger frame": (T.CenterCrop, (8,), "uint8", (8, 8, 3), 21504.0, [0, 4, 8, 3, 7, 11]),
    "crop": (T.CropResize, (1, 0, 3, 2), "uint8", (2, 3, 3), 1044.0, [12, 16, 20, 24, 28, 32]),
    "crop resized": (T.CropResize, (1, 0, 3, 2, (6, 4), 1), "uint8", (4, 6, 3), 4176.0, [12, 16, 20, 15, 19, 23]),
}


def image():
    return mx.nd.array(X, dtype="uint8")


@pytest.mark.parametrize("name", VALUES)
def test_transforms_to_the_releases_values(name):
    kind, arguments, dtype, shape, total, first = VALUES[name]
    found = kind(*arguments)(image())
    assert (np.dtype(found.dtype).name, found.shape) == (dtype, shape)
    assert float(found.asnumpy().astype("f8").sum()) == pytest.approx(total, rel=1e-6)
    np.testing.assert_allclose(found.asnumpy().ravel()[:6], first, rtol=1e-5, atol=1e-6)


def test_normalizes_channels_and_composes_hybrid_neighbours():
    tensor = T.ToTensor()(image())
    found = T.Normalize(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))(tensor)
    assert float(found.asnumpy().astype("f8").sum()) == pytest.approx(27.73856236739084, rel=1e-5)
    row = T.Compose([T.Resize(4), T.ToTensor(), T.Normalize(0, 1)])
    assert float(row(image()).asnumpy().astype("f8").sum()) == pytest.approx(22.305882855318487, rel=1e-5)
    assert len(row) == 1
    assert [type(b).__name__ for b in row[0]] == ["Resize", "ToTensor", "Normalize"]


def test_rotates_to_the_releases_values():
    tensor = T.ToTensor()(image())
    first = [0.00962679, 0.06214562, 0.17669693, 0.33509812, 0.243858, 0.04013579]
    np.testing.assert_allclose(T.Rotate(30)(tensor).asnumpy().ravel()[:6], first, rtol=1e-4)
    with pytest.raises(TypeError, match="float32"):
        T.Rotate(30)(image())
    for wrong in (((30, -30), 1.0), ((-30, 30), 3.0)):
        with pytest.raises(ValueError, match=r"ordered tuple|between 0 and 1"):
            T.RandomRotation(wrong[0], rotate_with_proba=wrong[1])


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (T.RandomBrightness, (0.3,)),
        (T.RandomContrast, (0.3,)),
        (T.RandomSaturation, (0.3,)),
        (T.RandomHue, (0.3,)),
        (T.RandomColorJitter, (0.1, 0.1, 0.1, 0.1)),
        (T.RandomLighting, (0.1,)),
    ],
    ids=lambda v: v.__name__ if isinstance(v, type) else "",
)
def test_random_colours_stay_near_and_repeat_with_the_seed(kind, arguments):
    found = []
    for seed in (1, 1, 2):
        mx.random.seed(seed)
        found.append(kind(*arguments)(image().astype("float32")).asnumpy())
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert np.abs(found[0] - X).max() < 0.45 * 255


def test_mirrors_and_random_parts_take_the_images_pixels():
    seen = set()
    for _ in range(40):
        seen.add(T.RandomFlipLeftRight()(image()).asnumpy().tobytes())
        seen.add(T.RandomFlipTopBottom()(image()).asnumpy().tobytes())
    assert seen == {X[:, ::s, :][::t].astype("uint8").tobytes() for s, t in ((1, 1), (-1, 1), (1, -1))}
    assert T.RandomResizedCrop((6, 4))(image()).shape == (4, 6, 3)
    assert T.RandomApply(T.Cast("float16"), 1.0)(image()).dtype == np.float16
    assert T.RandomApply(T.Cast("float16"), 0.0)(image()).dtype == np.uint8


def digits(folder, count, part, pack=False):
    pixels = np.arange(count * 28 * 28).astype("uint8").reshape(count, 28, 28)
    labels = (np.arange(count) % 10).astype("uint8")
    for name, axes, values in (("images-idx3", 3, pixels), ("labels-idx1", 1, labels)):
        data = struct.pack(f">{axes + 1}I", 0x800 + axes, *values.shape) + values.tobytes()
        path = folder / f"{part}-{name}-ubyte"
        (path.with_name(path.name + ".gz") if pack else path).write_bytes(gzip.compress(data) if pack else data)
    return pixels, labels


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("kind", [vision.MNIST, vision.FashionMNIST])
def test_reads_digits_from_local_files(tmp_path, kind, pack):
    pixels, labels = digits(tmp_path, 12, "train", pack)
    found = kind(root=str(tmp_path))
    assert len(found) == 12
    assert found[3][0].shape == (28, 28, 1)
    assert np.array_equal(found[3][0].asnumpy()[..., 0], pixels[3])
    assert [int(y) for _, y in found] == labels.tolist()
    scaled = kind(root=str(tmp_path), transform=lambda x, y: (x.astype("float32") / 255, y))
    assert scaled[1][0].dtype == np.float32
    (batch, _), *rest = DataLoader(found.transform_first(T.ToTensor()), 5)
    assert batch.shape == (5, 1, 28, 28)
    assert len(rest) == 2
    with pytest.raises(StoreError, match="not downloaded"):
        kind(root=str(tmp_path), train=False)


def test_reads_small_colour_images_from_files_or_their_archive(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (4, 3073), dtype="uint8")
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as tar:
        for i in range(1, 6):
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/data_batch_{i}.bin")
            entry.size = rows.nbytes
            tar.addfile(entry, io.BytesIO(rows.tobytes()))
    found = vision.CIFAR10(root=str(tmp_path))
    assert len(found) == 20
    assert np.array_equal(found[1][0].asnumpy(), rows[1, 1:].reshape(3, 32, 32).transpose(1, 2, 0))
    assert [int(y) for _, y in found][:4] == rows[:, 0].tolist()
    fine = np.random.default_rng(1).integers(0, 256, (3, 3074), dtype="uint8")
    (tmp_path / "test.bin").write_bytes(fine.tobytes())
    for wanted in (False, True):
        labels = [int(y) for _, y in vision.CIFAR100(str(tmp_path), fine_label=wanted, train=False)]
        assert labels == fine[:, int(wanted)].tolist()
    (tmp_path / "test.bin").write_bytes(b"half")
    with pytest.raises(DamagedError, match="no whole records"):
        vision.CIFAR100(str(tmp_path), train=False)


def test_reads_folders_of_classes(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "b.npy", np.ones((2, 3, 3), "uint8"))
        jpeg = mx.recordio.pack_img((0, 0, 0, 0), np.full((4, 5, 3), 99, "uint8"), img_fmt=".png")
        (tmp_path / name / "a.png").write_bytes(mx.recordio.unpack(jpeg)[1])
        (tmp_path / name / "c.txt").write_text("no image")
    (tmp_path / "readme").write_text("no folder")
    with pytest.warns(UserWarning, match="Ignoring"):
        found = vision.ImageFolderDataset(str(tmp_path))
    assert found.synsets == ["cat", "dog"]
    assert [(len(x), y) for x, y in found] == [(4, 0), (2, 0), (4, 1), (2, 1)]
    assert found[0][0].asnumpy().tolist() == np.full((4, 5, 3), 99).tolist()
    with pytest.raises(StoreError, match="no such folder"):
        vision.ImageFolderDataset(str(tmp_path / "missing"))


def test_reads_packed_images_by_several_threads(tmp_path):
    record = mx.recordio.MXIndexedRecordIO(str(tmp_path / "x.idx"), str(tmp_path / "x.rec"), "w")
    for i in range(8):
        packed = mx.recordio.pack_img((0, float(i), i, 0), np.full((4, 5, 3), 10 * i, "uint8"), img_fmt=".png")
        record.write_idx(i, packed)
    record.close()
    found = vision.ImageRecordDataset(str(tmp_path / "x.rec"))
    assert len(found) == 8
    assert found[3][0].asnumpy()[0, 0].tolist() == [30, 30, 30]
    assert found[3][1] == 3
    batches = list(DataLoader(found, 3, num_workers=2))
    assert np.concatenate([y.asnumpy() for _, y in batches]).tolist() == list(range(8))
    raw = pickle.loads(pickle.dumps(RecordFileDataset(str(tmp_path / "x.rec"))))  # noqa: TID251 made here
    assert mx.recordio.unpack(raw[2])[0].label == 2


def test_takes_what_a_sampler_names():
    found = SimpleDataset([5, 6, 7]).sample(Order(2))
    assert [found[i] for i in range(len(found))] == [5, 6]
    with pytest.raises(TypeError, match="sampler"):
        SimpleDataset([5]).sample([0])
