"""The commands that measure ganbench itself: how fast it is here, and where a trial's steps spend their time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ganbench.drivers import MOST_TOGETHER
from ganbench.errors import GanbenchError, suggest
from ganbench.options import (
    EXIT_INTERRUPTED,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    ListingOption,
    OnlyOption,
    PluginOption,
    SuiteArgument,
    absolute,
    echo_json,
    files_of,
    open_console,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from ganbench.profiling import Profile
    from ganbench.stopwatch import Benchmark, Result
    from ganbench.terms import Trial

performance_app = typer.Typer()

SHORTEST_KEY = 8
"""Characters from which what is written of a trial is the beginning of its key, and no longer a number."""


@performance_app.command()
def bench(
    device: Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="What to measure.")] = "cpu",
    only: Annotated[
        str | None, typer.Option("--only", metavar="GLOB", help="Only benchmarks of such names, as in 'dcgan*'.")
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, metavar="N", help="How often both sides are measured in turn.")
    ] = 5,
    format: Annotated[Literal["text", "json", "markdown"], typer.Option("--format", help="How to print it.")] = "text",  # noqa: A002
) -> None:
    """Measure how fast ganbench is on this machine.

    Each benchmark compares it with what people write by hand, or with a target. They take some minutes.
    """
    from ganbench.bench import benchmarks, markdown
    from ganbench.profiling import present

    chosen = _named(benchmarks(present(device)), only)
    try:
        results = list(_measured(chosen, rounds))
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if format == "json":
        echo_json([result.row() for result in results])
    elif format == "markdown":
        typer.echo(markdown(results), nl=False)
    else:
        open_console().print(_table_of(results))


@performance_app.command()
def profile(
    suite: SuiteArgument,
    trial: Annotated[
        str,
        typer.Option(
            "--trial",
            metavar="N",
            help="A line of 'ganbench plan', from 1: its first seed. Or a trial's key, or the beginning of it.",
        ),
    ] = "1",
    device: DeviceOption = "auto",
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Steps to time.")] = 50,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write. Default: profile-<suite>-<N>.")
    ] = None,
    driver: Annotated[
        Literal["eager", "graph", "vectorised", "vectorised+graph"],
        typer.Option("--driver", help="How steps are carried out; the vectorised ones take the variant's other seeds."),
    ] = "eager",
    only: OnlyOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    plugin: PluginOption = None,
    format: ListingOption = "text",  # noqa: A002
) -> None:
    """Show where the steps of one of SUITE's trials spend their time.

    By phase and by operator, with a trace to look at. Nothing is recorded.
    """
    from ganbench.plan import plan
    from ganbench.plugins import discover
    from ganbench.profiling import profile as profiled
    from ganbench.protocols import Places
    from ganbench.suite import read_suite

    read, registry = read_suite(suite), discover(files_of(plugin))
    trials = _together(plan(read, registry, only or ()).trials, trial, read.name)
    folder = (out or Path(f"profile-{read.name}-{trial}")).absolute()
    places = Places(absolute(data_root), download)
    found = profiled(registry, trials, places, device, steps, folder, driver)
    if format == "json":
        echo_json(found.details())
    else:
        print_profile(open_console(), found)


def _named(benchmarks: Sequence[Benchmark], glob: str | None) -> list[Benchmark]:
    from fnmatch import fnmatchcase

    chosen = [benchmark for benchmark in benchmarks if fnmatchcase(benchmark.name, glob or "*")]
    if not chosen:
        known = suggest(glob or "", [benchmark.name for benchmark in benchmarks])
        raise GanbenchError(f"--only '{glob}': no benchmark has such a name.{known}")
    return chosen


def _measured(benchmarks: Sequence[Benchmark], rounds: int) -> Iterator[Result]:
    """The results, each told as it comes: where people look, and not where the table goes."""
    from ganbench.bench import measure

    for number, benchmark in enumerate(benchmarks, start=1):
        result = measure(benchmark, rounds)
        typer.echo(f"[{number}/{len(benchmarks)}] {benchmark.name}: {result.cells()['figure']}", err=True)
        yield result


def _table_of(results: Sequence[Result]) -> Table:
    """Each benchmark in a row, with both sides' seconds below what was measured."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("benchmark", no_wrap=True)
    table.add_column("what was measured", ratio=1)
    for name in ("figure", "rounds", "target", "met"):
        table.add_column(name)
    for cells in (result.cells() for result in results):
        sides = [f"{side}: {cells[side]}" for side in ("ganbench", "baseline") if cells[side]]
        what = "\n".join([f"{cells['what']}; a {cells['a unit']}", *sides])
        table.add_row(
            *map(Text, (cells["benchmark"], what, *(cells[name] for name in ("figure", "rounds", "target")))),
            cells["met"],
        )
    return table


def _together(trials: Sequence[Trial], written: str, suite: str) -> list[Trial]:
    """The trial that is meant, and behind it the other seeds of its variant, as many as would train together."""
    if not trials:
        raise GanbenchError(f"suite {suite}: nothing to profile. 'ganbench plan' says what is left out, and why")
    variants: dict[str, list[Trial]] = {}  # as `ganbench plan` lists them
    for trial in trials:
        variants.setdefault(replace(trial, seed=0).key, []).append(trial)
    lines = [*variants.values()]
    expected = f"a line of 'ganbench plan', 1 to {len(lines)}, or {SHORTEST_KEY} characters of a trial's key, or more"
    if len(written) < SHORTEST_KEY:
        if not (written.isascii() and written.isdecimal() and 1 <= int(written) <= len(lines)):
            raise GanbenchError(f"--trial {written}: suite {suite} has no such line. Expected {expected}")
        return lines[int(written) - 1][:MOST_TOGETHER]
    found = [(trial, seeds) for seeds in lines for trial in seeds if trial.key.startswith(written)]
    if len(found) != 1:
        raise GanbenchError(
            f"--trial {written}: {len(found)} trials of suite {suite} have such a key. Expected {expected}"
        )
    ((meant, seeds),) = found
    return [meant, *(other for other in seeds if other != meant)][:MOST_TOGETHER]


def print_profile(console: Console, profile: Profile) -> None:
    """The profile on one screen."""
    seeds = f"seed{'s' if len(profile.seeds) > 1 else ''} {', '.join(map(str, profile.seeds))}"
    reached, peak = profile.flops_per_second / 1e9, profile.peak_flops_per_second / 1e9
    head = [
        f"{profile.variant} on {profile.dataset}, {seeds}",
        f"{profile.driver} on {profile.device}, {profile.steps} steps",
        f"{profile.step_seconds * 1e3:.3g} ms a step, {profile.images_per_second:,.0f} samples a second",
        f"{reached:,.3g} GFLOP/s, {profile.share_of_peak:.1%} of the {peak:,.4g} that large matrix products reach here",
        "",
    ]
    console.print("\n".join(head), markup=False, highlight=False)
    phases = {**profile.phases, "rest": profile.rest}
    console.print(_columns("phase", [(name, phases[name], share) for name, share in profile.shares().items()]))
    console.print(_columns("operator", [(one.name, one.seconds, one.share, one.calls) for one in profile.operators]))
    if profile.driver.endswith("graph"):
        console.print("A graph that is replayed is one piece: all of it is 'rest', and its kernels are the operators.")
    costs = f"{profile.timing_cost:+.0%}, and tracing operators by {profile.tracing_cost:+.0%}"
    for line in (
        f"Timing phases changed a step's time by {costs}.",
        f"Trace, for ui.perfetto.dev: {profile.trace}",
        f"All operators: {profile.table}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _columns(head: str, rows: Sequence[tuple[Any, ...]]) -> Table:
    """Names with milliseconds and shares of a step, and calls where they were counted."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(head, width=44, no_wrap=True, overflow="ellipsis")
    for column in ("ms a step", "share", "calls")[: len(rows[0]) - 1 if rows else 2]:
        table.add_column(column, justify="right", min_width=9)
    for name, seconds, share, *calls in rows:
        table.add_row(Text(name), f"{seconds * 1e3:.3f}", f"{share:.1%}", *[f"{count:g}" for count in calls])
    table.add_row()
    return table
