"""The segmentors of Tables 5 and A11, made of mmseg's own configurations."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from mmseg.models.utils import Upsample
from mmseg.registry import MODELS
from torch import nn

from mogabench.openmmlab.backbone import TimmBackbone
from mogabench.openmmlab.configs import build_network, read_config, set_classes
from mogabench.openmmlab.pyramid import pyramid_of

if TYPE_CHECKING:
    from torch import Tensor

    from mogabench.subject import Subject

ADE20K_CLASSES = 150

_CONFIGS = {
    "semantic_fpn": "_base_/models/fpn_r50.py",
    "upernet": "_base_/models/upernet_r50.py",
}


def build_segmentor(subject: Subject, *, crop: tuple[int, int] | None = None) -> nn.Module:
    """Builds a segmentor of mmseg; valid under ``torch.device("meta")``.

    UperNet has an auxiliary FCN head on the third map, for training alone: its parameters are
    counted in the tables, its operations are not. Options of the subject are ``num_classes`` (150
    by default) and those of the backbone.

    Args:
        subject: A method, a backbone and options.
        crop: ``(H, W)`` that smaller training images are padded to.

    Raises:
        UserError: The backbone is unknown or gives no pyramid, or an option does not fit.
    """
    options: dict[str, Any] = dict(subject.options)
    classes = options.pop("num_classes", ADE20K_CLASSES)
    model = read_config("mmseg", _CONFIGS[subject.method]).model
    pyramid = pyramid_of(subject.backbone, options)
    channels = list(pyramid.channels)
    model.pretrained = None
    model.backbone = {
        "type": TimmBackbone.__name__,
        "name": subject.backbone,
        "image_size": subject.input_size,  # not the crop: windows would shift otherwise in training
        **options,
    }
    model.data_preprocessor.update(mean=pyramid.mean, std=pyramid.std, size=crop)
    if "neck" in model:
        model.neck.in_channels = channels
    else:
        model.decode_head.in_channels = channels
    if "auxiliary_head" in model:
        model.auxiliary_head.in_channels = channels[model.auxiliary_head.in_index]
    set_classes(model, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of mmseg's, about its own calls and its default loss
        segmentor: nn.Module = build_network(MODELS, model)
    return segmentor


class Logits(nn.Module):
    """A segmentor as a graph: no padding before, no resizing after it.

    Args:
        segmentor: Its backbone, neck and head.
    """

    def __init__(self, segmentor: nn.Module) -> None:
        super().__init__()
        self.segmentor = segmentor
        for name, module in list(segmentor.named_modules()):
            if isinstance(module, Upsample):  # it makes integers of the size, which fixes that
                segmentor.set_submodule(name, _upsample(module))

    def forward(self, images: Tensor) -> Tensor:
        """Maps preprocessed images ``(N, 3, H, W)`` to logits ``(N, classes, H/4, W/4)``."""
        segmentor: Any = self.segmentor
        logits: Tensor = segmentor.decode_head(segmentor.extract_feat(images))
        return logits


def _upsample(module: Upsample) -> nn.Upsample:
    """PyTorch's module for mmseg's."""
    return nn.Upsample(
        size=module.size,
        scale_factor=module.scale_factor,
        mode=module.mode,
        align_corners=module.align_corners,
    )
