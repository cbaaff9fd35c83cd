"""The functions of ``import mogabench``: what the command line does, in Python.

Each one imports what it needs when it is called, so that importing the package stays instant.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mogabench.defaults import DEFAULT_TASK
from mogabench.errors import UserError, unknown
from mogabench.tasks import get_task, make_subject, own_options
from mogabench.variants import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from mogabench.checkpoints import Description, Report
    from mogabench.engine.prediction import Predictor
    from mogabench.engine.task import Task
    from mogabench.measure.complexity import Complexity
    from mogabench.measure.settings import Settings
    from mogabench.records import Record
    from mogabench.runtimes import Exported
    from mogabench.subject import OptionValue, Subject
    from mogabench.tables.added import Added
    from mogabench.tables.join import JoinedTable


def count(
    network: str | nn.Module,
    *inputs: Tensor,
    task: str = DEFAULT_TASK,
    method: str | None = None,
    input_size: tuple[int, ...] | None = None,
    options: Mapping[str, OptionValue] | None = None,
) -> Complexity:
    """Counts the parameters, operations and activations of one forward pass.

    Args:
        network: A timm model name, or one of MogaNet's short ones (``s``), which is built on the
            meta device in the task's whole network (such as a detector); or a module of your own,
            which is counted as it is, best on the meta device.
        *inputs: The arguments of your own module, with a batch of one, such as
            ``(1, 3, 224, 224)``; none beside a name.
        task: The task whose network is built.
        method: One of the task's methods, such as ``mask_rcnn``; its first by default.
        input_size: ``(H, W)`` in pixels, or ``(T, C, H, W)`` for video; by default the tables'.
        options: Keyword arguments of the network.

    Returns:
        The counts, with the operations in three conventions and the share of each module.

    Raises:
        UserError: The task, method or network is unknown, or an option does not fit.
        TypeError: Inputs beside a name, or a module without any.
    """
    from torch import nn

    from mogabench.measure import complexity
    from mogabench.modes import evaluating

    if not isinstance(network, str):
        if not isinstance(network, nn.Module):
            raise TypeError(f"count(network): give a name or a module, not {network!r}")
        if not inputs:
            raise TypeError("count(module, *inputs): give the inputs of the forward pass")
        with evaluating(network):
            return complexity.count(network, *inputs)
    if inputs:
        raise TypeError("count(name): give input_size, the inputs are made for it")
    subject = make_subject(
        get_task(task),
        _backbone(network),
        method=method,
        input_size=input_size,
        options=options,
    )
    return complexity.count_subject(subject)


def profile(
    network: str,
    *,
    task: str = DEFAULT_TASK,
    method: str | None = None,
    input_size: tuple[int, ...] | None = None,
    options: Mapping[str, OptionValue] | None = None,
    settings: Settings | None = None,
) -> Record:
    """Measures the throughput, latency and peak memory of a network, in a process of its own.

    Args:
        network: A timm model name, or one of MogaNet's short ones (``s``). The other process knows
            what `mogabench.catalogue.import_packages` has imported here, not what a program
            registers itself.
        task: The task whose whole network is timed.
        method: One of the task's methods; its first by default.
        input_size: ``(H, W)`` in pixels, or ``(T, C, H, W)`` for video; by default the tables'.
        options: Keyword arguments of the network.
        settings: How to measure, such as ``Settings(batch_size=1, dtype="bfloat16")``.

    Returns:
        The record, with ``values["throughput"]`` in images per second and its provenance. It is in
        no store until `mogabench.records.Store.append` writes it.

    Raises:
        UserError: The network is unknown, or could not be measured.
    """
    from mogabench.catalogue import imported_packages
    from mogabench.measure.settings import Settings
    from mogabench.measure.worker import Request, measure_in_subprocess

    subject = make_subject(
        get_task(task),
        _backbone(network),
        method=method,
        input_size=input_size,
        options=options,
    )
    packages = tuple(imported_packages())
    return measure_in_subprocess(
        Request(subject=subject, settings=settings or Settings(), packages=packages)
    )


def load(
    weights: str | Path,
    *,
    task: str | None = None,
    network: str | None = None,
    method: str | None = None,
    input_size: tuple[int, ...] | None = None,
    options: Mapping[str, OptionValue] | None = None,
    device: str = "auto",
    **own: Any,
) -> Predictor:
    """Builds a network with its weights, to predict from images: ``load(FILE).predict(image)``.

    Images are prepared as in an evaluation. A file that mogabench trained says by itself which
    network it is for, its classes, size, normalisation and recipe; for others name the network.

    Args:
        weights: A file, or ``official`` for the authors' released weights of the network.
        task: The network's task; by default what the weights state, or ``classification``.
        network: A timm model name, one of MogaNet's short ones (``s``), or a translator; by default
            what the weights state.
        method: One of the task's methods; by default what the weights state, or its first.
        input_size: ``(H, W)`` in pixels, or ``(T, C, H, W)`` for video; by default the weights'.
        options: Keyword arguments of the network, beside those that the weights state.
        device: ``auto``, ``cpu`` or ``cuda``.
        **own: Options of the task: ``class_map``, for poses ``boxes``, for videos ``out_frames``
            and ``layout``.

    Returns:
        A predictor. Its ``predict`` takes a path, an image of Pillow's, a NumPy array (of frames
        ``(T, C, H, W)`` for video), or a list of them, and returns a dataclass, or a list of them,
        with ``to_json()`` and ``draw()``.

    Raises:
        UserError: The file cannot be read, is not of that network, or says of none.
    """
    from mogabench.engine.environment import enter
    from mogabench.engine.make_job import make_evaluation_job
    from mogabench.engine.weights import giver_of_size

    chosen, subject, stated = _stated_network(
        weights, task=task, network=network, method=method, input_size=input_size, options=options
    )
    options_of_task = own_options(chosen, own)
    given = None if input_size is None else "x".join(map(str, subject.input_size))
    size = options_of_task.input_size(
        subject.input_size, given_by=giver_of_size(given, str(weights), stated)
    )
    job = make_evaluation_job(
        chosen,
        subject.model_copy(update={"input_size": size}),
        stated,
        weights=str(weights),
        options=options_of_task,
        device=device,
        size_is_given=input_size is not None,
    )
    enter(job.device)
    return chosen.predictor(job, stated)


def export(
    weights: str | Path,
    output: str | Path | None = None,
    *,
    to: str | None = None,
    task: str | None = None,
    network: str | None = None,
    method: str | None = None,
    input_size: tuple[int, ...] | None = None,
    options: Mapping[str, OptionValue] | None = None,
    fused: bool = True,
) -> Exported:
    """Writes a network with its weights to a file for another runtime.

    The file's outputs are compared with PyTorch's before it is kept. It carries, as JSON under
    ``mogabench``: mean and std of the pixels, size, the weights' digest and, where the weights
    state them, classes and recipe.

    Args:
        weights: A file, or ``official``.
        output: Where to write; by default the network's name in the current folder.
        to: ``onnx``, ``openvino`` or ``pt2``; by default as `output` ends: ``.onnx``, ``.xml`` or
            ``.pt2``.
        task: See `load`; likewise the next four.
        network: A timm model name or a short one.
        method: One of the task's methods.
        input_size: ``(H, W)`` in pixels, or ``(T, C, H, W)`` for video.
        options: Keyword arguments of the network.
        fused: Whether norms and scales are folded into convolutions.

    Returns:
        The file, the greatest relative difference from PyTorch's outputs, and whether it takes
        images of any size.

    Raises:
        UserError: The weights or the format do not fit, a package is missing, or the outputs
            differ, in which case no file is kept.
    """
    from mogabench.checkpoints import load_into, resolve_weights
    from mogabench.console import LOG
    from mogabench.engine.environment import check_writable
    from mogabench.files import expanded
    from mogabench.releases import official_weights
    from mogabench.runtimes import FORMATS
    from mogabench.runtimes import export as write

    if to is None:
        ending = Path(output or "").suffix
        to = next((name for name, form in FORMATS.items() if form.ending == ending), None)
    if to is None:
        endings = ", ".join(f"{form.ending} ({name})" for name, form in FORMATS.items())
        raise UserError(f"give a format with --to, or an --output that ends in {endings}")
    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    chosen, subject, _ = _stated_network(
        weights, task=task, network=network, method=method, input_size=input_size, options=options
    )
    if chosen.graph_part:
        raise UserError(
            f"a network for {chosen.name} cannot be exported: only its {chosen.graph_part} can be "
            "computed in another runtime, by --runtime of 'run' and 'profile'"
        )
    file = expanded(output or f"{subject.backbone}{FORMATS[to].ending}")
    if file.suffix != FORMATS[to].ending or not file.parent.is_dir() or file.is_dir():
        raise UserError(
            f"--output {file}: give a {FORMATS[to].ending} file in a folder that exists"
        )
    check_writable(file.parent)  # converting takes minutes
    built = chosen.build(subject)
    graph = chosen.graph(built)
    report = load_into(
        built, resolve_weights(str(weights), subject), subject, backbone=chosen.backbone_module
    )
    for line in report.lines():
        LOG.info(line)
    (image,) = chosen.example_inputs(subject)
    described = _describe(chosen, subject, report, built)
    if str(weights) == "official":
        described["recipe"] = official_weights(subject).recipe
    LOG.info("converting the network, which may take minutes")
    return write(graph, image, file, to, description=described, fused=fused)


def table(
    name: str | int,
    *,
    paper: str | None = None,
    papers: str | Path | None = None,
    add: Sequence[Added] = (),
    results: str | Path | None = None,
    fresh: bool = False,
) -> JoinedTable:
    """A table of a paper with what is measured beside it; measures what is missing first.

    `mogabench.tables.rendering.RENDERERS` makes text of it, and
    `mogabench.tables.rendering.entries.to_frame` a frame of pandas.

    Args:
        name: ``1`` to ``7``, ``A1`` to ``A15``, or what another paper has.
        paper: The paper's name, such as ``convnext``; MogaNet's by default.
        papers: A folder with papers of your own, a folder each.
        add: Networks that get rows of their own; see `profile` for those that are not timm's.
        results: The folder of your results; by default your own, read over the package's.
        fresh: Count again what has a record.

    Returns:
        The table, with each printed figure beside the measured one.

    Raises:
        UserError: There is no such paper or table, or it cannot take a network.
    """
    from mogabench.catalogue import imported_packages
    from mogabench.paper import get_paper
    from mogabench.records import open_store
    from mogabench.tables.measured import measured_tables

    if name == "all":
        raise UserError("table() gives one table: name it, such as 3 or A5")
    store = open_store(None if results is None else Path(results))
    chosen = get_paper(paper, None if papers is None else Path(papers))
    (joined,), _ = measured_tables(
        chosen, [str(name)], store, add=add, packages=imported_packages(), fresh=fresh, quiet=True
    )
    return joined


def _backbone(network: str) -> str:
    """The timm name of a network, which may be one of MogaNet's short ones.

    Raises:
        TypeError: It is no name.
    """
    if not isinstance(network, str):
        raise TypeError(
            f"give the name of a network, not a {type(network).__name__}: register your own with "
            "timm, in a module that mogabench.catalogue.import_packages imports"
        )
    return VARIANTS.get(network, network)


def _stated_network(
    weights: str | Path,
    *,
    task: str | None,
    network: str | None,
    method: str | None,
    input_size: tuple[int, ...] | None,
    options: Mapping[str, OptionValue] | None,
) -> tuple[Task[Any, Any], Subject, Description | None]:
    """The network that weights are for: as they state it, but for what is given.

    Raises:
        UserError: They state none and none is given, are of another task, or what is given does not
            fit.
    """
    from mogabench.checkpoints import read_stated
    from mogabench.engine.weights import as_stated

    stated = read_stated(str(weights), task and get_task(task).name)
    chosen = get_task(task or (stated.task if stated else DEFAULT_TASK))
    if stated is not None:
        network, method = network or stated.backbone, method or stated.method
    if network is None:
        raise UserError(
            f"{weights} does not say which network it is for: give --variant or --backbone (in "
            "Python: network)"
        )
    subject = make_subject(
        chosen,
        _backbone(network),
        method=method,
        input_size=input_size,
        options=options,
    )
    return chosen, as_stated(subject, stated, size_is_given=input_size is not None), stated


def _describe(
    task: Task[Any, Any], subject: Subject, report: Report, network: nn.Module
) -> dict[str, Any]:
    """What an exported file carries of the network, as plain values."""
    from mogabench import __version__

    known: dict[str, Any] = {} if report.stated is None else report.stated.to_meta()
    pixels = task.normalization(network, subject)
    return {
        **({} if pixels is None else asdict(pixels)),
        **{name: value for name, value in known.items() if value},
        **subject.model_dump(mode="json"),
        "weights": report.sha256,
        "mogabench": __version__,
    }
