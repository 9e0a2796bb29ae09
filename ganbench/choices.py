"""Turn what a user writes, `dcgan(width=32)` or a TOML table, into choices whose names and parameters are known to fit.

    choice    = head ["(" [parameter "=" value {"," parameter "=" value}] ")"]
    head      = [owner ":"] name | ("folder" | "npz" | "tar") ":" path
    objective = choice {"+" choice}
    value     = number | true | false | none | word | "string" | 'string' | "[" [value {"," value}] "]"

A word needs no quotes where it looks like a name. Escapes in "string" are JSON's; 'string' has none. A path ends at a
bracket or a quote, unless it is a string: `folder:pictures(resolution=64)` is `folder(path=pictures, resolution=64)`.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ganbench.errors import ChoiceError, PluginError, suggest
from ganbench.signatures import Parameter, check_value, parameters_of
from ganbench.terms import NAME, NUMBER, PACKING, WORDS, Choice, Kind, Value

if TYPE_CHECKING:
    from ganbench.plugins import Offer, Registry

LONGEST = 1_000
"""Characters that one written choice or objective may have."""

DEEPEST = 8
"""Lists in lists that a value may hold."""

WITH_PATH = ("folder", "npz", "tar")
"""The names that a path follows, where others are followed by a component of that owner."""

_SPACES = re.compile(r"\s*")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOUBLE_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SINGLE_QUOTED = re.compile(r"'[^']*'", re.DOTALL)
_PATH = re.compile(r"""[^()\[\]="'+]*[^\s()\[\]="'+]""")
_BARE = re.compile(r"""[^\s,()\[\]="']+""")


def parse_choice(written: str | Mapping[str, Any]) -> Choice:
    """The choice that `"owner:dcgan(width=32)"` or `{"name": "dcgan", "width": 32}` stands for, parameters unchecked.

    Raises ChoiceError that shows the text and the column.
    """
    if isinstance(written, Mapping):
        return _from_table(written)
    scanner = _Scanner(_text(written))
    choice = scanner.choice()
    scanner.end("the end")
    return choice


def parse_objective(written: str | Mapping[str, Any]) -> tuple[Choice, tuple[Choice, ...]]:
    """The loss and its penalties, from `"nonsaturating + r1(gamma=0.1)"` or a table with a list `penalties`."""
    if isinstance(written, Mapping):
        penalties = written.get("penalties", [])
        if not isinstance(penalties, list | tuple):
            raise ChoiceError(f"penalties: expected a list of penalties, got {penalties!r}")
        loss = _from_table({key: value for key, value in written.items() if key != "penalties"})
        return loss, tuple(parse_choice(item) for item in penalties)
    scanner = _Scanner(_text(written))
    choices = [scanner.choice()]
    while scanner.skip("+"):
        choices.append(scanner.choice())
    scanner.end("'+' or the end")
    return choices[0], tuple(choices[1:])


def resolve(registry: Registry, kind: Kind, choice: Choice) -> Choice:
    """The choice with every parameter checked and coerced, and `defaults` and `code` filled in.

    A parameter that was set to its default counts as left alone, so that equal trials have equal keys. Each
    discriminator takes `packing` besides its own parameters.
    """
    offer = registry.find(kind, choice)
    known = _parameters(offer)
    try:
        values = {name: _checked(known, name, value) for name, value in choice.parameters}
    except ChoiceError as error:
        raise ChoiceError(f"{kind} '{choice.name}': {error}") from None
    missing = [name for name, parameter in known.items() if parameter.required and name not in values]
    if missing:
        raise ChoiceError(f"{kind} '{choice.name}': {', '.join(missing)} must be set, for there is no default")
    changed = {name: value for name, value in values.items() if not _is_default(known[name], value)}
    defaults = {name: parameter.default for name, parameter in known.items() if name not in changed}
    return Choice(
        choice.name, tuple(sorted(changed.items())), choice.owner, tuple(sorted(defaults.items())), offer.code
    )


def _parameters(offer: Offer) -> dict[str, Parameter]:
    try:
        known = {parameter.name: parameter for parameter in parameters_of(offer.component.target, offer.kind)}
    except PluginError as error:
        raise PluginError(f"{offer}: {error}") from error
    if offer.kind == "discriminator":
        known[PACKING] = Parameter(PACKING, "int", int, 1)
    return known


def _checked(known: Mapping[str, Parameter], name: str, value: Value) -> Value:
    if name not in known:
        raise ChoiceError(f"no parameter '{name}'.{suggest(name, known)}")
    checked = _with_none(known[name], value)
    if name == PACKING and isinstance(checked, int) and checked < 1:
        raise ChoiceError(f"parameter '{PACKING}': expected 1 or more samples judged together, got {checked}")
    return checked


def _with_none(parameter: Parameter, value: Value) -> Value:
    """The checked value; `none` is the word or nothing, whichever the parameter takes, for TOML has only the word."""
    try:
        return check_value(parameter, value)
    except ChoiceError:
        if value is None or value == "none":
            with contextlib.suppress(ChoiceError):
                return check_value(parameter, "none" if value is None else None)
        raise


def _is_default(parameter: Parameter, value: Value) -> bool:
    return not parameter.required and repr(value) == repr(parameter.default)


def _text(written: Any) -> str:
    if not isinstance(written, str):
        raise ChoiceError(f"expected a name, `name(parameter=value)` or a table with a name, got {written!r}")
    if len(written) > LONGEST:
        raise ChoiceError(f"'{written[:40]}…' has {len(written)} characters; at most {LONGEST} can be read")
    return written


def _from_table(table: Mapping[str, Any]) -> Choice:
    if "name" not in table:
        raise ChoiceError(
            f"expected a table with a name, got the keys {', '.join(map(str, table)) or 'of an empty one'}"
        )
    scanner = _Scanner(_text(table["name"]))
    head = scanner.head()
    scanner.end("the end: in a table, parameters are keys")
    return _with(head, {str(key): _frozen(str(key), value) for key, value in table.items() if key != "name"})


def _with(head: Choice, parameters: Mapping[str, Value]) -> Choice:
    twice = dict(head.parameters).keys() & parameters
    if twice:
        raise ChoiceError(f"{head.name}: parameter '{min(twice)}' is set twice")
    return replace(head, parameters=tuple(sorted({**dict(head.parameters), **parameters}.items())))


def _frozen(key: str, value: Any, depth: int = 0) -> Value:
    """A value of a table as a parameter's, lists as tuples."""
    if isinstance(value, list | tuple) and depth < DEEPEST:
        return tuple(_frozen(key, item, depth + 1) for item in value)
    if not isinstance(value, bool | int | float | str | None):
        raise ChoiceError(f"parameter '{key}': expected a number, string, true, false or list, got {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ChoiceError(f"parameter '{key}': expected a finite number, got {value!r}")
    if isinstance(value, int) and not _of_64_bits(value):
        raise ChoiceError(f"parameter '{key}': expected an integer of at most 64 bits")
    return value


def _of_64_bits(number: int) -> bool:
    """Whether it is an integer that TOML and the files of results hold too."""
    return -(2**63) <= number < 2**63


class _Scanner:
    """Reads one written choice from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def choice(self) -> Choice:
        head = self.head()
        return _with(head, self.parameters()) if self.skip("(") else head

    def head(self) -> Choice:
        name = self.take(NAME, "a name")
        if self.text.startswith(":", self.at):
            self.at += 1
            if name in WITH_PATH:
                return Choice(name, (("path", self.path()),))
            return Choice(self.take(NAME, "a name after the owner"), owner=name)
        return Choice(name)

    def path(self) -> str:
        if self.text.startswith('"', self.at):
            return self.quoted()
        if self.text.startswith("'", self.at):
            return self.string(_SINGLE_QUOTED)[1:-1]
        return self.take(_PATH, "a path")

    def parameters(self) -> dict[str, Value]:
        parameters: dict[str, Value] = {}
        while not self.skip(")"):
            if parameters:
                self.expect(",", "',' or ')'")
            name = self.take(_PARAMETER, "a parameter's name")
            if name in parameters:
                raise self.error(f"parameter '{name}' is set twice")
            self.expect("=", "'='")
            parameters[name] = self.value(0)
        return parameters

    def value(self, depth: int) -> Value:
        if self.skip("["):
            return self.items(depth + 1)
        if self.text.startswith('"', self.at):
            return self.quoted()
        if self.text.startswith("'", self.at):
            return self.string(_SINGLE_QUOTED)[1:-1]
        return self.bare()

    def items(self, depth: int) -> tuple[Value, ...]:
        if depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} lists in lists")
        items: list[Value] = []
        while not self.skip("]"):
            if items:
                self.expect(",", "',' or ']'")
            items.append(self.value(depth))
        return tuple(items)

    def quoted(self) -> str:
        start = self.at
        text = self.string(_DOUBLE_QUOTED)
        try:
            return str(json.loads(text, strict=False))
        except ValueError:
            self.at = start
            raise self.error("expected a string that JSON can read") from None

    def string(self, pattern: re.Pattern[str]) -> str:
        if not pattern.match(self.text, self.at):
            raise self.error("the string that starts here does not end")
        return self.take(pattern, "a string")

    def bare(self) -> Value:
        self.skip_spaces()
        start = self.at
        word = self.take(_BARE, "a value")
        if word in WORDS:
            return WORDS[word]
        if NUMBER.fullmatch(word):
            number = float(word) if set(word) & set(".eE") else int(word)
            if isinstance(number, int) and not _of_64_bits(number):
                self.at = start
                raise self.error("expected an integer of at most 64 bits")
            if math.isfinite(number):
                return number
        elif NAME.fullmatch(word):
            return word
        self.at = start
        raise self.error(f"'{word}' is no finite number, and other text needs quotes")

    def skip_spaces(self) -> None:
        spaces = _SPACES.match(self.text, self.at)
        self.at = spaces.end() if spaces else self.at

    def skip(self, mark: str) -> bool:
        self.skip_spaces()
        found = self.text.startswith(mark, self.at)
        self.at += len(mark) if found else 0
        self.skip_spaces()
        return found

    def take(self, pattern: re.Pattern[str], expected: str) -> str:
        self.skip_spaces()
        match = pattern.match(self.text, self.at)
        if match is None:
            raise self.expected(expected)
        self.at = match.end()
        return match.group()

    def expect(self, mark: str, expected: str) -> None:
        if not self.skip(mark):
            raise self.expected(expected)

    def end(self, expected: str) -> None:
        self.skip_spaces()
        if self.at < len(self.text):
            raise self.expected(expected)

    def expected(self, expected: str) -> ChoiceError:
        found = f"'{self.text[self.at]}'" if self.at < len(self.text) else "the end"
        return self.error(f"expected {expected}, found {found}")

    def error(self, problem: str) -> ChoiceError:
        return ChoiceError(f"'{self.text}', column {self.at + 1}: {problem}")
