"""Exported files, read back without this project's code wherever the runtime itself can tell."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional
from torch.onnx._internal.exporter import _onnx_program

import mogabench.models  # noqa: F401  (registers MogaNet with timm)
from mogabench.engine.job import Job
from mogabench.errors import UserError
from mogabench.models.simvp import SimVP
from mogabench.openmmlab.model import OpenMMLabModel
from mogabench.runtimes import FORMATS, RUNTIMES, check_runtime, export, in_runtime
from mogabench.runtimes import exporting as module
from mogabench.runtimes.runtime import TensorRT
from mogabench.subject import Subject
from mogabench.tasks import get_task

IMAGE = torch.zeros(1, 3, 64, 64)


@pytest.fixture(scope="module")
def network(randomise):
    return randomise(timm.create_model("moganet_xtiny", num_classes=7, depths=(1, 1, 2, 1)))


@pytest.fixture(scope="module")
def files(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    written = {}
    for name, form in FORMATS.items():
        written[name] = export(
            network, IMAGE, folder / f"n{form.ending}", name, description={"classes": ["cat", "☃"]}
        )
    return written


def shallow(task: str, method: str) -> Subject:
    options = (("depths", [1, 1, 1, 1]),)
    size = (64, 96)
    return Subject(
        task=task, method=method, backbone="moganet_xtiny", input_size=size, options=options
    )


def run(name: str, file: Path, images: torch.Tensor) -> np.ndarray:
    if name == "onnx":
        return onnxruntime.InferenceSession(file).run(None, {"images": images.numpy()})[0]
    if name == "openvino":
        precise = {"INFERENCE_PRECISION_HINT": "f32"}  # else bfloat16, where the processor has it
        return openvino.Core().compile_model(file, "CPU", precise)(images.numpy())[0]
    return torch.export.load(file).module()(images).detach().numpy()


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (9, 3, 96, 160), (2, 3, 32, 32)])
@pytest.mark.parametrize("name", FORMATS)
def test_files_compute_the_same_for_any_batch_and_size(network, files, name, shape):
    images = torch.randn(shape)
    if name == "pt2" and max(shape[2:]) == 32:
        with pytest.raises(AssertionError, match="Guard failed"):  # PyTorch wants maps of two cells
            run(name, files[name].file, images)
        return
    with torch.inference_mode():
        expected = network(images).numpy()
    found = run(name, files[name].file, images)
    assert files[name].any_size
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.slow
def test_files_carry_their_description(files):
    properties = {item.key: item.value for item in onnx.load(files["onnx"].file).metadata_props}
    model = openvino.Core().read_model(files["openvino"].file)
    extra = {"mogabench": ""}
    torch.export.load(files["pt2"].file, extra_files=extra)
    for text in (
        properties["mogabench"],
        model.get_rt_info(["mogabench"]).value,
        extra["mogabench"],
    ):
        assert json.loads(text) == {"classes": ["cat", "☃"]}


@pytest.mark.slow
def test_the_fused_form_is_written_unless_not_wanted(network, files, tmp_path):
    plain = export(network, IMAGE, tmp_path / "plain.onnx", "onnx", fused=False)
    norms = [
        sum(node.op_type == "BatchNormalization" for node in onnx.load(file).graph.node)
        for file in (files["onnx"].file, plain.file)
    ]
    assert norms[0] == 0 < norms[1]


@pytest.mark.slow
def test_a_network_of_one_size_is_written_for_that_size(tmp_path):
    vit = timm.create_model("deit_tiny_patch16_224", img_size=64).eval()
    written = export(vit, IMAGE, tmp_path / "vit.onnx", "onnx")
    images = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        np.testing.assert_allclose(run("onnx", written.file, images), vit(images), atol=1e-5)
    assert not written.any_size


@pytest.mark.slow
def test_a_file_that_computes_something_else_is_not_kept(monkeypatch, tmp_path):
    network, other = (timm.create_model("test_convnext") for _ in range(2))
    nn.init.normal_(other.head.fc.weight)
    monkeypatch.setattr(module, "fuse", lambda _: other.eval())
    with pytest.raises(UserError, match=r"x\.onnx was not written: its outputs differ"):
        export(network, IMAGE, tmp_path / "x.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


class Spoilt(nn.Module):
    """A network, with NaN in its place for batches of three."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        left = torch.ones_like(images[:, 0, 0, 0]).sum() - 3
        return self.network(images) * (left / left)


def test_a_file_that_gives_nan_for_another_batch_is_not_kept(monkeypatch, tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)).eval()
    monkeypatch.setattr(module, "fuse", Spoilt)
    with pytest.raises(UserError, match=r"x\.pt2 was not written: .* by nan"):
        export(network, IMAGE, tmp_path / "x.pt2", "pt2")
    assert list(tmp_path.iterdir()) == []


def test_weights_beside_the_intermediate_file_are_not_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(_onnx_program, "_LARGE_MODEL_THRESHOLD", 0)  # of 1.5 GiB
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.AdaptiveAvgPool2d(1)).eval()
    export(network, IMAGE, tmp_path / "x.xml", "openvino")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.bin", "x.xml"]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_sequences(randomise, runtime):
    network = randomise(SimVP("moganet", hidden_dim=16, encoder_dim=8, depth=2))
    frames = torch.rand(2, 10, 1, 32, 32)
    found = in_runtime(network, frames[:1], runtime)(frames)
    with torch.inference_mode():
        torch.testing.assert_close(found, network(frames), rtol=1e-4, atol=1e-5)


class WindowedAttention(nn.Module):
    """Attention within windows, with the windows as an axis of their own, as Hiera has it."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Conv2d(3, 24, 8, 8)

    def forward(self, images):
        n, c, h, w = (maps := self.qkv(images)).shape
        maps = maps.reshape(n, 3, 2, c // 6, h * w // 4, 4).permute(1, 0, 2, 4, 5, 3)
        return functional.scaled_dot_product_attention(*maps).mean((2, 3)).flatten(1)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_attention_over_more_axes_than_the_exporter_knows(runtime):
    network, images = WindowedAttention().eval(), torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        found, expected = in_runtime(network, images[:1], runtime)(images), network(images)
    assert float((found - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_pooling_to_a_number_of_cells_at_any_size(runtime):
    """Sizes that the cells divide and that they do not, and fewer places than cells."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d((2, 6)), nn.Conv2d(4, 2, 1))
    network.append(nn.AdaptiveAvgPool2d(1))
    graph = in_runtime(network.eval(), IMAGE, runtime)
    for height, width in ((64, 64), (96, 160), (13, 17), (3, 5)):
        images = torch.randn(2, 3, height, width)
        with torch.inference_mode():
            torch.testing.assert_close(graph(images), network(images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("beside", [nn.Identity(), nn.AdaptiveAvgPool2d(2)])
def test_global_pooling_is_written_as_a_mean(beside, tmp_path):
    """As every block of MogaNet has it: products with shares would be slower."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), beside, nn.AdaptiveAvgPool2d(1)).eval()
    export(network, IMAGE, tmp_path / "n.onnx", "onnx")
    counts = Counter(node.op_type for node in onnx.load(tmp_path / "n.onnx").graph.node)
    assert counts["ReduceMean"] + counts["GlobalAveragePool"] == 1
    assert counts["MatMul"] == (2 if isinstance(beside, nn.AdaptiveAvgPool2d) else 0)


@pytest.mark.slow
def test_bfloat16_in_openvino(network):
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(images)
    runtime = in_runtime(network, IMAGE, "openvino", dtype="bfloat16")
    found = runtime(images)
    assert runtime.compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
    assert float((found - expected).norm() / expected.norm()) < 0.05


class WithoutBfloat16:
    """OpenVINO on a processor without bfloat16, where it drops what asks for that."""

    def compile_model(self, model, device, options):
        return openvino.Core().compile_model(
            model, device, options | {"INFERENCE_PRECISION_HINT": "f32"}
        )


def test_bfloat16_is_refused_where_the_processor_lacks_it(monkeypatch):
    stand_in = SimpleNamespace(Core=WithoutBfloat16)
    monkeypatch.setattr("mogabench.runtimes.runtime.import_runtime", lambda _: stand_in)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)).eval()
    with pytest.raises(UserError, match="OpenVINO has no bfloat16 on this processor"):
        in_runtime(network, IMAGE, "openvino", dtype="bfloat16")


@pytest.mark.slow
def test_a_runtime_computes_on_as_many_threads_as_asked(files):
    session = RUNTIMES["onnxruntime"](files["onnx"].file, threads=2).session
    assert session.get_session_options().intra_op_num_threads == 2
    # OpenVINO takes all cores by itself, and never more.
    compiled = RUNTIMES["openvino"](files["openvino"].file, threads=1).compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    with pytest.raises(UserError, match=r"at most \d+ threads here, not on 999"):
        RUNTIMES["openvino"](files["openvino"].file, threads=999)


EXHAUSTED = """
import resource, sys
from pathlib import Path
import torch
from mogabench.errors import OutOfMemoryError
from mogabench.runtimes import RUNTIMES

runtime = RUNTIMES[sys.argv[1]](Path(sys.argv[2]), threads=1)
runtime(torch.zeros(1, 3, 64, 64))
images = torch.zeros(256, 3, 128, 128)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 2**24
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    print(len(runtime(images)))
except OutOfMemoryError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
@pytest.mark.parametrize(("name", "form"), [("onnxruntime", "onnx"), ("openvino", "openvino")])
def test_a_runtime_without_memory_says_so(files, name, form):
    """OpenVINO does not: it gives the outputs of the call before."""
    command = [sys.executable, "-c", EXHAUSTED, name, str(files[form].file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{name} fails on inputs of 256x3x128x128: ")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["semantic_fpn", "upernet"])
def test_a_segmentor_gives_its_logits_and_goes_on_as_before(randomise, method):
    task = get_task("segmentation")
    subject = shallow(task.name, method)
    segmentor = randomise(task.build(subject))
    images, larger, calls = torch.randn(2, 3, 64, 96), torch.randn(1, 3, 160, 128), []
    with torch.inference_mode():
        expected = segmentor(images), segmentor.predict(images)[0].seg_logits.data
        of_larger = segmentor(larger)
        graph = in_runtime(task.graph(segmentor), images[:1], "onnxruntime")
        graph.register_forward_hook(lambda *_: calls.append(graph))
        there = task.with_graph(segmentor, graph)
        found = there(images), there.predict(images)[0].seg_logits.data, there(larger)
    for one, other in zip(found, (*expected, of_larger), strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-5
    assert len(calls) == 3
    model = OpenMMLabModel(there).eval()
    model.adapt(Job(subject, None, "data", task.Options(), weights=Path("w.pth")))
    with pytest.raises(UserError, match="the network gives numbers that are not finite"):
        model.predict(images.fill_(torch.inf), None)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["retinanet", "mask_rcnn"])
def test_a_detector_goes_on_as_before_from_the_maps_of_a_runtime(randomise, method):
    task = get_task("detection")
    subject = shallow(task.name, method)
    network = randomise(task.build(subject))
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        expected, maps = network(images), network.detector.extract_feat(images)
        graph = in_runtime(task.graph(network), images[:1], "openvino")
        assert [m.shape for m in graph(images)] == [m.shape for m in maps]
        there = task.with_graph(network, graph)
        assert not list(there.detector.backbone.parameters())
        found = there(images)
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-5


def test_what_cannot_be_exported_is_refused(network, monkeypatch):
    with pytest.raises(UserError, match="onnxruntime computes in float32 here, not in bfloat16"):
        in_runtime(network, IMAGE, "onnxruntime", dtype="bfloat16")
    with pytest.raises(UserError, match="valid: torch, onnxruntime, openvino, tensorrt"):
        in_runtime(network, IMAGE, "onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"openvino is not installed: pip install 'mogabench\[run"):
        in_runtime(network, IMAGE, "openvino")


@pytest.mark.skipif(
    TensorRT.provider in onnxruntime.get_available_providers(), reason="TensorRT is here"
)
def test_tensorrt_is_refused_where_onnx_runtime_would_compute_on_the_cpu(files, monkeypatch):
    with pytest.raises(UserError, match="tensorrt needs the ONNX Runtime for GPUs"):
        check_runtime("tensorrt", "float16")
    monkeypatch.setattr(TensorRT, "device", "cpu")  # else no inputs could be made here
    with (
        pytest.warns(UserWarning, match="provider"),
        pytest.raises(UserError, match="cannot start its TensorrtExecutionProvider"),
    ):
        TensorRT(files["onnx"].file)


class Branching(nn.Module):
    """A network that looks at its values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_cannot_be_traced_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"torch\.export cannot trace this network: [^\n]+$"):
        export(Branching(), IMAGE, tmp_path / "x.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []
