"""Writes what the released MogaNet computes, for test_moganet_parity.py to compare ours with.

    python tests/models/make_moganet_reference.py --repo PATH

PATH is a clone (or a bare git directory) of https://github.com/Westlake-AI/MogaNet. The result is
moganet_reference.npz beside this file. Run it again only if the cases below change.

No trained weights are needed: both networks get the same made-up ones, as large as trained ones
where it matters (a released layer scale starts at 1e-5, which would hide every branch). They come
from PCG64's raw stream, the one thing numpy promises never to change, and not from torch's
generators. The released network runs in float64, so its rounding does not count; only the case
with ``attn_force_fp32`` runs in float32, because there the released code mixes the two.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

REFERENCE = Path(__file__).with_name("moganet_reference.npz")

CASES = {
    "moganet_xtiny": {"arch": "x-tiny"},
    "moganet_tiny": {"arch": "tiny"},
    "moganet_small": {"arch": "small"},
    "moganet_base": {"arch": "base"},
    "moganet_large": {"arch": "large"},
    "moganet_xlarge": {"arch": "x-large"},
    "moganet_xtiny-attn_force_fp32": {"arch": "x-tiny", "attn_force_fp32": True},
}

PROJECTIONS = 64


def noise(name: str, *shape: int) -> Tensor:
    """Numbers in [-1, 1), always the same for the same name."""
    size = math.prod(shape)
    words = np.random.PCG64(zlib.crc32(name.encode())).random_raw((size + 1) // 2).view("<u4")
    return torch.from_numpy((words[:size] >> 8).astype(np.float32) / 2**23 - 1).reshape(shape)


def images() -> Tensor:
    """One image, not square so that height and width cannot be confused: (1, 3, 64, 96)."""
    return 2 * noise("images", 1, 3, 64, 96)


def fill(model: nn.Module) -> None:
    """Gives every parameter and buffer made-up values under which signals keep their size."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            values = noise(name, *tensor.shape)
            if name.endswith("num_batches_tracked"):
                values.zero_()
            elif name.endswith("running_var"):
                values = 1 + values / 2
            elif "layer_scale" in name or name.endswith("sigma.scale"):
                values = values / 4
            elif name.endswith(("bias", "running_mean")):
                values = values / 5
            elif tensor.ndim == 1:
                values = 1 + values / 3
            else:
                values = values * math.sqrt(3 / tensor[0].numel())
            tensor.copy_(values)


def sketch(feature_map: Tensor, stage: int) -> Tensor:
    """Random projections, which keep the relative distance of two maps to about a tenth."""
    projections = noise(f"sketch{stage}", PROJECTIONS, feature_map.numel()).double()
    return projections @ feature_map.flatten().double()


def released_network(source: str) -> type[nn.Module]:
    """Runs the released file with stand-ins for what today's timm lacks and OpenMMLab left out."""
    import timm.layers

    registry = ModuleType("timm.models.registry")
    registry.register_model = lambda entrypoint: entrypoint
    sys.modules.update({"timm.models.layers": timm.layers, registry.__name__: registry})
    sys.modules.update(dict.fromkeys(("mmcv", "mmseg", "mmdet", "mmpose")))
    module = ModuleType("released_moganet")
    exec(compile(source, "moganet.py", "exec"), module.__dict__)
    return module.MogaNet


def compute(network: type[nn.Module], options: dict[str, object]) -> dict[str, np.ndarray]:
    model = network(**options).eval()
    fill(model)
    dtype = torch.float32 if "attn_force_fp32" in options else torch.float64
    model.to(dtype)
    maps: list[Tensor] = []
    for stage in (1, 2, 3, 4):
        getattr(model, f"norm{stage}").register_forward_hook(lambda *call: maps.append(call[2]))
    with torch.inference_mode():
        logits = model(images().to(dtype))
    found = {"logits": logits.double().numpy()}
    for stage, feature_map in enumerate(maps, 1):
        found[f"map{stage}"] = sketch(feature_map, stage).numpy()
        found[f"shape{stage}"] = np.array(feature_map.shape)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", required=True, type=Path, help="clone of Westlake-AI/MogaNet")
    repo = parser.parse_args().repo

    def git(*command: str) -> str:
        return subprocess.check_output(["git", "-C", repo, *command], text=True)

    network = released_network(git("show", "HEAD:models/moganet.py"))
    arrays: dict[str, np.ndarray] = {"commit": np.array(git("rev-parse", "HEAD").strip())}
    for case, options in CASES.items():
        for name, value in compute(network, options).items():
            arrays[f"{case}/{name}"] = value
        print(case, arrays[f"{case}/logits"].std())
    np.savez_compressed(REFERENCE, **arrays)


if __name__ == "__main__":
    main()
