"""The command line: `ganbench run quick`, and all that is asked before and after it."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import ganbench
from ganbench.errors import GanbenchError
from ganbench.terms import Kind

if TYPE_CHECKING:
    from rich.console import Console

    from ganbench.plan import Plan
    from ganbench.plugins import Registry
    from ganbench.suite import Suite

EXIT_OK, EXIT_FAILED_TRIALS, EXIT_BAD_REQUEST, EXIT_INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    help="Compare GANs under equal budgets, several seeds and one named protocol.",
    epilog="Start with: ganbench run quick",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
plugins_app = typer.Typer(help="List what plugins offer.", no_args_is_help=True)
app.add_typer(plugins_app, name="plugins")
cache_app = typer.Typer(help="Look after what was computed once and is kept.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")


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
    typer.Option("--weights", metavar="FILE", help="Inception's weights, as torch-fidelity publishes them."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, or one GPU such as cuda:0.")]


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
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Trials at a time. Default: one a core, or one a GPU.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=1, metavar="SECONDS", help="End a trial that takes longer.")
    ] = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    weights: WeightsOption = None,
    plugin: PluginOption = None,
    retry: Annotated[Literal["failed"] | None, typer.Option("--retry", help="Run failed trials again too.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run every trial again, recorded or not.")] = False,
) -> None:
    """Train and measure SUITE, and write its leaderboard.

    What is recorded already is not done again.
    """
    from ganbench.protocols import Places
    from ganbench.runner import Redo, Settings

    console = _console()
    read, registry, planned = _plan(suite, only, plugin)
    if not planned.trials:
        raise GanbenchError(_nothing_to_train(read, planned))
    redo: Redo = "all" if force else "failed" if retry else "missing"
    places = Places(_absolute(data_root), download, _absolute(weights))
    settings = Settings(places, device, workers, _files(plugin), redo, timeout)
    folder = _results_folder(read, results)
    _announce(console, read, suite, planned, registry, folder)
    try:
        failed = _run_and_report(console, planned, registry, folder, settings)
    except KeyboardInterrupt:
        typer.echo("Interrupted. Every trial that ended is recorded; the same command does the rest.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    raise typer.Exit(EXIT_FAILED_TRIALS if failed else EXIT_OK)


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
        _echo_json(rows)
    else:
        print_plan(_console(), read, planned, rows)


@app.command()
def suites(format: ListingOption = "text") -> None:  # noqa: A002
    """List the suites that come with ganbench."""
    from ganbench.listings import print_rows, suite_rows

    rows = suite_rows()
    _echo_json(rows) if format == "json" else print_rows(_console(), rows)


@plugins_app.command("list")
def plugins_list(
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only components of this kind.")] = None,
    plugin: PluginOption = None,
    format: ListingOption = "text",  # noqa: A002
) -> None:
    """List every component with its owner and status; broken plugins too, with the cause."""
    from ganbench.listings import print_components
    from ganbench.plugins import discover, listing

    rows = listing(discover(_files(plugin)), kind)
    _echo_json(rows) if format == "json" else print_components(_console(), rows)


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
    """Print every run as a row, failed ones too."""
    from ganbench.tables import load_results
    from ganbench.views import render_table, select, short_columns

    loaded = load_results(results)
    wanted = [name.strip() for name in columns.split(",")] if columns else None
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
    score: Annotated[
        str | None, typer.Option("--score", help="Rank by this score. Default: each data set's first.")
    ] = None,
    format: Annotated[BoardFormat, typer.Option("--format", help="How to print it.")] = "text",  # noqa: A002
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the page, one offline file.")
    ] = None,
) -> None:
    """Rank the variants of RESULTS.

    With intervals over seeds, the floor that real data sets, and failures.
    """
    from ganbench.plugins import discover
    from ganbench.report import write_page
    from ganbench.statistics import board
    from ganbench.tables import load_results

    results_table = load_results(results)
    ranked = board(results_table, score)
    _print_board(ranked, format)
    if html is not None:
        write_page(html, results_table, ranked, _meanings(discover()))
        typer.echo(f"Leaderboard: {html.resolve()}", err=True)


@app.command()
def evaluate(
    samples: Annotated[
        Path | None, typer.Option("--samples", metavar="PATH", help="A folder of images, or an .npz, .npy or .tar.")
    ] = None,
    generator: Annotated[
        Path | None,
        typer.Option(
            "--generator",
            metavar="FILE",
            help="ganbench's generator.safetensors, or TorchScript: trust it, it is a program.",
        ),
    ] = None,
    hub: Annotated[
        str | None,
        typer.Option(
            "--hub", metavar="DIR:ENTRY", help="A torch.hub repository on this disk. Its code runs: trust it."
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="What to compare with, as in a suite.")] = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="DIR", help="A folder of real images, in place of --dataset.")
    ] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="What weights belong to, as in 'dcgan(width=32)'.")
    ] = None,
    latent_dim: Annotated[
        int | None, typer.Option("--latent-dim", min=1, help="Numbers that a latent of the generator has.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the latents. Default: 0.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What tables call it. Default: the file's name.")] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", help="Measure as this suite does, and join its leaderboard.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="What to measure. Repeatable.")] = None,
    extractor: Annotated[str | None, typer.Option("--extractor", help="What turns images into features.")] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="How many samples to compare. Default: the protocol's.")
    ] = None,
    resolution: Annotated[
        int | None, typer.Option("--resolution", min=1, help="With --against: the side of all images.")
    ] = None,
    crop: Annotated[
        Literal["exact", "centre", "stretch"] | None,
        typer.Option("--crop", help="With --against: how images of other sizes get there. Default: exact, not at all."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="DIR", help="Where results lie. Default: the suite's, or results/evaluated."),
    ] = None,
    device: DeviceOption = "auto",
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    weights: WeightsOption = None,
    plugin: PluginOption = None,
    force: Annotated[bool, typer.Option("--force", help="Measure again what is recorded.")] = False,
) -> None:
    """Score samples or a generator that was made elsewhere, without training."""
    from ganbench.evaluate import prepare
    from ganbench.plugins import discover
    from ganbench.protocols import Places
    from ganbench.runner import Settings
    from ganbench.sources import Request
    from ganbench.suite import read_suite

    console, registry = _console(), discover(_files(plugin))
    places = Places(_absolute(data_root), download, _absolute(weights))
    request = Request(
        samples, generator, hub, dataset, against, network, latent_dim, seed, name, suite, tuple(metric or ()),
        extractor, count, resolution, crop,
    )  # fmt: skip
    prepared = prepare(request, registry, places)
    folder = (results or Path("results") / (read_suite(suite).name if suite else "evaluated")).absolute()
    settings = Settings(places, device, plugin_files=_files(plugin))
    try:
        ended_well = _evaluate_and_report(console, prepared, registry, folder, settings, force)
    except KeyboardInterrupt:
        typer.echo("Interrupted. What ended is recorded; the same command does the rest.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    raise typer.Exit(EXIT_OK if ended_well else EXIT_FAILED_TRIALS)


@app.command()
def metrics(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A metric or one of its scores.")] = None,
    plugin: PluginOption = None,
    format: Annotated[Literal["text", "markdown", "json"], typer.Option("--format", help="How to print it.")] = "text",  # noqa: A002
) -> None:
    """Say what scores mean: definition, formula, source, range, floors, traps.

    Without NAME, one line a score.
    """
    from ganbench.glossary import details, overview, terms_of, to_markdown, to_text
    from ganbench.listings import print_scores
    from ganbench.plugins import discover

    terms = terms_of(discover(_files(plugin)), name or "")
    if format == "json":
        _echo_json([details(term) for term in terms])
    elif format == "markdown":
        typer.echo(to_markdown(terms), nl=False)
    elif name is None:
        print_scores(_console(), overview(terms))
    else:
        typer.echo("\n".join(to_text(term, _console().width) for term in terms), nl=False)


@app.command()
def faults(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A data set, as suites write it.")],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="NAME", help="Only this metric. Repeatable. Default: all.")
    ] = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    weights: WeightsOption = None,
    plugin: PluginOption = None,
    format: Annotated[Literal["text", "markdown", "json"], typer.Option("--format", help="How to print it.")] = "text",  # noqa: A002
) -> None:
    """Show which scores see which faults: real samples of DATASET are spoilt in known ways, and measured.

    '*' marks what is clearly worse than untouched samples, '+' what is clearly better.
    """
    from rich.console import Console

    from ganbench.building import open_workshop
    from ganbench.choices import parse_choice
    from ganbench.faults import measure_faults
    from ganbench.plugins import discover
    from ganbench.protocols import Places

    places = Places(_absolute(data_root), download, _absolute(weights))
    chosen = [parse_choice(name) for name in metric or ()]
    with Console(stderr=True).status(f"Spoiling and measuring {dataset}"):
        found = measure_faults(open_workshop(discover(_files(plugin)), places), parse_choice(dataset), chosen)
    if format == "json":
        typer.echo(found.values.to_json(orient="index", indent=1))
    elif format == "markdown":
        typer.echo(found.to_markdown(), nl=False)
    else:
        typer.echo(found.to_text(_console().width), nl=False)


KindsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[KIND]...", help="data, features, statistics or classifiers.")
]


@cache_app.command("list")
def cache_list(format: ListingOption = "text") -> None:  # noqa: A002
    """List what is kept, how large it is, and what it was computed from."""
    from ganbench.listings import print_rows
    from ganbench.stock import place, stock_rows, total

    rows = stock_rows()
    if format == "json":
        _echo_json(rows)
    else:
        print_rows(_console(), rows)
        typer.echo(f"{total()} in {place()}")


@cache_app.command("verify")
def cache_verify(format: ListingOption = "text") -> None:  # noqa: A002
    """Compare everything with the hashes it was written with; status 2 if something is damaged."""
    from ganbench.listings import print_rows
    from ganbench.stock import stock_rows

    rows = stock_rows(verify=True)
    damaged = [row for row in rows if row["status"] != "ok"]
    _echo_json(rows) if format == "json" else print_rows(_console(), damaged or rows)
    if damaged:
        raise GanbenchError(
            f"cache: {len(damaged)} of {len(rows)} damaged. They are computed again when they are needed; "
            "'ganbench cache clear' deletes them now"
        )


@cache_app.command("clear")
def cache_clear(kinds: KindsArgument = None) -> None:
    """Delete what is kept, or the given kinds of it. What is needed again is computed again."""
    from rich.filesize import decimal

    from ganbench.cache import clear
    from ganbench.stock import kinds_named

    count, size = clear(kinds_named(kinds or ()))
    typer.echo(f"{count} deleted, {decimal(size)} freed.")


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

    places = Places(_absolute(data_root), weights=_absolute(weights))
    rows = examine(discover(_files(plugin)), places)
    _echo_json(rows) if format == "json" else print_rows(_console(), rows)
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

    written = export(find_attempt(results, key), discover(_files(plugin)), device, count, out)
    typer.echo(f"{written} samples: {out.resolve()}")


def main() -> None:
    """Run the command line. A request that cannot be met is one message and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark
    try:
        app()
    except GanbenchError as error:
        typer.echo(f"ganbench: {error}", err=True)
        sys.exit(EXIT_BAD_REQUEST)


def _plan(suite: str, only: list[str] | None, files: list[Path] | None) -> tuple[Suite, Registry, Plan]:
    from ganbench.plan import plan as make_plan
    from ganbench.plugins import discover
    from ganbench.suite import read_suite

    read = read_suite(suite)
    registry = discover(_files(files))
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


def _meanings(registry: Registry) -> dict[str, str]:
    """What each metric tells, in a sentence."""
    return {offer.component.name: offer.component.summary for offer in registry.offers if offer.kind == "metric"}


def _run_and_report(console: Console, planned: Plan, registry: Registry, folder: Path, settings: Any) -> int:
    """Run what is to do, write the leaderboard, and give the number of trials whose newest record is a failure."""
    from ganbench.live import view_for
    from ganbench.report import write_reports
    from ganbench.runner import run as run_jobs
    from ganbench.runner import to_do
    from ganbench.store import Store

    store = Store(folder)
    jobs = planned.jobs
    todo = to_do(jobs, store, settings.redo)
    if len(todo) < len(jobs):
        console.print(f"{len(jobs) - len(todo)} of {len(jobs)} are done already.", highlight=False)
    if todo:
        with view_for(console, len(todo)) as view:
            run_jobs(todo, store, settings, view)
    page, ranked = write_reports(folder, _meanings(registry))
    _print_board(ranked, "text")
    latest = [store.latest(job.key) for job in jobs]
    failed = sum(attempt is None or attempt.record().status != "ok" for attempt in latest)
    if failed:
        console.print(f"{failed} of {len(jobs)} failed; --retry failed runs them again.", highlight=False)
    console.print(f"Leaderboard: {page.resolve()}", markup=False, highlight=False, soft_wrap=True)
    return failed


def _evaluate_and_report(
    console: Console, prepared: Any, registry: Registry, folder: Path, settings: Any, force: bool
) -> bool:
    """Measure, print the scores, write the leaderboard, and tell whether it all ended well."""
    from ganbench.evaluate import is_done, measure, score_rows
    from ganbench.listings import print_rows
    from ganbench.live import StatusView
    from ganbench.report import write_reports
    from ganbench.store import LOG, Store

    store, submission = Store(folder), prepared.submission
    for note in prepared.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    if not force and is_done(prepared, store):
        console.print(f"{submission.name} is done already; --force measures it again.", markup=False, highlight=False)
    with StatusView(console) as view:
        attempt = measure(prepared, store, settings, view, force=force)
    record = attempt.record()
    if record.status == "error":
        log = attempt.path / LOG
        raise GanbenchError(f"{record.message}. Traceback: {log}" if log.is_file() else record.message)
    if record.status != "ok":
        typer.echo(f"ganbench: {submission.name}: {record.status}: {record.message}", err=True)
        return False
    compared = f"{submission.name} on {submission.dataset}, {record.scores[0].n_fake if record.scores else 0:,} samples"
    console.print(compared, markup=False, highlight=False, soft_wrap=True)
    print_rows(console, score_rows(prepared, store))
    page, _ = write_reports(folder, _meanings(registry))
    console.print(f"Leaderboard: {page.resolve()}", markup=False, highlight=False, soft_wrap=True)
    return True


def _print_board(ranked: Any, format: BoardFormat) -> None:  # noqa: A002
    from ganbench.report import print_board, render_markdown
    from ganbench.views import render_table

    if format == "text":
        print_board(_console(), ranked)
    else:
        typer.echo(render_markdown(ranked) if format == "markdown" else render_table(ranked, "json"))


def _results_folder(suite: Suite, results: Path | None) -> Path:
    return (results or Path("results") / suite.name).absolute()


def _files(paths: list[Path] | None) -> tuple[Path, ...]:
    return tuple(path.absolute() for path in paths or ())


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None


def _console() -> Console:
    from rich.console import Console

    console = Console()
    fitted = console.is_terminal or "COLUMNS" in os.environ
    return console if fitted else Console(width=WIDTH_OF_FILES)


def _echo_json(rows: Any) -> None:
    typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))


def _write_or_echo(rendered: str | bytes, out: Path | None) -> None:
    if out is None:
        typer.echo(rendered, nl=not str(rendered).endswith("\n"))
        return
    data = rendered if isinstance(rendered, bytes) else rendered.encode()
    try:
        out.write_bytes(data)
    except OSError as error:
        raise GanbenchError(f"--out {out}: cannot be written ({error.strerror})") from error
