"""``mogabench count``: a network's parameters and operations, module by module."""

from __future__ import annotations

from typing import Annotated

import typer

from mogabench.cli.completion import complete_network, complete_task
from mogabench.cli.options import (
    FormatOption,
    ImportOption,
    MethodOption,
    OptionsOption,
    SizeOption,
)
from mogabench.defaults import DEFAULT_TASK


def count(
    model: Annotated[
        str,
        typer.Argument(
            help="A timm name, or one of MogaNet's xt to xl.", autocompletion=complete_network
        ),
    ],
    depth: Annotated[int, typer.Option(min=0, help="Levels of modules to show.")] = 1,
    task: Annotated[
        str,
        typer.Option(help="Count the whole network of this task.", autocompletion=complete_task),
    ] = DEFAULT_TASK,
    method: MethodOption = None,
    size: SizeOption = None,
    options: OptionsOption = None,
    convention: Annotated[
        str, typer.Option(help="How operations are counted: paper, fvcore or matmul.")
    ] = "paper",
    packages: ImportOption = None,
    output_format: FormatOption = "text",
) -> None:
    """Count a network's parameters and operations, module by module."""
    from mogabench.catalogue import import_packages
    from mogabench.console import print_json, print_line, print_table
    from mogabench.errors import unknown
    from mogabench.measure.complexity import count_subject
    from mogabench.paper import CONVENTIONS
    from mogabench.tables.tree import HEADS, tree_entry, tree_rows
    from mogabench.tasks import choose_subject, get_task
    from mogabench.variants import VARIANTS

    if convention not in CONVENTIONS:
        raise unknown("convention", convention, CONVENTIONS)
    import_packages(packages)
    subject = choose_subject(
        get_task(task),
        variant=None,
        backbone=VARIANTS.get(model, model),
        method=method,
        size=size,
        options=options or (),
    )
    counted = count_subject(subject)
    if output_format == "json":
        print_json(
            {
                "subject": subject.key,
                "trainable_parameters": counted.trainable_parameters,
                "activations": counted.activations,
                "peak_activation_memory": counted.peak_activation_memory,
                "not_counted": dict(counted.unknown),
                "tree": tree_entry(counted.tree, depth=depth),
            }
        )
        return
    print_line(subject.key)
    rows = list(tree_rows(counted.tree, depth=depth, convention=convention))
    print_table(HEADS, rows, right=HEADS[2:])
    print_line(f"Operations are multiply-accumulates by the convention '{convention}':")
    print_line(f"{CONVENTIONS[convention]}.")
    print_line(
        f"Activations: {counted.activations / 1e6:.1f} M elements, at most "
        f"{counted.peak_activation_memory / 2**20:.0f} MiB at once."
    )
    for name, calls in counted.unknown.items():
        print_line(f"not counted: {calls} x {name}")
