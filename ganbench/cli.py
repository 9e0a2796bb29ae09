"""The command line: `ganbench run quick`, and all that is asked before and after it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

import ganbench
from ganbench.cli_comparing import comparing_app
from ganbench.cli_measuring import measuring_app
from ganbench.cli_performance import performance_app
from ganbench.cli_plugins import plugins_app
from ganbench.cli_reading import reading_app
from ganbench.cli_reproducing import reproducing_app
from ganbench.cli_results import results_app
from ganbench.errors import ChoiceError, GanbenchError, StorageError, printable
from ganbench.options import (
    EXIT_BAD_REQUEST,
    EXIT_FAILED_TRIALS,
    EXIT_INTERRUPTED,
    EXIT_OK,
    READ_BY_PEOPLE,
    AtOption,
    BoardFormat,
    CheckpointOption,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    DriverOption,
    ExecutorOption,
    ListingOption,
    MemoryOption,
    OnlyOption,
    PerDeviceOption,
    PluginOption,
    ResultsArgument,
    ResultsOption,
    ScoreOption,
    SilentOption,
    SuiteArgument,
    TableFormat,
    TimeoutOption,
    WeightsOption,
    WorkersOption,
    absolute,
    echo_json,
    files_of,
    load_cut,
    meanings,
    open_console,
)

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from ganbench.plan import Plan
    from ganbench.plugins import Registry
    from ganbench.suite import Suite
    from ganbench.terms import Choice, Limits

app = typer.Typer(
    help="Compare GANs under equal budgets, several seeds and one named protocol.",
    epilog="Start with: ganbench run quick",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(plugins_app, name="plugins")
app.add_typer(results_app, name="results")
app.add_typer(comparing_app)
app.add_typer(measuring_app)
app.add_typer(performance_app)
app.add_typer(reproducing_app)
app.add_typer(reading_app)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        typer.echo(f"ganbench {ganbench.__version__}")
        raise typer.Exit


@app.command()
def run(
    suite: SuiteArgument,
    results: ResultsOption = None,
    only: OnlyOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    per_device: PerDeviceOption = None,
    driver: DriverOption = "auto",
    executor: ExecutorOption = "processes",
    timeout: TimeoutOption = None,
    silent: SilentOption = None,
    memory: MemoryOption = None,
    checkpoint: CheckpointOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    weights: WeightsOption = None,
    plugin: PluginOption = None,
    retry: Annotated[Literal["failed"] | None, typer.Option("--retry", help="Run failed trials again too.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run every trial again, recorded or not.")] = False,
) -> None:
    """Train and measure SUITE, and write its leaderboard.

    What is recorded already is not done again, and what was cut short goes on where it was.
    """
    from ganbench.crew import Redo, Settings
    from ganbench.protocols import Places

    console = open_console()
    read, registry, planned = _plan(suite, only, plugin)
    if not planned.trials:
        raise GanbenchError(_nothing_to_train(read, planned))
    redo: Redo = "all" if force else "failed" if retry else "missing"
    places = Places(absolute(data_root), download, absolute(weights))
    settings = Settings(
        places,
        device,
        workers,
        files_of(plugin),
        redo,
        _limits(read, timeout, silent, memory),
        driver=driver,
        per_device=per_device,
        executor=_executor(registry, executor),
        checkpoint_seconds=checkpoint,
    )
    folder = _results_folder(read, results)
    _announce(console, read, suite, planned, registry, folder)
    try:
        failed = _run_and_report(console, planned, registry, folder, settings)
    except KeyboardInterrupt:
        typer.echo(_interrupted(planned, folder), err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    raise typer.Exit(EXIT_FAILED_TRIALS if failed else EXIT_OK)


def _limits(suite: Suite, timeout: float | None, silent: float | None, memory: float | None) -> Limits:
    """What a trial may take: as the options say or, where they do not, the suite."""
    from ganbench.crew import SILENT_SECONDS
    from ganbench.terms import Limits

    own = suite.limits
    memory_bytes = own.memory_bytes if memory is None else int(memory * 2**30)
    return Limits(timeout or own.seconds, silent or own.silent_seconds or SILENT_SECONDS, memory_bytes)


def _interrupted(planned: Plan, folder: Path) -> str:
    """How far a run came that was interrupted, and what to type to go on."""
    import shlex

    from ganbench.store import Store

    store, jobs = Store(folder), planned.jobs
    recorded = sum(store.latest(job.key) is not None for job in jobs)
    begun = sum(store.unfinished(job.key) is not None for job in jobs)
    typed = [argument for argument in sys.argv[1:] if argument != "--force"]  # which would do all again
    kept = f", {begun} {'is kept as far as it' if begun == 1 else 'are kept as far as they'} came" if begun else ""
    return f"Interrupted. {recorded} of {len(jobs)} are recorded{kept}. To go on: {shlex.join(['ganbench', *typed])}"


def _executor(registry: Registry, written: str) -> Choice:
    """The executor that `--executor` names. Raises GanbenchError that names the option."""
    from ganbench.choices import parse_choice, resolve

    try:
        return resolve(registry, "executor", parse_choice(written))
    except ChoiceError as error:
        raise GanbenchError(f"--executor: {error}") from error


@app.command()
def plan(
    suite: SuiteArgument,
    only: OnlyOption = None,
    results: ResultsOption = None,
    plugin: PluginOption = None,
    format: ListingOption = "text",  # noqa: A002 - the option's name
) -> None:
    """Show what running SUITE would do, and what it skips."""
    from ganbench.listings import plan_rows, print_plan
    from ganbench.store import Store

    read, _, planned = _plan(suite, only, plugin)
    rows = plan_rows(planned, Store(_results_folder(read, results)))
    if format == "json":
        echo_json(rows)
    else:
        print_plan(open_console(), read, planned, rows)


@app.command()
def suites(format: ListingOption = "text") -> None:  # noqa: A002
    """List the suites that come with ganbench."""
    from ganbench.listings import print_rows, suite_rows

    rows = suite_rows()
    echo_json(rows) if format == "json" else print_rows(open_console(), rows)


@app.command()
def table(
    results: ResultsArgument = Path("results"),
    format: Annotated[TableFormat, typer.Option("--format", help="How to print it.")] = "text",  # noqa: A002
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B,…", help="Which columns, in which order; globs too.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="CONDITION", help="As in status=ok, seed>=1 or loss=wgan*. Repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write to FILE (parquet needs one).")
    ] = None,
) -> None:
    """Print every run as a row, failed ones too.

    As text, and without --columns, each data set is a section with a bar beside the score that ranks.
    """
    from ganbench.tables import load_results
    from ganbench.views import render_table, select, short_columns

    loaded = load_results(results)
    wanted = [name.strip() for name in columns.split(",")] if columns else None
    if wanted is None and format == "text":
        _show_sections(select(loaded, None, where or ()), out)
        return
    if wanted is None and format in READ_BY_PEOPLE:
        wanted = short_columns(loaded)
    chosen = select(loaded, wanted, where or ())
    rendered = render_table(chosen, format)
    if isinstance(rendered, bytes) and out is None:
        raise GanbenchError("--format parquet: not for a terminal. Pass --out FILE")
    _write_or_echo(rendered, out)


@app.command()
def leaderboard(
    results: ResultsArgument = Path("results"),
    score: ScoreOption = None,
    at: AtOption = None,
    format: Annotated[BoardFormat, typer.Option("--format", help="How to print it.")] = "text",  # noqa: A002
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the page, one offline file.")
    ] = None,
    site: Annotated[
        Path | None, typer.Option("--site", metavar="DIR", help="Write the page as a folder for a web server.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--open", help="Open the page in a browser; by itself, writes leaderboard.html in RESULTS.")
    ] = False,
) -> None:
    """Rank the variants of RESULTS.

    With intervals over seeds, the floor that real data sets, and failures.
    """
    import webbrowser

    from ganbench.statistics import board

    if show and not site:
        html = html or results / "leaderboard.html"
    table, curves = load_cut(results, at, curves=bool(html or site))
    ranked = board(table, score)
    _print_board(ranked, format)
    pages = _write_pages(table, curves, ranked, html, site)
    for page in pages:
        typer.echo(f"Leaderboard: {page.resolve()}", err=True)
    if show and not webbrowser.open(pages[0].resolve().as_uri()):
        typer.echo("No browser could be opened: open the page yourself.", err=True)


@app.command()
def doctor(
    format: ListingOption = "text",  # noqa: A002
    data_root: DataRootOption = None,
    weights: WeightsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Look at this machine: what is here, what would fail."""
    from ganbench.doctor import examine
    from ganbench.listings import print_rows
    from ganbench.plugins import discover
    from ganbench.protocols import Places

    places = Places(absolute(data_root), weights=absolute(weights))
    rows = examine(discover(files_of(plugin)), places)
    echo_json(rows) if format == "json" else print_rows(open_console(), rows)
    raise typer.Exit(EXIT_FAILED_TRIALS if any(row["status"] == "fails" for row in rows) else EXIT_OK)


@app.command()
def sample(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="A suite's results folder.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The trial's key, or the beginning of it.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for the samples.")] = Path("samples"),
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="How many. Default: those that were scored.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, or a GPU such as cuda:0.")] = "cpu",
    plugin: PluginOption = None,
) -> None:
    """Write samples of a trained generator.

    Images become PNG files, points one NumPy array.
    """
    from ganbench.plugins import discover
    from ganbench.sampling import export
    from ganbench.store import find_attempt

    written = export(find_attempt(results, key), discover(files_of(plugin)), device, count, out)
    typer.echo(f"{written} samples: {out.resolve()}")


def main() -> None:
    """Run the command line. A request that cannot be met is one message and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark
    try:
        app()
    except StorageError as error:
        _refuse(f"{error}. What is recorded is safe. Where there is room again, the same command does the rest")
    except GanbenchError as error:
        _refuse(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(f"{error.filename}: {error.strerror}")  # a name that is too long, a folder that may not be read


def _refuse(message: str) -> NoReturn:
    typer.echo(f"ganbench: {printable(message)}", err=True)
    sys.exit(EXIT_BAD_REQUEST)


def _plan(suite: str, only: list[str] | None, files: list[Path] | None) -> tuple[Suite, Registry, Plan]:
    from ganbench.plan import plan as make_plan
    from ganbench.plugins import discover
    from ganbench.suite import read_suite

    read = read_suite(suite)
    registry = discover(files_of(files))
    return read, registry, make_plan(read, registry, only or ())


def _nothing_to_train(suite: Suite, planned: Plan) -> str:
    first = planned.skipped[0] if planned.skipped else None
    why = (
        f" The first of {len(planned.skipped)} skipped: {first.variant} on {first.dataset}: {first.reason}"
        if first
        else ""
    )
    return f"suite {suite.name}: nothing to train.{why}"


def _announce(console: Console, suite: Suite, written: str, planned: Plan, registry: Registry, folder: Path) -> None:
    """Say what is about to run, and leave the tracebacks of broken plugins in a log beside the results."""
    from rich.text import Text

    console.print(Text.assemble((suite.name, "bold"), f" {suite.description}" if suite.description else ""))
    if planned.skipped:
        reasons = f"ganbench plan {written}"
        console.print(Text(f"Skipped combinations: {len(planned.skipped)}; '{reasons}' says why."))
    if registry.broken:
        from ganbench.listings import log_broken

        for broken in registry.broken:
            console.print(Text(f"Broken {broken}", style="yellow"))
        console.print(Text(f"Tracebacks: {log_broken(registry, folder)}"))


def _run_and_report(console: Console, planned: Plan, registry: Registry, folder: Path, settings: Any) -> int:
    """Run what is to do, write the leaderboard, and give the number of trials whose newest record is a failure."""
    from ganbench.live import view_for
    from ganbench.report import write_reports
    from ganbench.runner import clear_up, present_origins, recorded_now, to_do
    from ganbench.runner import run as run_jobs
    from ganbench.store import Store

    store = Store(folder)
    jobs = planned.jobs
    recorded = recorded_now(jobs, store)
    todo = to_do(jobs, store, settings.redo, present_origins(jobs, store, settings))
    if len(todo) < len(jobs):
        console.print(f"{len(jobs) - len(todo)} of {len(jobs)} are done already.", highlight=False)
    if todo:
        with view_for(console, len(todo)) as view:
            run_jobs(todo, store, settings, view, recorded)
    else:
        clear_up(store)
    page, ranked = write_reports(folder, meanings(registry))
    _print_board(ranked, "text")
    latest = [store.latest(job.key) for job in jobs]
    failed = sum(attempt is None or attempt.record().status != "ok" for attempt in latest)
    if failed:
        console.print(f"{failed} of {len(jobs)} failed; --retry failed runs them again.", highlight=False)
    console.print(f"Leaderboard: {page.resolve()}", markup=False, highlight=False, soft_wrap=True)
    return failed


def _print_board(ranked: Any, format: BoardFormat) -> None:  # noqa: A002
    from ganbench.report import print_board, render_markdown
    from ganbench.views import render_table

    if format == "text":
        print_board(open_console(), ranked)
    else:
        typer.echo(render_markdown(ranked) if format == "markdown" else render_table(ranked, "json"))


def _write_pages(table: Any, curves: Any, ranked: Any, html: Path | None, site: Path | None) -> list[Path]:
    """Write the page as a file, as a folder, or both; gives the files to open."""
    from ganbench.plugins import discover
    from ganbench.report import write_page
    from ganbench.sites import write_site

    if html is None and site is None:
        return []
    told, pages = meanings(discover()), []
    if html is not None:
        write_page(html, table, ranked, told, curves)
        pages.append(html)
    if site is not None:
        pages.append(write_site(site, table, ranked, told, curves))
    return pages


def _results_folder(suite: Suite, results: Path | None) -> Path:
    return (results or Path("results") / suite.name).absolute()


def _show_sections(rows: pd.DataFrame, out: Path | None) -> None:
    """Rows by data set: within a terminal's width, or whole where they go elsewhere."""
    from ganbench.table_text import print_sections, render_sections

    if out is None and sys.stdout.isatty():
        print_sections(open_console(), rows)
    else:
        _write_or_echo(render_sections(rows), out)


def _write_or_echo(rendered: str | bytes, out: Path | None) -> None:
    if out is None:
        text = str(rendered)
        typer.echo(printable(text) if sys.stdout.isatty() else text, nl=not text.endswith("\n"))
        return
    data = rendered if isinstance(rendered, bytes) else rendered.encode()
    try:
        out.write_bytes(data)
    except OSError as error:
        raise GanbenchError(f"--out {out}: cannot be written ({error.strerror})") from error
