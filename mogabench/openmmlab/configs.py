"""The configurations that mmdet and mmseg install with themselves, and networks built of them."""

from __future__ import annotations

import logging
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.registry import DefaultScope

from mogabench.errors import UserError

if TYPE_CHECKING:
    from mmengine.model import BaseModel
    from mmengine.registry import Registry

    from mogabench.subject import OptionValue


def read_config(package: str, path: str) -> Config:
    """Reads a configuration, with the batch norms that this process can compute.

    Args:
        package: ``mmdet`` or ``mmseg``.
        path: The file below the package's folder of configurations.
    """
    file = files(package) / ".mim" / "configs" / path
    config = Config.fromfile(str(file), import_custom_modules=False)
    for part in dictionaries(config.model):
        if part.get("type") == "SyncBN":
            part["type"] = batch_norm()
    return config


def batch_norm() -> str:
    """mmcv's name of the batch norm whose statistics are common to all processes.

    On a CPU torch has none for several processes: there each computes its own. In a single process
    both compute the same. What is counted, on the meta device, has it in any case.
    """
    is_counted = torch.get_default_device().type == "meta"
    on_cpu = get_world_size() > 1 and get_device() == "cpu"
    return "BN" if on_cpu and not is_counted else "SyncBN"


def has_common_statistics() -> bool:
    """Whether a batch norm sees the batches of several processes."""
    device: str = get_device()
    return get_world_size() > 1 and device != "cpu"


def dictionaries(config: Any) -> list[dict[str, Any]]:
    """Every dictionary of a configuration, however deep."""
    if isinstance(config, dict):
        return [config, *(part for value in config.values() for part in dictionaries(value))]
    if isinstance(config, list | tuple):
        return [part for value in config for part in dictionaries(value)]
    return []


def set_classes(config: Any, classes: OptionValue) -> None:
    """Sets the number of classes of every head of a configuration.

    Args:
        config: The ``model`` section; changed in place.
        classes: How many, as the option ``num_classes`` says.

    Raises:
        UserError: It is not a number of classes.
    """
    if type(classes) is not int or classes < 1:
        raise UserError(f"num_classes should be a positive whole number, not {classes!r}")
    for part in dictionaries(config):
        if "num_classes" in part:
            part["num_classes"] = classes


def build_network(registry: Registry, config: Any) -> BaseModel:
    """Builds a network of mmdet or mmseg with the initial weights that its configuration asks for.

    Args:
        registry: ``mmdet.registry.MODELS`` or ``mmseg.registry.MODELS``.
        config: Its ``model`` section.
    """
    with DefaultScope.overwrite_default_scope(registry.scope):
        network: BaseModel = registry.build(config)
    if not next(network.parameters()).is_meta:
        logging.disable(logging.WARNING)  # mmengine logs every single parameter
        try:
            network.init_weights()
        finally:
            logging.disable(logging.NOTSET)
    return network
