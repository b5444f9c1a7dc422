"""Crossing from one framework's names and layouts of weights into another's: PyTorch, MindSpore, MXNet, TensorFlow."""

from evergraph.crossing.cross import NAMES, cross, decide, origin_of
from evergraph.crossing.sources import gathered
from evergraph.crossing.structure import KINDS, structure
from evergraph.crossing.table import Crossing, Row

__all__ = ["KINDS", "NAMES", "Crossing", "Row", "cross", "decide", "gathered", "origin_of", "structure"]
