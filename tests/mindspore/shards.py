"""Parameters cut for several devices, as MindSpore and evergraph cut and join them.

Imports neither: the program that records MindSpore's values uses it as the tests do.
"""

import numpy as np


def whole(name, shape):
    """The values of a parameter, made again wherever they are asked for."""
    return (np.arange(np.prod(shape), dtype="float32") + len(name)).reshape(shape) / 7


def piece(full, rank, layout):
    """What a device holds, by NumPy's splitting alone."""
    devices, place, left = layout["dev_matrix"], [], rank
    for size in reversed(devices):
        left, rest = divmod(left, size)
        place.append(rest)
    for axis, m in enumerate(layout["tensor_map"]):
        if m != -1:
            full = np.split(full, devices[-1 - m], axis)[place[m]]
    size, step = layout["opt_weight_shard_size"], layout["opt_weight_shard_step"]
    return np.ascontiguousarray(np.split(full, size, 0)[rank // step % size] if size else full)
