"""How long the command line takes to answer, against importing what it is made of.

The floor of ``mogabench --help`` is ``python -c "import typer, rich"``; less than twice that is the
goal. Processor seconds are compared, because wall seconds also measure the machine's other work.

    python benchmarks/startup.py [--runs N]
"""

import argparse
import resource
import statistics
import subprocess
import sys
from pathlib import Path

HELP = [str(Path(sys.executable).with_name("mogabench")), "--help"]
FLOOR = [sys.executable, "-c", "import typer, rich"]


def cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    for command in (HELP, FLOOR):
        cpu_seconds(command)
    pairs = [(cpu_seconds(HELP), cpu_seconds(FLOOR)) for _ in range(runs)]
    ratios = sorted(ours / floor for ours, floor in pairs)
    for name, seconds in zip(("--help", "floor"), zip(*pairs, strict=True), strict=True):
        print(f"{name:8} {statistics.median(seconds):.3f} s (median of {runs})")
    print(f"ratio    {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
