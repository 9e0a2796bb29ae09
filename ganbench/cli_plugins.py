"""The commands about plugins: what there is, what is known of one, a new one, and whether it keeps its word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.options import (
    EXIT_FAILED_TRIALS,
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
from ganbench.terms import Kind

if TYPE_CHECKING:
    from rich.status import Status

plugins_app = typer.Typer(help="List what plugins offer, check it, and begin one.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A component's name, as hinge or owner:hinge.")]


@plugins_app.command("list")
def plugins_list(
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only components of this kind.")] = None,
    plugin: PluginOption = None,
    format: ListingOption = "text",  # noqa: A002
) -> None:
    """List every component with its owner and status; broken plugins too, with the cause."""
    from ganbench.listings import print_components
    from ganbench.plugins import discover, listing

    rows = listing(discover(files_of(plugin)), kind)
    echo_json(rows) if format == "json" else print_components(open_console(), rows)


@plugins_app.command()
def new(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="What to write: loss, generator, metric, …")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What suites will call it.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="A new folder. Default: ./ganbench-NAME.")
    ] = None,
) -> None:
    """Write a new plugin: a distribution with a component that works, its tests, and all that packaging needs."""
    from ganbench.scaffold import default_folder, write_plugin

    place = folder or default_folder(name)
    for path in write_plugin(kind, name, place):
        typer.echo(path)
    typer.echo(f"\nNext: pip install -e {place} && ganbench plugins check {place}", err=True)


@plugins_app.command()
def show(name: NameArgument, plugin: PluginOption = None, format: ListingOption = "text") -> None:  # noqa: A002
    """Print all that is known of a component: formula, shapes, paper, recipe, traps, parameters, what it fits."""
    from ganbench.plugins import discover
    from ganbench.zoo import facts_of, named, print_component

    registry = discover(files_of(plugin))
    facts = [facts_of(registry, offer) for offer in named(registry, name)]
    if format == "json":
        echo_json(facts)
        return
    console = open_console()
    for number, each in enumerate(facts):
        if number:
            console.print()
        print_component(console, each, registry)


@plugins_app.command()
def check(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="NAME|PATH",
            help="A component, a plugin or a distribution; or a plugin file, or a folder with a pyproject.toml.",
        ),
    ],
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    download: DownloadOption = False,
    weights: WeightsOption = None,
    format: ListingOption = "text",  # noqa: A002
) -> None:
    """Check whether components do what their contracts and docstrings say. Status 1 if one does not.

    With every allowed value of each parameter, small networks and a second of training: a few seconds a component.
    """
    from ganbench.conformance.selection import select
    from ganbench.protocols import Places

    selection = select(subject, files_of(plugin))
    from ganbench.conformance.checking import check_all
    from ganbench.conformance.grounds import prepare
    from ganbench.conformance.printing import print_findings

    places = Places(absolute(data_root), download, absolute(weights))
    findings = []
    with _status() as status:
        for finding in check_all(selection, prepare(selection.registry, places)):
            status.update(f"{finding.title}: {finding.check}")
            findings.append(finding)
    if format == "json":
        echo_json([finding.row() for finding in findings])
    else:
        print_findings(open_console(), findings)
    failed = any(finding.verdict == "fail" for finding in findings)
    raise typer.Exit(EXIT_FAILED_TRIALS if failed else EXIT_OK)


def _status() -> Status:
    """What is checked right now, on the terminal if there is one."""
    from rich.console import Console

    return Console(stderr=True).status("Loading")
