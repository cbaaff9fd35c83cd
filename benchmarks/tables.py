"""How long ``mogabench table all`` takes, counting every network and with all records there.

The floor, cold: importing torch and timm once per process (about 4 s), then building and counting
each distinct network on the meta device, which moves no data: its operations are those of Python
and of PyTorch's dispatcher, some 20 microseconds for each of a network's thousands of operators.
Warm, the floor is reading the records and the paper's CSV files: no torch at all.

    python benchmarks/tables.py
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("mogabench"))


def run(results: Path, *options: str) -> tuple[float, list[dict[str, object]]]:
    start = time.perf_counter()
    command = [COMMAND, "table", "all", "--format", "json", "--quiet", "--results", str(results)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    return time.perf_counter() - start, json.loads(done.stdout)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cold, entries = run(Path(folder), "--fresh")
        warm = sorted(run(Path(folder))[0] for _ in range(5))
    rows = {(e["table"], e["row_index"]) for e in entries if e["measured"] is not None}
    print(f"rows with a measured figure: {len(rows)}, on {os.cpu_count()} cores")
    print(f"cold {cold:.1f} s, {cold / len(rows):.3f} s per row")
    print(f"warm {warm[2]:.2f} s (median of 5; {warm[0]:.2f} to {warm[-1]:.2f})")
    print(f"ratio cold/warm {cold / warm[2]:.1f}")


if __name__ == "__main__":
    main()
