"""Channel energies and saliency of networks whose features are known."""

import csv
import json

import pytest
import timm
import torch
from torch import nn
from typer.testing import CliRunner

import mogabench.models  # noqa: F401
from mogabench.analysis.channels.energy import evenness, measure, saliency
from mogabench.analysis.channels.layers import layers, listening
from mogabench.analysis.channels.record import curve
from mogabench.analysis.features import as_map
from mogabench.analysis.figures import written_figures
from mogabench.cli import app
from mogabench.errors import UserError
from mogabench.records import Kind, Store


class Scaled(nn.Module):
    """Two channels, each the image's of that number times a factor, weighed into one logit."""

    def __init__(self, factors=(1.0, 1.0), weights=(1.0, 1.0)) -> None:
        super().__init__()
        self.feature_info = [{"module": "scale"}]
        self.scale = nn.Conv2d(2, 2, 1, bias=False)
        self.scale.weight.data = torch.diag(torch.tensor(factors))[..., None, None]
        self.act = nn.ReLU(inplace=True)
        self.weights = torch.tensor(weights)

    def forward(self, x):
        logit = self.act(self.scale(x)).mean((2, 3)) @ self.weights
        return torch.stack([logit, torch.zeros_like(logit)], 1)


def images(*energies):
    """Images of alternating sign whose channels have these mean squares."""
    signs = torch.tensor([[1.0, -1], [-1, 1]])
    return [torch.tensor(e).sqrt()[:, None, None] * signs for e in energies]


def test_evenness_by_hand():
    assert float(evenness(torch.tensor([1.0, 4, 9]))) == pytest.approx(14**2 / (3 * 98))
    assert evenness(torch.tensor([[2.0, 2, 2, 2], [0, 7, 0, 0]])).tolist() == [1, 0.25]


def test_energies_and_their_standard_error_by_hand():
    (found,) = measure(Scaled((2.0, 1.0)), images((1.0, 4.0), (3.0, 4.0)), batch_size=1, quiet=True)
    # Factors are squared: (4, 4) and (12, 4), 8 and 4 in the mean. Before the ReLU that follows in
    # place, or it would be half of that.
    assert found.energy.tolist() == pytest.approx([8, 4])
    assert found.evenness == pytest.approx(12**2 / (2 * 80))
    # Without one image: 1 and 0.8. Of two values, the jackknife's error is half their difference.
    assert found.error == pytest.approx(0.1)
    assert curve(found) == ([1, 2], pytest.approx([4 / 3, 2 / 3]))


def test_saliency_is_activation_times_mean_gradient():
    network = Scaled((2.0, 1.0), weights=(3.0, -1.0))
    image = torch.tensor([[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]])
    (layer,) = layers(network)
    weighed = image * torch.tensor([2 * 3 / 4, 1 / 4])[:, None, None]
    assert torch.allclose(saliency(network, image, layer), weighed)


def test_channel_aggregation_that_doubles_its_input():
    torch.manual_seed(0)
    network = timm.create_model("moganet_xtiny", num_classes=3).eval()
    for name, parameter in network.named_parameters():
        if ".decompose." in name:
            nn.init.zeros_(parameter)  # GELU(0) is 0, ...
        if ".mlp.sigma." in name:
            nn.init.ones_(parameter)  # ... so that Eq. 10 is X + 1 (X - 0)
    found = measure(network, torch.randn(2, 3, 32, 32), batch_size=2, quiet=True)
    assert [one.layer.name for one in found] == [
        f"stage {stage} {point} CA" for stage in (1, 2, 3, 4) for point in ("before", "after")
    ]
    for before, after in zip(found[::2], found[1::2], strict=True):
        assert torch.allclose(after.energy, 4 * before.energy, rtol=1e-4)
    assert [len(one.energy) for one in found[::2]] == [32 * 8, 64 * 8, 96 * 4, 192 * 4]


_SE = ["stage {} before SE", "stage {} after SE"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("moganet_xtiny", {"channel_aggregation": "none"}, ["stage {} without CA"]),
        ("moganet_xtiny", {"channel_aggregation": "se"}, _SE),
        ("resnet18", {}, ["stage {} output"]),
        ("deit_tiny_patch16_224", {}, ["stage {} output"]),
    ],
)
def test_layers_of_networks(name, options, expected):
    with torch.device("meta"):
        network = timm.create_model(name, **options)
    found = layers(network)
    assert [one.name for one in found] == [t.format(n) for n in (1, 2, 3, 4) for t in expected]
    places = {module: place for place, module in network.named_modules()}
    if name == "resnet18":
        assert [places[one.module] for one in found] == ["layer1", "layer2", "layer3", "layer4"]
    if name.startswith("deit"):
        assert [places[one.module] for one in found] == [f"blocks.{n}" for n in (2, 5, 8, 11)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vit_tiny_patch16_224", {"depth": 4}),  # 4x16 tokens, as many as of a square
        ("hiera_tiny_224", {"stages": (1, 1, 1, 1)}),  # by windows until its last stage
    ],
)
def test_maps_of_tokens_are_those_of_timm(name, options):
    network = timm.create_model(name, img_size=(64, 256), **options).eval()
    image = torch.randn(1, 3, 64, 256)
    chosen = layers(network)
    with torch.inference_mode(), listening(network, chosen) as heard:
        network(image)
    with torch.inference_mode():
        expected = network.forward_intermediates(image, intermediates_only=True)
    for layer, maps in zip(chosen, expected, strict=True):
        assert torch.equal(as_map(heard[layer.name], network, image), maps)


class Branches(nn.Module):
    """Two branches for one stage, as HRNet and CrossViT have them."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self.feature_info = [{"module": module}]
        self.split, self.unused = nn.MaxPool2d(1, return_indices=True), nn.Identity()

    def forward(self, x):
        return self.split(x)[0].mean((2, 3))


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(UserError, match="has no feature_info"):
        layers(nn.Identity())
    with pytest.raises(UserError, match="stage 1 output: Branches gives no single map"):
        measure(Branches("split"), images((1.0, 1.0), (1.0, 1.0)), batch_size=2, quiet=True)
    with pytest.raises(UserError, match="stage 1 output: Branches does not run the module"):
        measure(Branches("unused"), images((1.0, 1.0), (1.0, 1.0)), batch_size=2, quiet=True)
    with torch.device("meta"), pytest.raises(UserError, match="Twins has no attribute `block`"):
        layers(timm.create_model("twins_svt_small", depths=(1, 1, 1, 1)))
    with pytest.raises(UserError, match="fewer than two images give its channels finite energy"):
        measure(Scaled(), images((1.0, 1.0), (0.0, 0.0)), batch_size=2, quiet=True)
    with pytest.raises(UserError, match="a standard error needs two"):
        measure(Scaled(), images((1.0, 1.0)), batch_size=2, quiet=True)


@pytest.mark.slow
def test_the_command(tmp_path):
    given = ["--models", "xt, xt?channel_aggregation=none", "--weights", "none", "--size", "64"]
    given += ["--images", "3", "--results", str(tmp_path), "--device", "cpu", "--format", "json"]
    result = CliRunner().invoke(app, ["analyze", "channels", *given])
    assert result.exit_code == 0, result.output
    with_ca, without = json.loads(result.stdout)
    assert with_ca["values"]["channels of stage 4 after CA"]["value"] == 192 * 4
    assert 0 < without["values"]["evenness of stage 1 without CA"]["value"] < 1
    assert without["subject"]["options"] == [["channel_aggregation", "none"]]
    assert with_ca["notes"] == ["untrained: random weights, on normal noise"]
    subjects = [record.subject.options for record in Store(tmp_path).all(Kind.CHANNEL_ENERGY)]
    assert () in subjects and (("channel_aggregation", "none"),) in subjects
    names = {name.split("/")[1].split("_")[1]: name for _, name in written_figures(tmp_path)}
    energies = list(csv.DictReader((tmp_path / f"{names['energy']}.csv").open()))
    first = [row for row in energies if row["layer"] == "stage 2 without CA"]
    assert [first[0]["rank"], first[-1]["rank"]] == ["1", "512"]
    relative = [float(row["relative_energy"]) for row in first]
    assert relative == sorted(relative, reverse=True) and relative[0] > 1 > relative[-1]
    maps = list(csv.DictReader((tmp_path / f"{names['saliency']}.csv").open()))
    assert {row["layer"] for row in maps} == {
        f"stage 1 {p} CA" for p in ("before", "after", "without")
    }
    assert all(len(row["saliency_by_column"].split()) == 16 for row in maps)
