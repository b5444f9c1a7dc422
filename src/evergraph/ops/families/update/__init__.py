"""Optimizer updates: new weights and states from gradients, in place."""
