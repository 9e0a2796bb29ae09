"""The command that sets variants side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.options import AtOption, BoardFormat, ScoreOption, load_cut, open_console

comparing_app = typer.Typer()


@comparing_app.command()
def compare(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="A suite's results folder, or one of such.")],
    first: Annotated[str, typer.Argument(metavar="A", help="A variant, one of its parts, or a glob.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    score: ScoreOption = None,
    at: AtOption = None,
    format: Annotated[BoardFormat, typer.Option("--format", help="How to print it.")] = "text",  # noqa: A002
) -> None:
    """Compare variants A and B of RESULTS, seed by seed.

    How much better one is, whether the seeds decide it, and how many more would.
    """
    from ganbench.comparing import compare_variants, print_comparisons
    from ganbench.statistics import board
    from ganbench.views import render_table

    table, _ = load_cut(results, at)
    compared = compare_variants(board(table, score), first, second)
    if format == "text":
        print_comparisons(open_console(), compared)
    else:
        typer.echo(render_table(compared, format), nl=False)
