"""Damaged and odd files of weights: loaded as they are, or refused in one line."""

import copy
import random
import warnings
import zipfile

import pytest
import timm
import torch

from mogabench.checkpoints import load_into
from mogabench.errors import UserError
from mogabench.subject import Subject

NETWORK = "test_convnext"
SUBJECT = Subject(task="classification", method="classifier", backbone=NETWORK, input_size=(64, 64))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return timm.create_model(NETWORK)


def refusal(network, file):
    with pytest.raises(UserError) as refused:
        load_into(copy.deepcopy(network), file, SUBJECT)
    assert str(refused.value).startswith(str(file)) and "\n" not in str(refused.value)
    return str(refused.value)


def odd_tensors(weight):
    yield "is a single number", torch.tensor(1.0)
    yield "is a float8_e4m3fn tensor", weight.to(torch.float8_e4m3fn)
    yield "is a complex64 tensor", weight.to(torch.complex64)
    yield "holds bool, not floats", weight > 0
    yield "holds int32, not floats", weight.int()
    yield "is a sparse_coo tensor", weight.to_sparse()
    yield "is a qint8 tensor", torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8)
    yield "is a meta tensor", weight.to("meta")
    yield "is a nested tensor", torch.nested.nested_tensor([weight[0], weight[1]])
    yield "not finite", weight.double() + 1e300  # more than float32 holds


@pytest.mark.parametrize("number", range(10))
def test_a_tensor_that_no_network_has_is_refused(number, network, tmp_path):
    file = tmp_path / "weights.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, of nested and sparse tensors
        says, tensor = list(odd_tensors(network.state_dict()["stem.0.weight"]))[number]
    torch.save(network.state_dict() | {"stem.0.weight": tensor}, file)
    assert says in refusal(network, file)


def test_a_head_that_is_a_number_is_refused(network, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(network.state_dict() | {"head.fc.weight": torch.tensor(1.0)}, file)
    assert "has a single number as head.fc.weight" in refusal(network, file)


@pytest.mark.parametrize(
    "wrong", [{"classes": 5}, {"mean": "grey"}, {"input_size": [None]}, {"options": [1]}]
)
def test_a_description_of_other_types_is_refused(wrong, network, tmp_path):
    meta = {"task": "classification", "method": "classifier", "backbone": NETWORK} | wrong
    file = tmp_path / "weights.pth"
    torch.save({"state_dict": network.state_dict(), "meta": meta}, file)
    with pytest.raises(UserError, match=f"invalid: {next(iter(wrong))}"):
        load_into(copy.deepcopy(network), file, SUBJECT)


def test_a_flipped_bit_of_a_weight_is_found(network, tmp_path):
    """PyTorch loads such a file with another number: it does not read the checksums."""
    file = tmp_path / "weights.pth"
    torch.save(network.state_dict(), file)
    with zipfile.ZipFile(file) as archive:
        part = max(archive.infolist(), key=lambda item: item.file_size)
    content = bytearray(file.read_bytes())
    place = part.header_offset + 30 + len(part.filename) + 200
    content[place] ^= 0x10
    file.write_bytes(content)
    torch.load(file, weights_only=True)
    assert f"the checksum of its part {part.filename!r} differs" in refusal(network, file)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_damaged_files_are_refused_or_hold_the_same_numbers(ending, network, tmp_path):
    from safetensors.torch import save_file

    sound, file = tmp_path / f"sound{ending}", tmp_path / f"damaged{ending}"
    weights = network.state_dict()
    save_file(weights, sound) if ending == ".safetensors" else torch.save(weights, sound)
    whole = sound.read_bytes()
    random.seed(0)
    loaded, changed = 0, 0
    for number in range(800):
        content = bytearray(whole)
        if number % 10 == 0:
            content = content[: random.randrange(len(content))]
        else:
            head = random.random() < 0.5  # names, shapes and offsets are in there
            place = random.randrange(3000 if head else len(content))
            content[place] ^= 1 << random.randrange(8)
        file.write_bytes(content)
        damaged = copy.deepcopy(network)
        try:
            load_into(damaged, file, SUBJECT)
        except UserError as error:
            assert "\n" not in str(error)
            continue
        loaded += 1
        changed += any(
            not torch.equal(one, other)
            for one, other in zip(weights.values(), damaged.state_dict().values(), strict=True)
        )
    assert loaded < 800
    if ending == ".pth":  # safetensors have no checksum
        assert changed == 0
