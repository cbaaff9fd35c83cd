from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from mogabench.engine.job import Job
from mogabench.openmmlab.model import OpenMMLabModel
from mogabench.subject import Subject
from mogabench.tasks.detection import TASK
from mogabench.tasks.detection.network import build_detector

SIZE = (64, 96)


def _model(method: str, amp: str | None = None, backbone: str = "moganet_xtiny") -> OpenMMLabModel:
    subject = Subject(
        task="detection",
        method=method,
        backbone=backbone,
        input_size=SIZE,
        options={"num_classes": 2},
    )
    options, weights = TASK.Options(), Path("w.pth")
    job = Job(subject, None, "data", options, weights=weights, amp=amp, channels_last=True)
    torch.manual_seed(0)
    model = OpenMMLabModel(build_detector(subject))
    model.adapt(job)
    return model


def _batch() -> dict[str, list[object]]:
    sample = DetDataSample(
        metainfo={
            "img_id": 1,
            "img_shape": SIZE,
            "ori_shape": SIZE,
            "batch_input_shape": SIZE,
            "scale_factor": (1.0, 1.0),
        }
    )
    box = torch.tensor([[10.0, 20.0, 60.0, 50.0]])
    mask = torch.zeros(1, *SIZE, dtype=torch.uint8)
    mask[:, 20:50, 10:60] = 1
    sample.gt_instances = InstanceData(
        bboxes=box, labels=torch.tensor([1]), masks=BitmapMasks(mask.numpy(), *SIZE)
    )
    image = torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8)
    return {"inputs": [image], "data_samples": [sample]}


@pytest.mark.parametrize(
    ("method", "backbone"),
    [
        ("retinanet", "moganet_xtiny"),
        ("retinanet", "test_convnext"),
        ("retinanet", "test_vit"),
        ("mask_rcnn", "moganet_xtiny"),
        pytest.param("cascade_mask_rcnn", "moganet_xtiny", marks=pytest.mark.slow),
    ],
)
def test_training_reaches_every_part(method: str, backbone: str) -> None:
    model = _model(method, backbone=backbone).train()
    data = model.data_preprocessor(_batch(), training=True)
    losses = model(**data, mode="loss")
    total, _ = model.parse_losses(losses)
    total.backward()
    idle = [
        name
        for name, parameter in model.network.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all()
    ]
    assert idle == []


def test_predictions_under_autocast_are_in_full_precision() -> None:
    model = _model("mask_rcnn", amp="bfloat16").eval()
    pooled, maps = [], []
    model.network.backbone.network.patch_embed1.projection[0].register_forward_hook(
        lambda _module, _inputs, output: maps.append(output)
    )
    model.network.roi_head.bbox_roi_extractor.roi_layers[0].register_forward_hook(
        lambda _module, inputs, _output: pooled.append(inputs[1].dtype)
    )
    with torch.no_grad():
        (sample,) = model.val_step(_batch())
    found = sample.pred_instances
    assert 0 < len(found) <= 100
    assert found.bboxes.dtype == found.scores.dtype == torch.float32
    assert found.masks.shape == (len(found), *SIZE)
    assert set(pooled) == {torch.float32}
    (features,) = maps
    assert features.dtype == torch.bfloat16
    assert features.is_contiguous(memory_format=torch.channels_last)


def test_the_runner_does_not_draw_new_weights() -> None:
    model = _model("retinanet")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.init_weights()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
