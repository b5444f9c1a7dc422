"""`evergraph predict` on images and arrays: what the model tells is used, and what it cannot take is said."""

import json
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

import evergraph as eg
from evergraph.cli import main
from evergraph.cli.images import expand, load_input
from evergraph.graph import Graph, Node
from tests.goldens import MXNET, near

LENET = MXNET / "0.9.5" / "checkpoints" / "lenet"
RECORDED = np.load(f"{LENET}-io.npz")


@pytest.fixture
def run(capsys):
    def call(*words):
        code = main(["predict", *map(str, words), "--engine", "torch"])
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


@pytest.fixture
def images(tmp_path):
    """The two recorded inputs as grey pictures of 8 bits, near enough to tell them apart."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i, each in enumerate(RECORDED["in:data"]):
        pixels = np.clip(each[0] * 40 + 128, 0, 255).astype("u1")
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def outputs(path):
    return eg.open(path)["softmax_output"].numpy()


def test_takes_images_with_the_channels_of_the_first_layer(run, images, tmp_path):
    words = (LENET, "-i", images, "--mean", "128", "--std", "40", "--output", tmp_path / "o.npz")
    code, out, _ = run(*words)
    assert code == 0
    assert f"wrote {tmp_path / 'o.npz'}" in out
    near(outputs(tmp_path / "o.npz"), RECORDED["out:0"], 0.05, 0.02, "pictures of the recorded inputs")


def test_takes_size_channels_and_labels_from_the_files_in_an_archive(run, images, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for end in ("-symbol.json", "-0001.params"):
        shutil.copy(f"{LENET}{end}", folder / f"net{end}")
    (folder / "model-shapes.json").write_text('[{"name": "data", "shape": [1, 1, 12, 12]}]')
    (folder / "synset.txt").write_text("zero\none\ntwo\nthree\nfour\n")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(folder, ".")
    Image.fromarray(np.zeros((30, 20, 3), "u1")).save(images / "large.jpg")
    for model in (tmp_path / "model.tar.gz", folder, f"{folder}/", folder / "net"):
        code, out, _ = run(model, "-i", images, "--json")
        rows = json.loads(out)["predictions"]
        assert (code, len(rows)) == (0, 3)
        assert rows[0]["top"][0]["label"] == ["zero", "one", "two", "three", "four"][rows[0]["top"][0]["class"]]


def test_takes_the_size_that_the_graph_states(run, tmp_path):
    nodes = [Node("null", "data", {"__shape__": "(0, 3, 8, 6)"}), Node("null", "w"), Node("null", "b")]
    texts = {"kernel": "(8, 6)", "num_filter": "2", "no_bias": "False"}
    nodes += [
        Node("Convolution", "c", texts, ((0, 0, 0), (1, 0, 0), (2, 0, 0))),
        Node("Flatten", "f", {}, ((3, 0, 0),)),
    ]
    arrays = {"arg:w": np.ones((2, 3, 8, 6), "f4"), "arg:b": np.zeros(2, "f4")}
    eg.save(eg.Checkpoint(arrays, graph=Graph(tuple(nodes), ((4, 0, 0),))), tmp_path / "n", to="mxnet-checkpoint")
    Image.fromarray(np.full((99, 77, 3), 2, "u1")).save(tmp_path / "x.png")
    code, out, _ = run(tmp_path / "n", "-i", tmp_path / "x.png", "--json")
    assert code == 0
    assert json.loads(out)["predictions"][0]["top"][0]["score"] == pytest.approx(2 * 3 * 8 * 6)


def test_shows_the_classes_of_each_row_of_a_named_input(run, images, tmp_path):
    np.save(tmp_path / "x.npy", RECORDED["in:data"])
    code, out, _ = run(LENET, "-i", f"data={tmp_path / 'x.npy'}", "--json")
    rows = json.loads(out)["predictions"]
    assert code == 0
    assert [r["top"][0]["class"] for r in rows] == RECORDED["out:0"].argmax(1).tolist()
    code, out, _ = run(LENET, "-i", f"data={images}")
    assert code == 0
    assert str(images / "1.png") in out


def test_says_that_labels_are_not_those_of_the_model(run, tmp_path):
    np.save(tmp_path / "x.npy", RECORDED["in:data"])
    (tmp_path / "l.txt").write_text("a\nb\n")
    code, _, err = run(LENET, "-i", tmp_path / "x.npy", "--labels", tmp_path / "l.txt")
    assert code == 0
    assert "2 labels for 5 classes" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mean", "1,2"], "--mean takes one number, or one for each channel"),
        (["--mean", "a"], "--mean takes numbers"),
        (["--std", "0"], "expected: numbers other than 0"),
        (["--scale", "nan"], "--scale takes numbers"),
        (["--size", "0x5"], "--size is the height and the width"),
        (["--size", "1x2x3"], "--size is the height and the width"),
        (["--size=-5"], "--size is the height and the width"),
        (["--size", "99999999"], "--size is the height and the width"),
        (["--size", "40"], "images take the model's size with --size HxW"),
        (["--output", "out.xyz"], "such as out.npz"),
        (["--output", "-"], "outputs are saved to a file"),
    ],
)
def test_rejects_options_that_mean_nothing(words, message, run, images):
    code, _, err = run(LENET, "-i", images, *words)
    assert code == 2
    assert message in err


def test_rejects_an_input_of_several_shapes(run, tmp_path):
    for n in (12, 13):
        np.save(tmp_path / f"{n}.npy", np.zeros((1, 1, n, n), "f4"))
    code, _, err = run(LENET, "-i", f"data={tmp_path}")
    assert code == 2
    assert "(1, 1, 13, 13)" in err


@pytest.mark.parametrize("net", ["lenet", "mlp"])
def test_says_of_a_graph_alone_that_its_parameters_are_missing(net, run, tmp_path):
    np.save(tmp_path / "x.npy", RECORDED["in:data"])
    code, _, err = run(LENET.with_name(f"{net}-symbol.json"), "-i", tmp_path / "x.npy")
    assert code == 2
    assert "there are no parameters: give the prefix" in err


def test_saves_no_outputs_of_several_shapes(run, tmp_path):
    nodes = (Node("null", "data"), Node("relu", "r", {}, ((0, 0, 0),)))
    eg.save(eg.Checkpoint({}, graph=Graph(nodes, ((1, 0, 0),))), tmp_path / "n-symbol.json")
    for n in (2, 3):
        np.save(tmp_path / f"{n}.npy", np.zeros((1, n), "f4"))
    code, _, err = run(tmp_path / "n-symbol.json", "-i", tmp_path, "--output", tmp_path / "o.npz")
    assert code == 2
    assert "the outputs of several runs do not go into one array" in err
    assert not (tmp_path / "o.npz").exists()


def test_an_image_is_scaled_and_laid_out_as_asked(images):
    from evergraph.cli.images import Preparation

    (path,) = expand([str(images / "0.png")])
    pixels = np.asarray(Image.open(path), "f4")
    found = load_input(path, Preparation(mean=(10.0, 20.0, 30.0), std=(2.0,), scale=0.5, bgr=True, layout="NHWC"))
    np.testing.assert_allclose(found[0, :, :, 2], (pixels - 30) / 2 * 0.5, rtol=1e-6)
