"""Installs the wheel of a folder without its dependencies and uses it away from the source tree.

``check_wheel.py FOLDER`` needs the dependencies in the running environment.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

USE = """
import mogabench.recipes, mogabench.tasks
from mogabench.paper import get_paper, paper_names
from mogabench.records import open_store, packaged_results
from pathlib import Path
assert Path(mogabench.__file__).is_relative_to({site!r}), mogabench.__file__
assert packaged_results().is_relative_to({site!r}), packaged_results()
assert sum(len(table.rows) for table in get_paper().tables()) > 428
assert all(get_paper(name).tables() for name in paper_names()) and len(paper_names()) > 2
assert "in1k_300e" in mogabench.recipes.names(mogabench.tasks.get_task("classification"))
assert sum(1 for _ in open_store().all()) > 300
"""


def main() -> None:
    (wheel,) = Path(sys.argv[1]).glob("*.whl")
    with tempfile.TemporaryDirectory() as site, tempfile.TemporaryDirectory() as home:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", site, str(wheel)], check=True)
        top = {path.name for path in Path(site).iterdir() if path.suffix != ".dist-info"}
        assert top <= {"mogabench", "bin"}, f"unexpected in site-packages: {sorted(top)}"
        records = {file: file.read_bytes() for file in Path(site).rglob("*.jsonl")}
        environment = os.environ | {"PYTHONPATH": site, "XDG_DATA_HOME": home}
        mogabench = [sys.executable, "-m", "mogabench"]
        table = [*mogabench, "table", "A1", "--quiet"]
        for command, writes in (
            ([sys.executable, "-c", USE.format(site=site)], False),
            (table, False),  # the packaged records have it all
            ([*mogabench, "table", "--paper", "convnext", "all", "--quiet"], False),
            ([*mogabench, "paper", "new", "mine"], False),
            ([*mogabench, "paper", "check", "mine"], False),
            ([*table, "--format", "html"], False),
            ([*table, "--fresh"], True),
        ):
            subprocess.run(command, check=True, cwd=site, env=environment)
            assert any(Path(home).rglob("*.jsonl")) == writes, command
        assert records == {file: file.read_bytes() for file in Path(site).rglob("*.jsonl")}
    print(f"{wheel.name} works")


if __name__ == "__main__":
    main()
