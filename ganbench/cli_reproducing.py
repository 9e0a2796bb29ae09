"""The command that does a recorded job again, and says whether it comes to the same."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganbench.agreement import NOT_RECORDED, TOLERANCE, Change, Compared
from ganbench.options import (
    EXIT_FAILED_TRIALS,
    EXIT_INTERRUPTED,
    EXIT_OK,
    DataRootOption,
    DownloadOption,
    ListingOption,
    PluginOption,
    WeightsOption,
    absolute,
    echo_json,
    files_of,
    open_console,
)

if TYPE_CHECKING:
    from rich.console import Console

    from ganbench.agreement import Verdict
    from ganbench.reproduce import Reproduction

reproducing_app = typer.Typer()

LONGEST_LIST = 5
"""So many of a curve's columns or of a generator's tensors are listed that are not the same; JSON has them all."""


@reproducing_app.command()
def reproduce(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="A suite's results folder.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of a trial or reference, or its beginning.")],
    into: Annotated[
        Path | None,
        typer.Option("--results", metavar="DIR", help="Keep the new results there. Default: they are thrown away."),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="cpu, cuda, or one GPU such as cuda:0. auto: of the kind that it ran on.")
    ] = "auto",
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    weights: WeightsOption = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance", min=0, metavar="R", help="How far values may be apart where bits cannot be the same."
        ),
    ] = TOLERANCE,
    format: ListingOption = "text",  # noqa: A002 - the option's name
) -> None:
    """Do a recorded trial or reference again, and say whether it comes to the same.

    On the same processor and software every bit is to be the same; elsewhere values are held to a tolerance.
    """
    from rich.console import Console

    from ganbench.crew import Settings
    from ganbench.live import view_for
    from ganbench.plugins import discover
    from ganbench.protocols import Places
    from ganbench.reproduce import company_of
    from ganbench.reproduce import reproduce as do_again
    from ganbench.store import Store, find_attempt

    attempt, registry = find_attempt(results, key), discover(files_of(plugin))
    places = Places(absolute(data_root), download, absolute(weights))
    settings = Settings(places, device, plugin_files=files_of(plugin))
    said = Console(stderr=True)
    try:
        with _folder(into) as folder, view_for(said, len(company_of(attempt)[1])) as view:
            found = do_again(attempt, registry, Store(folder), settings, view, tolerance)
            report = details(found, into)
    except KeyboardInterrupt:
        typer.echo("Interrupted: nothing is known yet.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if format == "json":
        echo_json(report)
    else:
        print_verdict(open_console(), found, tolerance)
    raise typer.Exit(EXIT_OK if found.verdict.agrees else EXIT_FAILED_TRIALS)


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """The folder for the new results: the user's, or one that is gone afterwards."""
    if kept is not None:
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="ganbench-") as folder:
        yield Path(folder)


def details(found: Reproduction, kept: Path | None) -> dict[str, Any]:
    """All that was found, as JSON's own types."""
    verdict = found.verdict
    return {
        "key": found.then.key,
        "attempt": found.then.number,
        "agrees": verdict.agrees,
        "same": verdict.same,
        "demanded": "tolerance" if verdict.reasons else "bits",
        "reasons": list(verdict.reasons),
        "environment": [vars(change) for change in verdict.changes],
        "compared": [vars(item) for item in verdict.compared],
        "path": str(found.now.path) if kept else None,
    }


def print_verdict(console: Console, found: Reproduction, tolerance: float) -> None:
    """What was compared, by what measure, and what came of it."""
    from ganbench.listings import print_rows
    from ganbench.live import title
    from ganbench.views import one_line

    verdict = found.verdict

    def say(line: str) -> None:
        console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)

    say(f"{title(found.then.job())} ({found.then.key[:8]}, attempt {found.then.number})")
    for change in verdict.changes:
        if change.what.startswith("plugin ") and NOT_RECORDED not in (change.then, change.now):
            say(f"Other code: {change.what} was {change.then}, and is {change.now}.")
    if verdict.changes:
        say("In the environment these differ:")
        print_rows(console, [_row(item, item.what) for item in verdict.changes])
    if verdict.reasons:
        say(f"Bits need not be the same ({'; '.join(verdict.reasons)}). Held to a tolerance of {tolerance:.3g}:")
    else:
        say("Held to the last bit, for processor and software are as they were:")
    print_rows(console, rows_of(verdict))
    say(_conclusion(verdict))


def rows_of(verdict: Verdict) -> list[dict[str, Any]]:
    """A row for each value of the record; of the curve and the weights how many are the same, and some that are not."""
    rows = [_row(item, item.what) for item in verdict.compared if item.part not in ("curve", "weights")]
    for part, things in (("curve", "columns"), ("weights", "tensors")):
        items = [item for item in verdict.compared if item.part == part]
        others = sorted((item for item in items if not item.same), key=lambda item: item.agrees)
        if items:
            rows.append(_summary(part, things, items))
            rows += [_row(item, f"  {item.what}") for item in others[:LONGEST_LIST]]
    return rows


def _row(item: Compared | Change, what: str) -> dict[str, Any]:
    row = {"what": what, "then": item.then, "now": item.now}
    if isinstance(item, Compared):
        row |= {"allowed": item.allowed, "agrees": "yes" if item.agrees else "NO"}
    return {name: _written(value) for name, value in row.items()}


def _summary(part: str, things: str, items: Sequence[Compared]) -> dict[str, Any]:
    same = sum(item.same for item in items)
    agrees = all(item.agrees for item in items)
    told = f"{same} the same"
    return {
        "what": part,
        "then": f"{len(items)} {things}",
        "now": told,
        "allowed": "",
        "agrees": "yes" if agrees else "NO",
    }


def _written(value: int | float | str | None) -> str:
    from ganbench.views import one_line

    if isinstance(value, str):
        return f"{' ' * (len(value) - len(value.lstrip()))}{one_line(value)}"  # results may be other people's
    return "–" if value is None else f"{value:.7g}" if isinstance(value, float) else str(value)


def _conclusion(verdict: Verdict) -> str:
    if not verdict.agrees:
        names = dict.fromkeys(
            item.what if item.part in ("status", "spent", "scores") else item.part
            for item in verdict.compared
            if not item.agrees
        )
        return f"It does not agree: {', '.join(names)}."
    return "It agrees, to the last bit." if verdict.same else "It agrees."
