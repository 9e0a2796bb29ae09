"""The commands for who reads results: one trial with all that is known of it, and plots as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ganbench.options import ListingOption, echo_json, open_console

reading_app = typer.Typer()

ReadArgument = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="A suite's results folder, or a folder of such folders.")
]


@reading_app.command()
def show(
    results: ReadArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of a row of the table, or the beginning of it.")],
    format: ListingOption = "text",  # noqa: A002 - the option's name
) -> None:
    """Show all that is recorded of one trial, reference, or what was evaluated.

    Scores, curves, classes, costs against the budget, environment, recipe, and the command that does it again.
    """
    from ganbench.showing import details, find
    from ganbench.showing_text import print_details

    shown = details(find(results, key), results)
    echo_json(shown) if format == "json" else print_details(open_console(), shown)


@reading_app.command()
def plot(
    results: ReadArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: a .png or a .svg.")],
    kind: Annotated[
        Literal["curves", "pareto", "heatmap", "modes"],
        typer.Option("--kind", help="Which plot: training, quality against cost, factors, or classes covered."),
    ] = "curves",
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help="Which board: its data set, or the beginning of its protocol. Default: the first that can be drawn.",
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option("--score", help="Which score; for curves also a signal such as discriminator/accuracy."),
    ] = None,
    axis: Annotated[
        Literal["kimg", "steps", "device_seconds", "petaflops"] | None,
        typer.Option("--axis", help="The horizontal axis of curves and costs. Default: the budget's, or the other."),
    ] = None,
    theme: Annotated[
        Literal["light", "dark"], typer.Option("--theme", help="Dark on light, or light on dark.")
    ] = "light",
) -> None:
    """Draw one plot of one board into FILE, as the page has it."""
    from ganbench.plotting import Wanted, write_plot
    from ganbench.views import one_line

    drawn = write_plot(results, Wanted(kind, dataset, score, axis, theme), file)
    typer.echo(f"{one_line(f'{drawn.plot.title} · {drawn.dataset} · {drawn.budget}')}: {file.resolve()}")
    if drawn.others:
        typer.echo(f"Also here: {', '.join(drawn.others)}. --dataset names one.")
