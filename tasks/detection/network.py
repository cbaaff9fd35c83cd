"""The detectors of Tables 4, A8, A9 and A10, made of mmdet's own configurations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mmdet.registry import MODELS
from torch import Tensor, nn

from mogabench.errors import unknown
from mogabench.openmmlab.backbone import TimmBackbone
from mogabench.openmmlab.configs import build_network, dictionaries, read_config, set_classes
from mogabench.openmmlab.pyramid import pyramid_of
from mogabench.tasks.detection.recipe import scale_of

if TYPE_CHECKING:
    from mmdet.models import BaseDetector

    from mogabench.subject import Subject

COCO_CLASSES = 80

_ROI_SAMPLES = 512
"""How many regions mmdet's configurations sample for the later stages; for the first it is 256."""

_CONFIGS = {
    "retinanet": "_base_/models/retinanet_r50_fpn.py",
    "mask_rcnn": "_base_/models/mask-rcnn_r50_fpn.py",
}
_CASCADES = {
    "4conv1fc": (
        "convnext/cascade-mask-rcnn_convnext-t-p4-w7_fpn_4conv1fc-giou_amp-ms-crop-3x_coco.py"
    ),
    "plain": "_base_/models/cascade-mask-rcnn_r50_fpn.py",
}
"""By the option ``head``: four convolutions and one linear layer, trained with the GIoU loss, as
in all but one of the official releases (Table A10), or two linear layers."""

_OF_BACKBONE = ("frozen_stages", "norm_eval")


def build_detector(subject: Subject, *, roi_samples: int | None = None) -> BaseDetector:
    """Builds a detector of mmdet; valid under ``torch.device("meta")``.

    Options of the subject are ``num_classes`` (80 by default), ``head`` (``4conv1fc`` or ``plain``;
    for the cascade), ``frozen_stages`` and ``norm_eval`` (see `TimmBackbone`), and those of the
    backbone.

    Args:
        subject: A method, a backbone and options.
        roi_samples: Regions of an image that each later stage learns from; None leaves mmdet's 512.

    Raises:
        UserError: The backbone is unknown or gives no pyramid, or an option does not fit.
    """
    options: dict[str, Any] = dict(subject.options)
    classes = options.pop("num_classes", COCO_CLASSES)
    of_adapter = {name: options.pop(name) for name in _OF_BACKBONE if name in options}
    model = read_config("mmdet", _config(subject.method, options)).model
    pyramid = pyramid_of(subject.backbone, options)
    first = model.neck.get("start_level", 0)  # RetinaNet takes no map at stride 4
    divisor = model.data_preprocessor.pad_size_divisor
    longest = divisor * math.ceil(max(scale_of(subject.input_size)) / divisor)
    model.backbone = {
        "type": TimmBackbone.__name__,
        "name": subject.backbone,
        "image_size": (longest, longest),
        "out_indices": list(range(first, len(pyramid.channels))),
        **of_adapter,
        **options,
    }
    model.neck.update(in_channels=list(pyramid.channels[first:]), start_level=0)
    model.data_preprocessor.update(mean=pyramid.mean, std=pyramid.std)
    set_classes(model, classes)
    for part in dictionaries(model):
        if roi_samples and part.get("num") == _ROI_SAMPLES:
            part["num"] = roi_samples
    return build_network(MODELS, model)


class Pyramid(nn.Module):
    """A detector's backbone and neck as a graph."""

    def __init__(self, detector: BaseDetector) -> None:
        super().__init__()
        self.backbone, self.neck = detector.backbone, detector.neck

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps preprocessed images ``(N, 3, H, W)`` to a map for each stride, from the finest."""
        maps: tuple[Tensor, ...] = self.neck(self.backbone(images))
        return maps


def replace_pyramid(detector: BaseDetector, pyramid: nn.Module) -> None:
    """Lets another module, which takes images, compute a detector's maps."""
    detector.backbone, detector.neck = nn.Identity(), pyramid


def _config(method: str, options: dict[str, Any]) -> str:
    if method != "cascade_mask_rcnn":
        return _CONFIGS[method]
    head = options.pop("head", "4conv1fc")
    if head not in _CASCADES:
        raise unknown("head", str(head), _CASCADES)
    return _CASCADES[head]
