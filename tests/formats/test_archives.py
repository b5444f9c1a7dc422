"""Archives are opened in place; their members never leave them, and never grow without bound."""

import gzip
import io
import json
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError, FormatError, UnsafeError, UsageError
from evergraph.stores.progress import watch
from tests.formats.battery import opened, read_everything, same, written
from tests.goldens import MXNET

LENET = MXNET / "1.9.1" / "checkpoints"


def tarred(files, mode="w", form=tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if not isinstance(content, tarfile.TarInfo):
                info.size = len(content)
            archive.addfile(info, None if isinstance(content, tarfile.TarInfo) else io.BytesIO(content))
    return out.getvalue()


def zipped(files, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


PACKERS = {
    "tar": tarred,
    "tar, POSIX": lambda files: tarred(files, form=tarfile.PAX_FORMAT),
    "tar, old": lambda files: tarred(files, form=tarfile.USTAR_FORMAT),
    "tar.gz": lambda files: tarred(files, "w:gz"),
    "zip": zipped,
    "zip, deflated": lambda files: zipped(files, zipfile.ZIP_DEFLATED),
}


@pytest.fixture(params=PACKERS)
def pack(request):
    return PACKERS[request.param]


def artifact():
    """What SageMaker's image classification leaves in model.tar.gz."""
    return {
        "image-classification-symbol.json": (LENET / "lenet-symbol.json").read_bytes(),
        "image-classification-0001.params": (LENET / "lenet-0001.params").read_bytes(),
        "image-classification-0002.params": (LENET / "lenet-0001.params").read_bytes(),
        "model-shapes.json": json.dumps([{"shape": [1, 1, 28, 28], "name": "data"}]).encode(),
        "synset.txt": b"cat\ndog\n",
    }


def test_an_artifact_opens_with_what_stands_beside_it(pack):
    found = opened(pack(artifact()))
    same(found, eg.open(LENET / "lenet-0001.params"))
    assert found.graph.text == artifact()["image-classification-symbol.json"]
    assert found.format == "mxnet-checkpoint"
    assert (found.metadata["epoch"], found.metadata["epochs"]) == (2, [1, 2])
    assert found.metadata["input_shapes"] == {"data": [1, 1, 28, 28]}
    assert found.metadata["labels"] == "synset.txt"
    assert found.details["archive"]["members"] == list(artifact())
    assert opened(pack(artifact()), epoch=1).metadata["epoch"] == 1


@pytest.mark.parametrize(
    "name", ["model_algo_1-0000.params", "./model/model_algo_1-0000.params", "deep/er/m-0012.params"]
)
def test_a_pair_is_found_wherever_it_stands(name, pack):
    prefix = name.rpartition("-")[0]
    files = {name: artifact()["image-classification-0001.params"], "README.md": b"# hello"}
    files[f"{prefix}-symbol.json"] = artifact()["image-classification-symbol.json"]
    assert opened(pack(files)).graph is not None


@pytest.mark.parametrize("kind", ["mxnet-params", "torch", "npz", "safetensors", "mxnet-states"])
def test_a_single_checkpoint_of_any_format_is_found(kind, pack):
    data = written(kind, eg.Checkpoint({"0": np.arange(5, dtype="float32")}))
    suffix = {"mxnet-params": ".params", "torch": ".pth", "mxnet-states": ".states"}.get(kind, f".{kind}")
    for name in (f"m{suffix}", "model"):
        found = opened(pack({name: data, "notes.txt": b"hello"}))
        assert found.format == kind
        assert found["0"].numpy().tolist() == [0, 1, 2, 3, 4]


def test_members_are_shared_with_the_archive(tmp_path):
    (tmp_path / "a.tar").write_bytes(tarred(artifact()))
    value = next(iter(eg.open(tmp_path / "a.tar").values())).numpy()
    assert not value.flags.owndata
    assert not value.flags.writeable


def test_one_of_several_is_chosen_by_its_name(pack):
    files = {f"{n}.params": written("mxnet-params", eg.Checkpoint({n: np.ones(2)})) for n in ("a", "b")}
    with pytest.raises(UsageError) as caught:
        opened(pack(files))
    assert all(f"{n}.params" in str(caught.value) for n in "ab")
    assert "member=" in str(caught.value)
    assert list(opened(pack(files), member="b.params")) == ["b"]
    with pytest.raises(UsageError, match=r"no member 'c\.params'"):
        opened(pack(files), member="c.params")
    with pytest.raises(UsageError, match="no parameters of epoch 7"):
        opened(pack(artifact()), epoch=7)


def test_a_model_servers_archive_keeps_its_manifest():
    files = artifact() | {"MAR-INF/MANIFEST.json": json.dumps({"model": {"modelName": "lenet"}}).encode()}
    assert opened(zipped(files)).details["archive"]["manifest"] == {"model": {"modelName": "lenet"}}


def test_a_compressed_file_opens_as_what_it_holds():
    data = (LENET / "lenet-0001.params").read_bytes()
    same(opened(gzip.compress(data)), opened(data))
    # two streams in a row are one, as gzip says
    same(opened(gzip.compress(data[:1000]) + gzip.compress(data[1000:])), opened(data))


def test_unpacking_tells_how_far_it_is():
    data = written("mxnet-params", eg.Checkpoint({"w": np.random.default_rng(0).random(400_000)}))
    packed = gzip.compress(data, 1)
    heard = []
    with watch(lambda *told: heard.append(told)):
        assert list(opened(packed)) == ["w"]
    told = [amount for what, amount, total in heard if (what, total) == ("unpacking", len(packed))]
    assert len(told) > 2
    assert sum(told) == len(packed)


def test_an_archive_in_an_archive_opens():
    inner = tarred(artifact(), "w:gz")
    assert opened(zipped({"model.tar.gz": inner, "code/inference.py": b"pass"})).metadata["epoch"] == 2


def test_what_an_archive_holds_is_saved_to_the_same_bytes(tmp_path, pack):
    (tmp_path / "a.bin").write_bytes(pack(artifact()))
    eg.save(eg.open(tmp_path / "a.bin"), tmp_path / "again", to="mxnet-checkpoint")
    assert (tmp_path / "again-0002.params").read_bytes() == artifact()["image-classification-0002.params"]
    assert (tmp_path / "again-symbol.json").read_bytes() == artifact()["image-classification-symbol.json"]


def test_without_a_checkpoint_it_says_what_is_there(pack):
    with pytest.raises(FormatError, match=r"(?s)no checkpoint is found.*readme\.txt"):
        opened(pack({"readme.txt": b"nothing here", "cat.png": b"\x89PNG\r\n\x1a\n"}))


# -- attacks


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "name", ["../x.params", "/etc/x.params", "a/../../x.params", "a\\..\\x.params", "C:\\x.params"]
)
def test_rejects_members_that_leave_the_archive(name, pack):
    if "\\" in name and os.sep == "\\":
        pytest.skip("the packer itself changes backslashes")
    data = written("mxnet-params", eg.Checkpoint({"a": np.ones(2)}))
    with pytest.raises(UnsafeError, match="would leave its folder") as caught:
        opened(pack({"good.params": data, name: data}))
    assert eg.errors.printable(name) in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.FIFOTYPE, "pipe"),
    ],
)
def test_rejects_members_that_are_no_plain_files(kind, word):
    data = written("mxnet-params", eg.Checkpoint({"a": np.ones(2)}))
    with pytest.raises(UnsafeError, match=f"(?s)no plain files.*m.params: {word}"):
        opened(tarred({"a.params": data, "m.params": link("m.params", "/etc/passwd", kind)}))


def test_rejects_symbolic_links_in_zip_archives():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("m.params")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UnsafeError, match=r"m\.params: symbolic link"):
        opened(out.getvalue())


@pytest.mark.parametrize("shape", ["zip, deflated", "tar.gz", "gz"])
def test_rejects_a_decompression_bomb(shape):
    zeros = bytes(200 << 20)
    data = gzip.compress(zeros, 9) if shape == "gz" else PACKERS[shape]({"a.params": zeros})
    del zeros
    assert len(data) < 1 << 20
    tracemalloc.start()
    with pytest.raises(UnsafeError, match="decompression bomb"):
        opened(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


def test_rejects_an_archive_that_unpacks_by_levels():
    # each level stays under the ratio, all together do not
    data = bytes(40 << 20)
    for _ in range(3):
        data = zipped({"a.zip": data}, zipfile.ZIP_DEFLATED)
    with pytest.raises((UnsafeError, FormatError)):
        read_everything(opened(data))


def test_rejects_archives_in_archives_without_end():
    data = written("mxnet-params", eg.Checkpoint({"a": np.ones(2)}))
    for _ in range(12):
        data = zipped({"m.zip": data})
    with pytest.raises(UnsafeError, match="archives without end"):
        opened(data)


def test_rejects_a_million_members():
    count = 1_000_000
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, count * len(entry), 4)
    directory = count * len(entry)
    tail = end + struct.pack("<4sLQL", b"PK\6\7", 0, 4 + directory, 1)
    tail += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    with pytest.raises(UnsafeError, match="too many members"):
        opened(b"PK\3\4" + entry * count + tail)


def test_rejects_two_members_of_one_name():
    data = written("mxnet-params", eg.Checkpoint({"a": np.ones(2)}))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for _ in range(2):
            info = tarfile.TarInfo("m.params")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    with pytest.raises(DamagedError, match=r"(?s)one name.*m\.params"):
        opened(out.getvalue())
    good = zipped({"m.params": data, "n.params": data})
    with pytest.raises(DamagedError, match=r"(?s)one name.*m\.params"):
        opened(good.replace(b"n.params", b"m.params"))


def test_rejects_members_that_overlap():
    data = zipped({"a.params": b"x" * 100, "b.params": b"y" * 100})
    at = data.rfind(b"PK\1\2")
    with pytest.raises(DamagedError, match="overlap"):
        opened(data[: at + 42] + bytes(4) + data[at + 46 :])


def test_rejects_a_member_whose_header_contradicts_the_directory():
    data = zipped({"a.params": written("mxnet-params", eg.Checkpoint({"a": np.ones(2)}))})
    with pytest.raises(DamagedError, match="another name than in the directory"):
        opened(data.replace(b"a.params", b"b.params", 1))


def test_rejects_an_encrypted_member():
    data = bytearray(zipped({"a.params": b"x" * 100}))
    data[data.rfind(b"PK\1\2") + 8] |= 1
    with pytest.raises(UnsafeError, match="encrypted"):
        opened(bytes(data))


def test_notices_damage_in_compressed_members():
    payload = np.random.default_rng(1).normal(size=300).astype("float32")
    data = zipped({"a.params": written("mxnet-params", eg.Checkpoint({"a": payload}))}, zipfile.ZIP_DEFLATED)
    middle = len(data) // 2
    damaged = data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]
    with pytest.raises(DamagedError):
        read_everything(opened(damaged))


def test_rejects_a_cut_at_every_byte(pack):
    data = pack({"a.params": written("mxnet-params", eg.Checkpoint({"a": np.ones(2, "float32")}))})
    for at in range(0, len(data), 7 if len(data) > 3000 else 1):
        # tar pads its end with zeros: what is missing of them is not missed
        if data[at:].strip(b"\0") or at < len(data) - 9000:
            with pytest.raises((FormatError, UnsafeError)):
                read_everything(opened(data[:at]))


def test_members_open_no_other_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    eg.save({"w": np.ones(2, "float32")}, "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": {"w": "model-00001-of-00001.safetensors"}}
    (tmp_path / "a.zip").write_bytes(zipped({"model.safetensors.index.json": json.dumps(index)}))
    with pytest.raises((UsageError, FormatError)):
        read_everything(eg.open(tmp_path / "a.zip"))


def test_bytes_behind_a_gzip_stream_are_noticed():
    data = gzip.compress(written("mxnet-params", eg.Checkpoint({"a": np.ones(2)})))
    assert len(opened(data + bytes(512))) == 1
    with pytest.raises(DamagedError, match="behind its end"):
        opened(data + b"garbage")
    with pytest.raises(DamagedError):
        opened(zlib.compress(b"x", wbits=31)[:-4])
