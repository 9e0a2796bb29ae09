"""Write anew the parts of the pages that a command prints: `python docs/generate.py`.

Such a part stands between `<!-- begin: ganbench … -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

PART = re.compile(r"(<!-- begin: ganbench (?P<arguments>[^\n]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def regenerated(text: str) -> str:
    """A page's text with what its commands print now."""
    return PART.sub(lambda part: f"{part.group(1)}\n{_printed(part['arguments'])}\n{part.group(3)}", text)


def _printed(arguments: str) -> str:
    command = [sys.executable, "-m", "ganbench", *shlex.split(arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


if __name__ == "__main__":
    for page in sorted(Path(__file__).parent.glob("*.md")):
        page.write_text(regenerated(page.read_text(encoding="utf-8")), encoding="utf-8")
