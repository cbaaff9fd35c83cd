import atexit
import gc
import os
import signal
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from timm.layers import LayerNorm2d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mogabench import catalogue
from mogabench.cli import main
from mogabench.console import LOG
from mogabench.engine.job import Job
from mogabench.subject import Subject
from mogabench.tasks import load_recipe
from mogabench.tasks.classification import TASK

# Tests run on all cores at once, so each process, and each that it starts, computes on one.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# A shell that starts pytest in the background has it ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)  # without xdist there is no such hook
def pytest_xdist_auto_num_workers():
    """The cores that this process may use, where xdist would count the machine's physical ones."""
    return len(os.sched_getaffinity(0))


def pytest_collection_modifyitems(config, items):
    """Long tests begin first: begun last, one would leave the other cores without work.

    Each of xdist's workers begins with a part of the list, so each part has its share of them.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for item in items if item.get_closest_marker("long")]
    short = [item for item in items if not item.get_closest_marker("long")]
    items[:] = [
        item
        for n in range(workers)
        for item in (
            *long[n::workers],
            *short[n * len(short) // workers : (n + 1) * len(short) // workers],
        )
    ]


def pytest_collection_finish():
    """Of what the imports left nothing is garbage; looking at it takes minutes of all tests."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # else native modules complain of leaks at the end


def pytest_terminal_summary(terminalreporter):
    """Says in a line what brings the skipped tests that lack a package."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)]
    lacking = [text.partition("needs ")[2] for text in reasons if "needs " in text]
    if lacking:
        ways = "; ".join(f"{way} ({count})" for way, count in Counter(lacking).most_common())
        terminalreporter.write_line(f"{len(lacking)} skipped tests need: {ways}")


@pytest.fixture(autouse=True)
def restore_imports(monkeypatch):
    """Undoes what ``--import`` adds to the packages and to the path that other processes import by.

    A test's folder may hold the user's ``mogabench`` folder of results, which such a process would
    take for the package.
    """
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(catalogue, "_imported", {})


@pytest.fixture(autouse=True)
def restore_logging():
    """Undoes what a command sets up: pytest's ``caplog`` sees the messages of later tests."""
    handlers, level, propagate = LOG.handlers[:], LOG.level, LOG.propagate
    yield
    LOG.handlers[:], LOG.propagate = handlers, propagate
    LOG.setLevel(level)


@pytest.fixture
def mogabench(monkeypatch, capsys, tmp_path):
    """Runs a command as its console script does; returns standard output and error."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments, status=0):
        monkeypatch.setattr(sys, "argv", ["mogabench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert stop.value.code == status, err
        return out, err

    yield run
    sys.modules.pop("toy", None)
    catalogue.backbones.cache_clear()


COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 70), "red": (210, 50, 40)}


@pytest.fixture(scope="session")
def randomise():
    """Gives norms and scales values that matter; the initial ones hide every branch."""

    def randomise(network: nn.Module) -> nn.Module:
        torch.manual_seed(0)
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 2)
            if isinstance(module, _BatchNorm | LayerNorm2d):
                nn.init.normal_(module.weight, 1, 0.2)
                nn.init.normal_(module.bias, std=0.1)
        for name, value in network.named_parameters():
            if "scale" in name:
                nn.init.normal_(value, std=0.3)
            elif value.ndim == 4:
                nn.init.normal_(value, std=value[0].numel() ** -0.5)
        return network.eval()

    return randomise


@pytest.fixture
def folder(tmp_path):
    """A folder of noisy images in three classes by colour: 16 each to train on, 4 to evaluate."""
    random = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 4)):
        for name, colour in COLOURS.items():
            place = tmp_path / "colours" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = random.normal(colour, 60, (40, 36, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "colours"


@pytest.fixture
def job(folder, tmp_path):
    """Makes a short training on the folder; keyword arguments change the job."""

    def make(*overrides: str, backbone: str = "test_convnext", **changes: object) -> Job:
        recipe = load_recipe(
            "sample_digits",
            overrides=[
                "schedule.epochs=2",
                "schedule.warmup_epochs=0",
                "batch_size=16",
                *overrides,
            ],
        )
        base = Job(
            Subject(
                task="classification", method="classifier", backbone=backbone, input_size=(32, 32)
            ),
            recipe,
            str(folder),
            TASK.Options(),
            work_dir=tmp_path / "work",
            train=True,
            workers=0,
            quiet=True,
        )
        return replace(base, **changes)

    return make
