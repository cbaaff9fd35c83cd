"""Gathers the wheels that a GPU machine without a network lacks, and checks that they fit.

    python benchmarks/gpu_wheels.py .whl

What the project requires is followed through the packages installed here, in their versions, up to
what `gpu_machine.txt` says is there. A package without a wheel is built. Then, on the machine:

    pip install --no-index --no-deps .whl/*.whl
    pip install --no-index --no-deps --no-build-isolation -e .
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PROJECT = Path(__file__).parents[1]
MACHINE = Path(__file__).with_name("gpu_machine.txt")
PYTHON = (3, 12)
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
"""Newest first; the machine's glibc is 2.39."""
EXTRAS = ("sample",)
LARGEST = 64 * 2**20
"""Bytes that may travel there."""


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python benchmarks/gpu_wheels.py FOLDER")
    folder = Path(sys.argv[1])
    if folder.exists():
        sys.exit(f"{folder} is there already; remove it or name another folder")
    wanted = missing(requirements(), read_machine(MACHINE.read_text(encoding="utf-8")))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as temporary:
        gathered = Path(temporary) / "wheels"
        for number, (name, version) in enumerate(sorted(wanted.items()), start=1):
            print(f"{number}/{len(wanted)}: {name} {version}", flush=True)
            gather(f"{name}=={version}", gathered)
        wheels = {file.name: file.stat().st_size for file in gathered.iterdir()}
        problems = check(wheels)
        if problems:
            sys.exit("\n".join(problems))
        gathered.rename(folder)
    print(f"{len(wheels)} wheels, {sum(wheels.values()) / 2**20:.1f} MiB, in {folder}")


def requirements() -> list[Requirement]:
    """What the project needs to be installed and to run with its sample data."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    texts = [*settings["build-system"]["requires"], *project["dependencies"]]
    texts += [text for extra in EXTRAS for text in project["optional-dependencies"][extra]]
    return [Requirement(text) for text in texts]


def read_machine(text: str) -> dict[str, str]:
    """The packages that are there, with their versions where these are known."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    pairs = (line.partition("==")[::2] for line in lines if line)
    return {canonicalize_name(name): version for name, version in pairs}


def missing(wanted: Iterable[Requirement], there: Mapping[str, str]) -> dict[str, str]:
    """Name and version of each package that the machine lacks, requirements included."""
    environment = dict(default_environment())
    environment |= {"python_version": ".".join(map(str, PYTHON)), "python_full_version": "3.12.3"}
    environment |= {"sys_platform": "linux", "platform_machine": "x86_64", "extra": ""}
    found: dict[str, str] = {}
    open_ones = list(wanted)
    while open_ones:
        required = open_ones.pop()
        if required.marker is not None and not required.marker.evaluate(environment):
            continue
        name = canonicalize_name(required.name)
        if name not in there and name not in found:
            found[name], needs = _installed(name)
            open_ones += map(Requirement, needs)
        place = "the machine" if name in there else "this environment"
        version = there.get(name) or found.get(name)
        if version and not required.specifier.contains(version, prereleases=True):
            sys.exit(f"{place} has {name} {version}, but {required} is needed")
    return found


def _installed(name: str) -> tuple[str, list[str]]:
    """The version that is installed here, and what it requires."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        sys.exit(f"{name} is not installed here: pip install -e '.[sample]'")
    return package.version, package.requires or []


def gather(requirement: str, folder: Path) -> None:
    """Downloads a package's wheel for the machine; builds one where there is none."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    target = ["--only-binary=:all:", "--python-version", ".".join(map(str, PYTHON))]
    target += ["--implementation", "cp", "--abi", "cp312", "--abi", "abi3", "--abi", "none"]
    target += [word for platform in PLATFORMS for word in ("--platform", platform)]
    download = [*pip, "download", "--no-deps", "--dest", str(folder), *target, requirement]
    if subprocess.run(download, capture_output=True, check=False).returncode:
        build = [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), requirement]
        if subprocess.run(build, check=False).returncode:
            sys.exit(f"there is no wheel of {requirement} and none can be built")


def check(wheels: Mapping[str, int]) -> list[str]:
    """What is wrong with the wheels, each problem as a line.

    Args:
        wheels: Bytes by file name.
    """
    fitting = frozenset(_tags())
    problems = [
        f"{name} does not fit Python 3.12 on Linux, x86-64"
        for name in wheels
        if fitting.isdisjoint(parse_wheel_filename(name)[3])
    ]
    total = sum(wheels.values())
    if total > LARGEST:
        problems.append(f"the wheels take {total / 2**20:.1f} MiB; {LARGEST >> 20} MiB may travel")
    return problems


def _tags() -> Iterator[Tag]:
    yield from cpython_tags(PYTHON, platforms=PLATFORMS)
    yield from compatible_tags(PYTHON, interpreter="cp312", platforms=PLATFORMS)


if __name__ == "__main__":
    main()
