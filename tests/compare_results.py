"""Compares two results folders: ``compare_results.py COMMITTED FRESH``.

Compared are the tables of all papers as they are printed, and every counted number in all its
digits. A record that FRESH lacks repeats the committed one: `mogabench report --fresh`
writes what differs from the newest record. Throughput and quality depend on the machine; they are
compared only where a table shows them.
"""

import difflib
import sys
from pathlib import Path

from mogabench.records import Kind, Quantity, Store


def compare_tables(committed: Path, fresh: Path) -> tuple[int, int]:
    """Prints each difference; returns how many tables are equal and how many are not."""
    names = {
        str(path.relative_to(folder))
        for folder in (committed, fresh)
        for path in folder.rglob("table_*.md")
    }
    different = 0
    for name in sorted(names):
        texts = [
            (folder / name).read_text().splitlines() if (folder / name).exists() else []
            for folder in (committed, fresh)
        ]
        changes = list(difflib.unified_diff(*texts, "committed", "fresh", name, name, lineterm=""))
        different += bool(changes)
        print("\n".join(changes), end="\n" * bool(changes))
    return len(names) - different, different


def compare_counts(committed: Path, fresh: Path) -> tuple[int, int]:
    """Prints each difference; returns how many networks are counted equally and how many not."""
    before, after = Store(committed), Store(fresh, base=committed)
    keys = {record.subject.key for record in after.all(Kind.COMPLEXITY)}
    different = 0
    for key in sorted(keys):
        records = (store.latest(key, Kind.COMPLEXITY) for store in (before, after))
        old, new = (record.values if record else {} for record in records)
        changes = [
            f"{key}: {name}: committed {_value(old.get(name))}, fresh {_value(new.get(name))}"
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        ]
        different += bool(changes)
        print("\n".join(changes), end="\n" * bool(changes))
    return len(keys) - different, different


def _value(quantity: Quantity | None) -> str:
    return "nothing" if quantity is None else f"{quantity.value:.15g}"


def main() -> None:
    committed, fresh = map(Path, sys.argv[1:])
    equal_tables, other_tables = compare_tables(committed, fresh)
    equal_counts, other_counts = compare_counts(committed, fresh)
    print(f"tables: {equal_tables} equal, {other_tables} different")
    print(f"counted networks: {equal_counts} equal, {other_counts} different")
    sys.exit(1 if other_tables or other_counts or not equal_tables else 0)


if __name__ == "__main__":
    main()
