"""Loads shards into DTensors of two processes, and saves them again: `reshard.py FROM TO`, as torchrun starts it."""

import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from evergraph.training.shards import load_shards, save_shards, shard_names, shard_table


def main(source, target):
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    known = shard_names(shard_table(source))
    found = {
        name: distribute_tensor(torch.zeros(shape), mesh, [Shard(0)]) if len(shape) > 1 else torch.zeros(shape)
        for name, (_, shape) in known.items()
    }
    load_shards(found, source)
    for value in found.values():
        value.mul_(2)
    save_shards(found, target)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
