"""``--check openstl``: against OpenSTL itself where its source is, else against a stand-in."""

import sys
from dataclasses import replace

import pytest
import torch

from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.models.simvp import SimVP
from mogabench.tasks.video import TASK

BUILT_BY_NEW_TIMM = (
    *("mlpmixer", "convmixer", "poolformer", "uniformer"),
    *("incepu", "convnext", "van", "hornet", "moganet", "gsta", "tau"),
)
"""Translators of OpenSTL that a timm of 2025 can build; its Swin and ViT need an older one."""


@pytest.fixture
def evaluation(job, tmp_path, monkeypatch):
    """Makes the evaluation of a very small network's random weights."""
    monkeypatch.setattr("mogabench.tasks.video.data.TEST_SEQUENCES", 5)
    torch.manual_seed(0)
    weights = SimVP(input_size=(4, 1, 32, 32), encoder_dim=16, hidden_dim=32, depth=2)
    torch.save(weights.state_dict(), tmp_path / "weights.pth")

    def make(**changes):
        made = job(train=False, weights=tmp_path / "weights.pth")
        subject = made.subject.model_copy(update={"input_size": (4, 1, 32, 32)})
        return replace(made, subject=subject, options=TASK.Options(check="openstl"), **changes)

    return make


STAND_IN = """
import sys
from mogabench.models.simvp import SimVP

class SimVP_Model(SimVP):
    def __init__(self, in_shape, hid_S, hid_T, N_S, N_T, model_type, mlp_ratio):
        assert model_type == "moga"
        super().__init__("moganet", input_size=in_shape, encoder_dim=hid_S, hidden_dim=hid_T,
                         depth=N_T, mlp_ratio=mlp_ratio)

    def forward(self, frames):
        return super().forward(frames) + sys.openstl_shift
"""

METRICS = """
def metric(pred, true, metrics, return_log):
    if metrics == ["ssim"] and len(pred) == 1:  # the last batch
        raise ValueError("too new. Take an older one.")
    return {metrics[0]: len(pred)}, ""
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A package named openstl, whose frames are ours and whose metrics are the batch's size."""
    files = {"__init__.py": "", "models/simvp_model.py": STAND_IN, "core/metrics.py": METRICS}
    for name, content in files.items():
        file = tmp_path / "site" / "openstl" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(sys, "openstl_shift", 0.0, raising=False)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "openstl"]:
        del sys.modules[name]


def test_equal_frames_are_noted_with_the_metrics(evaluation, stand_in):
    outcome = run(evaluation(batch_size=4), TASK)
    mean = (4 * 4 + 1 * 1) / 5  # of batches of four and one, by the sequences in each
    assert outcome.notes[-2].endswith(f"mse {mean:g}, mae {mean:g}, psnr {mean:g}")
    assert outcome.notes[-1] == "OpenSTL's ssim could not be computed: too new"


def test_other_frames_end_the_run(evaluation, stand_in, monkeypatch):
    monkeypatch.setattr(sys, "openstl_shift", 0.01, raising=False)
    with pytest.raises(UserError, match=r"differ .* by up to 0\.01"):
        run(evaluation(), TASK)


def test_it_is_not_compared_in_another_precision(evaluation, stand_in):
    with pytest.raises(UserError, match="leave out --train, --amp"):
        run(evaluation(amp="bfloat16"), TASK)


def test_without_openstl_one_line_says_where_it_is(evaluation, monkeypatch):
    monkeypatch.setattr("mogabench.tasks.video.openstl.find_spec", lambda name: None)
    with pytest.raises(UserError, match="install it from its source"):
        run(evaluation(), TASK)


def test_frames_and_metrics_are_openstls(evaluation):
    pytest.importorskip("openstl.models.simvp_model", reason="needs OpenSTL's source installed")
    outcome = run(evaluation(), TASK)
    (note,) = [note for note in outcome.notes if "metrics of them" in note]
    measured = note.partition("metrics of them: ")[2]
    for part in measured.split(", "):
        name, value = part.split()
        assert float(value) == pytest.approx(outcome.metrics[name], rel=1e-4), name


@pytest.mark.parametrize("translator", BUILT_BY_NEW_TIMM)
def test_weights_load_strictly_both_ways(translator):
    theirs = pytest.importorskip(
        "openstl.models.simvp_model", reason="needs OpenSTL's source installed"
    )
    ours = SimVP(translator, input_size=(4, 1, 32, 32), encoder_dim=16, hidden_dim=32, depth=3)
    names = {"moganet": "moga", "mlpmixer": "mlp"}
    other = theirs.SimVP_Model((4, 1, 32, 32), 16, 32, 4, 3, names.get(translator, translator))
    for source, target in ((ours, other), (other, ours)):
        target.load_state_dict(source.state_dict(), strict=True)
        frames = torch.rand(2, 4, 1, 32, 32)
        torch.testing.assert_close(ours.eval()(frames), other.eval()(frames))
        torch.nn.init.normal_(other.dec.readout.weight)  # other weights for the way back
