"""`save_checkpoint` and `load_checkpoint`: MindSpore's bytes, its errors, and saves that never leave neither file."""

import io
import json
import os
import stat
import warnings
from pathlib import Path

import numpy as np
import pytest

import evergraph as eg
import evergraph.mindspore as ms
from evergraph.formats import mindspore_ckpt
from evergraph.mindspore.serialization import behind

FILES = Path(__file__).parents[1] / "data/mindspore/ckpt"
KEYS = json.loads((FILES / "KEYS.json").read_text())


def rows():
    return [
        {"name": "w", "data": ms.Tensor(np.arange(6, dtype="float32").reshape(2, 3))},
        {"name": "n", "data": ms.Tensor(3)},
    ]


def test_saves_lists_dictionaries_and_cells_alike(tmp_path):
    net = ms.nn.Dense(3, 2)
    ms.save_checkpoint(net, str(tmp_path / "cell"))
    ms.save_checkpoint(list(net.get_parameters()), str(tmp_path / "list.ckpt"))
    ms.save_checkpoint({p.name: p for p in net.get_parameters()}, str(tmp_path / "dict.ckpt"))
    data = [(tmp_path / f"{n}.ckpt").read_bytes() for n in ("cell", "list", "dict")]
    assert data[0] == data[1] == data[2]
    assert stat.S_IMODE((tmp_path / "cell.ckpt").stat().st_mode) == 0o400
    loaded = ms.load_checkpoint(str(tmp_path / "cell.ckpt"))
    assert list(loaded) == ["weight", "bias"]
    assert (loaded["weight"].asnumpy() == net.weight.asnumpy()).all()


def test_the_same_content_gives_mindspores_bytes(tmp_path):
    # every recorded file whose content is plain, loaded and saved again
    checked = 0
    for row in json.loads((FILES / "INDEX.json").read_text()):
        name = row["file"]
        if name.startswith(("enc_", "craft_", "unloadable", "crc")) or not name.endswith(".ckpt"):
            continue
        try:
            loaded = ms.load_checkpoint(str(FILES / name))
        except ValueError:
            continue
        if any(isinstance(v, list) for v in loaded.values()):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # shapes (0,), which another test asks for
            ms.save_checkpoint(dict(loaded), str(tmp_path / name))
        again = ms.load_checkpoint(str(tmp_path / name))
        assert list(again) == list(loaded), name
        original = (FILES / name).read_bytes()
        if (tmp_path / name).read_bytes() == original:
            checked += 1
    assert checked >= 10


def test_appends_chooses_checks_and_encrypts(tmp_path):
    path = str(tmp_path / "a.ckpt")
    extra = {"epoch": 5, "rate": 0.5, "on": True, "note": "text"}
    ms.save_checkpoint(rows(), path, append_dict=extra, choice_func=lambda n: n == "w", crc_check=True)
    loaded = ms.load_checkpoint(path, crc_check=True)
    assert list(loaded) == ["w", "epoch", "rate", "on", "note"]
    assert (str(loaded["epoch"].dtype), str(loaded["rate"].dtype), loaded["note"]) == ("Int64", "Float32", "text")
    data = bytearray(Path(path).read_bytes())
    data[30] ^= 1
    (tmp_path / "b.ckpt").write_bytes(data)
    with pytest.raises(ValueError, match="cannot be loaded"):
        ms.load_checkpoint(str(tmp_path / "b.ckpt"), crc_check=True)
    for mode in ("AES-GCM", "AES-CBC"):
        ms.save_checkpoint(rows(), str(tmp_path / "e.ckpt"), enc_key=b"0123456789abcdef", enc_mode=mode)
        found = ms.load_checkpoint(str(tmp_path / "e.ckpt"), dec_key=b"0123456789abcdef", dec_mode=mode)
        assert found["n"].asnumpy() == 3


def test_a_save_behind_the_call_takes_the_values_of_the_call(tmp_path):
    tensor = ms.Parameter(ms.Tensor(np.zeros(1000, "float32")), name="w")
    ms.save_checkpoint([tensor], str(tmp_path / "a.ckpt"), async_save="thread")
    tensor.set_data(ms.Tensor(np.ones(1000, "float32")))
    ms.save_checkpoint([tensor], str(tmp_path / "b.ckpt"), async_save=True)
    while ms.async_ckpt_thread_status():
        pass
    assert ms.load_checkpoint(str(tmp_path / "a.ckpt"))["w"].asnumpy().sum() == 0
    assert ms.load_checkpoint(str(tmp_path / "b.ckpt"))["w"].asnumpy().sum() == 1000


def test_an_error_behind_a_call_reaches_the_next_one(tmp_path, monkeypatch):
    from evergraph.mindspore.serialization import saving

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(saving, "save", fail)
        ms.save_checkpoint(rows(), str(tmp_path / "a.ckpt"), async_save=True)
        while ms.async_ckpt_thread_status():
            pass
        with pytest.raises(OSError, match="No space"):
            ms.save_checkpoint(rows(), str(tmp_path / "b.ckpt"))
    ms.save_checkpoint(rows(), str(tmp_path / "b.ckpt"))


def test_a_failing_save_keeps_the_old_file(tmp_path):
    path = str(tmp_path / "a.ckpt")
    ms.save_checkpoint(rows(), path)
    before = Path(path).read_bytes()
    with pytest.raises(TypeError):
        ms.save_checkpoint({"w": object()}, path)
    assert Path(path).read_bytes() == before
    ms.save_checkpoint(rows()[:1], path)  # read-only files are replaced
    assert list(ms.load_checkpoint(path)) == ["w"]


def test_filters_by_prefix_and_choice(tmp_path):
    path = str(tmp_path / "a.ckpt")
    ms.save_checkpoint({n: ms.Parameter(ms.Tensor([1.0]), name=n) for n in ("conv.w", "conv.b", "fc.w")}, path)
    assert list(ms.load_checkpoint(path, choice_func=lambda n: n.endswith("w"))) == ["conv.w", "fc.w"]
    assert list(ms.load_checkpoint(path, specify_prefix="conv", filter_prefix=["conv.b"])) == ["conv.w"]
    with pytest.raises(ValueError, match="empty after filter"):
        ms.load_checkpoint(path, specify_prefix="nope")
    assert list(ms.load_checkpoint_async(path).result()) == ["conv.w", "conv.b", "fc.w"]


def test_converts_both_ways(tmp_path):
    ms.save_checkpoint(rows(), str(tmp_path / "a.ckpt"))
    ms.ckpt_to_safetensors(str(tmp_path / "a.ckpt"), str(tmp_path / "out"), name_map={"w": "weight"})
    ms.safetensors_to_ckpt(str(tmp_path / "out" / "a.safetensors"), str(tmp_path / "back"))
    found = ms.load_checkpoint(str(tmp_path / "back" / "a.ckpt"))
    assert sorted(found) == ["n", "weight"]
    assert (found["weight"].asnumpy() == rows()[0]["data"].asnumpy()).all()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"save_obj": "net"}, TypeError),
        ({"ckpt_file_name": Path("a.ckpt")}, TypeError),
        ({"ckpt_file_name": "."}, IsADirectoryError),
        ({"ckpt_file_name": "no/such/folder/a.ckpt"}, FileNotFoundError),
        ({"format": "pth"}, ValueError),
        ({"integrated_save": 1}, TypeError),
        ({"async_save": 1}, TypeError),
        ({"async_save": "later"}, ValueError),
        ({"append_dict": []}, TypeError),
        ({"append_dict": {"a": []}}, TypeError),
        ({"enc_key": "text"}, ValueError),
        ({"enc_mode": 1}, ValueError),
        ({"crc_check": 1}, ValueError),
        ({"format": "safetensors", "enc_key": b"0123456789abcdef"}, ValueError),
        ({"save_obj": [{"name": "a"}]}, TypeError),
        ({"save_obj": [{"name": "a", "data": np.ones(1)}]}, TypeError),
        ({"save_obj": {1: None}}, TypeError),
    ],
    ids=lambda v: ",".join(f"{k}-{type(x).__name__}" for k, x in v.items()) if isinstance(v, dict) else v.__name__,
)
def test_saving_refuses_what_mindspore_refuses(changes, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"save_obj": rows(), "ckpt_file_name": "a.ckpt"} | changes
    with pytest.raises(error):
        ms.save_checkpoint(**given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"ckpt_file_name": Path("a.ckpt")}, TypeError),
        ({"ckpt_file_name": "nope.ckpt"}, ValueError),
        ({"ckpt_file_name": "a.bin"}, ValueError),
        ({"format": "pth"}, ValueError),
        ({"dec_key": "text"}, ValueError),
        ({"crc_check": 1}, ValueError),
        ({"filter_prefix": 1}, TypeError),
        ({"filter_prefix": [1]}, TypeError),
        ({"filter_prefix": ""}, ValueError),
        ({"specify_prefix": []}, ValueError),
        ({"choice_func": lambda n: 1 / 0}, ValueError),
    ],
    ids=lambda v: ",".join(f"{k}-{type(x).__name__}" for k, x in v.items()) if isinstance(v, dict) else v.__name__,
)
def test_loading_refuses_what_mindspore_refuses(changes, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ms.save_checkpoint(rows(), "a.ckpt")
    with pytest.raises(error):
        ms.load_checkpoint(**({"ckpt_file_name": "a.ckpt"} | changes))


def test_a_name_that_stands_twice_is_saved_as_mindspore_saves_it_with_a_word(tmp_path):
    path = tmp_path / "a.ckpt"
    values = [("a", np.arange(4, dtype="f4")), ("b", np.ones(3, "f4")), ("a", np.arange(5, dtype="f4"))]
    with pytest.warns(UserWarning, match="names stand twice: saved once, .*: a$"):
        ms.save_checkpoint([{"name": n, "data": ms.Tensor(v)} for n, v in values], str(path))
    # MindSpore 2.10's bytes for this list
    wanted = (
        b"\n&\n\x01a\x12!\x08\x05\x12\x07Float32\x1a\x14" + values[2][1].tobytes()
        + b"\n\x1e\n\x01b\x12\x19\x08\x03\x12\x07Float32\x1a\x0c" + values[1][1].tobytes()
    )  # fmt: skip
    assert path.read_bytes() == wanted
    with pytest.warns(UserWarning, match="names stand twice"):
        ms.save_checkpoint(rows(), str(path), append_dict={"w": 3})
    assert list(ms.load_checkpoint(str(path))) == ["w", "n"]
    assert ms.load_checkpoint(str(path))["w"].asnumpy() == 3


def test_empty_tensors_and_unknown_arguments_are_told(tmp_path):
    path, empty = str(tmp_path / "a.ckpt"), ms.Parameter(ms.Tensor(np.zeros((0,), "f4")), name="e")
    with pytest.warns(UserWarning, match="reads back as a scalar without a value: e$"):
        ms.save_checkpoint([empty], path)
    assert ms.load_checkpoint(path)["e"].shape == (0,)
    other = ms.Parameter(ms.Tensor(np.zeros((2, 0, 3), "f4")), name="o")
    ms.save_checkpoint([other], path)
    assert ms.load_checkpoint(path)["o"].shape == (2, 0, 3)
    with pytest.warns(UserWarning, match="nothing is done with them: separate"):
        ms.save_checkpoint(rows(), path, separate=True, incremental=False)
    ms.save_checkpoint(rows(), path, incremental=True, global_step_num=3)  # of maps alone: nothing else changes
    assert list(ms.load_checkpoint(path)) == ["w", "n"]


def test_an_encrypted_file_is_read_in_its_own_mode_only(tmp_path):
    key = b"0123456789abcdef"
    for name, mode in (("g", "AES-GCM"), ("c", "AES-CBC"), ("p", None)):
        given = {"enc_key": key, "enc_mode": mode} if mode else {}
        ms.save_checkpoint(rows(), str(tmp_path / f"{name}.ckpt"), **given)
        for asked in ("AES-GCM", "AES-CBC", "SM4-CBC", "ROT13"):
            if asked == mode:
                assert list(ms.load_checkpoint(str(tmp_path / f"{name}.ckpt"), dec_key=key, dec_mode=asked))
            else:
                with pytest.raises(ValueError, match="cannot be loaded"):
                    ms.load_checkpoint(str(tmp_path / f"{name}.ckpt"), dec_key=key, dec_mode=asked)
    assert list(ms.load_checkpoint(str(tmp_path / "p.ckpt"), dec_mode="ROT13")) == ["w", "n"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"enc_key": b"0123456789abcdef", "crc_check": True}, "exclude each other"),
        ({"enc_key": b"short"}, "does not fit AES-GCM"),
        ({"enc_key": b"0" * 24, "enc_mode": "SM4-CBC"}, "does not fit SM4-CBC"),
        ({"enc_key": b"0" * 16, "enc_mode": "ROT13"}, "no such 'enc_mode'"),
    ],
    ids=["crc", "length", "sm4", "mode"],
)
def test_what_could_not_be_read_again_is_refused_and_the_old_file_stays(given, words, tmp_path):
    path = tmp_path / "a.ckpt"
    ms.save_checkpoint(rows(), str(path))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=words):
        ms.save_checkpoint(rows(), str(path), **given)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_safetensors_have_their_names_sorted_and_note_redundancy(tmp_path):
    path = str(tmp_path / "a.safetensors")
    ms.save_checkpoint(rows(), path, format="safetensors", remove_redundancy=False, crc_check=True)
    assert list(ms.load_checkpoint(path, format="safetensors", crc_check=True)) == ["n", "w"]
    assert b'"remove_redundancy":"False"' in Path(path).read_bytes().replace(b" ", b"")


def test_loads_all_segments_of_a_folder(tmp_path):
    for name, value in (("b", 2.0), ("a", 1.0)):
        ms.save_checkpoint([ms.Parameter(ms.Tensor([value]), name=name)], str(tmp_path / f"{name}.ckpt"))
    assert list(ms.load_segmented_checkpoints(str(tmp_path))) == ["a", "b"]
    with pytest.raises(TypeError):
        ms.load_segmented_checkpoints(tmp_path)
    with pytest.raises(ValueError, match="no folder"):
        ms.load_segmented_checkpoints(str(tmp_path / "nope"))


@pytest.mark.parametrize("format", ["ckpt", "safetensors"])
def test_warns_where_a_file_has_no_checksum_and_loads_it_as_mindspore_does(format, tmp_path):
    path = str(tmp_path / f"a.{format}")
    ms.save_checkpoint([{"name": "w", "data": ms.Tensor([1.0])}], path, format=format)
    with pytest.warns(UserWarning, match="no checksum"):
        assert list(ms.load_checkpoint(path, crc_check=True, format=format)) == ["w"]


def test_prefixes_choose_nothing_in_safetensors_as_in_mindspore_and_that_is_told(tmp_path):
    path = str(tmp_path / "a.safetensors")
    rows = [{"name": n, "data": ms.Tensor([1.0])} for n in ("b.w", "a.w")]
    ms.save_checkpoint(rows, path, format="safetensors")
    with pytest.warns(UserWarning, match="prefixes choose nothing"):
        assert list(ms.load_checkpoint(path, filter_prefix="b", format="safetensors")) == ["a.w", "b.w"]
    with pytest.raises(ZeroDivisionError):
        ms.load_checkpoint(path, choice_func=lambda _: 1 / 0, format="safetensors")


def test_loads_safetensors_from_memory_and_refuses_ckpt_there(tmp_path):
    path = tmp_path / "a.safetensors"
    ms.save_checkpoint([{"name": "w", "data": ms.Tensor([1.0, 2.0])}], str(path), format="safetensors")
    held = io.BytesIO(path.read_bytes())
    assert ms.load_checkpoint(held, format="safetensors")["w"].asnumpy().tolist() == [1, 2]
    with pytest.raises(TypeError, match="must be a string"):
        ms.load_checkpoint(held)


@pytest.mark.parametrize("name", ["", " ", "\t", None])
def test_a_parameter_without_a_name_is_numbered_and_takes_its_attributes(name):
    param = ms.Parameter(ms.Tensor(1.0), name=name)
    assert param.name.startswith("Parameter#")
    cell = ms.nn.Cell()
    cell.w = param
    assert param.name == "w"


@pytest.mark.parametrize(
    ("kind", "given", "sizes"),
    [
        ("float32", "tensor", [1024, 1024, 1024, 528]),
        ("float32", "behind", [1200, 1200, 1200, 0]),
        ("float32", "numpy", [1200, 1200, 1200, 0]),
        ("bfloat16", "tensor", [1024, 776]),
        ("bfloat16", "behind", [1200, 600]),
        ("bool_", "behind", [900]),
    ],
)
def test_cuts_large_values_where_mindspore_cut_them_with_a_limit_of_1024_bytes(
    kind, given, sizes, tmp_path, monkeypatch
):
    monkeypatch.setattr(mindspore_ckpt, "SLICE", 1024)
    monkeypatch.setattr(ms.serialization.saving, "SLICE", 1024)
    value = ms.Tensor(np.arange(900, dtype="f4").reshape(3, 300) % 7).astype(getattr(ms, kind))
    path = str(tmp_path / "a.ckpt")
    if given == "numpy":
        ms.save_checkpoint({"big": value.asnumpy()}, path)
    else:
        ms.save_checkpoint([{"name": "big", "data": value}], path, async_save=given == "behind")
        behind.PENDING.wait()
    held = eg.open(path)["big"]
    assert list(held.details["mindspore-ckpt"]["pieces"] if len(sizes) > 1 else [held.blob.nbytes]) == sizes
    assert ms.load_checkpoint(path)["big"].asnumpy().tobytes() == value.asnumpy().tobytes()


@pytest.mark.parametrize(
    ("error", "given"),
    [
        (TypeError, {"file_path": None}),
        (ValueError, {"file_path": "nowhere.ckpt"}),
        (TypeError, {"file_path": "a.ckpt", "processes_num": "two"}),
        (ValueError, {"file_path": "a.ckpt", "processes_num": 0}),
    ],
    ids=["no path", "no such file", "processes as a text", "no process"],
)
def test_conversions_refuse_what_mindspore_refuses(error, given):
    with pytest.raises(error):
        ms.ckpt_to_safetensors(**given)
