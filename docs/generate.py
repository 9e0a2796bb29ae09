"""Write anew the parts of the pages that a command prints: `python docs/generate.py`.

Such a part stands between `<!-- begin: ganbench … -->` and `<!-- end -->`. With names of pages, as in `python
docs/generate.py performance`, only those are written. The pages on performance and on statistics are written for their
names alone: they take minutes, and the first wants a machine that does nothing else.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from simulation import tables

from ganbench.plugins import discover
from ganbench.zoo import zoo_page

PART = re.compile(r"(<!-- begin: ganbench (?P<arguments>[^\n]+) -->\n).*?(<!-- end -->)", re.DOTALL)

SIMULATION = re.compile(r"(<!-- begin: simulation -->\n).*?(<!-- end -->)", re.DOTALL)

SLOW = ("performance", "statistics")


def regenerated(text: str) -> str:
    """A page's text with what its commands print now."""
    return PART.sub(lambda part: f"{part.group(1)}\n{_printed(part['arguments'])}\n{part.group(3)}", text)


def _printed(arguments: str) -> str:
    command = [sys.executable, "-m", "ganbench", *shlex.split(arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def pages(names: Sequence[str]) -> list[Path]:
    """The pages of these names, or all that take no minutes."""
    folder = Path(__file__).parent
    if names:
        return [folder / f"{name}.md" for name in names]
    return [page for page in sorted(folder.glob("*.md")) if page.stem not in SLOW]


def written(page: Path) -> str:
    """What is to stand on the page: of the zoo's, all is written from what is installed."""
    if page.stem == "zoo":
        return zoo_page(discover())
    text = regenerated(page.read_text(encoding="utf-8"))
    if page.stem != "statistics":
        return text
    return SIMULATION.sub(lambda part: f"{part.group(1)}\n{tables()}\n\n{part.group(2)}", text)


if __name__ == "__main__":
    for page in pages(sys.argv[1:]):
        page.write_text(written(page), encoding="utf-8")
