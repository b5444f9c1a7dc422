"""A checkpoint that MXNet 0.9.5 wrote, an input, and the output that it recorded."""
