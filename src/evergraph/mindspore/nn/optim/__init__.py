"""Optimizers."""

from evergraph.mindspore.nn.optim.adam import Adam, AdamWeightDecay, Lamb
from evergraph.mindspore.nn.optim.adaptive import FTRL, Adagrad, RMSProp
from evergraph.mindspore.nn.optim.momentum import SGD, Momentum
from evergraph.mindspore.nn.optim.optimizer import Optimizer

__all__ = ["FTRL", "SGD", "Adagrad", "Adam", "AdamWeightDecay", "Lamb", "Momentum", "Optimizer", "RMSProp"]
