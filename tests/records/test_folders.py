"""Where results are read and written."""

from pathlib import Path

import pytest

from mogabench.catalogue import cache_folder
from mogabench.records import Kind, default_results, open_store, packaged_results


@pytest.mark.parametrize(
    ("data_home", "folder"),
    [
        (None, "/home/someone/.local/share/mogabench"),
        ("", "/home/someone/.local/share/mogabench"),
        ("relative", "/home/someone/.local/share/mogabench"),  # the specification ignores it
        ("/data", "/data/mogabench"),
    ],
)
def test_own_results_are_in_the_users_data_folder(monkeypatch, data_home, folder):
    monkeypatch.setenv("HOME", "/home/someone")
    if data_home is None:
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_DATA_HOME", data_home)
    assert default_results() == open_store().results == Path(folder)


def test_results_and_caches_may_lie_below_home(monkeypatch):
    """Also where no shell has seen the ``~``, as in Python and after ``--results=``."""
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("MOGABENCH_CACHE", "~/cache")
    assert open_store(Path("~/own")).results == Path("/home/someone/own")
    assert cache_folder() == Path("/home/someone/cache")


def test_the_packages_own_folder_is_read_once(tmp_path, monkeypatch):
    monkeypatch.chdir(packaged_results().parent)
    committed, layered = open_store(Path("results")), open_store(tmp_path)
    lines = (packaged_results() / "records" / "complexity.jsonl").read_text().splitlines()
    assert committed.base is None and layered.base == packaged_results()
    for store in (committed, layered):
        assert sum(1 for _ in store.all(Kind.COMPLEXITY)) == len(lines) > 200
