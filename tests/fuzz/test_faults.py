"""Records, reports, weights and trainings, each of whose system calls fails or kills in turn."""

import mmap
import os
import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mogabench.data.cache import written_once
from mogabench.engine.run import WEIGHTS, run
from mogabench.files import replaced_together, write_whole
from mogabench.paper import get_paper
from mogabench.records import Kind, Provenance, Record, Store
from mogabench.records.exchange import merge
from mogabench.subject import Subject
from mogabench.tables.join import join
from mogabench.tables.rendering import ENDINGS, write_tables
from mogabench.tasks.classification import TASK
from tests.counted import counted
from tests.fuzz.faults import every_fault, in_child, needs_strace

pytestmark = [pytest.mark.slow, needs_strace]


def record(name):
    return Record(
        subject=Subject(task="t", method="m", backbone=name, input_size=(1, 1)),
        kind=Kind.COMPLEXITY,
        values=counted(),
        provenance=Provenance(command="test", device="meta"),
    )


def test_no_acknowledged_record_is_lost(tmp_path):
    folder, told = tmp_path / "results", set()
    memory = mmap.mmap(-1, 4096)  # shared with the children, and no system call to write to

    def work():
        store = Store(folder)
        for number in range(3):
            if store.append(record(f"{os.getpid()}-{number}")):
                memory[number] = 1
                memory[8:16] = os.getpid().to_bytes(8, "little")

    def check():
        pid = int.from_bytes(memory[8:16], "little")
        told.update(f"{pid}-{number}" for number in range(3) if memory[number])
        memory[:3] = bytes(3)
        stored = [item.subject.backbone for item in Store(folder).all()]
        assert len(stored) == len(set(stored)) and told <= set(stored)

    assert every_fault(work, folder, check) > 20
    assert len(told) > 10
    assert Store(folder).append(record("afterwards"))


def test_a_merge_of_records_is_finished_by_the_next_one(tmp_path):
    folder, other = tmp_path / "results", Store(tmp_path / "other")
    names = [f"network-{number}" for number in range(4)]
    assert all(other.append(record(name)) for name in names)

    def check():
        merge(Store(folder), [other.results])
        assert [item.subject.backbone for item in Store(folder).all()] == names
        shutil.rmtree(folder)

    assert every_fault(lambda: merge(Store(folder), [other.results]), folder, check) > 100


def test_tables_and_sample_data_are_whole_or_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path / "written"))
    folder = tmp_path / "written"
    tables = [join(get_paper().table("2"), Store(tmp_path / "none"))]
    files = [folder / f"table{ending}" for ending in (".md", ".csv", ".tex", ".html", ".json")]

    def fill(place):
        place.mkdir()
        for name in "ab":
            (place / name).write_text(name)

    def write():
        for file in files:
            write_tables(tables, file, ENDINGS[file.suffix])
        written_once("sample-letters", "1", fill)

    def check():
        for file in filter(Path.exists, files):
            assert file.read_bytes() == whole[file]
        write()
        assert {file: file.read_bytes() for file in files} == whole
        assert [path.name for path in sorted((folder / "sample-letters-1").iterdir())] == ["a", "b"]
        assert not list(folder.rglob(".*"))
        shutil.rmtree(folder)

    write()
    whole = {file: file.read_bytes() for file in files}
    assert every_fault(write, folder, check) > 100


def test_a_report_is_old_or_new_as_a_whole(tmp_path):
    folder, names = tmp_path / "results", ["a.md", "b.md", "papers/a.md", "papers/b.md"]

    def write(text):
        with replaced_together(folder):
            for name in names:
                write_whole(folder / name, text)

    def check():
        with replaced_together(folder):
            pass  # what the next report does first
        texts = {(folder / name).read_text() for name in names}
        assert len(texts) == 1
        left = [path for path in folder.rglob("*") if path.name.startswith(".")]
        assert not left
        write("old")

    write("old")
    assert every_fault(lambda: write("new"), folder, check) > 100


class Small(type(TASK)):
    """Classification by a small network, of images that are in memory."""

    def __init__(self, job):
        setup = TASK.prepare(job)
        setup.model.network = nn.Sequential(
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(12, 3)
        )
        sources = {
            name: replace(source, items=[source.items[number] for number in range(4)])
            for name, source in (("train", setup.train), ("test", setup.test))
        }
        self.setup = replace(setup, drawing=None, **sources)

    def prepare(self, job):
        return deepcopy(self.setup)


def test_a_training_goes_on_to_the_same_weights(job, tmp_path, monkeypatch):
    monkeypatch.setattr("mmengine.runner.runner.collect_env", dict)  # starts a compiler
    monkeypatch.setattr("mogabench.engine.curve.draw", lambda _: b"a picture")
    folder = tmp_path / "work"
    training = job("batch_size=4", "ema={decay_start: 0.5, decay: 0.9}", work_dir=folder)
    task = Small(training)
    through = tmp_path / "through"
    run(replace(training, work_dir=through), task)  # imports what every child needs
    expected = torch.load(through / WEIGHTS, weights_only=True)["state_dict"]
    names = {path.name for path in through.iterdir() if path.is_file()}

    def check():
        child = in_child(lambda: run(replace(training, resume=True), task))
        assert os.waitpid(child, 0)[1] == 0
        weights = torch.load(folder / WEIGHTS, weights_only=True)["state_dict"]
        assert all(torch.equal(weights[name], expected[name]) for name in expected)
        assert {path.name for path in folder.iterdir() if path.is_file()} == names
        shutil.rmtree(folder)

    assert every_fault(lambda: run(training, task), folder, check) > 100
