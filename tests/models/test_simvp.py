import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mogabench.checkpoints import load_weights
from mogabench.errors import UserError
from mogabench.layers.moga import MogaBlock
from mogabench.measure.complexity import count
from mogabench.models.simvp import SimVP
from mogabench.models.simvp.translators import TRANSLATORS
from mogabench.tasks import get_task

RELEASED = json.loads((Path(__file__).parent / "simvp_keys.json").read_text())
"""Names and shapes in OpenSTL's files; tensors that several levels have alike are listed once."""

SCRIPT = runpy.run_path(str(Path(__file__).with_name("make_simvp_reference.py")))

MEASURED = {
    "vit": (46.10, 16.928),
    "swin": (46.11, 16.409),
    "uniformer": (44.83, 16.449),
    "mlpmixer": (38.19, 14.651),
    "convmixer": (3.92, 5.450),
    "poolformer": (37.12, 14.076),
    "incepu": (57.95, 19.431),
    "convnext": (37.31, 14.124),
    "van": (44.52, 15.951),
    "hornet": (45.74, 16.271),
    "moganet": (46.78, 16.519),
    "gsta": (46.77, 16.526),
    "tau": (44.66, 15.953),
}
"""Parameters in M and fvcore's operations in G of OpenSTL's networks, counted with fvcore."""

UNSEEN_BY_FVCORE = {
    # The depth-wise convolutions of ConvMixer have padding="same" there: 121 multiply-accumulates
    # for each of 256 positions and 640 + 7 x 512 channels.
    "convmixer": 121 * 256 * (640 + 7 * 512),
    # HorNet's first norm is written out there: 5 for each of as many elements.
    "hornet": 5 * 256 * (640 + 7 * 512),
}


def small(translator: str) -> SimVP:
    torch.manual_seed(0)
    return SimVP(translator, input_size=(4, 1, 32, 32), encoder_dim=16, hidden_dim=32, depth=3)


def expected_shapes(translator: str) -> dict[str, tuple[int, ...]]:
    shapes = {name: tuple(shape) for name, shape in RELEASED["around"].items()}
    for kind in RELEASED["translators"][translator]:
        for level in kind["levels"]:
            shapes |= {f"{level}.{name}": tuple(s) for name, s in kind["tensors"].items()}
    return shapes


def test_the_task_lists_every_translator():
    assert set(get_task("video").backbones()) == set(TRANSLATORS) == set(MEASURED)


@pytest.mark.parametrize("translator", TRANSLATORS)
def test_names_shapes_parameters_and_operations_are_those_of_openstl(translator):
    with torch.device("meta"):
        network = SimVP(translator).eval()
        counted = count(network, torch.empty(1, 10, 1, 64, 64))
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == expected_shapes(translator)
    seen = counted.operations["fvcore"] - UNSEEN_BY_FVCORE.get(translator, 0)
    assert (round(counted.parameters / 1e6, 2), round(seen / 1e9, 3)) == MEASURED[translator]
    assert not counted.unknown


@pytest.mark.parametrize("translator", TRANSLATORS)
def test_frames_are_those_of_openstl(translator):
    network = SimVP(translator, input_size=SCRIPT["SIZE"], **SCRIPT["WIDTHS"])
    ours, theirs = (
        SCRIPT["compute"](network, torch.float32),
        np.load(SCRIPT["REFERENCE"])[translator],
    )
    assert np.linalg.norm(ours - theirs) < 1e-5 * np.linalg.norm(theirs)


@pytest.mark.parametrize("translator", TRANSLATORS)
def test_trains_in_either_memory_format_alike(translator):
    network, frames = small(translator).eval(), torch.rand(2, 4, 1, 32, 32)
    plain = network(frames)
    assert plain.shape == frames.shape
    torch.testing.assert_close(network.to(memory_format=torch.channels_last)(frames), plain)
    network.train()(frames).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("translator", TRANSLATORS)
def test_compiles_as_one_graph_as_it_is_trained_on_a_gpu(translator):
    torch.compiler.reset()
    network = small(translator).to(memory_format=torch.channels_last)
    whole = torch.compile(network, backend="eager", fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = whole(torch.rand(2, 4, 1, 32, 32))
    predicted.float().square().mean().backward()


@pytest.mark.parametrize("translator", TRANSLATORS)
def test_weights_survive_a_file_with_another_prefix(translator, tmp_path):
    source, target = small(translator), small(translator)
    for tensor in source.state_dict().values():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.01, 0.05)
    weights = {f"module.{name}": tensor for name, tensor in source.state_dict().items()}
    if translator == "swin":  # older releases of timm stored it
        weights["module.hid.enc.0.block.attn.relative_position_index"] = torch.zeros(16, 16)
    torch.save(weights, tmp_path / "checkpoint.pth")
    load_weights(target, tmp_path / "checkpoint.pth")
    frames = torch.rand(1, 4, 1, 32, 32)
    assert torch.equal(target.eval()(frames), source.eval()(frames))


def test_swin_loads_the_position_index_of_older_files_strictly():
    network = small("swin")
    weights = network.state_dict()
    weights["hid.enc.1.block.attn.relative_position_index"] = torch.zeros(16, 16)
    network.load_state_dict(weights, strict=True)


@pytest.mark.parametrize(("side", "window"), [(28, 7), (64, 4), (112, 7), (320, 5), (1024, 8)])
def test_swin_s_windows_grow_with_the_frames(side, window):
    with torch.device("meta"):
        network = SimVP("swin", input_size=(4, 1, side, side), depth=3)
    assert {level.block.window_size for level in network.hid.enc} == {(window, window)}


def test_swin_shifts_every_other_window_and_masks_none():
    blocks = [level.block for level in small("swin").hid.enc]
    assert [block.shift_size for block in blocks] == [(0, 0), (2, 2), (0, 0)]
    assert all(block.attn_mask is None for block in blocks)
    with torch.device("meta"):  # maps of 7x14 in windows of 7
        narrow = SimVP("swin", input_size=(4, 1, 28, 56), depth=3)
    assert {level.block.shift_size for level in narrow.hid.enc} == {(0, 0)}


def test_the_moga_translator_has_the_block_of_moganet():
    assert all(type(level.block) is MogaBlock for level in small("moganet").hid.enc)


def test_a_predicted_frame_sees_every_past_frame():
    network = small("moganet").eval()
    frames = torch.rand(1, 4, 1, 32, 32, requires_grad=True)
    network(frames)[0, 2].sum().backward()
    assert (frames.grad.abs().amax((0, 2, 3, 4)) > 0).all()


def test_drop_path_goes_from_one_in_a_hundred_to_the_last_rate():
    blocks = SimVP("van", drop_path=0.1, depth=4, hidden_dim=32, encoder_dim=16).hid.enc
    rates = [level.block.drop_path.drop_prob for level in blocks]
    assert rates == pytest.approx([0.01, 0.04, 0.07, 0.1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"translator": "mogane"}, "unknown translator 'mogane'"),
        ({"input_size": (10, 1, 63, 64)}, "not 10x1x63x64"),
        ({"input_size": (64, 64)}, "not 64x64"),
    ],
)
def test_tells_what_is_wrong(options, message):
    with pytest.raises(UserError, match=message):
        SimVP(**options)


@pytest.mark.parametrize("translator", ["vit", "uniformer", "incepu"])
def test_widths_that_heads_or_groups_do_not_divide_are_refused_in_one_line(translator):
    with pytest.raises(UserError, match=r"^the translator .* 36 inside .*: take multiples of 8$"):
        SimVP(translator, encoder_dim=16, hidden_dim=36, depth=4)
