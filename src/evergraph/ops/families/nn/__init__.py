"""Layers: convolution, pooling, normalisation, activations, recurrent networks, losses."""
