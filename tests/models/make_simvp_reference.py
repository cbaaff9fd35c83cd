"""Writes what OpenSTL's SimVP computes, for test_simvp.py to compare ours with.

    python tests/models/make_simvp_reference.py --repo PATH

PATH is a checkout of https://github.com/chengtan9907/OpenSTL. The timm to be imported is one of its
time, 0.6.13: newer ones cannot build its Swin and ViT. The result is simvp_reference.npz beside
this file. As for MogaNet, made-up weights take the place of trained ones, and the networks run in
float64.
"""

from __future__ import annotations

import argparse
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

REFERENCE = Path(__file__).with_name("simvp_reference.npz")
SIZE = (4, 1, 32, 48)
WIDTHS = {"encoder_dim": 8, "hidden_dim": 48, "depth": 4}
TRANSLATORS = (
    *("vit", "swin", "uniformer", "mlpmixer", "convmixer", "poolformer"),
    *("incepu", "convnext", "van", "hornet", "moganet", "gsta", "tau"),
)


def compute(network: nn.Module, dtype: torch.dtype) -> np.ndarray:
    """A sketch of the frames that a network with the made-up weights predicts."""
    families = runpy.run_path(str(Path(__file__).with_name("make_families_reference.py")))
    frames: Tensor = families["noise"]("frames", 2, *SIZE)
    weights = {
        name: families["made_up"](name, tuple(tensor.shape))
        if tensor.is_floating_point()
        else tensor
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(weights)
    with torch.inference_mode():
        predicted = network.eval().to(dtype)(frames.to(dtype))
    return families["sketch"](predicted, 0).numpy()


def import_simvp(repo: Path) -> Any:
    """OpenSTL's class, without what the packages around it import."""
    sys.modules["timm.layers"] = import_module("timm.models.layers")
    for name in ("openstl", "openstl.models", "openstl.modules"):
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(repo.joinpath(*name.split(".")))]
    sys.modules["openstl.modules"] = import_module("openstl.modules.simvp_modules")
    return import_module("openstl.models.simvp_model").SimVP_Model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", required=True, type=Path, help="checkout of OpenSTL")
    repo = parser.parse_args().repo
    commit = subprocess.check_output(["git", "-C", repo, "rev-parse", "HEAD"], text=True)
    arrays = {"commit": np.array(commit.strip())}
    simvp = import_simvp(repo)
    dim, hidden, depth = WIDTHS.values()
    for translator in TRANSLATORS:
        network = simvp(SIZE, hid_S=dim, hid_T=hidden, N_S=4, N_T=depth, model_type=translator)
        arrays[translator] = compute(network, torch.float64)
        print(translator, arrays[translator].std())
    np.savez_compressed(REFERENCE, **arrays)


if __name__ == "__main__":
    main()
