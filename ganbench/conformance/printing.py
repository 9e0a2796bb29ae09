"""Findings for a terminal: a row for each check of each component, then what failed, in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganbench.conformance.findings import Finding, Verdict

if TYPE_CHECKING:
    from rich.console import Console

STYLES: dict[Verdict, str] = {"pass": "green", "fail": "bold red", "skipped": "yellow"}


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """A table of component × check, the failures with all that there is to say of them, and how many of each."""
    from rich.text import Text

    console.print(_table(findings), highlight=False)
    for finding in findings:
        if finding.verdict == "fail":
            console.print(Text(f"\n{finding.message()}"), soft_wrap=True)
    console.print(Text(f"\n{summary(findings)}"))


def _table(findings: Sequence[Finding]) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("component", "check", "result"):
        table.add_column(column, no_wrap=True)
    table.add_column("why", overflow="fold")
    title = ""
    for finding in findings:
        shown, title = "" if finding.title == title else finding.title, finding.title
        verdict = Text(finding.verdict, style=STYLES[finding.verdict])
        table.add_row(Text(shown), finding.check, verdict, Text(finding.reason or finding.found))
    return table


def summary(findings: Sequence[Finding]) -> str:
    """`21 passed, 1 failed, 2 skipped, in 3.2 s`."""
    count = Counter(finding.verdict for finding in findings)
    words: dict[Verdict, str] = {"pass": "passed", "fail": "failed", "skipped": "skipped"}
    told = [f"{count[verdict]} {word}" for verdict, word in words.items() if count[verdict]]
    return f"{', '.join(told)}, in {sum(finding.seconds for finding in findings):.1f} s"
