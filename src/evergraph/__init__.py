"""Opens, upgrades, edits, runs, trains and converts any MXNet or MindSpore checkpoint, without MXNet or MindSpore."""

__version__ = "0.1.0"
