"""Resolving a recipe: merging, extending, overrides, and the errors of a wrong one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from mogabench import recipes
from mogabench.errors import UserError
from mogabench.tasks import load_recipe, recipe_names, recipe_task
from mogabench.tasks.classification.recipe import ClassificationRecipe
from mogabench.variants import VARIANTS
from tests.tasks import toy

if TYPE_CHECKING:
    from pathlib import Path

OWN = """
task: classification
method: classifier
title: mine
seed: 1
batch_size: 256
input: {train_size: 96, test_size: 128, crop_ratio: 0.9}
schedule: {epochs: 10, warmup_epochs: 2}
optimizer: {name: adamw, lr: 1e-3, weight_decay: 0.05}
model: {drop_path: 0.1}
augment: {rand_augment: 9/0.5, color_jitter: 0.4, erasing: 0.25, mixup: 0.8, cutmix: 1.0}
loss: {name: cross_entropy, label_smoothing: 0.1}
ema: {}
variants:
  t:
    optimizer: {lr: 2e-3}
    augment: {rand_augment: null, mixup: 0.1}
    ema: null
    expected: {table: A2, values: {top1: 79.0}}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(OWN)
    return file


def load(source: str | Path, variant: str | None = None, *overrides: str) -> ClassificationRecipe:
    recipe = load_recipe(source, variant=variant, overrides=overrides)
    assert isinstance(recipe, ClassificationRecipe)
    return recipe


def complaint(source: str | Path, variant: str | None = None, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_recipe(source, variant=variant, overrides=overrides)
    return str(caught.value)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_resolves_for_every_variant_it_declares(name: str) -> None:
    task = recipe_task(name)
    variants = recipes.variants(name, task)
    assert set(variants) <= {*VARIANTS, *task.backbones()}
    for variant in [None, *variants]:
        recipe = load_recipe(name, variant=variant)
        assert (recipe.name, recipe.variant) == (name, variant)


@pytest.mark.parametrize(
    ("backbone", "variant"),
    [
        ("moganet_tiny", "t"),
        ("moganet_tiny.untrained", "t"),
        ("convnext_tiny", "convnext_tiny"),
        ("convnext_tiny.fb_in1k", "convnext_tiny"),
        ("convnext_small.fb_in22k", "convnext_small.fb_in22k"),
        ("resnet18.tv_in1k", None),
    ],
)
def test_a_tag_of_timm_changes_no_variant_unless_it_has_its_own(
    tmp_path: Path, backbone: str, variant: str | None
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "extends: simple_baseline_256x192\nvariants: {convnext_small.fb_in22k: {batch_size: 8}}"
    )
    assert recipes.variant_for(backbone, file, recipe_task(file)) == variant


def test_a_variant_changes_just_what_it_names(own: Path) -> None:
    base, tiny = load(own), load(own, "t")
    changed = base.model_dump()
    changed["optimizer"]["lr"] = 0.002
    changed["augment"] |= {"rand_augment": None, "mixup": 0.1}
    changed["ema"] = None
    changed["expected"] = {"table": "A2", "values": {"top1": 79.0}}
    assert tiny.model_dump() == changed
    assert base.ema is not None
    assert base.expected is None
    assert load(own) == base


def test_overrides_win_over_the_variant_and_the_last_over_the_first(own: Path) -> None:
    lr = ["optimizer.lr=5e-4", "optimizer.lr=6e-4", "optimizer.betas=[0.9, 0.95]", "ema.decay=0.99"]
    recipe = load(own, "t", *lr)
    assert recipe.optimizer.lr == 0.0006
    assert recipe.optimizer.betas == (0.9, 0.95)
    assert recipe.optimizer.weight_decay == 0.05
    assert recipe.ema is not None
    assert (recipe.ema.decay_start, recipe.ema.decay) == (0.9, 0.99)


def test_an_overridden_recipe_expects_no_printed_value(own: Path) -> None:
    assert load(own, "t").expected is not None
    assert load(own, "t", "schedule.epochs=5").expected is None


def test_a_recipe_without_variants_serves_every_size() -> None:
    assert load("sample_digits", "b").digest == load("sample_digits").digest


def test_the_digest_follows_the_settings_and_nothing_else(own: Path) -> None:
    digest = load(own).digest
    assert load(own, None, "title=another", "optimizer.lr=0.001").digest == digest
    assert load(own, None, "optimizer.lr=0.0011").digest != digest
    assert load("in1k_300e").digest == load("in1k_300e", "s").digest
    committed = load_recipe("sample_shapes_segmentation").digest  # that of results/
    assert committed.startswith("200fb43a117f")


def test_a_resolved_recipe_written_as_yaml_reads_back_the_same(tmp_path: Path) -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        assert load_recipe(file) == recipe


def test_all_errors_are_reported_at_once(own: Path) -> None:
    lines = complaint(
        own,
        None,
        "optimizer.lr=fast",
        "optimizer.beta=1",
        "schedule.warmup_epochs=10",
        "augment.mixup=yes",
        "augment.three_augment=true",
        "input=224",
        "epochs",
    ).splitlines()
    assert lines == [
        "the recipe mine is not valid:",
        "  'epochs' is not a setting such as optimizer.lr=5e-4",
        "  schedule: warmup_epochs must be fewer than the 10 epochs",
        '  optimizer.lr: should be a valid number (got "fast")',
        "  unknown key 'optimizer.beta'; did you mean optimizer.betas or optimizer.eps or "
        "optimizer.name? (valid: optimizer.name, optimizer.lr, optimizer.weight_decay, "
        "optimizer.betas, optimizer.decay_biases, optimizer.layer_decay, optimizer.eps, "
        "optimizer.clip_grad)",
        "  input: should be a section, with the keys input.train_size, input.test_size, "
        "input.crop_ratio, input.interpolation, input.test_interpolation",
        '  augment.mixup: should be a valid number (got "yes")',
    ]


@pytest.mark.parametrize(
    ("override", "lines"),
    [
        ("optimiser.lr=1", "unknown key 'optimiser'; did you mean optimizer"),
        ("variant=t", "unknown key 'variant'"),
        ("schedule.epochs=0", "schedule.epochs: should be greater than 0 (got 0)"),
        ("input.crop_ratio=1.5", "input.crop_ratio: should be less than or equal to 1 (got 1.5)"),
        ("loss.label_smoothing=1", "loss.label_smoothing: should be less than 1 (got 1)"),
        ("optimizer.betas=[0.9, 1.0]", "optimizer.betas.1: should be less than 1 (got 1.0)"),
        ("ema.decay_start=1", "ema.decay_start: should be less than 1 (got 1)"),
        ("optimizer.lr=.nan", "optimizer.lr: should be a finite number (got NaN)"),
        ("augment.rand_augment=strong", "augment.rand_augment: String should match pattern"),
        ("augment.three_augment=true", "rand_augment and three_augment exclude each other"),
        ("loss.name=mse", "loss.name: should be 'cross_entropy' or 'bce' (got \"mse\")"),
        ("loss=[", "'loss=[': the value is not valid YAML"),
        ("task=detection", "task: should be 'classification' (got \"detection\")"),
    ],
)
def test_a_wrong_override(own: Path, override: str, lines: str) -> None:
    assert lines in complaint(own, None, override)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- 1", "is not a mapping of settings"),
        ("a: [1", "cannot read the recipe"),
        ("variants: [t]", "variants should name sizes, each with a section"),
        ("variants: {t: 3}", "variants should name sizes, each with a section"),
        ("title: x", "unknown task 'None' (valid: classification, detection, "),
        ("task: poes", "unknown task 'poes'; did you mean pose?"),
        ("task: classification\ntitle: x", "batch_size is missing"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, lines: str) -> None:
    file = tmp_path / "wrong.yml"
    file.write_text(text)
    assert lines in complaint(file)


def test_one_cycle_leaves_no_choice_of_the_first_beta() -> None:
    assert complaint("sample_video", None, "optimizer.betas=[0.8, 0.99]").splitlines()[1:] == [
        "  optimizer.betas: the schedule onecycle moves the first one, from 0.95 to 0.85 and back: "
        "leave it at 0.9"
    ]
    assert load_recipe("sample_video", overrides=["optimizer.betas=[0.9, 0.99]"])


def test_what_is_not_there(own: Path, tmp_path: Path) -> None:
    assert "unknown recipe 'in1k_300'; did you mean in1k_300e" in complaint("in1k_300")
    assert f"there is no recipe file {tmp_path / 'no.yaml'}" in complaint(tmp_path / "no.yaml")
    assert complaint(own, "b") == "the recipe mine is for t, not b"


def test_a_recipe_that_extends_another_states_what_differs(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(OWN)
    file = tmp_path / "longer.yaml"
    file.write_text(
        "extends: base.yaml\nschedule: {epochs: 20}\noptimizer: {lr: 4e-3}\n"
        "variants:\n  s: {augment: {mixup: 0.2}}\n"
    )
    longer, base = load(file), load(tmp_path / "base.yaml")
    expected = base.model_dump()
    expected["title"] = "longer"
    expected["schedule"]["epochs"] = 20
    expected["optimizer"]["lr"] = 0.004
    assert longer.model_dump() == expected
    # The base's variant still counts, but its own settings win over it.
    tiny = load(file, "t")
    assert (tiny.ema, tiny.augment.mixup, tiny.optimizer.lr) == (None, 0.1, 0.004)
    assert tiny.expected is None
    assert load(file, "s").augment.mixup == 0.2
    assert complaint(file, "b") == "the recipe longer is for t, s, not b"


def test_a_recipe_can_extend_one_of_the_project(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: in1k_300e\nbatch_size: 256")
    mine, paper = load(file, "s"), load("in1k_300e", "s")
    assert mine.model_dump(exclude={"title", "expected", "batch_size"}) == paper.model_dump(
        exclude={"title", "expected", "batch_size"}
    )
    assert (mine.batch_size, mine.name, mine.expected) == (256, "mine", None)


def test_a_recipe_can_extend_one_that_a_task_carries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mogabench.tasks._registered", [toy.TASK])
    file = tmp_path / "mine.yaml"
    file.write_text("extends: sample_toy\nbatch_size: 4")
    mine = load_recipe(file)
    assert (mine.batch_size, mine.optimizer.lr, mine.task) == (4, 3e-3, "toy")
    monkeypatch.setattr(toy.Toy, "recipes", {"a": "extends: b", "b": "extends: a"})
    assert complaint("a") == "the recipe a extends itself"


def test_errors_of_extending(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: in1k_300")
    assert "unknown recipe 'in1k_300'; did you mean in1k_300e" in complaint(file)
    file.write_text("extends: other.yaml")
    (tmp_path / "other.yaml").write_text("extends: mine.yaml")
    assert "mine.yaml extends itself" in complaint(file)


def test_a_file_named_as_a_recipe_of_the_project_states_what_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "in1k_300e.yaml"
    file.write_text(
        "extends: in1k_300e\nschedule: {epochs: 30}\nvariants:\n  nano: {batch_size: 8}\n"
    )
    changed = {"schedule.epochs": 30}
    assert load(file, "t").changes == changed
    assert load(file, "t", "optimizer.lr=2e-3").changes == changed | {"optimizer.lr": 2e-3}
    assert load(file, "nano").changes == changed | {"batch_size": 8}
    assert load("in1k_300e", "t").changes == load(file, "t", "schedule.epochs=300").changes == {}
    file.rename(tmp_path / "mine.yaml")
    assert load(tmp_path / "mine.yaml", "t").changes == {}
