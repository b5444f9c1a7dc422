"""PyTorch's files: what torch writes is read without torch, and what is written torch reads, weights_only."""

import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError, FormatError, UnsafeError
from evergraph.formats.zip_reader import ZipTable
from evergraph.stores import BytesSource
from tests.formats.battery import FormatBattery, opened, sample_arrays, written
from tests.formats.zips import content_ranges
from tests.goldens import MXNET

torch = pytest.importorskip("torch")

TYPES = [
    *("float32", "float64", "float16", "bfloat16", "uint8", "int8", "int16", "int32", "int64", "bool"),
    *("complex64", "complex128", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"),
]


def saved(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def bits(tensor):
    return tensor.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@pytest.fixture(params=["zip", "legacy"])
def save(request):
    return lambda value: saved(value, _use_new_zipfile_serialization=request.param == "zip")


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_has_torchs_bits(kind, save):
    value = torch.arange(6).reshape(2, 3).to(getattr(torch, kind))
    found = opened(save({"a": value}))["a"]
    assert (found.dtype, found.shape) == (kind, (2, 3))
    assert bytes(found.blob.read()) == bits(value)
    assert found.torch().dtype == value.dtype


VIEWS = {
    "transposed": lambda t: t.t(),
    "sliced": lambda t: t[1:3, ::2],
    "expanded": lambda t: t[:, :1].expand(4, 7),
    "scalar": lambda t: t[2, 3],
    "empty": lambda t: t[:0],
    "channels last": lambda t: t.reshape(1, 2, 2, 5).contiguous(memory_format=torch.channels_last),
    "one column": lambda t: t[:, 2:3],
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_have_torchs_values(name, save):
    value = VIEWS[name](torch.arange(20.0).reshape(4, 5))
    found = opened(save([value]))["0"]
    assert found.shape == tuple(value.shape)
    assert bytes(found.blob.read()) == bits(value)


def test_conjugates_have_torchs_values():
    value = torch.view_as_complex(torch.arange(6.0).reshape(3, 2)).conj()
    assert bytes(opened(saved({"a": value}))["a"].blob.read()) == bits(value)


def network():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))


def test_a_state_dict_comes_back_as_torch_had_it(tmp_path, save):
    state = network().state_dict()
    (tmp_path / "a.pth").write_bytes(save(state))
    eg.save(eg.open(tmp_path / "a.pth").replace(), tmp_path / "b.pth")
    again = torch.load(tmp_path / "b.pth", weights_only=True)
    assert list(again) == list(state)
    assert again._metadata == state._metadata
    assert all(torch.equal(again[k], state[k]) for k in state)


def test_nested_values_keep_their_structure(tmp_path, save):
    shared = torch.nn.Parameter(torch.randn(3, 2))
    value = {
        "epoch": 3,
        "state_dict": {"encoder.weight": shared, "decoder.weight": shared},
        "optimizer": {
            "state": {0: {"step": torch.tensor(1.0)}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99), "params": [0]}],
        },
        "best": float("inf"),
        "size": torch.Size([1, 2]),
        "type": torch.float16,
        "names": {"b", "a"},
    }
    (tmp_path / "a.pth").write_bytes(save(value))
    found = eg.open(tmp_path / "a.pth")
    assert list(found) == ["state_dict.encoder.weight", "state_dict.decoder.weight", "optimizer.state.0.step"]
    assert found.details["aliases"] == {"state_dict.decoder.weight": "state_dict.encoder.weight"}
    eg.save(found.replace(), tmp_path / "b.pth")
    again = torch.load(tmp_path / "b.pth", weights_only=True)
    tensors = again.pop("state_dict"), value.pop("state_dict")
    assert isinstance(tensors[0]["encoder.weight"], torch.nn.Parameter)
    assert tensors[0]["encoder.weight"].data_ptr() == tensors[0]["decoder.weight"].data_ptr()
    assert torch.equal(tensors[0]["encoder.weight"], tensors[1]["encoder.weight"])
    assert again == value


def test_tied_weights_are_stored_once_after_a_detour(tmp_path):
    shared = torch.randn(50, 40)
    (tmp_path / "a.pth").write_bytes(saved({"a": shared, "b": shared}))
    eg.save(eg.open(tmp_path / "a.pth"), tmp_path / "x.npz")
    eg.save(eg.open(tmp_path / "x.npz"), tmp_path / "b.pth")
    again = torch.load(tmp_path / "b.pth", weights_only=True)
    assert again["a"].data_ptr() == again["b"].data_ptr()
    # edited apart, they are two tensors again
    found = eg.open(tmp_path / "a.pth")
    eg.save(found.replace(dict(found) | {"b": np.zeros((50, 40), "float32")}), tmp_path / "c.pth")
    apart = torch.load(tmp_path / "c.pth", weights_only=True)
    assert torch.equal(apart["a"], shared)
    assert not apart["b"].any()


def test_what_is_written_torch_maps_and_numpy_shares(tmp_path):
    arrays = {"w": np.arange(3000, dtype="float32"), "h": np.ones((2, 3), "float16")}
    eg.save(arrays, tmp_path / "a.pth")
    again = torch.load(tmp_path / "a.pth", weights_only=True, mmap=True)
    assert all(np.array_equal(again[n].numpy(), arrays[n]) for n in arrays)
    table = ZipTable(BytesSource((tmp_path / "a.pth").read_bytes()))
    assert all(table.content_offset(m) % 64 == 0 for m in table.members.values())
    value = eg.open(tmp_path / "a.pth")["w"].numpy()
    assert not value.flags.writeable
    assert not value.flags.owndata


def test_an_unchanged_file_of_torchs_is_saved_to_the_same_bytes(tmp_path, save):
    data = save(network().state_dict())
    (tmp_path / "a.pth").write_bytes(data)
    found = eg.open(tmp_path / "a.pth")
    if found.format == "torch":
        eg.save(found, tmp_path / "b.pth")
        assert (tmp_path / "b.pth").read_bytes() == data


@pytest.mark.parametrize(
    "path",
    [
        *("1.9.1/checkpoints/lenet-0001.params", "0.9.5/checkpoints/lenet-0001.params", "1.9.1/ndarray/sparse.nd"),
        *("1.9.1/ndarray/npshape.nd", "1.9.1/ndarray/list.nd", "1.9.1/ndarray/dtype_bfloat16.nd"),
    ],
)
def test_there_and_back_is_the_same_bytes(path, tmp_path):
    eg.save(eg.open(MXNET / path), tmp_path / "a.pth")
    eg.save(eg.open(tmp_path / "a.pth"), tmp_path / "back.params")
    assert (tmp_path / "back.params").read_bytes() == (MXNET / path).read_bytes()


def test_names_for_torch_have_no_roles(tmp_path):
    eg.save(eg.open(MXNET / "1.9.1/checkpoints/lenet-0001.params"), tmp_path / "a.pth")
    names = list(torch.load(tmp_path / "a.pth", weights_only=True))
    assert names
    assert not any(n.startswith(("arg:", "aux:")) for n in names)


def test_reads_without_torch(tmp_path):
    (tmp_path / "a.pth").write_bytes(saved({"w": torch.arange(3)}))
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import evergraph as eg\n"
        f"print(eg.open({os.fspath(tmp_path / 'a.pth')!r})['w'].numpy().tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 1, 2]"


def test_compiled_modules_open_by_their_parameters():
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(network()[:2].eval(), torch.zeros(1, 3, 5, 5)), out)
    assert {"0.weight", "0.bias", "1.running_mean"} <= set(opened(out.getvalue()))


def test_rejects_sparse_and_quantized_tensors_by_name():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        quantized = torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.quint8)
        data = saved({"a": torch.ones(1), "net": {"s": torch.eye(2).to_sparse(), "q": quantized}})
    with pytest.raises(FormatError) as caught:
        opened(data)
    assert "net.s: sparse tensors" in str(caught.value)
    assert "net.q: a quantized tensor" in str(caught.value)


def test_rejects_whole_modules_by_their_class():
    with pytest.raises(UnsafeError, match=r"torch\.nn\.modules\.linear\.Linear"):
        opened(saved(torch.nn.Linear(2, 2)))
    found = opened(saved(torch.nn.Linear(2, 2)), inert=["torch.nn.modules.*"])
    assert [t.shape for t in found.values()] == [(2, 2), (2,)]


def zipped(pickled, **members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        for name, data in members.items():
            archive.writestr(f"a/data/{name[1:]}", data)
    return out.getvalue()


class Command:
    def __reduce__(self):
        return os.system, ("true",)


def test_rejects_code_in_the_pickle():
    for data in (zipped(pickle.dumps(Command(), 2)), saved(Command(), _use_new_zipfile_serialization=False)):
        with pytest.raises(UnsafeError, match=r"pickle refused: global posix\.system"):
            opened(data)


def tensor_pickle(offset=0, shape=(2, 2), strides=(2, 1), count=4):
    return b"".join(
        [
            b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n",
            b"X\x01\0\0\x000X\x03\0\0\0cpu" + b"J" + struct.pack("<i", count) + b"tQ",
            b"".join(
                b"J" + struct.pack("<i", v) if isinstance(v, int) else pickle.dumps(v, 2)[2:-1]
                for v in (offset, shape, strides)
            ),
            b"\x89}tRs.",
        ]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": 1}, "beyond its storage"),
        ({"shape": (3, 2)}, "beyond its storage"),
        ({"strides": (3, 1)}, "beyond its storage"),
        ({"shape": (2**40, 2**40)}, "beyond its storage"),
        ({"shape": (-1, 2)}, "impossible shape"),
        ({"strides": (-2, 1)}, "impossible shape"),
        ({"shape": (2,)}, "whose shape is none"),
        ({"count": 5}, "another size"),
        ({"shape": (2**40, 2**10), "strides": (0, 0)}, "out of proportion"),
    ],
)
def test_rejects_tensors_that_lie_about_their_storage(change, message):
    with pytest.raises((DamagedError, UnsafeError), match=message):
        opened(zipped(tensor_pickle(**change), _0=bytes(16)))
    assert opened(zipped(tensor_pickle(), _0=bytes(16)))["w"].shape == (2, 2)


def test_rejects_a_reference_whose_device_is_a_list():
    data = tensor_pickle().replace(b"X\x03\0\0\0cpu", b"]")
    with pytest.raises(DamagedError, match="a reference to something that is no storage"):
        opened(zipped(data, _0=bytes(16)))


def test_rejects_a_storage_that_is_missing():
    with pytest.raises(DamagedError, match="missing from the archive"):
        opened(zipped(tensor_pickle()))


def test_compressed_archives_open_too():
    data = saved({"w": torch.arange(1000.0)})
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    assert opened(out.getvalue())["w"].numpy().tolist() == list(range(1000))


def old_archive():
    """The tar form, by the layout that torch.load still reads (there is no writer of it any more)."""
    out, values = io.BytesIO(), np.arange(6, dtype="<f4")

    class Pickler(pickle.Pickler):
        def persistent_id(self, found):
            return found[1] if isinstance(found, tuple) else None

    body = io.BytesIO()
    Pickler(body, 2).dump({"w": ("tensor", 11), "v": ("tensor", 12)})

    def tensor(key, shape, strides, offset):
        head = pickle.dumps((key, 7, torch.FloatTensor), 2)
        return head + struct.pack(f"<ii{2 * len(shape)}qq", len(shape), 0, *shape, *strides, offset)

    parts = {
        "sys_info": pickle.dumps({"protocol_version": 1000, "little_endian": True}, 2),
        "pickle": body.getvalue(),
        "tensors": pickle.dumps(2, 2) + tensor(11, (2, 3), (3, 1), 0) + tensor(12, (3,), (2,), 1),
        "storages": pickle.dumps(1, 2)
        + pickle.dumps((7, "cpu", torch.FloatStorage), 2)
        + struct.pack("<q", 6)
        + values.tobytes()
        + pickle.dumps([], 2),
    }
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


# torch's own reader extracts archives in a way that Python 3.12 and newer warn of
@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")
def test_the_oldest_form_reads_as_torch_reads_it(tmp_path):
    (tmp_path / "old.pt").write_bytes(old_archive())
    want = torch.load(tmp_path / "old.pt", weights_only=False)
    found = eg.open(tmp_path / "old.pt")
    assert found.format == "torch-tar"
    assert {n: t.numpy().tolist() for n, t in found.items()} == {n: t.tolist() for n, t in want.items()}


def test_cut_and_changed_old_files_are_noticed():
    data = saved({"a": torch.arange(4.0), "b": torch.ones(2)}, _use_new_zipfile_serialization=False)
    for at in range(len(data)):
        with pytest.raises((FormatError, UnsafeError)):
            opened(data[:at])
    with pytest.raises(DamagedError, match="behind the last storage"):
        opened(data + b"\0")


class TestBattery(FormatBattery):
    format_name = "torch"

    def examples(self):
        kinds = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "uint16")
        return {
            "types": (eg.Checkpoint(sample_arrays(*kinds)), {}),
            "shapes": (
                eg.Checkpoint({"scalar": np.float32(3), "zero": np.zeros((0, 3), "float32"), "ü": np.ones(2)}),
                {},
            ),
        }

    def damage_is_detected(self, data, at):
        return any(begin <= at < end for begin, end in content_ranges(data))


def test_writing_needs_no_memory_for_the_tensors():
    tensor = eg.Tensor.of(np.zeros(1000, "float32"))
    assert written("torch", eg.Checkpoint({"a": tensor})).count(bytes(4000)) == 1
