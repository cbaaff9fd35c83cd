"""The store keeps every whole record, whatever happens around it."""

import errno
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mogabench.errors import UserError
from mogabench.records import Data, Kind, Provenance, Quantity, Record, Store, packaged_results
from mogabench.records.provenance import command_line
from mogabench.records.store import _RecordFile
from mogabench.subject import Subject
from tests.counted import counted


def subject(backbone="moganet_tiny", **options):
    return Subject(
        task="classification",
        method="classifier",
        backbone=backbone,
        input_size=(224, 224),
        options=options,
    )


def record(value=1.0, backbone="moganet_tiny", kind=Kind.COMPLEXITY, **where):
    return Record(
        subject=subject(backbone),
        kind=kind,
        values=counted(throughput=value) if kind is Kind.THROUGHPUT else counted(parameters=value),
        provenance=Provenance(**{"command": "test", "device": "meta"} | where),
    )


def at(hour, one):
    started = datetime(2026, 1, 1, hour, tzinfo=UTC)
    return one.model_copy(
        update={"provenance": one.provenance.model_copy(update={"started": started})}
    )


def test_a_record_comes_back_equal(tmp_path):
    data = Data(name="imagenet-1k", split="val", samples=50_000, digest="0" * 64)
    written = record(0.1 + 0.2, commit="abc", dirty=True, data=data, packages={"torch": "2.15"})
    Store(tmp_path).append(written)
    assert list(Store(tmp_path).all()) == [written]


def test_a_folder_in_the_home_folder_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Store("~/base").append(record())
    assert len(list(Store(tmp_path / "base").all())) == 1
    assert len(list(Store("~/own", base="~/base").all())) == 1


def test_a_wrong_path_says_so(tmp_path):
    Store(tmp_path).append(record())
    with pytest.raises(UserError, match=f"the folder above it, {tmp_path}$"):
        Store(tmp_path / "records")
    with pytest.raises(UserError, match="is a file, not a folder"):
        Store(tmp_path / "records" / "complexity.jsonl")


def test_a_folder_that_may_not_be_looked_into_is_one_clear_line(tmp_path, monkeypatch):
    def refuse(path):  # as below another user's home
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(UserError, match=f"cannot read {tmp_path}: Permission denied; .*--results"):
        Store(tmp_path)


def test_a_record_is_named_by_its_content_wherever_it_is_stored(tmp_path):
    one, other = record(1.0, commit="abc"), record(1.0 + 2**-52, commit="abc")
    later = one.model_copy(
        update={"provenance": record(commit="abc").provenance}  # started a moment later
    )
    assert len({one.id, other.id, later.id}) == 3
    Store(tmp_path).append(one)
    (stored,) = Store(tmp_path).all()
    assert stored.id == one.id and len(one.id) == 12 and int(one.id, 16) >= 0
    whole = json.loads((tmp_path / "records" / "complexity.jsonl").read_text())
    turned = {key: whole[key] for key in reversed(whole)}
    turned["provenance"] |= {"busy": False, "driver": None}  # as a reader takes it
    assert Record.model_validate(turned).id == one.id


def test_the_packaged_records_have_ids_of_their_own():
    ids = [found.id for found in Store(packaged_results()).all()]
    assert len(ids) > 2000 and len(set(ids)) == len(ids)


def test_the_latest_of_a_setup_wins(tmp_path):
    store = Store(tmp_path)
    for value, dtype in ((1, "float32"), (2, "bfloat16"), (3, "float32")):
        store.append(record(value, kind=Kind.THROUGHPUT, dtype=dtype))
    key = subject().key
    for reader in (store, Store(tmp_path)):
        latest = reader.latest(key, Kind.THROUGHPUT, dtype="bfloat16")
        assert latest is not None and latest.values["throughput"].value == 2
        assert reader.latest(key, Kind.THROUGHPUT).values["throughput"].value == 3
        assert reader.latest(key, Kind.COMPLEXITY) is None


@pytest.mark.parametrize(
    ("kind", "figures", "lacking"),
    [
        (Kind.THROUGHPUT, {"latency_p50"}, "throughput"),
        (Kind.THROUGHPUT, {"throughput", "floor"}, "latency_p50"),
        *((Kind.COMPLEXITY, counted().keys() - {name}, name) for name in counted()),
    ],
)
def test_a_record_without_what_is_shown_of_it_is_none(kind, figures, lacking):
    content = record(kind=kind).model_dump(mode="json")
    content["values"] = {name: {"value": 1.0, "unit": "1"} for name in figures}
    with pytest.raises(ValueError, match=f"a record of {kind} lacks {lacking}"):
        Record.model_validate(content)


def test_options_written_in_any_order_are_the_same_subject():
    one, other = (
        subject(gate_act="gelu", split=(1, 3, 4)),
        subject(split=[1, 3, 4], gate_act="gelu"),
    )
    assert one == other and hash(one) == hash(other) and one.key == other.key
    assert one.key == (
        'classification/classifier/moganet_tiny@224x224?gate_act="gelu"&split=[1, 3, 4]'
    )


@pytest.mark.parametrize("cut", [1, 40, -2])
def test_a_torn_line_is_set_aside_and_the_rest_kept(tmp_path, cut):
    store = Store(tmp_path)
    store.append(record(1))
    path = tmp_path / "records" / "complexity.jsonl"
    torn = record(2).line().encode()[:cut]
    with path.open("ab") as file:
        file.write(torn)

    reader = Store(tmp_path)
    assert [r.values["parameters"].value for r in reader.all()] == [1]
    assert len(reader.problems) == 1

    Store(tmp_path).append(record(3))
    assert [r.values["parameters"].value for r in Store(tmp_path).all()] == [1, 3]
    assert path.with_suffix(".torn").read_bytes() == torn + b"\n"
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_line_of_a_later_schema_is_reported_not_fatal(tmp_path):
    Store(tmp_path).append(record(1))
    path = tmp_path / "records" / "complexity.jsonl"
    line = json.loads(record(2).line()) | {"novelty": 1}
    path.write_text(json.dumps(line) + "\n" + path.read_text())
    store = Store(tmp_path)
    assert [r.values["parameters"].value for r in store.all()] == [1]
    assert "complexity.jsonl:1" in store.problems[0] and "novelty" in store.problems[0]


def test_a_repeated_measurement_adds_no_record(tmp_path):
    store = Store(tmp_path)
    assert store.append(record(1, commit="abc", command="one", seconds=1))
    assert not store.append(record(1, commit="abc", command="another", seconds=2))
    assert not Store(tmp_path).append(record(1, commit="abc"))
    assert [r.provenance.command for r in Store(tmp_path).all()] == ["one"]


@pytest.mark.parametrize(
    "other",
    [
        record(2),
        record(1, commit="abc"),
        record(1, dirty=True),
        record(1, packages={"torch": "2.15"}),
        record(1, threads=2),
        record(1).model_copy(update={"notes": ["not counted: 1 x sort"]}),
        record(1).model_copy(
            update={"values": counted() | {"parameters": Quantity(value=1, unit="M")}}
        ),
    ],
)
def test_what_differs_from_the_newest_record_is_written_and_then_the_newest(tmp_path, other):
    store = Store(tmp_path)
    written = [at(0, record(1)), at(1, other), at(2, record(1))]
    assert all(store.append(one) for one in written)
    for reader in (store, Store(tmp_path)):
        assert [r.line() for r in reader.all()] == [r.line() for r in written]


def test_own_records_come_after_those_of_the_base_which_stays_as_it_is(tmp_path):
    base, own = tmp_path / "base", tmp_path / "own"
    Store(base).append(record(1))
    Store(base).append(record(5, backbone="resnet50"))
    before = (base / "records" / "complexity.jsonl").read_bytes()
    store = Store(own, base)
    assert not store.append(record(1)) and not own.exists()
    assert store.append(record(2))
    for reader in (store, Store(own, base)):
        assert [r.values["parameters"].value for r in reader.all()] == [1, 2, 5]
        assert reader.latest(subject().key, Kind.COMPLEXITY).values["parameters"].value == 2
    assert [r.values["parameters"].value for r in Store(own).all()] == [2]
    assert (base / "records" / "complexity.jsonl").read_bytes() == before


def test_the_newest_record_is_the_same_where_the_results_are_read_as_a_base(tmp_path):
    base, own = tmp_path / "base", tmp_path / "own"
    for one in (at(2, record(2)), at(1, record(1))):  # the older one merged from elsewhere
        Store(base).append(one)
    for store in (Store(base), Store(own, base)):
        newest = store.latest(subject().key, Kind.COMPLEXITY)
        assert newest.values["parameters"].value == 2


def test_records_that_may_not_be_read_are_one_clear_line(tmp_path):
    (tmp_path / "records" / "complexity.jsonl").mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot read .*complexity\.jsonl: Is a directory"):
        list(Store(tmp_path).all())


class _Growing(io.RawIOBase):
    """A file whose last line is half written when its end is read, and whole a moment later."""

    def __init__(self):
        self.parts = [b"{one}\n{tw", b"", b"o}\n", b""]

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, place, _=0):
        return place

    def readinto(self, buffer):
        part = self.parts.pop(0)
        buffer[: len(part)] = part
        return len(part)


def test_the_rest_of_a_line_is_no_line(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "open", lambda *_: io.BufferedReader(_Growing()))
    found = [line for _, line in _RecordFile(tmp_path).read_on()]
    assert found == [b"{one}\n", b"{tw"]


def _append_the_same(folder, barrier):
    store = Store(folder)
    barrier.wait()
    for number in range(100):
        store.append(record(number, backbone=f"network_{number}"))


def test_of_equal_records_that_arrive_at_once_one_is_written(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    writers = [context.Process(target=_append_the_same, args=(tmp_path, barrier)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    values = [r.values["parameters"].value for r in Store(tmp_path).all()]
    assert sorted(values) == list(range(100))


def _append_many(folder, writer):
    store = Store(folder)
    for number in range(50):
        store.append(record(writer * 1000 + number, backbone="x" * 3000))


def test_several_processes_write_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(tmp_path, n)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    store = Store(tmp_path)
    values = [r.values["parameters"].value for r in store.all()]
    assert sorted(values) == [w * 1000 + n for w in range(4) for n in range(50)]
    assert not store.problems


def test_a_writer_killed_at_any_moment_loses_no_earlier_record(tmp_path):
    script = (
        "import sys; from itertools import count; from pathlib import Path\n"
        "from mogabench.records import Quantity, Record, Store\n"
        "store, record = Store(Path(sys.argv[1])), Record.model_validate_json(sys.argv[2])\n"
        "for n in count():\n"
        "    record.values['parameters'] = Quantity(value=n, unit='1')\n"
        "    store.append(record); print(n, flush=True)\n"
    )
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), record(backbone="x" * 20000).line()],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        acknowledged = int(child.stdout.readline())
        time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
        child.wait()
        values = [r.values["parameters"].value for r in Store(tmp_path).all()]
        start = max(i for i, value in enumerate(values) if value == 0)
        assert values[start:][: acknowledged + 1] == list(range(acknowledged + 1))


def test_a_full_disk_is_one_clear_line_and_leaves_no_half_record(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.append(record(1))
    real_write, path = os.write, tmp_path / "records" / "complexity.jsonl"
    before = path.read_bytes()

    def write_a_little_then_fail(descriptor, data):
        if len(data) <= 10:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data[:-10])

    monkeypatch.setattr(os, "write", write_a_little_then_fail)
    with pytest.raises(UserError, match="No space left on device"):
        store.append(record(2))
    assert path.read_bytes() == before
    assert [r.values["parameters"].value for r in store.all()] == [1]


@pytest.mark.parametrize("program", ["/usr/bin/mogabench", "/src/mogabench/__main__.py"])
def test_a_record_names_its_command_as_one_types_it(program, monkeypatch):
    monkeypatch.setattr(sys, "argv", [program, "run", "a b"])
    assert command_line() == "mogabench run 'a b'"
