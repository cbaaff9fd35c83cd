"""What the tests of whole commands share."""

import sys

import pytest

from mogabench import catalogue
from mogabench.cli import main
from mogabench.console import LOG


@pytest.fixture
def mogabench(monkeypatch, capsys, tmp_path):
    """Runs a command as its console script does; returns standard output and error."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "_imported", {})
    handlers, level, propagate = LOG.handlers[:], LOG.level, LOG.propagate

    def run(*arguments, status=0):
        monkeypatch.setattr(sys, "argv", ["mogabench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert stop.value.code == status, err
        return out, err

    yield run
    LOG.handlers[:], LOG.propagate = handlers, propagate
    LOG.setLevel(level)
    sys.modules.pop("toy", None)
    catalogue.backbones.cache_clear()
