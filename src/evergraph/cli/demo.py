"""`evergraph demo`: the main job on a sample that comes with the package."""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from evergraph.cli.output import Output
from evergraph.errors import counted, printable
from evergraph.stores.folders import make_folder

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--keep", metavar="FOLDER", help="leave the sample and what the demo writes in this folder")


def run(args: argparse.Namespace, out: Output) -> int:
    """Inspect, upgrade, predict, convert, and compare with what MXNet 0.9.5 recorded."""
    import evergraph.samples

    sample = Path(evergraph.samples.__file__).parent / "resnet"
    with tempfile.TemporaryDirectory() as folder:
        return _Demo(sample, Path(args.keep or folder), out, args.keep is not None).run()


class _Demo:
    """The steps, each told as it is done."""

    def __init__(self, sample: Path, folder: Path, out: Output, kept: bool) -> None:
        self.sample, self.folder, self.out, self.kept = sample, folder, out, kept
        self.good: dict[str, bool] = {}

    def step(self, title: str, command: str) -> None:
        self.out.line()
        self.out.heading(title)
        self.out.line(f"  $ evergraph {command}", hang=4)

    def tell(self, name: str, good: bool, text: str) -> None:
        self.good[name] = good
        self.out.line(f"  {'+' if good else '!'} {text}", hang=4)

    def run(self) -> int:
        begun = time.perf_counter()
        make_folder(self.folder)
        for name in (n.name for n in self.sample.parent.glob("resnet-*")):
            shutil.copyfile(self.sample.with_name(name), self.folder / name)
        for each in (self.inspect, self.upgrade, self.predict, self.convert):
            each()
        self.out.line()
        if self.kept:
            self.out.line(f"the files are in {printable(self.folder)}: each command above works there", hang=2)
        word = "everything agrees" if all(self.good.values()) else "something differs"
        self.out.heading(f"{word} ({time.perf_counter() - begun:.1f} s)")
        self.out.report({"good": all(self.good.values()), "steps": self.good})
        return 0 if all(self.good.values()) else 1

    def inspect(self) -> None:
        import evergraph

        self.step("1. Look: a checkpoint that MXNet 0.9.5 wrote in 2017", "inspect resnet")
        found = evergraph.open(self.sample)
        graph = found.graph
        operators = ", ".join(f"{op} {n}" for op, n in graph.operators().items()) if graph is not None else ""
        words = f"{counted(len(found), 'tensor')}, and a graph of {counted(len(graph or ()), 'node')}: {operators}"
        self.tell("inspect", graph is not None and len(found) > 0, words)
        self.out.line("  $ evergraph verify resnet")
        report = evergraph.verify(self.sample)
        self.tell("verify", report.ok, f"whole: {'; '.join(report.checked)}")

    def upgrade(self) -> None:
        import evergraph

        shape = ",".join(map(str, self._input().shape))
        self.step(
            "2. Upgrade: once, and told step by step", f"upgrade resnet resnet-today --check --shape data={shape}"
        )
        done = evergraph.upgrade(
            self.sample, self.folder / "resnet-today", check=True, shapes={"data": self._input().shape}
        )
        for text in done.lines()[:-1]:
            self.out.line(f"    {text}", hang=6)
        self.tell("upgrade", done.comparison is not None and done.comparison.same, done.lines()[-1])

    def predict(self) -> None:
        import numpy as np

        import evergraph
        from evergraph.engine import predictor

        self.step("3. Predict: MXNet's own recorded numbers", "predict resnet-today --input resnet-input.npy")
        found = evergraph.open(self.folder / "resnet-today")
        if found.graph is None:
            return self.tell("predict", False, "the upgraded checkpoint has no graph")
        output = predictor(found.graph, found, engine="torch")([self._input()])[0]
        recorded = np.load(self.sample.with_name("resnet-output.npy"))
        worst = float(np.abs(output - recorded).max())
        text = f"{recorded.size} numbers, largest difference from MXNet 0.9.5: {worst:.1e}"
        return self.tell("predict", bool(np.allclose(output, recorded, rtol=1e-5, atol=1e-5)), text)

    def convert(self) -> None:
        import evergraph

        self.step("4. Convert: to safetensors and back, to the same bytes", "convert resnet resnet.safetensors")
        self.out.line("  $ evergraph convert resnet.safetensors back --to mxnet-checkpoint")
        evergraph.convert(self.sample, self.folder / "resnet.safetensors")
        evergraph.convert(self.folder / "resnet.safetensors", self.folder / "back", to="mxnet-checkpoint")
        for ending in ("-symbol.json", "-0001.params"):
            old, new = (Path(f"{p}{ending}").read_bytes() for p in (self.sample, self.folder / "back"))
            self.tell(
                f"convert{ending}",
                old == new,
                f"back{ending}: {len(new)} bytes, {'the same' if old == new else 'different'}",
            )

    def _input(self) -> Any:
        import numpy as np

        return np.load(self.sample.with_name("resnet-input.npy"))
