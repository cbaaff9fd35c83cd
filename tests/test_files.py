"""Files that are written together: all of them, or none."""

import json
import multiprocessing
import os
import signal
import time
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from mogabench.catalogue import import_packages
from mogabench.cli import app
from mogabench.cli.table import _read_sources
from mogabench.data.identity import data_name, data_root
from mogabench.errors import UserError
from mogabench.files import replaced_together, write_whole
from mogabench.tasks.video.data import _folder

NAMES = [f"{number}.md" for number in range(40)]


def write(folder, text, pause=0.0):
    with replaced_together(folder):
        for name in NAMES:
            write_whole(folder / name, text)
            time.sleep(pause)


def content(folder):
    return {(folder / name).read_text() for name in NAMES}


def test_an_error_leaves_all_as_it_was(tmp_path):
    write(tmp_path, "old")
    with pytest.raises(ZeroDivisionError), replaced_together(tmp_path):
        write_whole(tmp_path / "0.md", "new")
        write_whole(tmp_path / "further.md", "new")
        1 / 0  # noqa: B018
    assert content(tmp_path) == {"old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)


@pytest.mark.slow
def test_a_killed_writer_leaves_old_or_new_and_the_next_one_removes_its_rest(tmp_path):
    """SIGKILL at moments over the whole time that it takes to write.

    While the files move to their places some are new and some are old; then the next one finishes
    the work, before it writes anything of its own.
    """
    write(tmp_path, "0")
    before = "0"
    for attempt in range(1, 16):
        child = multiprocessing.get_context("fork").Process(
            target=write, args=(tmp_path, str(attempt), 0.002)
        )
        child.start()
        time.sleep(0.012 * attempt)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        decided = (tmp_path / ".finished").exists()
        assert decided or content(tmp_path) in ({before}, {str(attempt)})
        with pytest.raises(KeyboardInterrupt), replaced_together(tmp_path):
            raise KeyboardInterrupt
        after = content(tmp_path)
        assert after == {str(attempt)} if decided else after in ({before}, {str(attempt)})
        (before,) = after
    write(tmp_path, "last")
    assert content(tmp_path) == {"last"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)


def test_two_writers_take_turns(tmp_path):
    pool = [
        multiprocessing.get_context("fork").Process(target=write, args=(tmp_path, text, 0.003))
        for text in "abc"
    ]
    for child in pool:
        child.start()
    for child in pool:
        child.join()
    assert [child.exitcode for child in pool] == [0, 0, 0] and len(content(tmp_path)) == 1


def test_a_writer_that_is_interrupted_while_it_waits_takes_no_file_of_another(tmp_path):
    write(tmp_path, "old")
    context = multiprocessing.get_context("fork")
    with replaced_together(tmp_path):
        write_whole(tmp_path / NAMES[0], "new")
        waiting = context.Process(target=write, args=(tmp_path, "other"))
        waiting.start()
        time.sleep(0.3)  # it is within flock by then
        os.kill(waiting.pid, signal.SIGINT)
        waiting.join()
        for name in NAMES[1:]:
            write_whole(tmp_path / name, "new")
    assert waiting.exitcode == 1 and content(tmp_path) == {"new"}


def test_writers_of_one_file_leave_the_whole_of_one_and_nothing_else(tmp_path):
    def write_often(letter):
        for _ in range(200):
            write_whole(tmp_path / "file", letter * 50_000)

    context = multiprocessing.get_context("fork")
    pool = [context.Process(target=write_often, args=(letter,)) for letter in "abcd"]
    for child in pool:
        child.start()
    while any(child.is_alive() for child in pool):
        text = (tmp_path / "file").read_text() if (tmp_path / "file").exists() else "a" * 50_000
        assert len(text) == 50_000 and len(set(text)) == 1
    for child in pool:
        child.join()
    assert [child.exitcode for child in pool] == [0, 0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_and_a_pipe_stay_what_they_are(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/file")
    for text in ("old", "new"):
        write_whole(tmp_path / "link", text)
        assert (tmp_path / "there" / "file").read_text() == text
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", "text")
    assert os.read(reader, 9) == b"text"
    os.close(reader)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "pipe").is_fifo()
    assert {path.name for path in tmp_path.rglob("*")} == {"there", "link", "file", "pipe"}


def test_a_name_that_is_not_utf_8_is_one_that_json_can_hold(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xc3\xa9.jpg")
    write_whole(tmp_path / "list.json", json.dumps([name], ensure_ascii=False))
    assert json.loads((tmp_path / "list.json").read_text("utf-8")) == [name]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"), replaced_together(tmp_path / "file" / "a"):
        pass


def test_a_name_with_a_tilde_that_is_no_users_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~no one").mkdir()
    (tmp_path / "~no one" / "mine.py").touch()
    assert data_root("~no one", sample=tmp_path.joinpath).resolve() == tmp_path / "~no one"
    assert data_name(_folder(SimpleNamespace(data="~no one"))) == "folder:~no one"
    import_packages(["~no one/mine.py"])
    (tmp_path / "~old.csv").write_text("model,img_size,top1\nresnet50,224,80\n")
    assert [source.name for source in _read_sources(["timm=~old.csv"], "text")] == ["timm"]


@pytest.mark.slow
def test_an_output_may_lie_below_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(app, ["table", "A1", "--output=~/t.md"])
    assert done.exit_code == 0 and (tmp_path / "home" / "t.md").exists(), done.exception
