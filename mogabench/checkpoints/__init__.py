"""Weights: read from any toolkit's file, fitted into a model, downloaded, saved."""

from mogabench.checkpoints.loading import Report, load_weights
from mogabench.checkpoints.reading import Checkpoint, read_state_dict
from mogabench.checkpoints.releases import (
    Release,
    fetch,
    official_weights,
    resolve_weights,
    weights_folder,
)
from mogabench.checkpoints.saving import save_checkpoint

__all__ = [
    "Checkpoint",
    "Release",
    "Report",
    "fetch",
    "load_weights",
    "official_weights",
    "read_state_dict",
    "resolve_weights",
    "save_checkpoint",
    "weights_folder",
]
