"""The commands that look after results: whether they are sound, what nobody needs of them, and several in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganbench.options import (
    EXIT_FAILED_TRIALS,
    EXIT_OK,
    ListingOption,
    ResultsArgument,
    echo_json,
    open_console,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganbench.soundness import Problem, Waste

results_app = typer.Typer(help="Look after results: check them, tidy them up, and merge them.", no_args_is_help=True)


@results_app.command()
def verify(results: ResultsArgument = Path("results"), format: ListingOption = "text") -> None:  # noqa: A002
    """Check all that is recorded, and list what was left behind. Status 1 if something is wrong.

    Files are compared with the checksums in their records, and read; nothing is changed.
    """
    from ganbench.listings import print_rows
    from ganbench.upkeep import verify as look_over

    survey = look_over(results)
    if format == "json":
        echo_json(_rows(survey.problems, results))
    elif survey.problems:
        print_rows(open_console(), _rows(survey.problems, results, short=True))
    typer.echo(survey, err=format == "json")
    raise typer.Exit(EXIT_OK if survey.sound else EXIT_FAILED_TRIALS)


@results_app.command()
def gc(
    results: ResultsArgument = Path("results"),
    yes: Annotated[bool, typer.Option("--yes", help="Delete it. Without, only say what would be deleted.")] = False,
    cut_short: Annotated[
        bool, typer.Option("--cut-short", help="Also what was cut short and could go on from a checkpoint.")
    ] = False,
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Also attempts that are recorded, but not the newest at their key.")
    ] = False,
    format: ListingOption = "text",  # noqa: A002
) -> None:
    """Say what nobody needs any more, and with --yes delete it.

    The newest recorded attempt at each key stays, and so does all that a living runner has.
    """
    from rich.filesize import decimal

    from ganbench.listings import print_rows
    from ganbench.soundness import size_of
    from ganbench.upkeep import collect, waste_at

    kinds: list[Waste] = ["left over"]
    kinds += ["cut short"] if cut_short else []
    kinds += ["superseded"] if superseded else []
    waste = waste_at(results, kinds)
    places, sizes = _rows(waste, results, short=format == "text"), [size_of(each.path) for each in waste]
    listed = [
        {"place": row["place"], "waste": each.waste, "what": row["what"], "bytes": size}
        for row, each, size in zip(places, waste, sizes, strict=True)
    ]
    if format == "json":
        echo_json(listed)
    elif listed:
        print_rows(open_console(), listed)
    if yes:
        deleted, freed = collect(results, waste)
        typer.echo(f"{deleted} deleted, {decimal(freed)} freed.", err=format == "json")
    else:
        more = " --yes deletes it." if waste else ""
        typer.echo(f"{len(waste)} to delete, {decimal(sum(sizes))}.{more}", err=format == "json")


@results_app.command()
def merge(
    sources: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Suites' results folders.")],
    into: Annotated[
        Path,
        typer.Option("--into", metavar="DIR", help="Where to copy what is recorded: a results folder, or a new one."),
    ],
    format: ListingOption = "text",  # noqa: A002
) -> None:
    """Copy what is recorded in each of RESULTS into one folder. Status 1 if something was left out.

    The same record is taken once; other ones of the same key become attempts of it, the newest with the highest number.
    """
    from ganbench.listings import print_rows
    from ganbench.merging import merge as merge_results
    from ganbench.soundness import shown

    merged = merge_results(sources, into)
    conflicts = [
        {
            "key": conflict.key if format == "json" else f"{shown(conflict.key)[:8]}…",
            "variant": shown(conflict.variant),
            "attempts": conflict.attempts,
            "scores": list(conflict.scores) if format == "json" else ", ".join(conflict.scores) or "the same",
        }
        for conflict in merged.conflicts
    ]
    left_out = [
        row
        for source in sources  # whose name is said, as two may be merged; not the way to it, which may be long
        for row in _rows(
            [each for each in merged.left_out if each.path.is_relative_to(source)],
            Path() if format == "json" else source.parent,
            short=format == "text",
        )
    ]
    if format == "json":
        facts = {"copied": merged.copied, "present": merged.present, "conflicts": conflicts, "left_out": left_out}
        echo_json(facts)
    else:
        for rows in filter(None, (conflicts, left_out)):
            print_rows(open_console(), rows)
    typer.echo(f"{merged}: {into}", err=format == "json")
    raise typer.Exit(EXIT_FAILED_TRIALS if merged.left_out else EXIT_OK)


def _rows(problems: Sequence[Problem], results: Path, *, short: bool = False) -> list[dict[str, Any]]:
    """Problems as rows; keys in `short` ones are cut short, for a terminal has no room for them."""
    from ganbench.soundness import KEY, shown

    rows = []
    for each in problems:
        place = each.path.relative_to(results) if each.path.is_relative_to(results) else each.path
        parts = [f"{part[:8]}…" if short and KEY.fullmatch(part) else shown(part) for part in place.parts]
        told = {"problem": each.problem, "what": shown(each.what), "do": shown(each.do)}
        rows.append({"place": str(Path(*parts)), **told})
    return rows
