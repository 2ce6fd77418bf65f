"""Fail when the coverage of the seams falls below its floor; say nothing when it holds."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

FLOORS = {"core": 95.0, "ports": 95.0, "loop": 95.0}


def main(report: str) -> int:
    """Compare a coverage report in JSON with the floors; return the exit code."""
    covered: Counter[str] = Counter()
    statements: Counter[str] = Counter()
    for path, entry in json.loads(Path(report).read_text())["files"].items():
        room = Path(path.replace("\\", "/").partition("interlock/")[2]).parts[0]
        covered[room] += entry["summary"]["covered_lines"]
        statements[room] += entry["summary"]["num_statements"]
    missed = False
    for room, floor in FLOORS.items():
        percent = 100 * covered[room] / statements[room] if statements[room] else 100.0
        if percent < floor:
            print(f"coverage of {room} is {percent:.1f} %, below its floor of {floor:.0f} %", file=sys.stderr)
            missed = True
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
