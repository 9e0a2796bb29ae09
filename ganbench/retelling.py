"""What was asked of a trial, and what it ran in, as text to read; and the command that does it again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ganbench.errors import printable
from ganbench.terms import Choice, Optimiser, Trial, plain

Line = tuple[str, Any, str]
"""A name, its value, and what is said behind it."""

KEY_DIGITS = 16
"""So much of a key is typed: no two of a results folder begin alike."""

LONGEST_TEXT = 20_000
FOLDERS = re.compile(r'(?<=File ")[^"\n]*[/\\](?=[^"/\\\n]+[/\\][^"/\\\n]+")')
"""In a traceback's line, where the last folder of a file lies."""


def told_parts(job: Trial) -> dict[str, str]:
    """Each part of a trial but its seed as the lines of a TOML table, by name. What was left alone is marked."""
    choices: dict[str, Choice | None] = {"dataset": job.dataset}
    for kind, choice in job.variant.parts:
        name = kind if kind not in choices else f"{kind} {sum(key.startswith(kind) for key in choices) + 1}"
        choices[name] = choice
    told = {name: _table(_of_choice(choice)) for name, choice in choices.items() if choice is not None}
    evaluation = plain(job.evaluation) | {
        "metrics": [str(metric) for metric in job.evaluation.metrics],
        "extractor": str(job.evaluation.extractor) if job.evaluation.extractor else None,
    }
    return {
        **told,
        "budget": _table(_plain(job.budget.limits().items())),
        "training": _table(_plain(_of_training(job))),
        "evaluation": _table(_plain(evaluation.items())),
    }


def told_environment(environment: Mapping[str, Any]) -> str:
    """What `environment.json` says, a line for each fact."""
    return shown("".join(f"{line}\n" for name, value in sorted(environment.items()) for line in _lines(name, value)))


def command_of(suite: str, key: str, environment: Mapping[str, Any]) -> str:
    """What to type to do the trial again, in the folder that the results of `suite` lie in."""
    files = [word for name in _plugin_files(environment) for word in ("--plugin", _as_path(name))]
    return printable(shlex.join(["ganbench", "reproduce", _as_path(suite), key[:KEY_DIGITS], *files]))


def told_log(log: str) -> str:
    """The end of a log without the folders of the machine that it was written on."""
    return shown(FOLDERS.sub("…/", log))


def shown(text: str) -> str:
    """`text` as a page may show it: no longer than can be read, nothing in it that turns the direction of writing."""
    return printable(text[:LONGEST_TEXT].expandtabs(4))


def _of_choice(choice: Choice) -> Iterator[Line]:
    yield "name", choice.name, ""
    yield from ((name, value, "") for name, value in choice.parameters)
    yield from ((name, value, "  # by default") for name, value in choice.defaults)
    yield from ((name, value, "") for name, value in (("owner", choice.owner), ("code", choice.code)) if value)


def _of_training(job: Trial) -> Iterator[tuple[str, Any]]:
    for name, value in vars(job.training).items():
        if isinstance(value, Optimiser):
            yield from ((f"{name}.{inner}", told) for inner, told in vars(value).items())
        else:
            yield name, value


def _plain(items: Iterable[tuple[str, Any]]) -> Iterator[Line]:
    return ((name, value, "") for name, value in items)


def _table(lines: Iterable[Line]) -> str:
    written = (f"{shown(name)} = {_literal(value)}{note}" for name, value, note in lines if value is not None)
    return "".join(f"{line}\n" for line in written)


def _literal(value: Any) -> str:
    return shown(json.dumps(value, ensure_ascii=False))


def _lines(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner, told in sorted(value.items()):
            yield from _lines(f"{name}.{inner}", told)
    elif isinstance(value, list):
        for number, told in enumerate(value, start=1):
            yield from _lines(f"{name}.{number}", told)
    else:
        yield f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _plugin_files(environment: Mapping[str, Any]) -> list[str]:
    """The names of the recorded plugins that no distribution brought."""
    listed = environment.get("plugins")
    found = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return list(dict.fromkeys(str(item.get("plugin")) for item in found if not item.get("version")))


def _as_path(name: str) -> str:
    """What no command takes for an option."""
    return f"./{name}" if name.startswith("-") else name
