"""Sample data that several processes write at once."""

import multiprocessing
import time

from mogabench.data.cache import written_once


def test_processes_that_no_lock_keeps_apart_leave_the_whole(tmp_path, monkeypatch):
    """As on two machines: on a network's file system the lock of a folder is one machine's."""
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    context = multiprocessing.get_context("fork")
    is_half_done = context.Event()

    def fill(place):
        for number in range(200):
            place.mkdir(exist_ok=True)
            (place / str(number)).write_text("whole")
            time.sleep(0.001)
            if number == 100:
                is_half_done.set()

    def write():
        folder = written_once("sample-letters", "1", fill)
        assert len(list(folder.iterdir())) == 200

    pool = [context.Process(target=write) for _ in range(2)]
    pool[0].start()
    assert is_half_done.wait(10)
    pool[1].start()
    for child in pool:
        child.join()
    assert [child.exitcode for child in pool] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["sample-letters-1"]
    assert len(list((tmp_path / "sample-letters-1").iterdir())) == 200
