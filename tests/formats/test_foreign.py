"""What is no checkpoint is called by its name, with what to do."""

import json
import re

import pytest

import evergraph as eg
from evergraph.errors import FormatError
from tests.formats.battery import opened
from tests.formats.test_archives import tarred, zipped

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 102442450\n"
S3 = b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code><Message>The key is not there</Message></Error>'

CASES = {
    "empty": (b"", "empty \\(0 bytes\\)", "nothing arrived"),
    "three bytes": (b"\x12\x01\x00", "cut short: 3 bytes of what may have been an MXNet parameter file", "again"),
    "zeros": (bytes(5000), "nothing but zeros", "never finished"),
    "Git LFS": (LFS, "Git LFS pointer", r"a pointer to 102.4 MB(.|\n)*git lfs pull"),
    "git-annex": (b"/annex/objects/SHA256E-s1--ab.params\n", "git-annex pointer", "git annex get"),
    "DVC": (b"outs:\n- md5: abc\n  path: model\n", "DVC pointer", "dvc pull"),
    "HTML": (b"\n<!DOCTYPE html><html><title>Sign in</title></html>", "an HTML page", "Sign in(.|\n)*login"),
    "HTML, in capitals": (b"<HTML><HEAD><TITLE>404 Not Found</TITLE>", "an HTML page", "404 Not Found"),
    "HTML, other start": (b"<!-- hello -->\n<html></html>", "an HTML page", "fetch the file itself"),
    "HTML, UTF-16": ("\ufeff<html></html>".encode("utf-16-le"), "an HTML page", "login"),
    "Google Drive": (b"<html><title>Google Drive - Virus scan warning</title>", "an HTML page", "gdown"),
    "GitHub": (b"<!DOCTYPE html><html><title>model at main - GitHub</title>", "an HTML page", "Raw or Download"),
    "S3 error": (S3, "a store's error message", "NoSuchKey: The key is not there(.|\n)*credentials"),
    "XML": (b"<?xml version='1.0'?><a/>", "an XML document", "server's message"),
    "OpenVINO": (b'<?xml version="1.0"?>\n<net name="x" version="10">', "an OpenVINO network", "made from"),
    "JSON error": (b'{"error": "Repository not found"}', "a server's error message", "Repository not found"),
    "JSON message": (b'{"message": "Forbidden", "code": 403}', "a server's error message", "Forbidden"),
    "JSON config": (json.dumps({"architectures": ["Bert"], "layers": 3}).encode(), "configuration", "beside it"),
    "JSON shapes": (b'[{"name": "data", "shape": [1, 3]}]', "input shapes", "the prefix"),
    "JSON, other": (b'{"a": 1}', "no graph", "an object with a(.|\n)*nodes and heads"),
    "JSON, broken": (b'{"a": ', "JSON that is broken", "line 1"),
    "text": (b"404: Not Found", "a text file", "first line: 404: Not Found"),
    "white space": (b" \n\n ", "white space", "again"),
    "program": (b"import mxnet as mx\n", "a program", "save the weights"),
    "prototxt": (b'name: "x"\nlayer {\n  name: "conv"\n}', "Caffe network description", "Caffe"),
    "Darknet": (b"[net]\nbatch=64\n", "Darknet", "convert"),
    "TensorFlow list": (b'model_checkpoint_path: "model.ckpt-1"\n', "TensorFlow's list", "folder"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "a PNG picture", "predict --input"),
    "JPEG": (b"\xff\xd8\xff\xe0", "a JPEG picture", "predict"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file", "npz"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x051.9.0:\xff\x01", "an ONNX model", "exported from"),
    "MindIR": (b"\x0a\x050.1.0\x12\x00", "a MindIR graph", r"\.ckpt"),
    "TFLite": (b"\x1c\0\0\0TFL3" + bytes(20), "a TensorFlow Lite model", "made from"),
    "MindSpore Lite": (b"\x1c\0\0\0MSL2" + bytes(20), "a MindSpore Lite model", r"\.ckpt"),
    "TensorFlow": (b"\x0a\x20\x0a\x05input\x12\x0bPlaceholder", "a TensorFlow graph", "npz"),
    "Caffe": (b"\x0a\x04net1\xa2\x06\x10\x0a\x04data\x12\x04Data" + bytes(9), "a Caffe model", "Caffe"),
    "GGUF": (b"GGUF\3\0\0\0", "a GGUF model", "made from"),
    "RecordIO": (b"\x0a\x23\xd7\xce\x10\0\0\0", "RecordIO", None),
    "xz": (b"\xfd7zXZ\0", "an xz archive", "unpack"),
    "zstd": (b"\x28\xb5\x2f\xfd\0", "a Zstandard archive", "unpack"),
    "program file": (b"\x7fELF\2\1\1", "a Linux program", None),
    "noise": (bytes(range(128, 256)), "no known format", "first bytes 80 81 82"),
}


@pytest.mark.parametrize("name", CASES)
def test_other_content_is_called_by_its_name(name):
    data, what, fix = CASES[name]
    with pytest.raises(FormatError, match=what) as caught:
        opened(data)
    assert fix is None or re.search(fix, str(caught.value)), str(caught.value)


@pytest.mark.parametrize("suffix", [".params", ".ckpt", ".json", ".npz", ".pth", ".safetensors"])
def test_rejects_a_page_whatever_its_name_says(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"<!DOCTYPE html><html><title>x\x1b[31m</title></html>")
    with pytest.raises(FormatError, match="HTML page") as caught:
        eg.open(path)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("pack", [tarred, zipped])
@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"config.json": b"{}", "model.weights.h5": b"\x89HDF\r\n"}, "a Keras model"),
        ({"m/saved_model.pb": b"\x08\x01", "m/variables/variables.index": b"x"}, "a TensorFlow SavedModel"),
    ],
)
def test_archives_of_other_frameworks_are_called_by_their_name(pack, files, what):
    with pytest.raises(FormatError, match=what):
        opened(pack(files))
