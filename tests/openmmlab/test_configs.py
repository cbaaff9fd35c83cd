"""The adapter in mmdet's and mmseg's own configurations, trained by mmengine's own Runner."""

from importlib.resources import files

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner

from mogabench.data.shapes import sample_shapes
from mogabench.errors import UserError
from mogabench.openmmlab import TimmBackbone, configs

SIZE = (96, 96)
CHANNELS = {"resnet10t": [64, 128, 256, 512], "moganet_xtiny": [32, 64, 96, 192]}


@pytest.fixture
def classifier(tmp_path):
    file = tmp_path / "classifier.pth"
    network = timm.create_model("resnet10t")
    torch.save({"state_dict": network.state_dict()}, file)
    return file, network


def read(package, path, scope, backbone, tmp_path):
    """A configuration of a toolkit, with another backbone and the sample's data."""
    config = Config.fromfile(str(files(package) / ".mim" / "configs" / path))
    config.custom_imports = {"imports": ["mogabench.openmmlab"], "allow_failed_imports": False}
    config.model.backbone = {"type": "TimmBackbone", **backbone}
    config.model.neck.in_channels = CHANNELS[backbone["name"]]
    config.default_scope = scope
    for part in ("val", "test"):
        config.update({f"{part}_{name}": None for name in ("dataloader", "cfg", "evaluator")})
    config.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    config.train_dataloader.dataset.indices = 4
    config.param_scheduler = []
    config.work_dir = str(tmp_path / "work")
    return config


def train(config):
    """The losses of each step, and the runner."""
    runner = Runner.from_cfg(config)
    steps = []
    original = runner.model.train_step

    def train_step(*args, **kwargs):
        steps.append({name: value.item() for name, value in original(*args, **kwargs).items()})
        return {name: torch.tensor(value) for name, value in steps[-1].items()}

    runner.model.train_step = train_step
    runner.train()
    return steps, runner


@pytest.mark.slow
def test_mmdets_own_retinanet_trains_with_it(tmp_path, classifier):
    file, network = classifier
    backbone = {
        "name": "resnet10t",
        "init_cfg": {"type": "Pretrained", "checkpoint": str(file)},
        "frozen_stages": 1,
    }
    path = "retinanet/retinanet_r50_fpn_1x_coco.py"
    config = read("mmdet", path, "mmdet", backbone, tmp_path)
    config.model.bbox_head.num_classes = 3
    config.train_dataloader.dataset.update(
        data_root=str(sample_shapes() / "coco") + "/",
        metainfo={"classes": ("disc", "square", "triangle")},
    )
    for step in config.train_dataloader.dataset.pipeline:
        if step["type"] == "Resize":
            step["scale"] = SIZE
    config.train_cfg.update(max_epochs=1)
    steps, runner = train(config)
    assert len(steps) == 2
    assert all(torch.isfinite(torch.tensor(list(step.values()))).all() for step in steps)
    # What is frozen is the file's, and what is not has moved on from it.
    ours, theirs = runner.model.backbone.network.state_dict(), network.state_dict()
    assert torch.equal(ours["layer1.0.conv1.weight"], theirs["layer1.0.conv1.weight"])
    moved = (ours["layer4.0.conv1.weight"] - theirs["layer4.0.conv1.weight"]).abs().max()
    assert 0 < moved < 0.1


@pytest.mark.slow
def test_mmsegs_own_semantic_fpn_trains_with_it(tmp_path):
    backbone = {"name": "moganet_xtiny", "dims": [32, 64, 96, 192]}
    path = "sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py"
    config = read("mmseg", path, "mmseg", backbone, tmp_path)
    config.model.pretrained = None
    config.model.decode_head.norm_cfg = config.model.neck.norm_cfg = {"type": "BN"}
    config.model.data_preprocessor.size = SIZE
    config.norm_cfg = {"type": "BN"}
    config.train_dataloader.dataset.update(
        data_root=str(sample_shapes() / "ade"),
        img_suffix=".png",
    )
    for step in config.train_dataloader.dataset.pipeline:
        if step["type"] == "RandomResize":
            step["scale"] = SIZE
        if step["type"] == "RandomCrop":
            step["crop_size"] = SIZE
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": 2, "val_interval": 10}
    steps, _ = train(config)
    assert len(steps) == 2
    assert all(torch.isfinite(torch.tensor(list(step.values()))).all() for step in steps)


def test_pretrained_and_out_indices(classifier):
    file, network = classifier
    backbone = MODELS.build(
        {
            "type": "TimmBackbone",
            "name": "resnet10t",
            "pretrained": str(file),
            "out_indices": [1, 3],
        }
    )
    backbone.init_weights()
    assert torch.equal(backbone.network.state_dict()["conv1.0.weight"], network.conv1[0].weight)
    with torch.no_grad():
        levels = backbone(torch.rand(1, 3, 64, 64))
    assert [tuple(level.shape) for level in levels] == [(1, 128, 8, 8), (1, 512, 2, 2)]


def test_errors_of_a_wrong_backbone(tmp_path):
    with pytest.raises(UserError, match=r"out_indices=\[4\] should be some of 0, 1, 2 and 3"):
        TimmBackbone("resnet10t", out_indices=[4])
    random = TimmBackbone("resnet10t", init_cfg={"type": "Xavier", "layer": "Conv2d"})
    with pytest.raises(UserError, match=r"takes init_cfg=dict\(type='Pretrained'"):
        random.init_weights()
    missing = TimmBackbone("resnet10t", pretrained=str(tmp_path / "none.pth"))
    with pytest.raises(UserError, match=r"cannot read the weights .*none.pth"):
        missing.init_weights()


@pytest.mark.parametrize(("processes", "device", "name"), [(1, "cpu", "SyncBN"), (2, "cpu", "BN")])
def test_batch_norms_follow_the_device_of_the_job(monkeypatch, processes, device, name):
    monkeypatch.setattr(configs, "get_world_size", lambda: processes)
    monkeypatch.setattr("mmengine.device.utils.DEVICE", device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # though the job is on a CPU
    assert configs.batch_norm() == name
    assert not configs.has_common_statistics()
    with torch.device("meta"):  # what is counted is the same for any number of processes
        assert configs.batch_norm() == "SyncBN"
    monkeypatch.setattr("mmengine.device.utils.DEVICE", "cuda")
    assert configs.batch_norm() == "SyncBN"
    assert configs.has_common_statistics() == (processes == 2)
