"""Weights: read from any toolkit's file, fitted into a model, downloaded, saved."""

from mogabench.checkpoints.description import Description
from mogabench.checkpoints.download import fetch, weights_folder
from mogabench.checkpoints.loading import Report, load_into, load_weights
from mogabench.checkpoints.reading import Checkpoint, read_state_dict
from mogabench.checkpoints.resolving import find_file, read_stated, resolve_weights
from mogabench.checkpoints.saving import save_checkpoint, save_safetensors

__all__ = [
    "Checkpoint",
    "Description",
    "Report",
    "fetch",
    "find_file",
    "load_into",
    "load_weights",
    "read_state_dict",
    "read_stated",
    "resolve_weights",
    "save_checkpoint",
    "save_safetensors",
    "weights_folder",
]
