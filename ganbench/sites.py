"""A page as a folder for a web server: an index, and beside it scripts, pictures and details that it loads when asked.

It opens from a disk as well. What changes lies in files of new names, and the index is replaced last, so that a reader
finds the old page or the new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from ganbench.bindings import Files
from ganbench.disk import remove_temporary, write_atomically
from ganbench.errors import ResultsError, printable
from ganbench.report import render_html, render_markdown, table_csv, title_of
from ganbench.tables import load_curves

MARKER = ".ganbench-site"
MARK = "ganbench leaderboard --site writes this folder, and deletes what it holds of an earlier page.\n"
INDEX, MARKDOWN, TABLE, PLAIN = "index.html", "leaderboard.md", "table.csv", ".nojekyll"
"""The last one tells GitHub Pages to leave the files as they are."""

NAMES = {
    "assets": re.compile(r"[a-z]+\.[0-9a-f]{12}\.js"),
    "details": re.compile(r"(trial-[0-9a-f]{64}|variant-[0-9]+-[0-9]+)\.js"),
    "pictures": re.compile(r"[0-9a-f]{32}\.png"),
}
"""The folders of a site, and what the files in them are called."""

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.[0-9]{1,9}")


def write_site(
    folder: Path,
    table: pd.DataFrame,
    ranked: pd.DataFrame,
    meanings: Mapping[str, str] | None = None,
    curves: pd.DataFrame | None = None,
) -> Path:
    """Write the page of `table` and of its board, `ranked`, as files in `folder`; gives the index.

    `curves` are those of the same results: by default all that are recorded.

    The folder may be new, empty, or hold an earlier site, of which nothing stays. Raises ResultsError where it holds
    anything else, before anything is written.
    """
    try:
        require_own(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / MARKER, MARK.encode())
        files = Files(folder)
        known = load_curves(table.attrs["results"]) if curves is None else curves
        html = render_html(table, known, ranked, title_of(table, folder), meanings, files)
        write_atomically(folder / MARKDOWN, render_markdown(ranked).encode())
        write_atomically(folder / TABLE, table_csv(table).encode())
        write_atomically(folder / PLAIN, b"")
        write_atomically(folder / INDEX, html.encode())
        _remove_old(folder, files.written)
    except OSError as error:
        raise ResultsError(f"{error.filename or folder}: cannot be written ({error.strerror})") from error
    return folder / INDEX


def require_own(folder: Path) -> None:
    """Nothing, if a site may be written into `folder`. Raises ResultsError that names what is in the way."""
    if folder.exists() and not folder.is_dir():
        raise ResultsError(f"--site {folder}: is a file, expected a folder")
    names = list(folder.iterdir()) if folder.is_dir() else []
    foreign = next(_foreign(folder), None) if names else None
    if names and not (folder / MARKER).is_file():
        foreign = foreign or names[0]
    if foreign:
        raise ResultsError(
            f"--site {folder}: holds '{printable(str(foreign.relative_to(folder)))}', which no earlier --site wrote. "
            "Pass an empty folder, a new one, or that of an earlier site"
        )


def _foreign(folder: Path) -> Iterator[Path]:
    """What is in the folder that is no part of a site."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            yield path
        elif path.is_dir():
            inside = sorted(path.iterdir()) if path.name in NAMES else [path]
            yield from (each for each in inside if each is path or not _is_part(each, NAMES[path.name]))
        elif path.name not in (MARKER, INDEX, MARKDOWN, TABLE, PLAIN) and not TEMPORARY.fullmatch(path.name):
            yield path


def _is_part(path: Path, names: re.Pattern[str]) -> bool:
    named = names.fullmatch(path.name) or TEMPORARY.fullmatch(path.name)
    return bool(named) and path.is_file() and not path.is_symlink()


def _remove_old(folder: Path, written: set[str]) -> None:
    """Remove what the new index does not refer to."""
    remove_temporary(folder)
    for name, names in NAMES.items():
        remove_temporary(folder / name)
        for path in (folder / name).glob("*"):
            if f"{name}/{path.name}" not in written and names.fullmatch(path.name):
                path.unlink()
