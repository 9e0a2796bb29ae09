"""The curve of an attempt, read as data that nobody vouches for: columns of numbers, and not too many of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ganbench.errors import ResultsError
from ganbench.terms import AXES

if TYPE_CHECKING:
    import pyarrow as pa

MAX_CURVE_BYTES = 64 * 2**20
MOST_NUMBERS = 10_000_000
"""Rows times columns. A suite may ask for a thousand points, and each score and signal has a column of its own."""


def read_curve(path: Path) -> pd.DataFrame:
    """The curve in the parquet file at `path`: a row a point, with a column for each axis of a budget among others.

    Raises ResultsError that names the file where it is none, or larger than any that ganbench writes.
    """
    return as_frame(CurveReader().read(path))


class CurveReader:
    """Reads many curves, most of which have the same columns: those are looked at once."""

    def __init__(self) -> None:
        self._known: pa.Schema | None = None

    def read(self, path: Path) -> pa.Table:
        """The curve as columns that pandas has not seen yet. Raises ResultsError as `read_curve`."""
        from pyarrow import ArrowException

        try:
            return self._numbers(path)
        except (ArrowException, OSError, ValueError, MemoryError) as error:
            raise ResultsError(f"{path}: not a curve that ganbench wrote ({_cause(error)})") from error

    def _numbers(self, path: Path) -> pa.Table:
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile

        if path.stat().st_size > MAX_CURVE_BYTES:
            raise ValueError(f"larger than {MAX_CURVE_BYTES} bytes")
        with ParquetFile(pa.BufferReader(path.read_bytes())) as file:
            _check_size(file.metadata.num_rows, file.metadata.num_columns)
            schema = file.schema_arrow.remove_metadata()
            if self._known is None or not schema.equals(self._known):
                _check_columns(schema)
                self._known = schema
            # Not what the file says of pandas: that is for pandas to believe, and can name types that there are not.
            return file.read(use_threads=False).replace_schema_metadata(None)


def as_frame(columns: pa.Table) -> pd.DataFrame:
    """Columns of numbers as pandas holds them; one that never had a number holds missing ones."""
    frame = columns.to_pandas(ignore_metadata=True)
    nothing = [name for name in frame.columns if frame[name].dtype == object]  # a score that was never defined
    return pd.DataFrame(frame.astype(dict.fromkeys(nothing, "float64")))


def _check_size(rows: int, columns: int) -> None:
    if rows * columns > MOST_NUMBERS:
        raise ValueError(f"{rows} rows of {columns} columns, expected at most {MOST_NUMBERS} numbers")


def _check_columns(schema: pa.Schema) -> None:
    """Raise ValueError for a column that holds no numbers, has the name of another, or is lacking."""
    import pyarrow as pa

    count = Counter(schema.names)
    for field in schema:
        if count[field.name] > 1:
            raise ValueError(f"two columns {field.name!r}")
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_null(field.type)):
            raise ValueError(f"column {field.name!r} holds {field.type}, expected numbers")
    lacking = [axis for axis in AXES if axis not in count]
    if lacking:
        raise ValueError(f"no column {lacking[0]!r}")


def _cause(error: BaseException) -> str:
    """What is wrong, in the first line of what is said of it."""
    told = getattr(error, "strerror", None) or str(error)
    return str(told).partition("\n")[0].strip()[:200] or type(error).__name__
