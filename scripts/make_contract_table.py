"""Run the contract suites on every backend and write docs/reference/contracts.md: passed and waived, port by port."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "contracts.md"
HEAD = """# Contract suites

Written by `python scripts/make_contract_table.py`, which runs them. A cell is the number of tests that a backend
passes; behind a plus, those it waives; behind a slash, those that do not concern it (optional powers it does not
have). Each suite also plays random operations on the backend and on memory and compares the outcomes.

"""


def run() -> tuple[dict[str, dict[str, Counter[str]]], bool]:
    """Run the suites; return outcomes by port and backend, and whether all was well."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "tests/contracts", f"--junitxml={report}"]
        done = subprocess.run(command, cwd=ROOT, check=False)
        root = ET.parse(report).getroot()  # noqa: S314 (written a moment ago by pytest)
    table: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for case in root.iter("testcase"):
        module, _, group = case.attrib["classname"].rpartition(".")
        port = module.rpartition(".test_")[2].replace("_", " ")
        kinds = {child.tag: child.attrib.get("type", "") for child in case}
        outcome = "passed"
        if "skipped" in kinds:
            outcome = "waived" if "xfail" in kinds["skipped"] else "not concerned"
        elif kinds.keys() & {"failure", "error"}:
            outcome = "failed"
        table[port][group.removeprefix("Test") or "memory"][outcome] += 1
    return table, done.returncode == 0


def cell(outcomes: Counter[str]) -> str:
    """Write one backend's outcomes."""
    text = str(outcomes["passed"])
    text += f" + {outcomes['waived']}" if outcomes["waived"] else ""
    text += f" / {outcomes['not concerned']}" if outcomes["not concerned"] else ""
    return text + (f" **{outcomes['failed']} failed**" if outcomes["failed"] else "")


def page(table: dict[str, dict[str, Counter[str]]]) -> str:
    """Return the page."""
    order = ["Memory", "Sqlite", "Postgres", "Remote"]
    lines = ["| port | memory | SQLite | PostgreSQL | HTTP remote | further backends |", "|---|---|---|---|---|---|"]
    total: Counter[str] = Counter()
    for port in sorted(table):
        backends = table[port]
        others = "; ".join(f"{name} {cell(backends[name])}" for name in sorted(backends.keys() - set(order)))
        cells = [cell(backends[name]) if name in backends else "" for name in order]
        lines.append(f"| {port} | {' | '.join(cells)} | {others} |")
        for outcomes in backends.values():
            total += outcomes
    lines.append(f"\n{total['passed']:,} passed, {total['waived']} waived, {total['failed']} failed.")
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Write the page and print it."""
    table, is_well = run()
    text = page(table)
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
