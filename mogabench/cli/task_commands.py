"""``mogabench run``: a sub-command for each task, made from what the task declares."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from mogabench.cli import run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mogabench.engine.task import Task


class TaskGroup(TyperGroup):
    """The tasks of the registry, including those from ``--import``."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The tasks' names."""
        from mogabench.tasks import tasks

        return list(tasks())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a task."""
        from mogabench.tasks import get_task

        return make_command(get_task(cmd_name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Imports the packages of ``--import`` first, as they may define the task."""
        from mogabench.catalogue import import_packages

        import_packages(list(_packages(args)))
        return super().resolve_command(ctx, args)


_GROUPS = {
    "Network": ("variant", "backbone", "ablation", "method", "size", "options", "packages"),
    "Data and weights": (
        *("data", "weights", "pretraining", "ema", "new_head", "on_bad_image", "workers"),
    ),
    "Training": ("train", "recipe", "overrides", "resume", "time_budget", "work_dir"),
    "Execution": ("device", "nproc", "amp", "channels_last", "compiled", "runtime", "batch_size"),
    "Output": (
        *(
            "predictions",
            "confusion",
            "per_class",
            "throughput",
            "paper",
            "papers",
            "results",
            "output_format",
            "quiet",
        ),
        "help",
    ),
}
"""The options that all tasks share, by the heading of the help that they stand below."""

_WITHOUT_DATA = {*_GROUPS["Network"], *_GROUPS["Output"], "data", "device"} - {
    *("predictions", "confusion", "per_class")
}
"""The options that do something where a network is only counted and timed; all others need data."""


class TaskCommand(TyperCommand):
    """A task's command: groups its help, and names the task that an unknown option belongs to."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the options below headings, the task's own last."""
        texts = {item.name: item.get_help_record(ctx) for item in self.get_params(ctx)}
        shared = {name for names in _GROUPS.values() for name in names}
        own = {f"Options of {self.name}": [name for name in texts if name not in shared]}
        for heading, names in {**_GROUPS, **own}.items():
            rows = [texts[name] for name in names if texts.get(name)]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Reads the options.

        Raises:
            UserError: An option belongs to another task, is unknown, or needs data.
        """
        from mogabench.errors import UserError, unknown
        from mogabench.tasks import flag, tasks

        try:
            rest = super().parse_args(ctx, args)
        except Exception as error:
            # Typer ships a copy of click, so the class itself has no public place.
            if type(error).__name__ != "NoSuchOption":
                raise
            name = str(getattr(error, "option_name", ""))
            owners = [task.name for task in tasks().values() if name in map(flag, _fields(task))]
            if owners:
                raise UserError(
                    f"{name} is an option of {' and '.join(owners)}, not of {self.name}"
                ) from None
            valid = [flag for item in self.params for flag in item.opts if flag.startswith("--")]
            raise unknown(f"option of {self.name}", name, valid) from None
        if ctx.params["data"] is None and not ctx.resilient_parsing:
            self._refuse_without_data(ctx)
        return rest

    def _refuse_without_data(self, ctx: Any) -> None:
        """Refuses the given options that only an evaluation or a training has."""
        from mogabench.errors import UserError

        given = [
            (item.secondary_opts if ctx.params[item.name] is False else item.opts)[0]
            for item in self.get_params(ctx)
            if item.name not in _WITHOUT_DATA
            and ctx.get_parameter_source(item.name).name == "COMMANDLINE"
        ]
        if given:
            need = "needs" if len(given) == 1 else "need"
            raise UserError(
                f"{' and '.join(given)} {need} --data DIR (or --data sample); 'mogabench profile' "
                "times other precisions, layouts and batches"
            )


def make_command(task: Task[Any, Any]) -> Any:
    """The command of a task: the options that all tasks share, and its own.

    Raises:
        UserError: An option of its own is called as one of the others.
    """
    from mogabench.tasks import flag

    shared = dict(inspect.signature(run.run, eval_str=True).parameters)
    del shared["task"], shared["own"]
    shared["method"] = _replace_help(
        shared["method"],
        f"A method of the task: {', '.join(task.methods)}; default: the weights', or the first.",
    )
    if task.backbone_word != "backbone":
        del shared["variant"], shared["ablation"]  # MogaNet's sizes are none
        option = typer.Option(
            "--backbone", f"--{task.backbone_word}", metavar="NAME", help=_backbones(task)
        )
        shared["backbone"] = shared["backbone"].replace(annotation=Annotated[str | None, option])
    _check_options(task, ["--help", *map(flag, shared)])
    parameters = [*shared.values(), *(_parameter(name, task) for name in _fields(task))]

    def command(**values: Any) -> None:
        from mogabench.tasks import own_options

        own = {name: values.pop(name) for name in _fields(task)}
        run.run(task, own=own_options(task, own), **values)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(
        task.name,
        cls=TaskCommand,
        help=f"{task.title}.\n\n{inspect.getdoc(run.run)}",
        epilog=_epilog(task),
        no_args_is_help=True,
    )(command)
    made = typer.main.get_command(app)
    made.name = task.name
    others = [item for item in made.params if item.name not in _fields(task)]
    _check_options(task, [name for one in others for name in (*one.opts, *one.secondary_opts)])
    return made


def _check_options(task: Task[Any, Any], taken: Collection[str]) -> None:
    from mogabench.errors import UserError
    from mogabench.tasks import flag

    for name in _fields(task):
        if flag(name) in taken:
            raise UserError(
                f"the task {task.name} has an option {flag(name)}, which all tasks have: rename "
                f"the field {name} of its Options"
            )


def _epilog(task: Task[Any, Any]) -> str:
    """The task's methods and recipes, and two examples."""
    from mogabench import recipes

    run = f"mogabench run {task.name}"
    lines = (
        f"Methods: {', '.join(task.methods)}.",
        f"Recipes: {', '.join(recipes.names(task))}.",
        "Examples:",
        f"{run} {task.example} --data sample --train --work-dir work",
        f"{run} --data sample --weights work/weights.pth",
    )
    return "\n\n".join(lines)


def _backbones(task: Task[Any, Any]) -> str:
    return f"{', '.join(sorted(task.backbones()))}."


def _fields(task: Task[Any, Any]) -> list[str]:
    return list(task.Options.model_fields)


def _parameter(name: str, task: Task[Any, Any]) -> inspect.Parameter:
    """A field of the task's options as a parameter of its command."""
    from mogabench.tasks import flag

    field = task.Options.model_fields[name]
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    metavar = str(extra["metavar"]) if "metavar" in extra else None
    option = typer.Option(flag(name), help=field.description, metavar=metavar)
    default = field.get_default(call_default_factory=True)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if field.is_required() else default,
        annotation=Annotated[field.annotation, option],
    )


def _replace_help(parameter: inspect.Parameter, text: str) -> inspect.Parameter:
    return parameter.replace(annotation=Annotated[str | None, typer.Option(help=text)])


def _packages(args: list[str]) -> Iterator[str]:
    """The values of ``--import`` among arguments that are not parsed yet."""
    for place, argument in enumerate(args):
        name, equals, value = argument.partition("=")
        if name == "--import":
            if equals:
                yield value
            elif place + 1 < len(args):
                yield args[place + 1]
