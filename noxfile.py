"""The project's chores; ``nox --no-venv -s NAME`` runs one in the current environment."""

from pathlib import Path
from tempfile import TemporaryDirectory

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "venv"


def install(session: nox.Session) -> None:
    if session.virtualenv.is_sandboxed:
        session.install("-e", ".[dev]")


@nox.session
def tests(session: nox.Session) -> None:
    """The newcomer's tests; ``-- -m slow`` runs the slow ones instead."""
    install(session)
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Checks the built package: a checker cannot follow the mapping of tasks/ and recipes/."""
    install(session)
    built = session.create_tmp()
    session.run(
        "python", "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade",
        "--target", built, ".",
    )  # fmt: skip
    configuration = f"--config-file={session.invoked_from}/pyproject.toml"
    session.chdir(built)
    session.run("mypy", configuration, "-p", "mogabench")


@nox.session
def tables(session: nox.Session) -> None:
    """Counts every network anew and fails where the committed results differ."""
    install(session)
    fresh = session.create_tmp()
    for paper in sorted(Path("mogabench/papers").glob("*/paper.yaml")):
        report = ("report", "--paper", paper.parent.name, "--fresh", "--results", fresh, "--quiet")
        session.run("mogabench", *report)
    session.run("python", "tests/compare_results.py", "results", fresh)


@nox.session
def benchmarks(session: nox.Session) -> None:
    install(session)
    for name in ("startup", "tables", "complexity"):
        session.run("python", f"benchmarks/{name}.py", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Builds the wheel and runs it away from the source tree."""
    install(session)
    with TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--wheel", "--outdir", folder)
        session.run("python", "tests/check_wheel.py", folder)
