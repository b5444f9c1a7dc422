"""Says what content is that is no checkpoint: a web page, a Git LFS pointer, a model of another framework, nothing."""

import html
import re
from collections.abc import Iterable
from typing import Any

from evergraph.errors import EvergraphError, FormatError, printable
from evergraph.graph.strict_json import load_json
from evergraph.stores import Source, human

__all__ = ["explain", "explain_names"]

_AGAIN = "fetch it again"
_UNPACK = "unpack it first, and open what is inside"
_PICTURE = "give it to `evergraph predict --input`, not as the model"

_BEGINNINGS: tuple[tuple[int, bytes, str, str | None], ...] = (
    (0, b"\x89HDF\r\n", "an HDF5 file (Keras's .h5, or MATLAB)", "in its framework, save the weights as .npz"),
    (4, b"TFL3", "a TensorFlow Lite model", "convert the model it was made from"),
    (4, b"MSL", "a MindSpore Lite model (.ms)", "open the .ckpt that it was made from"),
    (0, b"GGUF", "a GGUF model (llama.cpp)", "open the safetensors or PyTorch files that it was made from"),
    (0, b"\x0a\x23\xd7\xce", "an MXNet RecordIO file (.rec): images or samples, no weights", None),
    (0, b"7767517\n", "an ncnn network description", "open the model that it was made from"),
    (0, b"ptrt", "a TensorRT engine", "open the model that it was built from"),
    (0, b"ftrt", "a TensorRT engine", "open the model that it was built from"),
    (0, b"TRTR", "a Triton archive", "open the model that it was built from"),
    (0, b"PAR1", "a Parquet table", None),
    (0, b"ARROW1", "an Arrow table", None),
    (0, b"SQLite format 3\0", "an SQLite database", None),
    (0, b"\x89PNG", "a PNG picture", _PICTURE),
    (0, b"\xff\xd8\xff", "a JPEG picture", _PICTURE),
    (0, b"GIF8", "a GIF picture", _PICTURE),
    (8, b"WEBP", "a WebP picture", _PICTURE),
    (0, b"II*\0", "a TIFF picture", _PICTURE),
    (0, b"MM\0*", "a TIFF picture", _PICTURE),
    (4, b"ftyp", "a video", None),
    (8, b"WAVE", "a sound", None),
    (0, b"%PDF", "a PDF document", None),
    (0, b"\x7fELF", "a Linux program or library", None),
    (0, b"\xcf\xfa\xed\xfe", "a macOS program or library", None),
    (0, b"\xca\xfe\xba\xbe", "a Java class or a macOS library", None),
    (0, b"MZ\x90", "a Windows program or library", None),
    (0, b"\0asm", "a WebAssembly module", None),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ", "an xz archive", _UNPACK),
    (0, b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (0, b"\x04\x22\x4d\x18", "an LZ4 archive", _UNPACK),
    (0, b"\x1f\x9d", "a compress (.Z) archive", _UNPACK),
)

_CUT = (
    (b"\x12\1\0\0\0\0\0\0", "an MXNet parameter file"),
    (b"PK\3\4", "a zip archive"),
    (b"\x93NUMPY", "a NumPy array"),
)
_TEXT_LIMIT = 4096


def explain(head: bytes, source: Source) -> FormatError:
    """The error for content that no format recognises.

    Args:
        head: its first bytes, up to 4096.
        source: all of it.
    """
    if source.size == 0:
        return FormatError(
            "the file is empty (0 bytes)", where=source.name, fix="fetch or save it again; nothing arrived"
        )
    found = (
        _tensorflow(head, source)
        or _cut(head, source)
        or _beginning(head)
        or _zeros(head, source)
        or _protobuf(head)
        or _text(head, source)
    )
    if found is not None:
        what, details, fix = found
        return FormatError(what, where=source.name, found=details, fix=fix)
    return FormatError(
        "no known format",
        where=source.name,
        found=f"first bytes {printable(head[:16].hex(' '))}",
        fix="see `evergraph inspect --help` for what is read",
        details=_as_named(source),
    )


def _as_named(source: Source) -> list[str]:
    """Where the reader that its name asks for gives up: MindSpore's checkpoints begin with nothing that tells them."""
    if not source.name.endswith(".ckpt"):
        return []
    from evergraph.formats.mindspore_ckpt import MindSporeCheckpoint

    try:
        MindSporeCheckpoint().read(source)
    except EvergraphError as error:
        return [f"{label}: {value}" for label, value in (("as .ckpt", error.what), ("at", error.where)) if value]
    return []


def explain_names(names: Iterable[str]) -> tuple[str, str] | None:
    """What an archive or a folder is whose files have these names, and what to do; None where they do not say.

    >>> explain_names(["saved_model.pb", "variables/variables.index"])[0]
    'this is a TensorFlow SavedModel'
    """
    bases = {n.rpartition("/")[2] for n in names}
    if "model.weights.h5" in bases:
        return "this is a Keras model", "in Keras, save the weights as .npz: np.savez(path, *model.get_weights())"
    if "saved_model.pb" in bases or any(b.startswith("variables.data-") for b in bases):
        return "this is a TensorFlow SavedModel", "unpack it, and open its folder: variables/variables.index is read"
    if "__model__" in bases:
        return "this is a PaddlePaddle model", "open its .pdparams file"
    if any(b.endswith(".mlmodel") for b in bases):
        return "this is a Core ML package", "open the model that it was made from"
    return None


_Answer = tuple[str, Any, str | None] | None


def _tensorflow(head: bytes, source: Source) -> _Answer:
    """One file of a TensorFlow checkpoint that does not stand for all of it: values say nothing of what they are."""
    values = re.search(r"([^/]*)\.data-\d{5}-of-\d{5}$", source.name)
    if values is not None:
        return "these are the values of a TensorFlow checkpoint", None, f"open {printable(values[1])}.index beside them"
    if source.name.endswith(".index") and head[:2] == b"\0\0":
        return "this is a TensorFlow index that is cut short", human(source.size), _AGAIN
    return None


def _cut(head: bytes, source: Source) -> _Answer:
    for magic, what in _CUT:
        if len(head) < len(magic) and magic.startswith(head):
            return f"the file is cut short: {source.size} bytes of what may have been {what}", head.hex(" "), _AGAIN
    return None


def _beginning(head: bytes) -> _Answer:
    for offset, magic, what, fix in _BEGINNINGS:
        if head[offset : offset + len(magic)] == magic:
            return f"this is {what}", None, fix
    return None


def _zeros(head: bytes, source: Source) -> _Answer:
    if head.strip(b"\0"):
        return None
    return "the file begins with nothing but zeros", human(source.size), f"a download that never finished? {_AGAIN}"


def _protobuf(head: bytes) -> _Answer:
    """Models of frameworks that write protocol buffers, by their first fields."""
    if re.match(rb"\x0a[\x03-\x10]\d+\.\d+\.\d+\x12", head):
        return "this is a MindIR graph", None, "open the .ckpt that belongs to it: evergraph reads weights, not MindIR"
    if re.match(rb"\x08[\x01-\x10]\x12[\x01-\x30][\x20-\x7e]+[\x1a\x22\x2a\x3a]", head):
        return "this is an ONNX model", None, "open the model that it was exported from"
    if re.match(rb"\x08[\x01-\x10]\x12[\x00-\xff]{1,3}\x0a", head) and b"\x12" in head[:64]:
        return "this is a Core ML model or a TensorFlow SavedModel", None, "open the model that it was made from"
    if head[:1] == b"\x0a" and (b"Placeholder" in head[:512] or b"\x12\x05Const" in head):
        return "this is a TensorFlow graph (.pb)", None, "in TensorFlow, save the variables as .npz"
    if head[:1] == b"\x0a" and re.search(rb"\x12[\x04-\x10](Data|Input|Convolution|InnerProduct)", head[:512]):
        return "this is a Caffe model", None, "convert it with a tool that reads Caffe"
    return None


def _text(head: bytes, source: Source) -> _Answer:
    """Pages, messages and pointers: what a failed download leaves."""
    text = _decoded(head)
    if text is None:
        return None
    stripped = text.lstrip().removeprefix("\ufeff").lstrip()
    return (
        _pointer(stripped) or _html(stripped) or _xml(stripped) or _json(stripped, source) or _other(stripped, source)
    )


def _decoded(head: bytes) -> str | None:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if head.startswith(mark):
            return head[2:].decode(encoding, "replace")
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # the head may end within a character
        if error.start < len(head) - 4:
            return None
        text = head[: error.start].decode("utf-8")
    return None if re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text) else text


def _pointer(text: str) -> _Answer:
    if text.startswith(("version https://git-lfs", "version https://hawser")):
        size = re.search(r"^size (\d{1,18})$", text, re.MULTILINE)
        said = f"a pointer to {human(int(size[1]))}" if size else None
        return "this is a Git LFS pointer, not the file itself", said, "run `git lfs pull` in the repository"
    if "/annex/objects/" in text[:1024]:
        return "this is a git-annex pointer, not the file itself", None, "run `git annex get` in the repository"
    if re.match(r"(md5: |outs:\n)", text) and "md5: " in text:
        return "this is a DVC pointer, not the file itself", None, "run `dvc pull` in the repository"
    return None


def _html(text: str) -> _Answer:
    start = text[:1024].lower()
    if not start.startswith(("<!doctype html", "<html", "<head", "<script", "<!-- ")) and "<html" not in start:
        return None
    title = re.search(r"<title[^>]*>([^<]{0,200})", text, re.IGNORECASE)
    said = f"its title: {printable(html.unescape(title[1]).strip())}" if title else None
    fix = "the download failed or needs a login; fetch the file itself"
    if "google drive" in text.lower():
        fix = "Google Drive asks for a confirmation before large files: fetch it with a browser or with gdown"
    if "github" in text.lower():
        fix = "this is GitHub's page about the file: use its Raw or Download link"
    return "this is an HTML page, not a checkpoint", said, fix


def _xml(text: str) -> _Answer:
    if not text.startswith("<"):
        return None
    code, message = (re.search(rf"<{n}>([^<]{{0,200}})", text) for n in ("Code", "Message"))
    if re.search(r"<error[ >]", text[:512], re.IGNORECASE):
        said = ": ".join(printable(html.unescape(m[1])) for m in (code, message) if m)
        fix = "check the address and the credentials, and fetch it again"
        return "this is a store's error message, not a checkpoint", said or None, fix
    if re.search(r"<net\s+name=", text):
        return "this is an OpenVINO network (.xml)", None, "open the model that it was made from"
    return "this is an XML document, not a checkpoint", None, f"a server's message? {_AGAIN}"


def _json(text: str, source: Source) -> _Answer:
    if re.match(r"""\{|\[\s*([\[{"\d-]|\]|$)""", text) is None:
        return None
    value = None
    if source.size <= 1 << 20:
        try:
            value = load_json(source.head(source.size), source.name)
        except EvergraphError as error:
            return "this is JSON that is broken", f"{error.what} ({error.where})", _AGAIN
    if isinstance(value, dict):
        said = next((value[k] for k in _MESSAGES if isinstance(value.get(k), (str, dict, list))), None)
        if said is not None and len(value) <= 8:
            fix = "check the address and the credentials, and fetch it again"
            return "this is a server's error message, not a checkpoint", printable(said), fix
        if "architectures" in value or "model_type" in value:
            return "this is a model's configuration, not its weights", None, "open the weights that stand beside it"
        if "evergraph" in value and "versions" in value:
            return "these are the checksums of a checkpoint", None, "open the checkpoint that they stand beside"
        keys = ", ".join(map(printable, list(value)[:8]))
        return "this JSON holds no graph", f"an object with {keys or 'no keys'}", "a symbol file has nodes and heads"
    if isinstance(value, list) and value and isinstance(value[0], dict) and {"name", "shape"} <= set(value[0]):
        return "these are a model's input shapes, not its weights", None, "open the prefix or the folder they stand in"
    return "this JSON holds no graph", None, "a symbol file is an object with nodes and heads"


_MESSAGES = ("error", "message", "errors", "detail", "error_message", "Message", "fault", "msg")


def _other(text: str, source: Source) -> _Answer:
    first = printable(text.strip().split("\n", 1)[0], 120)
    if text.startswith("model_checkpoint_path:"):
        return "this is TensorFlow's list of checkpoints", first, "open the folder that it stands in"
    if re.search(r"^(layer|layers|input_param)\s*\{", text, re.MULTILINE):
        return "this is a Caffe network description (.prototxt)", None, "convert it with a tool that reads Caffe"
    if re.match(r"\[(net|network)\]", text):
        return "this is a Darknet network description (.cfg)", None, "convert it with a tool that reads Darknet"
    if re.match(r"(#!|import |from \w+ import |# -\*-)", text):
        return "this is a program, not a checkpoint", first, "run it where its framework is, and save the weights"
    if not text.strip():
        return "the file holds nothing but white space", human(source.size), _AGAIN
    fix = f"a server's message? {_AGAIN}" if source.size <= _TEXT_LIMIT else None
    return "this is a text file, not a checkpoint", f"its first line: {first}", fix
