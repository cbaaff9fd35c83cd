"""Compares the tables of two results folders: ``compare_results.py COMMITTED FRESH``.

Only tables are compared: records differ in time and machine, and plots may show throughput.
"""

import difflib
import sys
from pathlib import Path


def main() -> None:
    committed, fresh = map(Path, sys.argv[1:])
    names = {path.name for folder in (committed, fresh) for path in folder.glob("table_*.md")}
    different = 0
    for name in sorted(names):
        texts = [
            (folder / name).read_text().splitlines() if (folder / name).exists() else []
            for folder in (committed, fresh)
        ]
        changes = list(difflib.unified_diff(*texts, "committed", "fresh", name, name, lineterm=""))
        different += bool(changes)
        print("\n".join(changes), end="\n" * bool(changes))
    print(f"{len(names) - different} tables equal, {different} different")
    sys.exit(1 if different or not names else 0)


if __name__ == "__main__":
    main()
