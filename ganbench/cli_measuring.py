"""The commands that measure without training, and those that say what is measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ganbench.errors import GanbenchError, printable
from ganbench.options import (
    EXIT_FAILED_TRIALS,
    EXIT_INTERRUPTED,
    EXIT_OK,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    ListingOption,
    PluginOption,
    WeightsOption,
    absolute,
    echo_json,
    files_of,
    meanings,
    open_console,
)

if TYPE_CHECKING:
    from rich.console import Console

    from ganbench.plugins import Registry

measuring_app = typer.Typer()
cache_app = typer.Typer(help="Look after what was computed once and is kept.", no_args_is_help=True)
measuring_app.add_typer(cache_app, name="cache")


@measuring_app.command()
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
    from ganbench.crew import Settings
    from ganbench.evaluate import prepare
    from ganbench.plugins import discover
    from ganbench.protocols import Places
    from ganbench.sources import Request
    from ganbench.suite import read_suite

    console, registry = open_console(), discover(files_of(plugin))
    places = Places(absolute(data_root), download, absolute(weights))
    request = Request(
        samples, generator, hub, dataset, against, network, latent_dim, seed, name, suite, tuple(metric or ()),
        extractor, count, resolution, crop,
    )  # fmt: skip
    prepared = prepare(request, registry, places)
    folder = (results or Path("results") / (read_suite(suite).name if suite else "evaluated")).absolute()
    settings = Settings(places, device, plugin_files=files_of(plugin))
    try:
        ended_well = _evaluate_and_report(console, prepared, registry, folder, settings, force)
    except KeyboardInterrupt:
        typer.echo("Interrupted. What ended is recorded; the same command does the rest.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    raise typer.Exit(EXIT_OK if ended_well else EXIT_FAILED_TRIALS)


@measuring_app.command()
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

    terms = terms_of(discover(files_of(plugin)), name or "")
    if format == "json":
        echo_json([details(term) for term in terms])
    elif format == "markdown":
        typer.echo(to_markdown(terms), nl=False)
    elif name is None:
        print_scores(open_console(), overview(terms))
    else:
        typer.echo("\n".join(to_text(term, open_console().width) for term in terms), nl=False)


@measuring_app.command()
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

    from ganbench.choices import parse_choice
    from ganbench.faults import measure_faults
    from ganbench.plugins import discover
    from ganbench.protocols import Places
    from ganbench.workshop import open_workshop

    places = Places(absolute(data_root), download, absolute(weights))
    chosen = [parse_choice(name) for name in metric or ()]
    with Console(stderr=True).status(f"Spoiling and measuring {dataset}"):
        found = measure_faults(open_workshop(discover(files_of(plugin)), places), parse_choice(dataset), chosen)
    if format == "json":
        typer.echo(found.values.to_json(orient="index", indent=1))
    elif format == "markdown":
        typer.echo(found.to_markdown(), nl=False)
    else:
        typer.echo(found.to_text(open_console().width), nl=False)


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
        echo_json(rows)
    else:
        print_rows(open_console(), rows)
        typer.echo(f"{total()} in {place()}")


@cache_app.command("verify")
def cache_verify(format: ListingOption = "text") -> None:  # noqa: A002
    """Compare everything with the hashes it was written with; status 2 if something is damaged."""
    from ganbench.listings import print_rows
    from ganbench.stock import stock_rows

    rows = stock_rows(verify=True)
    damaged = [row for row in rows if row["status"] != "ok"]
    echo_json(rows) if format == "json" else print_rows(open_console(), damaged or rows)
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
        typer.echo(f"ganbench: {submission.name}: {record.status}: {printable(record.message)}", err=True)
        return False
    compared = f"{submission.name} on {submission.dataset}, {record.scores[0].n_fake if record.scores else 0:,} samples"
    console.print(compared, markup=False, highlight=False, soft_wrap=True)
    print_rows(console, score_rows(prepared, store))
    page, _ = write_reports(folder, meanings(registry))
    console.print(f"Leaderboard: {page.resolve()}", markup=False, highlight=False, soft_wrap=True)
    return True
