"""``mogabench export`` and ``--runtime`` as whole commands."""

import csv
import json

import onnx
import pytest
import timm
import torch

from mogabench.runtimes import Exported, in_runtime

NETWORK = ("classification", "--backbone", "test_convnext")
TRAINING = ("--set", "schedule.epochs=1", "--set", "schedule.warmup_epochs=0")


@pytest.fixture
def trained(mogabench, folder, tmp_path):
    """Weights of a network that saw three colours once."""
    mogabench(
        *("run", *NETWORK, "--data", folder, "--train", "--recipe", "sample_digits", "-q"),
        *(*TRAINING, "--set", "batch_size=16", "--workers", 0, "--work-dir", tmp_path / "work"),
    )
    return tmp_path / "work" / "weights.pth"


@pytest.mark.slow
def test_weights_say_what_they_are_for(mogabench, trained, tmp_path):
    out, _ = mogabench("export", "--weights", trained, "--to", "onnx")
    assert "wrote test_convnext.onnx: batches of any size" in out
    properties = onnx.load(tmp_path / "test_convnext.onnx").metadata_props
    carried = json.loads(next(item.value for item in properties if item.key == "mogabench"))
    assert carried["classes"] == ["blue", "green", "red"]
    assert carried["task"] == "classification" and carried["backbone"] == "test_convnext"
    assert carried["recipe"] == "sample_digits" and len(carried["weights"]) == 64
    assert len(carried["mean"]) == len(carried["std"]) == 3


def test_what_was_taken_of_the_weights_is_said(mogabench, monkeypatch, tmp_path):
    weights = timm.create_model("test_resnet").state_dict()
    content = {"state_dict": weights, "state_dict_ema": dict(weights)}
    torch.save(content, tmp_path / "both.pth")
    written = Exported(tmp_path / "a.onnx", error=0, any_size=True, input_size=(64, 64))
    monkeypatch.setattr("mogabench.runtimes.export", lambda *_, **__: written)
    command = ("export", "--weights", "both.pth", "--backbone", "test_resnet", "--to", "onnx")
    _, err = mogabench(*command)
    assert "both.pth: several sets of weights: loaded 'state_dict_ema'" in err


@pytest.mark.slow
def test_a_runtime_predicts_what_torch_predicts(mogabench, trained, folder, tmp_path, monkeypatch):
    rows, used = {}, set()

    def spy(network, image, name, *, dtype):
        runtime = in_runtime(network, image, name, dtype=dtype)
        runtime.register_forward_hook(lambda *_: used.add((name, dtype)))
        return runtime

    monkeypatch.setattr("mogabench.engine.run.in_runtime", spy)
    for runtime in ("torch", "onnxruntime", "openvino"):
        file = tmp_path / f"{runtime}.csv"
        out, _ = mogabench(
            *("run", *NETWORK, "--data", folder, "--weights", trained, "--recipe"),
            *(
                "sample_digits",
                *TRAINING,
                "--set",
                "batch_size=16",
                "--workers",
                0,
                "--format",
                "json",
            ),
            *("--runtime", runtime, "--predictions", file),
        )
        assert json.loads(out)["quality"]["provenance"].get("runtime", "torch") == runtime
        rows[runtime] = list(csv.reader(file.read_text().splitlines()))
    assert used == {("onnxruntime", "float32"), ("openvino", "float32")}
    head, *expected = rows.pop("torch")
    assert len(expected) == 12
    for found in rows.values():
        assert found[0] == head
        for one, other in zip(found[1:], expected, strict=True):
            for text, wanted in zip(one, other, strict=True):
                try:
                    assert float(text) == pytest.approx(float(wanted), abs=2e-5)
                except ValueError:
                    assert text == wanted


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--weights", "none.pth", "--to", "onnx"), "there is no file 'none.pth'"),
        (("--weights", "official", "--to", "onxx"), "unknown format 'onxx'; did you mean onnx?"),
        (("--weights", "official", "--to", "pt2"), "give --variant"),
        (
            ("--weights", "official", "--to", "pt2", "-v", "s", "--task", "detection"),
            "a network for detection cannot be exported",
        ),
        (("--weights", "official", "--to", "pt2", "-v", "s", "-o", "a.onnx"), "give a .pt2 file"),
        (("--weights", "official", "--to", "pt2", "-v", "s", "-o", "no/a.pt2"), "that exists"),
        (("--weights", "official", "-v", "s", "-o", "folder.pt2"), "give a .pt2 file in a folder"),
        (("--weights", "official", "-v", "s", "-o", "/proc/a.pt2"), "cannot write to /proc: "),
    ],
)
def test_wrong_exports_are_refused_in_one_line(mogabench, tmp_path, arguments, complaint):
    (tmp_path / "folder.pt2").mkdir()
    _, err = mogabench("export", *arguments, status=2)
    assert complaint in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--train",), "--runtime openvino evaluates on the CPU, without --train"),
        (("--compile",), "without --compile"),
        (("--amp", "float16"), "openvino computes in float32 or bfloat16 here, not in float16"),
    ],
)
def test_what_a_runtime_cannot_do_is_refused(mogabench, trained, folder, arguments, complaint):
    _, err = mogabench(
        *("run", *NETWORK, "--data", folder, "--weights", trained, "--runtime", "openvino"),
        *arguments,
        status=2,
    )
    assert complaint in err
