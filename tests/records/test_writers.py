"""Many processes that write to one folder of results while others read it."""

import multiprocessing

import pytest

from mogabench.records import Kind, Provenance, Record, Store
from mogabench.subject import Subject
from tests.counted import counted

WRITERS, EACH, READERS = 16, 200, 2


def record(writer, number):
    return Record(
        subject=Subject(task="t", method="m", backbone=f"{writer}-{number}", input_size=(1, 1)),
        kind=Kind.COMPLEXITY,
        values=counted(parameters=number),
        provenance=Provenance(command="test", device="meta"),
    )


def write(folder, writer):
    store = Store(folder)
    assert all(store.append(record(writer, number)) for number in range(EACH))


def read(folder, ended):
    """Reads as long as others write: each time whole records, and never fewer."""
    seen = 0
    while not ended.is_set():
        store = Store(folder)
        count = len(list(store.all()))
        assert count >= seen
        assert all("its writer was stopped" in problem for problem in store.problems)
        seen = count


@pytest.mark.slow
def test_no_record_of_many_writers_is_lost_torn_or_doubled(tmp_path):
    context = multiprocessing.get_context("fork")
    ended = context.Event()
    readers = [context.Process(target=read, args=(tmp_path, ended)) for _ in range(READERS)]
    writers = [context.Process(target=write, args=(tmp_path, n)) for n in range(WRITERS)]
    for process in [*readers, *writers]:
        process.start()
    for process in writers:
        process.join()
    ended.set()
    for process in readers:
        process.join()
    assert [process.exitcode for process in [*readers, *writers]] == [0] * (READERS + WRITERS)
    store = Store(tmp_path)
    names = [item.subject.backbone for item in store.all()]
    assert not store.problems and len(names) == len(set(names)) == WRITERS * EACH
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["complexity.jsonl"]
