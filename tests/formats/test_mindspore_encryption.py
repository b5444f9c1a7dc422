"""MindSpore's encrypted checkpoints: recorded files open with their keys, and are written again to the byte."""

import os
import struct
import sys

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import (
    DamagedError,
    EvergraphError,
    FormatError,
    IntegrityError,
    MissingDependencyError,
    UsageError,
)
from evergraph.formats import mindspore_encryption as encryption
from tests.formats.battery import FormatBattery, opened, same, sample_arrays, written
from tests.formats.test_mindspore_ckpt import ENCRYPTED, key_of, name, record, saved

KEY = bytes(range(16))
MODES = {"gcm": "AES-GCM", "cbc": "AES-CBC", "sm4": "SM4-CBC"}


def mode_of(path):
    return MODES[path.stem.removeprefix("enc_")[:3]]


@pytest.mark.parametrize("path", ENCRYPTED, ids=name)
def test_opens_with_its_key(path):
    same(eg.open(path, dec_key=key_of(path)), eg.Checkpoint(saved(path)))
    same(eg.open(path, dec_key=key_of(path), dec_mode=mode_of(path)), eg.Checkpoint(saved(path)))


@pytest.mark.parametrize("path", ENCRYPTED, ids=name)
def test_writes_what_mindspore_wrote(path, monkeypatch):
    data = path.read_bytes()
    # the random vector is the only thing that differs from save to save
    at = 4 + (16 if mode_of(path) == "AES-GCM" else 0) + 8
    monkeypatch.setattr(encryption.os, "urandom", lambda count: data[at : at + count])
    found = eg.Checkpoint(saved(path))
    assert written("mindspore-ckpt", found, enc_key=key_of(path), enc_mode=mode_of(path)) == data


@pytest.mark.parametrize("mode", MODES.values())
def test_several_blocks_are_read_piece_by_piece(mode, monkeypatch):
    monkeypatch.setattr(encryption, "BLOCK", 1000)
    monkeypatch.setattr(encryption, "KEPT", 2500)
    given = eg.Checkpoint({f"w{i}": np.arange(i * 50, i * 50 + 137, dtype="i4") for i in range(12)})
    data = written("mindspore-ckpt", given, enc_key=KEY, enc_mode=mode)
    found = opened(data, dec_key=KEY)
    same(found, given)
    same(found, given)
    assert written("mindspore-ckpt", found) == written("mindspore-ckpt", given)


def test_reads_vectors_of_sixteen_bytes(monkeypatch):
    given = eg.Checkpoint({"w": np.arange(9)})
    monkeypatch.setattr(encryption, "NONCES", (16, 12))
    data = written("mindspore-ckpt", given, enc_key=KEY)
    monkeypatch.setattr(encryption, "NONCES", (12, 16))
    same(opened(data, dec_key=KEY), given)


class TestBattery(FormatBattery):
    format_name = "mindspore-ckpt"
    read_options = {"dec_key": KEY}
    mode = "AES-GCM"

    @pytest.fixture(autouse=True)
    def same_vectors(self, monkeypatch):
        monkeypatch.setattr(encryption.os, "urandom", lambda count: bytes(range(count)))

    def examples(self):
        arrays = sample_arrays("float32", "int8")
        return {
            "arrays": (eg.Checkpoint({k[4:]: v for k, v in arrays.items()}), {"enc_key": KEY, "enc_mode": self.mode})
        }

    def damage_is_detected(self, data, at):
        # the cipher uses 12 of the vector's 16 bytes
        return self.mode == "AES-GCM" and not 40 <= at < 44


class TestBatteryOfCBC(TestBattery):
    mode = "AES-CBC"


class TestBatteryOfSM4(TestBattery):
    mode = "SM4-CBC"


def test_rejects_an_encrypted_file_without_a_key():
    for path in ENCRYPTED:
        with pytest.raises(FormatError, match=r"encrypted MindSpore checkpoint \(" + mode_of(path)) as caught:
            eg.open(path)
        assert "dec_key" in str(caught.value)


@pytest.mark.parametrize("path", ENCRYPTED, ids=name)
def test_rejects_a_wrong_key(path):
    wrong = bytes(b ^ 1 for b in key_of(path))
    with pytest.raises(IntegrityError, match="key does not fit") as caught:
        eg.open(path, dec_key=wrong)
    assert "the block at byte 0" in str(caught.value)
    with pytest.raises(UsageError, match="dec_key does not fit"):
        eg.open(path, dec_key=key_of(path)[:-1])
    with pytest.raises(UsageError, match="expected: 16") as caught:
        eg.open(path, dec_key=key_of(path).hex())
    assert "found: str" in str(caught.value)


def test_rejects_every_wrong_key_of_a_mode_without_authentication():
    data = written("mindspore-ckpt", eg.Checkpoint({"w": np.ones(4)}), enc_key=KEY, enc_mode="AES-CBC")
    for number in range(600):
        # one in 256 happens to end in what looks like padding
        with pytest.raises(EvergraphError):
            opened(data, dec_key=number.to_bytes(16, "big"))


def test_rejects_another_mode_than_the_files():
    data = written("mindspore-ckpt", eg.Checkpoint({"w": np.ones(4)}), enc_key=KEY)
    with pytest.raises(FormatError, match="another mode") as caught:
        opened(data, dec_key=KEY, dec_mode="AES-CBC")
    assert "AES-GCM" in str(caught.value)
    with pytest.raises(UsageError, match="no encryption mode ROT13"):
        opened(data, dec_key=KEY, dec_mode="ROT13")


def test_rejects_a_key_for_a_plain_file():
    with pytest.raises(UsageError, match="not encrypted"):
        opened(record(), dec_key=KEY)


def test_rejects_a_later_block_that_was_changed(monkeypatch):
    monkeypatch.setattr(encryption, "BLOCK", 1000)
    data = bytearray(written("mindspore-ckpt", eg.Checkpoint({"w": np.arange(1000)}), enc_key=KEY))
    data[3000] ^= 1
    with pytest.raises(IntegrityError, match="cannot be decrypted") as caught:
        opened(bytes(data), dec_key=KEY)["w"].numpy()
    assert "the block at byte 2096" in str(caught.value)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [(20, 10**9, "sizes disagree"), (24, 12, "vector has a wrong size"), (44, 10**9, "sizes disagree")],
)
def test_rejects_sizes_that_lie(at, value, message):
    data = bytearray(written("mindspore-ckpt", eg.Checkpoint({"w": np.ones(4)}), enc_key=KEY))
    struct.pack_into("<I", data, at, value)
    with pytest.raises(DamagedError, match=message):
        opened(bytes(data), dec_key=KEY)


def test_rejects_what_cannot_be_encrypted():
    plan = {"w": np.ones(4)}
    with pytest.raises(UsageError, match="exclude each other"):
        eg.save(plan, "memory://here/never.ckpt", enc_key=KEY, crc_check=True)
    with pytest.raises(UsageError, match="enc_key does not fit SM4-CBC"):
        eg.save(plan, "memory://here/never.ckpt", enc_key=bytes(32), enc_mode="SM4-CBC")
    with pytest.raises(UsageError, match="enc_mode without enc_key"):
        eg.save(plan, "memory://here/never.ckpt", enc_mode="AES-CBC")
    with pytest.raises(UsageError, match="no encryption mode"):
        eg.save(plan, "memory://here/never.ckpt", enc_key=KEY, enc_mode="aes")


def test_says_what_to_install(monkeypatch):
    data = written("mindspore-ckpt", eg.Checkpoint({"w": np.ones(4)}), enc_key=KEY)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(MissingDependencyError, match="cryptography") as caught:
        opened(data, dec_key=KEY)
    assert "evergraph[crypto]" in str(caught.value)


def test_reads_past_a_trailer_that_mindspore_cannot(tmp_path):
    data = written("mindspore-ckpt", eg.Checkpoint({"w": np.ones(4)}), enc_key=KEY)
    same(opened(data + b"crc_num" + bytes(10), dec_key=KEY), eg.Checkpoint({"w": np.ones(4)}))


def test_a_key_is_never_written_down(tmp_path):
    key = os.urandom(16)
    eg.save({"w": np.ones(4)}, tmp_path / "w.ckpt", enc_key=key)
    found = eg.open(tmp_path / "w.ckpt", dec_key=key)
    layout = eg.save(found, tmp_path / "plain.safetensors")
    assert not any("key" in str(n) for n in layout.notes)
    for path in tmp_path.iterdir():
        assert key not in path.read_bytes()
        assert key.hex().encode() not in path.read_bytes()
