"""Where the recorded values lie, and how they are opened."""

import functools
import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
MXNET = DATA / "mxnet"
MINDSPORE = DATA / "mindspore"
RELEASES = sorted(
    (p.name for p in MXNET.iterdir() if (p / "log.json").exists()), key=lambda v: [*map(int, v.split("."))]
)


@functools.cache
def _archive():
    return zipfile.ZipFile(MXNET / "op-oracle.zip")


@functools.cache
def operator_cases():
    """Every one-operator case that MXNet 1.9.1 ran, except those whose values it does not repeat."""
    unreliable = {"_image_flip_top_bottom__0", "LeakyReLU__7", "softmax__2"}
    index = json.loads(_archive().read("index.json"))
    rows = [row for chunk in index["chunks"] for row in json.loads(_archive().read(chunk))]
    return {row["id"]: row for row in rows if row["status"] == "ok" and row["id"] not in unreliable}


def operator_values(case):
    """The arrays of one case: `json`, `in:...`, `out:...`, `trainout:...`, `head:...`, `grad:...`, `after:...`."""
    # a new handle for each read: forked test processes must not share one file position
    with zipfile.ZipFile(MXNET / "op-oracle.zip") as archive:
        return dict(np.load(io.BytesIO(archive.read(case["npz"])), allow_pickle=False))


@functools.cache
def operator_schema(release="1.9.1"):
    """Every operator of a release: argument types and defaults, aliases."""
    return json.loads(gzip.decompress((MXNET / "op-schema" / f"{release}.json.gz").read_bytes()))


def near(got, want, rtol, atol, what):
    """Assert that values agree, NaN with NaN, and shapes exactly."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape} for {want.shape}"
    if want.dtype.kind in "fc":
        wrong = ~np.isclose(got.astype("f8"), want.astype("f8"), rtol=rtol, atol=atol, equal_nan=True)
        worst = np.nanmax(np.abs(got.astype("f8") - want.astype("f8"))) if wrong.any() else 0
        assert not wrong.any(), f"{what}: {wrong.sum()} of {wrong.size} differ, worst {worst:.3g}"
    else:
        assert np.array_equal(got, want), f"{what}: differs"
