"""What commands have in common: their arguments and options, and how they print."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ganbench.drivers import Wish

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from ganbench.plugins import Registry

EXIT_OK, EXIT_FAILED_TRIALS, EXIT_BAD_REQUEST, EXIT_INTERRUPTED = 0, 1, 2, 130

Listing = Literal["text", "json"]
TableFormat = Literal["text", "csv", "markdown", "latex", "json", "parquet"]
BoardFormat = Literal["text", "markdown", "json"]
READ_BY_PEOPLE = ("text", "markdown", "latex")
WIDTH_OF_FILES = 120

SuiteArgument = Annotated[
    str, typer.Argument(metavar="SUITE", help="A shipped suite's name, or a path to a TOML file.")
]
ResultsArgument = Annotated[
    Path, typer.Argument(metavar="[RESULTS]", help="A suite's results folder, or a folder of such folders.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="KEY=GLOB", help="Keep what matches, as in loss=hinge or seed=0. Repeatable."),
]
PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE", help="Load a local plugin file as well. Repeatable.")
]
ResultsOption = Annotated[
    Path | None, typer.Option("--results", metavar="DIR", help="Where results lie. Default: results/<suite's name>.")
]
ListingOption = Annotated[Listing, typer.Option("--format", help="How to print it.")]
DataRootOption = Annotated[
    Path | None, typer.Option("--data-root", metavar="DIR", help="Where data sets lie, in torchvision's layout.")
]
DownloadOption = Annotated[bool, typer.Option("--download", help="Fetch data sets that are not there yet.")]
WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="The extractor's weights, as they were published."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, or one GPU such as cuda:0.")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes at a time. Default: one a core, or as many as the GPUs hold."),
]
PerDeviceOption = Annotated[
    int | None,
    typer.Option(
        "--per-device",
        min=1,
        metavar="N",
        help="Processes at a time on each GPU, or on the processor. Default: by memory and cores.",
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", min=1, metavar="SECONDS", help="End a trial that takes longer. Default: the suite's."),
]
SilentOption = Annotated[
    float | None,
    typer.Option(
        "--silent",
        min=1,
        metavar="SECONDS",
        help="End a trial that shows no sign of life for so long. Default: the suite's, or half an hour.",
    ),
]
MemoryOption = Annotated[
    float | None,
    typer.Option(
        "--memory", min=0.01, metavar="GIB", help="End a trial that takes more memory, in GiB. Default: the suite's."
    ),
]
CheckpointOption = Annotated[
    float | None,
    typer.Option(
        "--checkpoint",
        min=0,
        metavar="SECONDS",
        help="Keep what a running trial has reached so often. Default: every minute, or more seldom where it is dear.",
    ),
]
ExecutorOption = Annotated[
    str, typer.Option("--executor", metavar="NAME", help="What carries out jobs: processes, inline, or a plugin's.")
]
DriverOption = Annotated[
    Wish,
    typer.Option(
        "--driver",
        help="How steps are carried out: the fastest way that a trial allows, one seed at a time, seeds of a variant "
        "together, or as a CUDA graph. Results do not depend on it but for rounding.",
    ),
]
ScoreOption = Annotated[
    str | None, typer.Option("--score", help="Judge by this score. Default: each data set's first.")
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="BUDGET",
        help="Judge what was reached at a smaller budget, read off the curves: 100kimg, 5000steps, 30s or 2PF.",
    ),
]


def load_cut(results: Path, at: str | None, *, curves: bool = False) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The results as they are or, where a budget is named, as they were there; and their curves, if asked for, until
    then.

    How much of a cut is read off between recorded points is said aside.
    """
    from ganbench.cuts import cut, parse_cut
    from ganbench.tables import load_both, load_results

    asked = parse_cut(at) if at is not None else None
    if asked is None:
        return load_both(results) if curves else (load_results(results), None)
    table, points = load_both(results)
    found, reach = cut(table, points, asked)
    typer.echo(f"At {asked}: {reach}.", err=True)
    return found, points[points[asked.axis] <= asked.value].reset_index(drop=True)


def files_of(paths: list[Path] | None) -> tuple[Path, ...]:
    """The files with their whole paths: a process may work in another folder."""
    return tuple(path.absolute() for path in paths or ())


def absolute(path: Path | None) -> Path | None:
    """The whole path, if there is one."""
    return path.absolute() if path else None


def open_console() -> Console:
    """The terminal or, where that is a file, a console as wide as a page; neither can be steered by what is printed."""
    from rich.console import Console

    from ganbench.terminal import guarded

    console = Console()
    fitted = console.is_terminal or "COLUMNS" in os.environ
    return guarded(console if fitted else Console(width=WIDTH_OF_FILES))


def echo_json(rows: Any) -> None:
    """Print rows as JSON, in which what is no printable letter is written by its number."""
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    typer.echo(
        "".join(letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1] for letter in text)
    )


def meanings(registry: Registry) -> dict[str, str]:
    """What each metric tells, by its name, and each of its scores, by `metric/score`, with the paper it is from."""
    from ganbench.glossary import terms_of

    metrics = {offer.component.name: offer.component.summary for offer in registry.offers if offer.kind == "metric"}
    sources = ((term, f" ({term.paper})" if term.paper else "") for term in terms_of(registry))
    return metrics | {
        f"{term.offer.component.name}/{term.stem}": f"{term.measure.definition}{source}" for term, source in sources
    }
