"""A table as its reader wants it: rows chosen by comparisons, columns by name, written in six formats."""

from __future__ import annotations

import fnmatch
import io
import json
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import pandas as pd
from rich.cells import cell_len

from ganbench.errors import ResultsError, printable, suggest
from ganbench.tables import score_rules

Format = Literal["text", "csv", "markdown", "latex", "json", "parquet"]

SHORT = ("dataset", "generator", "discriminator", "loss", "seed", "status", "kimg")


def short_columns(table: pd.DataFrame) -> list[str]:
    """The columns that fit a screen: what was tried, how it ended, the scores and the speed."""
    names = [*SHORT, *score_rules(table), "images_per_second"]
    return [name for name in names if name in table.columns]


def select(table: pd.DataFrame, columns: Sequence[str] | None = None, where: Sequence[str] = ()) -> pd.DataFrame:
    """The rows for which every comparison in `where` holds, with `columns` only.

    A comparison is a column, one of = != < <= > >=, and a value: `seed>=1`. Text takes = and !=,
    with globs: `loss=wgan*`. A column may be a glob too.
    Raises ResultsError for a column that is not there or a value that the column cannot hold.
    """
    for comparison in where:
        table = table[_holds(table, comparison)]
    if not columns:
        return table
    return table[list(dict.fromkeys(name for wanted in columns for name in _columns_named(table, wanted)))]


def render_table(table: pd.DataFrame, form: Format) -> str | bytes:
    """`table` written as `form`: bytes for parquet, text for the others."""
    if form not in _WRITERS:
        raise ResultsError(f"no table format '{form}'.{suggest(form, get_args(Format))}")
    return _WRITERS[form](table)


_COMPARISON = re.compile(r"(?P<column>.+?)\s*(?P<sign>>=|<=|!=|=|<|>)\s*(?P<value>.*)", re.DOTALL)
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def _holds(table: pd.DataFrame, comparison: str) -> Any:
    """A mask: the rows for which `comparison` holds. A missing number holds for none but `!=`."""
    parsed = _COMPARISON.fullmatch(comparison)
    if not parsed:
        raise ResultsError(f"'{comparison}' is no comparison; expected a column, one of {' '.join(_SIGNS)}, a value")
    name, sign, value = parsed.group("column", "sign", "value")
    _check_column(table, name)
    column = table[name]
    if is_numeric(column) or pd.api.types.is_datetime64_any_dtype(column):
        return _SIGNS[sign](column, _as_in(column, value, comparison)).fillna(sign == "!=").astype(bool)
    if sign not in ("=", "!="):
        raise ResultsError(f"'{comparison}': {name} holds text, which is compared by = and != only")
    matches = column.map(lambda text: fnmatch.fnmatchcase(str(text), value)).astype(bool)
    return matches if sign == "=" else ~matches


def _as_in(column: pd.Series[Any], value: str, comparison: str) -> Any:
    """`value` as a number or a time, whichever `column` holds."""
    numeric = is_numeric(column)
    try:
        return float(value) if numeric else pd.Timestamp(value).tz_localize("UTC")
    except ValueError:
        kind = "numbers" if numeric else "times such as 2030-12-31 or 2030-12-31T23:59, in UTC"
        raise ResultsError(f"'{comparison}': {column.name} holds {kind}, not '{value}'") from None


def _columns_named(table: pd.DataFrame, wanted: str) -> list[str]:
    found = [name for name in table.columns if name == wanted] or fnmatch.filter(table.columns, wanted)
    if not found:
        _check_column(table, wanted)
    return found


def _check_column(table: pd.DataFrame, name: str) -> None:
    if name not in table.columns:
        raise ResultsError(f"no column '{name}'.{suggest(name, map(str, table.columns))}")


def format_number(value: float) -> str:
    """Three significant digits, none of them lost before the decimal point: 0.0123, 4.50, 12,345. Missing: –."""
    if pd.isna(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.2e}" if abs(value) < 1e-4 else f"{value:#.3g}".rstrip(".")


def one_line(text: str) -> str:
    """`text` without line breaks, and with � for what could steer a terminal or turn the direction of writing."""
    return printable(" ".join(text.split()))


def text_cells(column: pd.Series[Any]) -> list[str]:
    """Each value of `column` as a short text of one line."""
    values = column.tolist()
    if not isinstance(column.dtype, pd.StringDtype | pd.Int64Dtype):
        return [_cell(value) for value in values]
    cells = {value: _cell(value) for value in set(values)}  # a variant's name and a seed are there many times
    return [cells[value] for value in values]


def is_numeric(column: pd.Series[Any]) -> bool:
    """Whether `column` holds numbers, which stand to the right."""
    return pd.api.types.is_numeric_dtype(column)


def aligned(texts: Sequence[str], *, right: bool) -> list[str]:
    """`texts` filled up to the widest of them, as a terminal counts: some letters are two cells wide."""
    widths = [cell_len(text) for text in texts]
    widest = max(widths, default=0)
    if right:
        return [" " * (widest - width) + text for text, width in zip(texts, widths, strict=True)]
    return [text + " " * (widest - width) for text, width in zip(texts, widths, strict=True)]


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """Every cell as a short text, row by row."""
    columns = [text_cells(table[name]) for name in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_cell(item) for item in value)
    if isinstance(value, float):
        return format_number(value)
    return "–" if pd.isna(value) else one_line(str(value))


def _to_text(table: pd.DataFrame) -> str:
    columns = [
        aligned([one_line(str(name)), *text_cells(table[name])], right=is_numeric(table[name]))
        for name in table.columns
    ]
    return "".join(f"{'  '.join(row).rstrip()}\n" for row in zip(*columns, strict=True))


def _to_markdown(table: pd.DataFrame) -> str:
    rule = [" ---: " if is_numeric(table[name]) else " --- " for name in table.columns]
    rows = [[one_line(str(name)) for name in table.columns], *_cells(table)]
    lines = [f"| {' | '.join(escape_markdown(cell) for cell in row)} |" for row in rows]
    return "".join(f"{line}\n" for line in [lines[0], f"|{'|'.join(rule)}|", *lines[1:]])


def escape_markdown(text: str) -> str:
    """`text` as a cell of a Markdown table shows it: no markup, no HTML, no further cell."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _to_latex(table: pd.DataFrame) -> str:
    right = (is_numeric(table[name]) for name in table.columns)
    cells = pd.DataFrame(_cells(table), columns=[one_line(str(name)) for name in table.columns], dtype="string")
    return cells.to_latex(index=False, escape=True, column_format="".join("r" if number else "l" for number in right))


def _to_json(table: pd.DataFrame) -> str:
    columns = [[_json_value(value) for value in table[name]] for name in table.columns]
    names = [str(name) for name in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return json.dumps(rows, indent=1, allow_nan=False) + "\n"


def _json_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json_value(item) for item in value]
    if pd.isna(value) or (isinstance(value, float) and math.isinf(value)):  # JSON has a word for neither
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else getattr(value, "item", lambda: value)()


def _to_parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


_WRITERS: dict[str, Callable[[pd.DataFrame], str | bytes]] = {
    "text": _to_text,
    "csv": lambda table: table.to_csv(index=False, lineterminator="\n"),
    "markdown": _to_markdown,
    "latex": _to_latex,
    "json": _to_json,
    "parquet": _to_parquet,
}
