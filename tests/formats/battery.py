"""The battery of tests that every format inherits: subclass `FormatBattery` and give it examples."""

import random

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import EvergraphError
from evergraph.formats import by_content, by_name
from evergraph.stores import BytesSource, locate


def written(format_name, checkpoint, **options):
    """The bytes of a single-file layout."""
    layout = by_name(format_name).plan(checkpoint, locate("memory://battery/target"), **options)
    (file,) = layout.files
    parts = []
    for piece in file.pieces():
        parts.extend([piece] if isinstance(piece, bytes) else piece.chunks())
    whole = b"".join(bytes(p) for p in parts)
    assert file.size is None or file.size == len(whole), "the layout promised another size"
    return whole


def opened(data, **options):
    source = BytesSource(data, "memory://battery/file")
    return by_content(source).read(source, **options)


def read_everything(checkpoint):
    """Every value of a checkpoint: what is damaged must show here at the latest."""
    for tensor in checkpoint.values():
        for part in (tensor, *tensor.parts.values()):
            # streamed as well: formats whose files hold checksums compare them there
            assert bytes(part.blob.read()) == b"".join(map(bytes, part.blob.chunks()))
        if tensor.storage in ("dense", "row_sparse", "csr"):
            tensor.numpy()
    return checkpoint.graph


def same(a, b):
    assert list(a) == list(b)
    for name in a:
        assert (a[name].dtype, a[name].shape, a[name].storage) == (b[name].dtype, b[name].shape, b[name].storage), name
        assert bytes(a[name].blob.read()) == bytes(b[name].blob.read()), name
        assert {k: bytes(v.blob.read()) for k, v in a[name].parts.items()} == {
            k: bytes(v.blob.read()) for k, v in b[name].parts.items()
        }, name


class FormatBattery:
    """Tests of one format.

    A subclass sets `format_name` and `examples()`: name -> (Checkpoint, options of plan); and, where the format cannot
    tell, `cut_is_undetected(data, at)`, `trailing_is_undetected(data, tail)` and `read_options`.
    """

    format_name = ""
    read_options = {}

    def examples(self) -> dict:
        raise AssertionError("give the battery examples")

    def cut_is_undetected(self, data, at) -> bool:
        return False

    def trailing_is_undetected(self, data, tail) -> bool:
        return False

    def damage_is_detected(self, data, at) -> bool:
        """Whether a flipped bit at this byte must be noticed."""
        return False

    @pytest.fixture
    def files(self):
        return {
            name: (found, written(self.format_name, found, **options))
            for name, (found, options) in self.examples().items()
        }

    def test_round_trip_keeps_everything(self, files):
        for checkpoint, data in files.values():
            again = opened(data, **self.read_options)
            same(checkpoint, again)
            assert again.format == self.format_name

    def test_opened_and_saved_is_the_same_bytes(self, files):
        for name, (_, data) in files.items():
            options = self.examples()[name][1]
            assert written(self.format_name, opened(data, **self.read_options), **options) == data, name

    def test_writing_twice_gives_the_same_bytes(self, files):
        for name, (_, data) in files.items():
            checkpoint, options = self.examples()[name]
            assert written(self.format_name, checkpoint, **options) == data, name

    def test_order_is_the_callers(self, files):
        for name, (checkpoint, _) in files.items():
            names = list(checkpoint)
            random.Random(7).shuffle(names)
            shuffled = checkpoint.replace({n: checkpoint[n] for n in names})
            data = written(self.format_name, shuffled, **self.examples()[name][1])
            assert list(opened(data, **self.read_options)) == names, name

    def test_rejects_a_cut_at_every_byte(self, files):
        for name, (_, data) in files.items():
            for at in self.positions(data):
                if self.cut_is_undetected(data, at):
                    continue
                assert self.is_rejected(data[:at]), f"{name}: cut at byte {at} of {len(data)} was not noticed"

    def is_rejected(self, data):
        """Whether reading ends in an evergraph error; any other exception ends the test."""
        try:
            read_everything(opened(data, **self.read_options))
        except EvergraphError:
            return True
        return False

    def positions(self, data):
        """Every byte of a small file; of a larger one, its first and last thousand and a sample of the rest."""
        if len(data) <= 3000:
            return range(len(data))
        middle = random.Random(5).sample(range(1000, len(data) - 1000), 300)
        return sorted({*range(1000), *middle, *range(len(data) - 1000, len(data))})

    def test_a_flipped_bit_is_never_a_crash(self, files):
        for name, (_, data) in files.items():
            for at in self.positions(data):
                damaged = bytearray(data)
                damaged[at] ^= 1 << (at % 8)
                noticed = self.is_rejected(bytes(damaged))
                assert noticed or not self.damage_is_detected(data, at), f"{name}: bit of byte {at}"

    def test_rejects_trailing_bytes(self, files):
        for name, (_, data) in files.items():
            for tail in (b"\0", b"garbage behind the end"):
                if self.trailing_is_undetected(data, tail):
                    continue
                assert self.is_rejected(data + tail), f"{name}: trailing {tail!r} was not noticed"

    def test_reads_from_a_remote_store(self, files):
        import fsspec

        memory = fsspec.filesystem("memory")
        for name, (checkpoint, data) in files.items():
            memory.pipe_file(f"/battery-{self.format_name}-{name}", data)
            same(checkpoint, eg.open(f"memory://battery-{self.format_name}-{name}", **self.read_options))


def sample_arrays(*kinds):
    """Small arrays of several types, with special values, zero-size and scalar shapes."""
    rng = np.random.default_rng(3)
    found = {}
    for kind in kinds:
        found[f"arg:{kind}"] = (
            rng.integers(0, 2, (3, 4)).astype(kind) if kind == "bool" else (rng.normal(size=(3, 4)) * 9).astype(kind)
        )
    found["arg:special"] = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], "float32")
    return found
