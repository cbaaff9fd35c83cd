"""Files of whole detectors: this project's, OpenMMLab's, and those that do not fit."""

import pytest
import timm
import torch

from mogabench.checkpoints import load_into
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks.detection.network import build_detector


def subject(method="retinanet", backbone="moganet_xtiny", **options):
    return Subject(
        task="detection",
        method=method,
        backbone=backbone,
        input_size=(64, 64),
        options={"num_classes": 4, **options},
    )


def detector(*args, **options):
    return build_detector(subject(*args, **options))


def load_network(network, file, **changes):
    load_into(network, file, subject(), backbone="backbone.network", **changes)


def saved(network, folder, rename=lambda name: name):
    state = {rename(name): value for name, value in network.state_dict().items()}
    file = folder / "detector.pth"
    torch.save({"meta": {"epoch": 12, "mmdet_version": "2.26.0"}, "state_dict": state}, file)
    return file


@pytest.mark.slow
@pytest.mark.parametrize("begins", ["backbone.network.", "backbone."])
def test_a_whole_detector_loads_whatever_its_backbone_is_wrapped_in(tmp_path, begins):
    trained, fresh = detector(), detector()
    file = saved(trained, tmp_path, lambda name: name.replace("backbone.network.", begins))
    load_network(fresh, file)
    for name, value in trained.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value), name


def test_a_detector_of_another_method_is_refused_by_its_parts(tmp_path):
    file = saved(detector("mask_rcnn"), tmp_path)
    with pytest.raises(UserError, match=r"its parts are backbone, neck, roi_head, rpn_head, .*me"):
        load_network(detector("retinanet"), file)


def test_other_classes_need_a_new_head(tmp_path):
    file = saved(detector(num_classes=3), tmp_path)
    network = detector()
    before = network.bbox_head.retina_cls.weight.clone()
    with pytest.raises(UserError, match=r"is it for other classes\? --new-head trains new ones"):
        load_network(network, file)
    assert torch.equal(network.bbox_head.retina_cls.weight, before)
    load_network(network, file, new_head=True)
    assert torch.equal(network.bbox_head.retina_cls.weight, before)
    assert torch.equal(
        network.bbox_head.retina_reg.weight,
        torch.load(file, weights_only=True)["state_dict"]["bbox_head.retina_reg.weight"],
    )


@pytest.mark.slow
def test_a_detector_on_another_backbone_is_refused(tmp_path):
    file = saved(detector(), tmp_path)
    with pytest.raises(UserError, match=r"does not fit: .*missing"):
        load_network(detector("retinanet", "resnet18"), file)


def test_a_new_head_is_none_for_a_backbone_of_another_width(tmp_path):
    file = saved(detector("retinanet", "test_resnet", num_classes=3), tmp_path)
    wider = detector("retinanet", "test_resnet", channels=(32, 48, 64, 96))
    with pytest.raises(UserError, match=r"of another shape \(backbone\.network\."):
        load_network(wider, file, new_head=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"module.{name}",
        lambda name: f"network.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"student.module.{name}",
        lambda name: name.replace("backbone.network.", "backbone._orig_mod."),
        lambda name: f"model.{name}".replace("backbone.network.", "backbone.module.model."),
    ],
)
def test_wrappers_are_taken_off(tmp_path, rename):
    trained, fresh = detector(), detector()
    load_network(fresh, saved(trained, tmp_path, rename))
    for name, value in trained.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value), name


@pytest.mark.slow
def test_counters_of_thop_and_missing_ones_of_batches(tmp_path):
    trained, fresh = detector(), detector()
    state = {
        name: value
        for name, value in trained.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    counters = {"total_ops": torch.ones(1), "neck.lateral_convs.0.total_params": torch.ones(1)}
    torch.save(state | counters, tmp_path / "detector.pth")
    load_network(fresh, tmp_path / "detector.pth")
    for name, value in state.items():
        assert torch.equal(fresh.state_dict()[name], value), name


@pytest.mark.slow
@pytest.mark.parametrize("prefer_ema", [True, False])
def test_a_training_s_checkpoint_gives_the_average_or_what_was_trained(tmp_path, prefer_ema):
    average, trained, fresh = detector(), detector(), detector()
    checkpoint = {  # as the work folder has it where an average is kept, swapped by mmengine
        "state_dict": {f"network.{name}": v for name, v in average.state_dict().items()},
        "ema_state_dict": {
            "steps": torch.tensor(9),
            **{f"module.network.{name}": v for name, v in trained.state_dict().items()},
        },
        "optimizer": {"state": {}, "param_groups": []},
        "meta": {"epoch": 1, "iter": 9, "seed": 0},
    }
    torch.save(checkpoint, tmp_path / "checkpoint.pth")
    load_network(fresh, tmp_path / "checkpoint.pth", prefer_ema=prefer_ema)
    for name, value in (average if prefer_ema else trained).state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value), name


def test_a_detector_begins_with_a_classifier_of_another_image_size(tmp_path):
    classifier = timm.create_model("swin_tiny_patch4_window7_224")
    torch.save({"model": classifier.state_dict()}, tmp_path / "swin.pth")
    network = detector(backbone="swin_tiny_patch4_window7_224")
    report = load_into(
        network,
        tmp_path / "swin.pth",
        subject(backbone="swin_tiny_patch4_window7_224"),
        backbone="backbone.network",
        train=True,
    )
    name = "backbone.network.layers_0.blocks.0.attn.relative_position_bias_table"
    assert torch.equal(
        network.state_dict()[name],
        classifier.layers[0].blocks[0].attn.relative_position_bias_table,
    )
    assert "head.fc.weight" in report.ignored


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = detector()
    network.bbox_head.retina_cls.bias.data[0] = float("nan")
    with pytest.raises(UserError, match=r"not finite, such as in bbox_head.retina_cls.bias"):
        load_network(detector(), saved(network, tmp_path))
