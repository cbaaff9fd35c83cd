"""Files are written by the toolkits themselves wherever they are installed."""

import hashlib
import os
import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict, defaultdict
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook
from packaging.version import Version
from safetensors.torch import save_file
from timm.utils import CheckpointSaver, ModelEmaV3
from torch import nn

from mogabench.checkpoints import read_state_dict
from mogabench.errors import UserError


def _assert_equal(read, expected):
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[name], expected[name]) for name in expected)


@pytest.fixture
def averaged():
    """A trained network and its average, which differ."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    average = ModelEmaV3(model, decay=0.5)
    with torch.no_grad():
        model[0].weight.add_(1)
    average.update(model)
    assert not torch.equal(model[0].weight, average.module[0].weight)
    return model, average


def test_timm_file_gives_the_average_or_the_trained_weights(averaged, tmp_path):
    model, average = averaged
    args = Namespace(model="moganet_small", opt_betas=[0.9, 0.999], drop=None)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    scaler = SimpleNamespace(state_dict_key="amp_scaler", state_dict=lambda: {"scale": 65536.0})
    saver = CheckpointSaver(
        model, optimizer, args, average, scaler, checkpoint_dir=str(tmp_path), max_history=1
    )
    saver.save_checkpoint(epoch=7, metric=83.4)

    path = tmp_path / "last.pth.tar"
    checkpoint = read_state_dict(path)
    _assert_equal(checkpoint.state_dict, average.module.state_dict())
    assert checkpoint.entry == "state_dict_ema"
    assert checkpoint.meta == {
        "arch": "moganet_small",
        "epoch": 7,
        "metric": 83.4,
        "args": vars(args),
    }
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    _assert_equal(read_state_dict(path, prefer_ema=False).state_dict, model.state_dict())


def test_mmengine_file_has_the_average_under_the_plain_name(averaged, tmp_path):
    model, _ = averaged
    hook = EMAHook(momentum=0.5)
    runner = SimpleNamespace(model=model)
    hook.before_run(runner)
    trained = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight.mul_(3)
    hook.ema_model.steps += 1
    hook.ema_model.update_parameters(model)
    payload = {"meta": {"epoch": 1}, "state_dict": dict(model.state_dict())}
    hook.before_save_checkpoint(runner, payload)
    path = tmp_path / "epoch_1.pth"
    torch.save(payload, path)

    average = read_state_dict(path).state_dict["0.weight"]
    torch.testing.assert_close(average, 0.5 * trained + 0.5 * 3 * trained)
    raw = read_state_dict(path, prefer_ema=False).state_dict["module.0.weight"]
    torch.testing.assert_close(raw, 3 * trained)


@pytest.mark.parametrize(
    ("payload", "entry"),
    [
        (lambda w: w, ""),
        (lambda w: {"model": w, "optimizer": {}}, "model"),
        (lambda w: {"model": {}, "model_ema": w}, "model_ema"),
        (lambda w: {"meta": {"CLASSES": ("cat",)}, "state_dict": w}, "state_dict"),
        (lambda w: {"epoch": 1, "model_state_dict": w}, "model_state_dict"),
        (lambda w: {"net": w, "acc": 93.5}, "net"),
        (lambda w: {"params": {}, "params_ema": w}, "params_ema"),
        (lambda w: {"weight": w}, "weight"),
        (lambda w: {"module": w, "optimizer": {"x": torch.ones(1)}}, "module"),
        (lambda w: {"model": {}, "ema": {"module": w, "updates": 7}}, "ema.module"),
        (lambda w: {"model": {"state_dict": w}, "epoch": torch.tensor(1)}, "model.state_dict"),
        (lambda w: {"my_network": w, "optimizer": {"x": torch.ones(1)}}, "my_network"),
        (lambda w: defaultdict(dict, state_dict=OrderedDict(w)), "state_dict"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_other_layouts_in_new_and_old_format(payload, entry, zipped, tmp_path):
    weights = {"a.weight": torch.randn(2, 3), "a.steps": torch.tensor(4)}
    path = tmp_path / "weights.pth"
    torch.save(payload(weights), path, _use_new_zipfile_serialization=zipped)
    checkpoint = read_state_dict(path)
    _assert_equal(checkpoint.state_dict, weights)
    assert checkpoint.entry == entry


@pytest.mark.parametrize("name", ["weights.safetensors", "renamed.pth"])
def test_safetensors(name, tmp_path):
    weights = {"a.weight": torch.randn(2, 3), "a.steps": torch.tensor(4)}
    save_file(weights, tmp_path / name)
    _assert_equal(read_state_dict(tmp_path / name).state_dict, weights)


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_best_score_of_mmpose_is_a_numpy_number(module, tmp_path):
    score = {"meta": {"hook_msgs": {"best_score": np.float64(0.774)}}}
    torch.save(score | {"state_dict": {"w": torch.ones(1)}}, tmp_path / "written.pth")
    path = tmp_path / "pose.pth"
    written = np.float64(0).__reduce__()[0].__module__.encode()
    with zipfile.ZipFile(tmp_path / "written.pth") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(written, module))
    assert read_state_dict(path).meta["meta"]["hook_msgs"]["best_score"] == 0.774


class _Bomb:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "write",
    [
        torch.save,
        lambda bomb, path: torch.save(bomb, path, _use_new_zipfile_serialization=False),
        lambda bomb, path: torch.save({"state_dict": {}, "args": bomb}, path),
        lambda bomb, path: path.write_bytes(pickle.dumps(bomb, protocol=2)),
    ],
    ids=["zip", "legacy", "beside the weights", "plain pickle"],
)
def test_file_that_would_run_code_is_refused(write, tmp_path):
    path, trace = tmp_path / "bomb.pth", tmp_path / "trace"
    bomb = _Bomb(os.system, f"touch {trace}")
    pickle.loads(pickle.dumps(bomb))
    assert trace.exists(), "the bomb is live"
    trace.unlink()
    write(bomb, path)
    with pytest.raises(UserError, match=f"would run '{os.system.__module__}.system'") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()


@pytest.mark.parametrize("function", [getattr, eval, np.load, nn.Linear])
def test_allow_list_is_narrow(function, tmp_path):
    torch.save(_Bomb(function, "x", "y"), tmp_path / "bomb.pth")
    with pytest.raises(UserError, match=rf"would run '\S*{function.__name__}'"):
        read_state_dict(tmp_path / "bomb.pth")


class _Kind(Enum):
    GOOD = 1


class _Names(list):
    pass


class _Settings(dict):
    """As yacs's CfgNode: a mapping with attributes of its own."""

    def __init__(self, **values):
        super().__init__(values)
        self.frozen = True


class _Slots:
    __slots__ = ("value",)

    def __init__(self):
        self.value = 1


_BESIDE = {
    "arrays": [np.eye(2), np.array(["a", None], dtype=object), np.zeros(1, [("x", "f4")])],
    "numbers": [np.float32(1), np.int64(2), np.bool_(True), np.str_("x"), np.dtype("int8")],
    "mappings": [defaultdict(list, a=[1]), OrderedDict(a=1), _Settings(a=_Settings(b=1))],
    "lists": _Names("ab"),
    "keys": {_Kind.GOOD: 1, Path("a"): {Path("b")}},
    "args": Namespace(output=Path("out"), kind=_Kind.GOOD, when=datetime(2024, 1, 1)),
    "attributes": [SimpleNamespace(a=1), _Slots(), range(3), len, nn.functional.gelu],
    "generators": [np.random.get_state(), np.random.default_rng(0)],
}


_OLD_TORCH = pytest.mark.skipif(
    Version(torch.__version__) < Version("2.14"),
    reason="weights_only refuses lists of a class of their own before PyTorch 2.14",
)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=_OLD_TORCH) if name == "lists" else name for name in _BESIDE],
)
def test_what_lies_beside_the_weights_is_in_nobody_s_way(name, zipped, tmp_path):
    weights, path = {"w": torch.randn(2)}, tmp_path / "w.pth"
    payload = {"state_dict": weights, name: _BESIDE[name]}
    torch.save(payload, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    _assert_equal(read_state_dict(path).state_dict, weights)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_beside_the_weights_does_not_run(zipped, tmp_path):
    path, trace = tmp_path / "w.pth", tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w')"
    pickle.loads(pickle.dumps(_Bomb(eval, code)))
    assert trace.exists(), "the bomb is live"
    trace.unlink()
    payload = {"state_dict": {"w": torch.ones(1)}, "epoch": _Bomb(eval, code)}
    torch.save(payload, path, _use_new_zipfile_serialization=zipped)
    _assert_equal(read_state_dict(path).state_dict, {"w": torch.ones(1)})
    assert not trace.exists()


def test_a_whole_network_that_was_pickled_gives_its_weights(averaged, tmp_path):
    model, average = averaged
    model.register_buffer("hidden", torch.ones(1), persistent=False)
    path = tmp_path / "model.pt"
    torch.save(model, path)
    _assert_equal(read_state_dict(path).state_dict, model.state_dict())
    torch.save({"epoch": 3, "model": model, "ema": average.module}, path)
    _assert_equal(read_state_dict(path).state_dict, average.module.state_dict())
    _assert_equal(read_state_dict(path, prefer_ema=False).state_dict, model.state_dict())


def test_allow_list_does_not_outlive_the_call(tmp_path):
    torch.save({"w": torch.ones(1), "args": Namespace()}, tmp_path / "w.pth")
    read_state_dict(tmp_path / "w.pth")
    assert Namespace not in torch.serialization.get_safe_globals()


def _torch_bytes(payload, folder):
    torch.save(payload, folder / "whole.pth")
    return (folder / "whole.pth").read_bytes()


def _script_bytes(folder):
    torch.jit.script(nn.Linear(2, 2)).save(folder / "script.pt")
    return (folder / "script.pt").read_bytes()


def _safetensors_bytes(folder):
    save_file({"w": torch.ones(1000)}, folder / "w.safetensors")
    return (folder / "w.safetensors").read_bytes()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*deprecated")
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (lambda _: b"", "is empty"),
        (lambda _: b"\n<!DOCTYPE html><title>404</title>", "is a web page"),
        (lambda _: b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (lambda _: b"just a text", "not a checkpoint"),
        (lambda _: pickle.dumps(_Bomb(os.system, "true"), protocol=4), "not a checkpoint"),
        (lambda at: _torch_bytes({"w": torch.ones(1000)}, at)[:-500], "not a checkpoint"),
        (_script_bytes, "not a checkpoint"),
        (lambda at: _safetensors_bytes(at)[:-500], "damaged or incomplete"),
        (lambda at: _torch_bytes([torch.ones(1)], at), "holds no weights, only a list"),
        (lambda at: _torch_bytes({0: torch.ones(1)}, at), "holds no weights, only 0"),
        (lambda at: _torch_bytes({str(n): n for n in range(99)}, at), r"'4', … \(99 in all\)$"),
        (
            lambda at: _torch_bytes({n: {"w": torch.ones(1)} for n in "ab"}, at),
            "holds several sets of tensors, 'a', 'b', none under a name that is known",
        ),
        (lambda at: _torch_bytes({}, at), "only an empty dictionary"),
        (lambda at: _torch_bytes({"optimizer": {}, "epoch": 3}, at), "only 'optimizer', 'epoch'"),
    ],
)
def test_what_is_no_checkpoint_gets_one_clear_line(content, complaint, tmp_path):
    path = tmp_path / "file.pth"
    path.write_bytes(content(tmp_path))
    with pytest.raises(UserError, match=complaint) as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.pth: No such file"):
        read_state_dict(tmp_path / "nothing.pth")
    with pytest.raises(UserError, match="Is a directory"):
        read_state_dict(tmp_path)
