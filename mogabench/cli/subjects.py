"""What a command line says is to be measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mogabench.data.identity import SAMPLE
from mogabench.errors import UserError
from mogabench.paper import get_paper
from mogabench.sizes import read_size
from mogabench.subject import parse_option
from mogabench.tables.added import Added
from mogabench.tables.timed import timed_subjects
from mogabench.tasks import get_task, make_subject
from mogabench.variants import VARIANTS, backbone_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mogabench.paper import Meta
    from mogabench.subject import Subject


def subjects_to_time(
    task_name: str,
    models: Sequence[str],
    size: str | None,
    *,
    paper: str | None,
    papers: Path | None,
) -> list[Subject]:
    """The networks of a task that are named or, where none is, that a paper times.

    Args:
        task_name: The task.
        models: timm names, or MogaNet's ``xt`` to ``xl``.
        size: As text; None for the task's own, or for those that the paper times them at.
        paper: The paper's name.
        papers: A folder with papers of the user's own.

    Raises:
        UserError: Something in it is unknown, or the paper times no network of the task.
    """
    if models and (paper or papers):
        raise UserError(
            "--paper times the networks of a paper: leave it out, or the networks' names"
        )
    task = get_task(task_name)
    pixels = None if size is None else read_size(size, task.default_sizes[task.methods[0]])
    if models:
        backbones = dict.fromkeys(VARIANTS.get(name, name) for name in models)
        return [make_subject(task, name, input_size=pixels) for name in backbones]
    chosen = get_paper(paper, papers)
    found = [
        make_subject(
            task,
            one.backbone,
            method=one.method,
            input_size=pixels or one.input_size,
            options=dict(one.options),
        )
        for one in timed_subjects(chosen, task)
    ]
    if not found:
        name = chosen.about.name
        raise UserError(f"{name} times no network of {task.name}: name some, such as resnet50")
    return list(dict.fromkeys(found))


def named_network(variant: str | None, backbone: str | None) -> str | None:
    """The backbone that ``--variant`` or ``--backbone`` names; None for neither.

    Raises:
        UserError: Both are given, or there is no such variant.
    """
    if variant is not None and backbone is not None:
        raise UserError("give --variant or --backbone, one of them")
    return backbone_of(variant) if variant else backbone


def read_added(
    names: Sequence[str], *, method: str | None, size: str | None, options: Sequence[str]
) -> list[Added]:
    """The networks of ``--add``, with what other options say of them.

    Raises:
        UserError: An option is given without a network, or cannot be read.
    """
    if not names and (method or size or options):
        raise UserError("--method, --size and --option need --add NAME")
    pixels = None if size is None else read_size(size)
    parsed = dict(map(parse_option, options))
    return [Added(VARIANTS.get(name, name), method, pixels, parsed) for name in names]


def ablated_training(
    ablated: Meta, recipe: str | None, overrides: Sequence[str], data: str | None
) -> tuple[str | None, list[str]]:
    """The recipe and the changes to it by which the paper trained a network of an ablation.

    Args:
        ablated: The network.
        recipe: A recipe to train by instead; the changes are still the ablation's.
        overrides: Further changes.
        data: ``sample`` has a recipe of its own.

    Raises:
        UserError: The paper takes the network's accuracy from other authors, whose training this
            project does not have.
    """
    if recipe is None and data != SAMPLE:
        recipe = ablated.recipe
        if not recipe:
            raise UserError(
                f"the paper's {ablated.backbone} was trained by its authors, by no recipe of this "
                "project; give one with --recipe"
            )
    settings = [f"{name}={json.dumps(value)}" for name, value in ablated.settings.items()]
    return recipe, [*settings, *overrides]
