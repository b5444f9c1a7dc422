"""Eight-bit arithmetic: quantized layers, their scales, and the fused layers of int8 graphs."""
