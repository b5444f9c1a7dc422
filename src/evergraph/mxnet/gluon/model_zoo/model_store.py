"""Trained parameters of the zoo's networks, where they lie in a local folder."""

import os
from pathlib import Path
from typing import Any

from evergraph.errors import StoreError
from evergraph.mxnet.base import data_dir

__all__ = ["get_model_file", "load_trained", "purge"]


def _folder(root: Any) -> Path:
    return Path(os.path.expanduser(root if root is not None else os.path.join(data_dir(), "models")))


def get_model_file(name: str, root: Any = None) -> str:
    """Where the parameters of a network lie: `name-<hash>.params` or `name.params` in a folder.

    Args:
        name: the network's name, such as "resnet50_v1".
        root: the folder; `models` in MXNet's data folder (`MXNET_HOME`, else ~/.mxnet) where it is not given.

    Raises:
        StoreError: they are not there; nothing is downloaded.
    """
    folder = _folder(root)
    found = sorted(folder.glob(f"{name}-????????.params")) + sorted(folder.glob(f"{name}.params"))
    if not found:
        raise StoreError(
            f"the trained parameters of {name} are not here, and are not downloaded",
            where=folder,
            expected=f"{name}-<8 digits>.params or {name}.params",
            fix="put the file there, name its folder by root=, or give pretrained=False and load_parameters",
        )
    return str(found[0])


def load_trained(net: Any, name: str, pretrained: bool, ctx: Any, root: Any) -> Any:
    """A network, with trained parameters where these are asked for."""
    if pretrained:
        net.load_parameters(get_model_file(name, root), ctx=ctx)
    return net


def purge(root: Any = None) -> None:
    """Delete all parameters in the folder."""
    folder = _folder(root)
    for path in folder.glob("*.params") if folder.is_dir() else ():
        path.unlink()
