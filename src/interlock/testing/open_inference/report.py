"""Show what became of checks: as a table for people, as JSON for programs, as a page for the docs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from interlock.testing.open_inference.checks import Outcome, short

_SIGNS = {"pass": "✓", "fail": "✗", "not run": "–"}


class Report(msgspec.Struct, frozen=True):
    """What became of one server.

    Args:
        server: What the server calls itself, with its version.
        clients: The versions of the clients that checked it.
        outcomes: What became of each check, in the order of the table.
    """

    server: str
    clients: dict[str, str]
    outcomes: tuple[Outcome, ...]

    def count(self, verdict: str) -> int:
        """Return how many checks came to a verdict."""
        return sum(one.verdict == verdict for one in self.outcomes)


def as_json(report: Report) -> str:
    """Return a report as JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode()


def from_json(text: str | bytes) -> Report:
    """Read a report back."""
    return msgspec.json.decode(text, type=Report)


def as_table(report: Report) -> str:
    """Return a report as lines of text: a line for each check, what went wrong below it, and the counts."""
    lines: list[str] = []
    group = ""
    for one in report.outcomes:
        if one.group != group:
            group = one.group
            lines += ["", group]
        lines.append(f"  {_SIGNS[one.verdict]} {one.title}")
        if one.verdict == "fail":
            lines += [f"      expected: {one.expected}", f"      got:      {one.got}"]
        elif one.verdict == "not run":
            lines.append(f"      {one.got}")
    return "\n".join([*lines, "", f"{report.server}: {counts(report)}"]).lstrip("\n")


def counts(report: Report) -> str:
    """Return how many checks passed, failed and were not run, in words."""
    ran = len(report.outcomes) - report.count("not run")
    words = f"{report.count('pass')} of {ran} checks pass, {report.count('fail')} fail"
    return words + (f", {report.count('not run')} were not run" if report.count("not run") else "")


def as_page(reports: Sequence[Report]) -> str:
    """Return the tables of a page, with a column for each server and what went wrong below them."""
    lines = ["| group | checks | " + " | ".join(_cell(report.server) for report in reports) + " |"]
    lines.append("|---|---:|" + "---:|" * len(reports))
    groups = list(dict.fromkeys(one.group for one in reports[0].outcomes))
    for group in groups:
        number = sum(one.group == group for one in reports[0].outcomes)
        lines.append(f"| {_cell(group)} | {number} | " + " | ".join(_share(report, group) for report in reports) + " |")
    lines.append(
        f"| **all** | **{len(reports[0].outcomes)}** | "
        + " | ".join(f"**{report.count('pass')}**" for report in reports)
        + " |"
    )
    lines += ["", "Clients: " + ", ".join(f"{name} {version}" for name, version in reports[0].clients.items()) + "."]
    for group in groups:
        lines += ["", f"## {group}", "", *_group_table(reports, group)]
    for report in reports:
        failed = [one for one in report.outcomes if one.verdict == "fail"]
        if failed:
            lines += ["", f"## What {report.server} does instead", ""]
            lines += [
                f"- {_cell(one.group)}: *{_cell(one.title)}*: expected {_cell(one.expected)}; got `{_code(one.got)}`"
                for one in failed
            ]
    return "\n".join(lines) + "\n"


def _share(report: Report, group: str) -> str:
    of_group = [one for one in report.outcomes if one.group == group]
    if all(one.verdict == "not run" for one in of_group):
        return "not run"
    return str(sum(one.verdict == "pass" for one in of_group))


def _group_table(reports: Sequence[Report], group: str) -> Iterable[str]:
    yield "| the server | " + " | ".join(_cell(report.server) for report in reports) + " |"
    yield "|---|" + ":-:|" * len(reports)
    found = [{(one.group, one.title): one.verdict for one in report.outcomes} for report in reports]
    for one in reports[0].outcomes:
        if one.group == group:
            signs = (_SIGNS[verdicts.get((one.group, one.title), "not run")] for verdicts in found)
            yield f"| {_cell(one.title)} | " + " | ".join(signs) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return short(text).replace("`", "'").replace("|", "\\|")
