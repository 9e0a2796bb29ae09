"""Read a suite, the TOML file that says what to compare: every mistake in it is named with its file and place."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ganbench.errors import SuiteError, suggest
from ganbench.settings import TABLES, Entry, Match, Matrix, Override, SuiteTable, TrainingSettings, keys_of
from ganbench.terms import Budget, Choice, Limits

SHIPPED = Path(__file__).parent / "suites"
MAX_BYTES = 2**20
DEFAULT_POINTS = (0.2, 0.4, 0.6, 0.8, 1.0)

Key = str | int


@dataclass(frozen=True)
class Suite:
    """What to compare, as it was written: no name has been looked up yet. `metrics` is None where the file has none."""

    name: str
    description: str
    path: Path
    datasets: tuple[Choice, ...]
    matrix: Matrix | None
    variants: tuple[Entry, ...]
    excludes: tuple[Match, ...]
    overrides: tuple[Override, ...]
    seeds: tuple[int, ...]
    budget: Budget
    points: tuple[float, ...]
    metrics: tuple[Choice, ...] | None
    samples: int | None
    extractor: Choice | None
    training: TrainingSettings
    limits: Limits
    requires: tuple[str, ...]

    def at(self, *keys: Key) -> str:
        """How an error about one place begins: `suite quick.toml, [matrix] loss[2]`."""
        return _at(self.path, keys)


def read_suite(name_or_path: str) -> Suite:
    """The suite that ships under this name or, where there is a separator or the ending .toml, the one in that file.

    Raises SuiteError that names the file, the place in it, what came and what was expected.
    """
    if name_or_path.endswith(".toml") or "/" in name_or_path or os.sep in name_or_path:
        return _read(Path(name_or_path))
    if name_or_path not in _shipped_names():
        hint = suggest(name_or_path, _shipped_names())
        raise SuiteError(f"no suite named '{name_or_path}'.{hint}. For a file, write its path: ./{name_or_path}.toml")
    return _read(SHIPPED / f"{name_or_path}.toml")


def shipped_suites() -> tuple[Suite, ...]:
    """The suites that come with ganbench, by name."""
    return tuple(read_suite(name) for name in _shipped_names())


def suite_from(data: Mapping[str, Any], path: Path) -> Suite:
    """The suite that TOML's data stand for; `path` is the file that errors name."""
    for keys, problem in _unusable(data, ()):
        raise SuiteError(f"{_at(path, keys)}: {problem}")
    try:
        table = _tables.validate_python(data)
    except ValidationError as error:
        # An unknown key first: where another one is missing, that is often the same slip seen from the other side.
        details = sorted(error.errors(), key=lambda detail: detail["type"] != _UNKNOWN_KEY)
        raise SuiteError(_explained(details[0], path)) from error
    return Suite(
        name=table.name,
        description=table.description,
        path=path,
        datasets=table.datasets,
        matrix=table.matrix,
        variants=table.variants,
        excludes=table.exclude,
        overrides=table.override,
        seeds=table.seeds,
        budget=table.budget.budget,
        points=table.evaluation.points or DEFAULT_POINTS,
        metrics=table.metrics,
        samples=table.evaluation.samples,
        extractor=table.evaluation.extractor,
        training=table.training,
        limits=table.limits.limits,
        requires=table.requires,
    )


_tables = TypeAdapter(SuiteTable)
_UNKNOWN_KEY = "unexpected_keyword_argument"
_EXPECTATIONS = {
    "dataclass_type": "expected a table",
    "tuple_type": "expected a list",
    "string_type": "expected a string",
    "string_pattern_mismatch": "expected at most 64 lower-case letters, digits, '.', '_' and '-'",
    "int_type": "expected an integer",
    "float_type": "expected a number",
    "greater_than": "expected a number greater than {gt:g}",
    "greater_than_equal": "expected a number of at least {ge:g}",
    "less_than": "expected a number less than {lt:g}",
    "less_than_equal": "expected a number of at most {le:g}",
    "too_short": "expected at least {min_length}",
    "too_long": "expected at most {max_length}",
    "string_too_short": "expected a glob",
}


def _shipped_names() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def _read(path: Path) -> Suite:
    try:
        return suite_from(_toml(_text(path), path), path)
    except RecursionError as error:
        raise SuiteError(f"{_at(path)}: nested too deeply to be a suite") from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = suggest(path.stem, _shipped_names()).replace("Known:", "Suites that need no path:")
        raise SuiteError(f"{_at(path)}: cannot be read ({reason}).{hint}") from error
    if len(data) > MAX_BYTES:
        raise SuiteError(f"{_at(path)}: larger than {MAX_BYTES} bytes, so not a suite")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SuiteError(f"{_at(path)}, line {line}: not UTF-8 ({error.reason})") from error


def _toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise SuiteError(f"{_at(path)}: not TOML: {error}") from error


def _unusable(value: Any, keys: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], str]]:
    """What TOML can say, or its parser lets through, but no suite can use, each with its place."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unusable(item, (*keys, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unusable(item, (*keys, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield keys, f"expected a finite number, got {value}"
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield keys, "expected an integer of at most 64 bits"
    elif not isinstance(value, bool | int | float | str):
        yield keys, f"dates and times mean nothing in a suite, got {value}"


def _at(path: Path, keys: tuple[Key, ...] = ()) -> str:
    file = path.name if path.parent == SHIPPED else str(path)
    return f"suite {file}, {_place(keys)}" if keys else f"suite {file}"


def _place(keys: tuple[Key, ...]) -> str:
    """A place in TOML's own spelling: `datasets[1]`, `[matrix] loss[2]`, `[[variants]][0] training.clip`."""
    head, rest = "", keys
    if keys[0] in ("variants", "exclude", "override"):
        head = f"[[{keys[0]}]]" + "".join(f"[{key}]" for key in keys[1:2])
        rest = keys[2:]
    elif keys[0] in TABLES:
        head, rest = f"[{keys[0]}]", keys[1:]
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in rest).removeprefix(".")
    return " ".join(part for part in (head, path) if part)


def _explained(error: ErrorDetails, path: Path) -> str:
    keys = error["loc"]
    place = _at(path, keys)
    if error["type"] == _UNKNOWN_KEY:
        table = next((key for key in reversed(keys[:-1]) if isinstance(key, str)), "")
        return f"{place}: no such key.{suggest(str(keys[-1]), keys_of(table))}"
    if error["type"] == "suite":
        return f"{place}: {error['msg']}"
    if error["type"] == "missing":
        return f"{place}: missing, and there is no default"
    return f"{place}: {_expectation(error)}, got {_shown(error['input'])}"


def _expectation(error: ErrorDetails) -> str:
    if error["type"] in _EXPECTATIONS:
        return _EXPECTATIONS[error["type"]].format(**error.get("ctx", {}))
    return error["msg"].replace("Input should be", "expected").replace("valid ", "")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
