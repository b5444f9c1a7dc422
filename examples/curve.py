"""What the examples share: the curve of a run, its last word, and its plot."""

import argparse
import sys


def arguments(description, **more):
    """The command line: `--plot FILE`, and an option for each further name with its help."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--plot", metavar="FILE", help="draw the curve into FILE (.png, .svg, .pdf)")
    for name, words in more.items():
        parser.add_argument("--" + name, help=words)
    return parser.parse_args()


class Curve(object):  # noqa: UP004 - old Pythons run these programs too
    """A number that is noted batch after batch.

    Args:
        what: what it is.
        every: how many numbers make one point.
    """

    def __init__(self, what, every=1):
        self.what, self.every = what, every
        self.values, self._open = [], []

    def add(self, value):
        """Note a number."""
        self._open.append(float(value))
        if len(self._open) == self.every:
            self.values.append(sum(self._open) / self.every)
            self._open = []

    def of(self, metric):
        """A callback for `fit` that notes a metric batch by batch."""

        def note(param):
            self.add(dict(param.eval_metric.get_name_value())[metric])
            param.eval_metric.reset_local()  # the log of the epoch is over all of its batches still

        return note

    def draw(self, path):
        """Draw it into a file."""
        try:
            import matplotlib
        except ImportError:
            sys.exit("--plot needs matplotlib: pip install matplotlib")
        matplotlib.use("agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(figsize=(6, 4))
        axes.plot([(i + 1) * self.every for i in range(len(self.values))], self.values)
        axes.set_xlabel("batch")
        axes.set_ylabel(self.what)
        axes.grid(alpha=0.3)
        figure.tight_layout()
        figure.savefig(path)


def finish(args, curve, what, value, wanted, falls=False):
    """Draw the curve where asked, print the number that was reached, and end with 1 where it is not good enough."""
    if args.plot:
        curve.draw(args.plot)
    learned = value <= wanted if falls else value >= wanted
    sign = "<=" if falls else ">="
    word = "learned" if learned else "not learned"
    print(f"{what}: {value:.4f} ({word}, wanted {sign} {wanted:g})")
    sys.exit(0 if learned else 1)
