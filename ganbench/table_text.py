"""The table for a reader: a section for each data set, with a bar beside the score that ranks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.cells import cell_len, set_cell_size

from ganbench.blocks import bar
from ganbench.tables import scores_of
from ganbench.views import aligned, is_numeric, one_line, text_cells

if TYPE_CHECKING:
    from rich.console import Console
    from rich.segment import Segment

NOTHING = "No rows."
SPEED = "images_per_second"
LABELS = ("variant", "seed", "status", "kimg", SPEED)
ALWAYS = ("variant", "status")
BAR_WIDTH = 8
COMFORTABLE, NARROWEST = 40, 16
"""Letters in a line of a variant that scores may not take from it, and that nothing may."""

MESSAGE_WIDTH = 24
"""Letters of a message for which there is room in any terminal."""

GAP = "  "

Row = tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A column as texts of one width, its name the first of them. One that is not `needed` may be left out."""

    name: str
    texts: list[str]
    needed: bool = True

    @property
    def width(self) -> int:
        """What it takes, as a terminal counts."""
        return cell_len(self.texts[0])


@dataclass(frozen=True)
class Section:
    """The rows of one data set: `labels` say what was tried and how it ended, `scores` what came of it.

    What failed has a message and no scores. `below` is the rest of names that take two lines. Both have an empty text
    for the head, and for every row that has none.
    """

    title: str
    labels: list[Column]
    scores: list[Column]
    messages: list[str]
    below: list[str]

    @property
    def width(self) -> int:
        """What it takes, as a terminal counts: of messages, their beginnings."""
        message = min(max(map(cell_len, self.messages)), MESSAGE_WIDTH)
        return _width_of(self.labels, max(_width_of(self.scores), message))


def render_sections(table: pd.DataFrame) -> str:
    """The sections of `table`, which `load_results` gave, as plain text in which nothing is cut or left out."""
    texts = ("".join(_plain(section)) for section in sections_of(table))
    return "\n".join(texts) or f"{NOTHING}\n"


def print_sections(console: Console, table: pd.DataFrame) -> None:
    """Show the sections of `table`, which `load_results` gave, within the console's width.

    What does not fit is left out, and below the section a line says what that is.
    """
    from rich.segment import Segments  # which text for a file does without

    if table.empty:
        console.print(NOTHING)
    for number, section in enumerate(sections_of(table)):
        fitted, left_out = _fitted(section, console.width)
        if number:
            console.print()
        console.print(Segments(_coloured(fitted)), crop=False, end="")
        if left_out:
            console.print(_note(left_out, console.width), markup=False, highlight=False)


def sections_of(table: pd.DataFrame) -> Iterator[Section]:
    """A section for each suite and data set, in the table's order."""
    measured, plain = table.attrs["measured"], table.copy(deep=False)
    plain.attrs = {}  # pandas copies them at every step
    several = plain["suite"].nunique() > 1
    for (suite, dataset), rows in plain.groupby(["suite", "dataset"], sort=False):
        title = one_line(f"{suite} · {dataset}" if several else str(dataset))
        yield _section(title, rows, scores_of(rows, measured, str(dataset)))


def bars(values: Sequence[float]) -> list[str]:
    """A bar for each value, all on one scale: from 0 or, where one is below it, from the lowest to the highest.

    Where a value is missing, there are spaces.
    """
    known = [value for value in values if math.isfinite(value)]
    low, high = min([0.0, *known]), max(known, default=0.0)
    size = high - low
    return [bar(value / size - low / size if size else 0.0, BAR_WIDTH) for value in values]


def _section(title: str, rows: pd.DataFrame, scores: Sequence[str]) -> Section:
    labels = [_column(rows[name], needed=name != SPEED) for name in LABELS]
    labels = [column for column in labels if column.name in ALWAYS or _is_told(column)]
    measured = [column for name in scores if _is_told(column := _column(rows[name], needed=False))]
    if measured:
        ranked, *others = measured
        measured = [replace(ranked, needed=True), _bar_column(rows[ranked.name]), *others]
    failed = (rows["status"] != "ok").tolist()
    messages = [message if fails else "" for message, fails in zip(text_cells(rows["message"]), failed, strict=True)]
    return Section(title, labels, measured, ["", *messages], [""] * (len(rows) + 1))


def _column(values: pd.Series[Any], *, needed: bool = True) -> Column:
    name = str(values.name)
    return Column(name, aligned([one_line(name), *text_cells(values)], right=is_numeric(values)), needed)


def _bar_column(values: pd.Series[Any]) -> Column:
    return Column("", [" " * BAR_WIDTH, *bars(values.tolist())])


def _is_told(column: Column) -> bool:
    """Whether some row has a value."""
    return any(text.strip() not in ("", "–") for text in column.texts[1:])


def _width_of(columns: Sequence[Column], beside: int = 0) -> int:
    """What `columns` take with gaps between them, and with something of the width `beside` after them."""
    widths = [width for width in (*(column.width for column in columns), beside) if width]
    return sum(widths) + len(GAP) * (len(widths) - 1) if widths else 0


def _fitted(section: Section, width: int) -> tuple[Section, list[str]]:
    """The section within `width`, and the names of the columns that it has no room for.

    Long names take two lines; then scores are left out from the right, then the speed; then names end in ….
    """
    left_out: list[str] = []
    variant = section.labels[0]
    section = _folded(section, variant, max(variant.width + width - section.width, COMFORTABLE))
    while section.width > width and (kept := _with_one_less(section)):
        section, name = kept
        left_out = [name, *left_out]
    beside = section.width - section.labels[0].width
    section = _folded(section, variant, max(width - beside, NARROWEST))
    room = width - _width_of(section.labels) - len(GAP)
    messages = [shortened(message, room) if message else "" for message in section.messages]
    names = sorted(left_out, key=SPEED.__eq__)
    return replace(section, title=shortened(section.title, width), messages=messages), names


def _with_one_less(section: Section) -> tuple[Section, str] | None:
    """The section without the last of the columns that may be left out, and that column's name; None without any."""
    if section.scores and not section.scores[-1].needed:
        return replace(section, scores=section.scores[:-1]), section.scores[-1].name
    if not section.labels[-1].needed:
        return replace(section, labels=section.labels[:-1]), section.labels[-1].name
    return None


def _folded(section: Section, variant: Column, room: int) -> Section:
    """The section with the names of `variant` in two lines of at most `room` letters, if they are longer."""
    others = section.labels[1:]
    if room >= variant.width:
        return replace(section, labels=[variant, *others], below=[""] * len(variant.texts))
    halves = {text: fold(text.rstrip(), room) for text in set(variant.texts)}
    texts = aligned([halves[text][0] for text in variant.texts], right=False)
    below = [halves[text][1] for text in variant.texts]
    return replace(section, labels=[replace(variant, texts=texts), *others], below=below)


def fold(text: str, width: int) -> tuple[str, str]:
    """`text` in two lines of at most `width`, parted between words where it can be; the second ends in … if cut off."""
    if cell_len(text) <= width:
        return text, ""
    first = set_cell_size(text, width).rstrip()
    if text[len(first) : len(first) + 1] != " " and first.rfind(" ") >= width // 2:
        first = first[: first.rfind(" ")]
    return first.rstrip(), GAP + shortened(text[len(first) :].strip(), width - len(GAP))


def shortened(text: str, width: int) -> str:
    """`text` within `width`, as a terminal counts; it ends in … if it is cut off."""
    if cell_len(text) <= width:
        return text
    return f"{set_cell_size(text, width - 1).rstrip()}…" if width > 0 else ""


def _note(names: Sequence[str], width: int) -> str:
    """What was left out, as many of the names as fit in one line."""
    known, note = [shortened(one_line(name), max(width // 3, NARROWEST)) for name in names], ""
    for count in range(len(names), 0, -1):
        more = f" and {len(names) - count} more" if count < len(names) else ""
        note = f"Left out: {', '.join(known[:count])}{more}. --columns or a wider terminal shows them."
        if cell_len(note) <= width:
            break
    return note


def _rows(section: Section) -> Iterator[Row]:
    """The cells of each row, the head's first. What failed has its message in the place of its scores."""
    labels = zip(*(column.texts for column in section.labels), strict=True)
    scores = zip(*(column.texts for column in section.scores), strict=True) if section.scores else None
    for cells, message in zip(labels, section.messages, strict=True):
        measured = next(scores) if scores else ()
        yield (*cells, message) if message else cells + measured


def _plain(section: Section) -> Iterator[str]:
    yield f"{section.title}\n"
    for row in _rows(section):
        yield f"{GAP.join(row).rstrip()}\n"


def _coloured(section: Section) -> Iterator[Segment]:
    """The section with the title in bold and every status in its colour."""
    from rich.segment import Segment
    from rich.style import Style

    from ganbench.listings import STATUS_STYLES

    at = [column.name for column in section.labels].index("status")
    styles = {text: Style.parse(STATUS_STYLES.get(text.strip(), "red")) for text in section.labels[at].texts[1:]}
    yield Segment(f"{section.title}\n", Style(bold=True))
    for row, below in zip(_rows(section), section.below, strict=True):
        yield Segment(GAP.join(row[:at]) + GAP)
        yield Segment(row[at], styles.get(row[at]))
        yield Segment(f"{GAP}{GAP.join(row[at + 1 :])}".rstrip() + "\n")
        if below:
            yield Segment(f"{below}\n")
