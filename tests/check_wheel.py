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
from mogabench.paper import load_table, table_ids
from pathlib import Path
assert Path(mogabench.__file__).is_relative_to({site!r}), mogabench.__file__
assert sum(len(load_table(name).rows) for name in table_ids()) > 428
assert "in1k_300e" in mogabench.recipes.names() and "classification" in mogabench.tasks()
"""


def main() -> None:
    wheel = next(Path(sys.argv[1]).glob("*.whl"))
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", folder, str(wheel)], check=True)
        top = {path.name for path in Path(folder).iterdir() if path.suffix != ".dist-info"}
        assert top <= {"mogabench", "bin"}, f"unexpected in site-packages: {sorted(top)}"
        environment = os.environ | {"PYTHONPATH": folder}
        for command in (
            [sys.executable, "-c", USE.format(site=folder)],
            [sys.executable, "-m", "mogabench", "table", "A1", "--quiet"],
        ):
            subprocess.run(command, check=True, cwd=folder, env=environment)
    print(f"{wheel.name} works")


if __name__ == "__main__":
    main()
