"""Training on PyTorch, below the faces: states that are spread over processes."""
