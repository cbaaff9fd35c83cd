"""Weights: read from any toolkit's file, fitted into a model, downloaded, saved."""

from mogabench.checkpoints.description import Description
from mogabench.checkpoints.download import fetch, weights_folder
from mogabench.checkpoints.loading import Misfit, Report, load_weights
from mogabench.checkpoints.naming import Naming
from mogabench.checkpoints.reading import Checkpoint, read_state_dict
from mogabench.checkpoints.resolving import resolve_weights
from mogabench.checkpoints.saving import save_checkpoint
from mogabench.checkpoints.whole import load_into

__all__ = [
    "Checkpoint",
    "Description",
    "Misfit",
    "Naming",
    "Report",
    "fetch",
    "load_into",
    "load_weights",
    "read_state_dict",
    "resolve_weights",
    "save_checkpoint",
    "weights_folder",
]
