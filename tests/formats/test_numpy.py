"""NumPy's files: what NumPy writes is read, what is written NumPy reads, and nothing in a header is evaluated."""

import io
import zipfile

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError, FormatError, UnsafeError, UsageError
from evergraph.formats.npy_header import element_type, parse_header
from evergraph.tensors import Tensor
from tests.formats.battery import FormatBattery, opened, sample_arrays, written
from tests.formats.zips import content_ranges
from tests.goldens import MXNET

ml_dtypes = pytest.importorskip("ml_dtypes")

KINDS = ["<f4", ">f4", "<f2", "<f8", "|u1", "|i1", "<i2", ">i8", "<u2", "<u4", "<u8", "|b1", "<c8", ">c16"]


def saved(*, compressed=False, **arrays):
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def saved_array(array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_type_and_order_has_numpys_values(kind, order, compressed):
    array = np.asarray(np.arange(12).reshape(3, 4) % 2, dtype=kind, order=order)
    found = opened(saved(compressed=compressed, a=array, b=array[:0], c=array[0, 0]))
    assert found.format == "npz"
    assert np.array_equal(found["a"].numpy(), array)
    assert found["a"].dtype == array.dtype.name
    assert (found["b"].shape, found["c"].shape) == ((0, 4), ())
    assert np.array_equal(opened(saved_array(array))["0"].numpy(), array)


@pytest.mark.parametrize("path", sorted(MXNET.glob("1.9.1/ndarray/*.npz")), ids=lambda p: p.name)
def test_recorded_archives_open_to_what_numpy_sees(path):
    want, found = np.load(path), eg.open(path, skip=True)
    for name in want.files:
        if want[name].dtype.kind in "fiubc":
            assert np.array_equal(found[name].numpy(), want[name], equal_nan=want[name].dtype.kind == "f"), name


def test_bfloat16_stands_as_numpy_and_mxnet_spell_it():
    array = np.array([1.5, -2, np.inf], ml_dtypes.bfloat16)
    assert opened(saved(a=array))["a"].dtype == "bfloat16"
    checkpoint = eg.Checkpoint({"a": array})
    plain, mxnet = written("npz", checkpoint), written("npz", checkpoint, release="2.0")
    assert np.array_equal(np.load(io.BytesIO(plain))["a"].view(ml_dtypes.bfloat16), array)
    assert np.load(io.BytesIO(mxnet))["a"].dtype.names == ("bfloat16",)
    for data in (plain, mxnet):
        assert np.array_equal(opened(data)["a"].numpy(), array)


def test_numpy_reads_what_is_written(tmp_path):
    arrays = {k: v for k, v in sample_arrays("float32", "int8", "bool", "uint16").items() if k != "arg:special"}
    arrays |= {"scalar": np.float64(3), "empty": np.zeros((0, 2), "float32"), "deep/name": np.ones(2)}
    for options in ({}, {"compress": True}):
        eg.save(arrays, tmp_path / "a.npz", **options)
        found = np.load(tmp_path / "a.npz", allow_pickle=False)
        for name, array in arrays.items():
            assert np.array_equal(found[name.removeprefix("arg:")], array), name


def test_arrays_are_aligned_and_shared(tmp_path):
    eg.save({"a": np.arange(5, dtype="float32"), "bb": np.arange(7.0)}, tmp_path / "a.npz")
    found = eg.open(tmp_path / "a.npz")
    for tensor in found.values():
        value = tensor.numpy()
        assert value.ctypes.data % 64 == 0
        assert not value.flags.owndata


def test_sparse_arrays_stand_as_mxnet_2_and_scipy_write_them():
    rows = Tensor.sparse("row_sparse", (4, 2), Tensor.of(np.ones((1, 2), "float32")), Tensor.of(np.array([3])))
    data = written("npz", eg.Checkpoint({"emb": rows}))
    found = np.load(io.BytesIO(data))
    assert found["emb/format"] == b"row_sparse"
    assert found["emb/shape"].tolist() == [4, 2]
    # MXNet 2.0's own header of this member is broken: only what stands behind it counts
    broken = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(broken, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "emb/format.npy":
                header = b"{'descr': '|s10{'descr': '<i8', 'fortran_order': False, 'shape': (), }"
                header += b" " * (-(11 + len(header)) % 64) + b"\n"
                content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"row_sparse"
            new.writestr(info, content)
    for archive in (data, broken.getvalue()):
        assert opened(archive)["emb"].storage == "row_sparse"
        assert opened(archive)["emb"].numpy().sum() == 2


@pytest.mark.parametrize(
    "path",
    [
        *("1.9.1/checkpoints/lenet-0001.params", "0.9.5/checkpoints/lenet-0001.params", "1.9.1/ndarray/sparse.nd"),
        *("1.9.1/ndarray/npshape.nd", "1.9.1/ndarray/list.nd", "1.9.1/ndarray/dtype_bfloat16.nd"),
        *("0.10.0/ndarray/none.nd", "1.9.1/ndarray/odd_names.nd", "1.9.1/ndarray/empty_dict.nd"),
    ],
)
def test_there_and_back_is_the_same_bytes(path, tmp_path):
    eg.save(eg.open(MXNET / path), tmp_path / "a.npz")
    eg.save(eg.open(tmp_path / "a.npz"), tmp_path / "back.params")
    assert (tmp_path / "back.params").read_bytes() == (MXNET / path).read_bytes()


def test_names_in_the_archive_have_no_roles(tmp_path):
    eg.save({"arg:w": np.ones(2), "aux:m": np.ones(3)}, tmp_path / "a.npz")
    assert {"w", "m"} <= set(np.load(tmp_path / "a.npz").files)
    assert list(eg.open(tmp_path / "a.npz")) == ["arg:w", "aux:m"]
    eg.save({"arg:w": np.ones(2)}, tmp_path / "b.npz", carry=False)
    assert np.load(tmp_path / "b.npz").files == ["arg:w"]


def test_an_unchanged_archive_of_numpys_is_saved_to_the_same_bytes(tmp_path):
    (tmp_path / "a.npz").write_bytes(saved(compressed=True, a=np.arange(9)))
    eg.save(eg.open(tmp_path / "a.npz"), tmp_path / "b.npz")
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()


class TestArchiveBattery(FormatBattery):
    format_name = "npz"

    def examples(self):
        kinds = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
        csr = Tensor.sparse(
            "csr",
            (2, 5),
            Tensor.of(np.array([1.0, 2.0], "float32")),
            Tensor.of(np.array([0, 4])),
            Tensor.of(np.array([0, 1, 2])),
        )
        shapes = {"scalar": np.float32(3), "zero": np.zeros((0, 3), "float32"), "ü": np.ones(2)}
        return {
            "types": (eg.Checkpoint(sample_arrays(*kinds)), {}),
            "shapes": (eg.Checkpoint(shapes), {}),
            "sparse": (eg.Checkpoint({"a": np.ones(3), "s": csr}), {}),
            "compressed": (eg.Checkpoint(sample_arrays("float32")), {"compress": True}),
        }

    def damage_is_detected(self, data, at):
        return any(begin <= at < end for begin, end in content_ranges(data))


class TestArrayBattery(FormatBattery):
    format_name = "npy"

    def examples(self):
        return {"one": (eg.Checkpoint({"0": np.arange(6, dtype="float32").reshape(2, 3)}), {})}


# -- bad input


def test_rejects_python_objects():
    data = saved(good=np.ones(2), bad=np.array([{}, 1], dtype=object))
    with pytest.raises(UnsafeError, match=r"(?s)bad: an array of Python objects.*skip=True"):
        opened(data)
    found = opened(data, skip=True)
    assert list(found) == ["good"]
    assert list(found.metadata["skipped"]) == ["bad"]
    with pytest.raises(UnsafeError, match="Python objects"):
        opened(saved_array(np.array([{}], dtype=object), allow_pickle=True))


def test_rejects_texts_and_dates_and_records_all_at_once():
    data = saved(
        names=np.array(["a", "bc"]), days=np.array(["2020-01-01"], "M8[D]"), rec=np.zeros(2, [("a", "f4"), ("b", "i4")])
    )
    with pytest.raises(FormatError) as caught:
        opened(data)
    assert all(f"{n}: " in str(caught.value) for n in ("names", "days", "rec"))


def test_a_single_text_is_a_text():
    assert str(opened(saved(version=np.array("1.9.1"), w=np.ones(2)))["version"]) == "1.9.1"


HEADERS = {
    "code": "{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (2,), }",
    "negative size": "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
    "a float size": "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,), }",
    "key twice": "{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
    "key missing": "{'descr': '<f4', 'shape': (2,), }",
    "nesting": "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 1000 + "}",
    "text behind": "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } + 1",
    "large number": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 1000 + ",), }",
    "bytes": "{'descr': b'<f4', 'fortran_order': False, 'shape': (2,), }",
    "no dictionary": "('<f4', False, (2,))",
    "many dimensions": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 33 + "), }",
}


@pytest.mark.parametrize("name", HEADERS)
def test_rejects_headers_that_are_more_than_a_plain_dictionary(name):
    with pytest.raises(DamagedError, match="header cannot be read"):
        parse_header(HEADERS[name], "x.npy")


def test_reads_the_spellings_that_numpy_reads():
    assert parse_header('{"shape": (), "fortran_order": False, "descr": "|b1"}', "x") == ("|b1", False, ())
    # Python 2 wrote long integers with an L
    assert parse_header("{'descr': '<f4', 'fortran_order': True, 'shape': (3L, 4L)}", "x") == ("<f4", True, (3, 4))


@pytest.mark.parametrize("descr", ["<f3", "<i16", "<V8", "<M8[D]", "|S3", "f4, f4", "", "<q8"])
def test_rejects_types_that_are_no_numbers(descr):
    with pytest.raises(FormatError):
        element_type(descr)


@pytest.mark.parametrize("shape", [(3,), (2**40, 2**40), (1,)])
def test_rejects_shapes_of_another_size_than_the_data(shape):
    from evergraph.formats.npy_header import render_header

    with pytest.raises(DamagedError, match="another size than its shape"):
        opened(render_header(eg.Tensor.of(np.float32(1)).dtype, shape) + bytes(8))


def test_one_file_holds_one_array(tmp_path):
    with pytest.raises(UsageError, match="one array"):
        eg.save({"a": np.ones(2), "b": np.ones(2)}, tmp_path / "a.npy")
