"""Files of whole detectors: this project's, OpenMMLab's, and those that do not fit."""

import pytest
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


def test_a_detector_on_another_backbone_is_refused(tmp_path):
    file = saved(detector(), tmp_path)
    with pytest.raises(UserError, match=r"does not fit: .*missing"):
        load_network(detector("retinanet", "resnet18"), file)


@pytest.mark.parametrize("wrapper", ["module.", "network.", "module._orig_mod."])
def test_wrappers_are_taken_off(tmp_path, wrapper):
    trained, fresh = detector(), detector()
    load_network(fresh, saved(trained, tmp_path, lambda name: wrapper + name))
    for name, value in trained.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value), name


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = detector()
    network.bbox_head.retina_cls.bias.data[0] = float("nan")
    with pytest.raises(UserError, match=r"not finite, such as in bbox_head.retina_cls.bias"):
        load_network(detector(), saved(network, tmp_path))
