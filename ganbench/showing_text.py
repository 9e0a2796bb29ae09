"""One attempt as a terminal shows it: a few short tables, with curves and shares drawn in block letters."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from ganbench.blocks import bar, sparkline
from ganbench.errors import printable
from ganbench.history import duration
from ganbench.listings import STATUS_STYLES
from ganbench.showing import KEY_LETTERS
from ganbench.terms import AXES
from ganbench.views import format_number, one_line

Facts = Mapping[str, Any]
Cells = Sequence[str]

SPARK, BAR = 16, 12
MOST_CLASSES = 20
MOST_SIGNALS = 16
PLACES_OF_CURVES = (*AXES, "wall_seconds")
SHORT_COMMIT = 12
OPTIMISERS = ("generator", "discriminator")


def print_details(console: Console, shown: Facts) -> None:
    """Show what `showing.details` found: tables with nothing in them are left out."""
    _print_head(console, shown)
    _section(console, "Scores", _scores(shown), right=(1,))
    _section(console, _curves_title(shown), _signals(shown), right=(1, 3))
    _section(console, "Classes", _classes(shown), right=(1, 3))
    _section(console, "Budget", _budget(shown), right=(1,))
    _section(console, "Costs", _costs(shown["costs"]), right=(1,))
    _section(console, "Environment", _environment(shown["environment"]))
    _section(console, "Recipe", _recipe(shown["recipe"]))
    _print_command(console, shown)
    if shown["log"]:
        console.print(Text("\nThe end of its log", style="bold"))
        console.print(Text(textwrap.indent(printable(shown["log"].expandtabs()), "  ")))


def _print_head(console: Console, shown: Facts) -> None:
    seed = f" · seed {shown['seed']}" if shown["seed"] is not None else ""
    console.print(Text(one_line(f"{shown['dataset']} · {shown['variant']}{seed}"), style="bold"))
    ended = one_line(shown["finished_at"])[:19].replace("T", " ")
    status = Text(shown["status"], style=STATUS_STYLES.get(shown["status"], "red"))
    attempt = f"attempt {shown['attempt']} of {shown['attempts']}"
    about = f" · {shown['kind']} {shown['key'][:KEY_LETTERS]} · {attempt} · ended {ended} UTC"
    console.print(Text.assemble(status, about))
    if shown["message"]:
        step = f" at update {shown['failed_step']:,}" if shown["failed_step"] is not None else ""
        console.print(Text(f"{one_line(shown['message'])}{step}", style="red"))


def _section(console: Console, title: str, rows: Iterable[Cells], right: Sequence[int] = ()) -> None:
    """A title and an aligned table below it."""
    told = list(rows)
    if not told:
        return
    console.print(Text(f"\n{title}", style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for column in range(max(map(len, told))):
        table.add_column("", justify="right" if column in right else "left", overflow="fold")
    for row in told:
        table.add_row("", *(Text(printable(cell)) for cell in row))
    console.print(table)


def _scores(shown: Facts) -> Iterable[Cells]:
    for score in shown["scores"]:
        noise = f"± {format_number(score['noise'])}" if score["noise"] is not None else ""
        curve = shown["curve"].get(score["name"], [])
        drawn = sparkline(curve, SPARK, logarithmic=score["mean"] == "geometric")
        value = "undefined" if score["value"] is None else format_number(score["value"])
        yield one_line(score["name"]), value, noise, f"{score['direction']} is better", drawn


def _curves_title(shown: Facts) -> str:
    limits = [limit["axis"] for limit in shown["budget"]] or ["kimg"]
    along = [value for value in shown["curve"].get(limits[0], []) if value is not None]
    over = f" over {limits[0]}, {format_number(along[0])} to {format_number(along[-1])}" if along else ""
    return f"Curves{over}"


def _signals(shown: Facts) -> Iterable[Cells]:
    """What was recorded along the way: all but the scores, unless it did not come to have scores of its own."""
    told = {score["name"] for score in shown["scores"]}
    names = [name for name in shown["curve"] if name not in PLACES_OF_CURVES and name not in told]
    for name in names[:MOST_SIGNALS]:
        values = shown["curve"][name]
        known = [value for value in values if value is not None]
        if known:
            yield one_line(name), format_number(known[0]), sparkline(values, SPARK), format_number(known[-1])
    if len(names) > MOST_SIGNALS:
        yield f"and {len(names) - MOST_SIGNALS} more", "", "", ""


def _classes(shown: Facts) -> Iterable[Cells]:
    classes = shown["classes"]
    if not classes:
        return
    most = max(*classes["data"], *classes["samples"]) or 1.0
    order = sorted(range(len(classes["names"])), key=lambda i: -classes["data"][i])
    yield "", "data", "", "samples", ""
    for i in sorted(order[:MOST_CLASSES]):
        sides = [(f"{classes[side][i]:.1%}", bar(classes[side][i] / most, BAR)) for side in ("data", "samples")]
        yield one_line(classes["names"][i]), *sides[0], *sides[1]
    if len(order) > MOST_CLASSES:
        yield f"and {len(order) - MOST_CLASSES} more", "", "", "", ""


def _budget(shown: Facts) -> Iterable[Cells]:
    limits = {limit["axis"]: limit for limit in shown["budget"]}
    for axis, spent in shown["spent"].items():
        if limit := limits.get(axis):
            beyond = limit["overshoot"]
            told = "" if beyond == 0 else f"{format_number(abs(beyond))} {'over' if beyond > 0 else 'left'}"
            of = f"of {format_number(limit['limit'])}"
            yield axis, format_number(spent), of, bar(spent / limit["limit"], BAR), told
        else:
            yield axis, format_number(spent), "", "", "no limit"


def _costs(costs: Facts) -> Iterable[Cells]:
    for name, value in costs.items():
        if value is None:
            continue
        if name.endswith("_seconds"):
            yield name, duration(value) if value >= 100 else f"{value:.1f} s"
        else:
            yield name, decimal(int(value)) if name.endswith("_bytes") else format_number(value)


def _environment(environment: Facts) -> Iterable[Cells]:
    """What is the same in a line, the rest as it is; what is not known is left out."""
    for name, value in environment.items():
        if value in (None, "", [], {}):
            continue
        yield one_line(str(name)), _told(name, value)


def _told(name: str, value: Any) -> str:
    if name == "plugins" and isinstance(value, list):
        return ", ".join(_plugin(item) for item in value)
    if name == "git" and isinstance(value, dict):
        return ", ".join(f"{key} {_commit(item)}" for key, item in value.items())
    if isinstance(value, dict):
        return one_line(", ".join(f"{key} {item}" for key, item in value.items()))
    if isinstance(value, list):
        return one_line(", ".join(map(str, value)))
    return one_line(str(value))


def _plugin(item: Any) -> str:
    if not isinstance(item, dict):
        return one_line(str(item))
    version = f" {item['version']}" if item.get("version") else ""
    return one_line(f"{item.get('plugin')}{version} #{str(item.get('sha256'))[:8]}")


def _commit(item: Any) -> str:
    if not isinstance(item, dict):
        return one_line(str(item))
    return one_line(f"{str(item.get('commit'))[:SHORT_COMMIT]}{'+' if item.get('dirty') else ''}")


def _recipe(job: Facts) -> Iterable[Cells]:
    """Every choice with all its parameters, then how it trains and how it is measured."""
    variant = job.get("variant", {})
    for kind in ("generator", "discriminator", "loss", "augmentation", "method"):
        if variant.get(kind):
            yield kind, _choice(variant[kind])
    for penalty in variant.get("penalties", ()):
        yield "penalty", _choice(penalty)
    yield "dataset", _choice(job["dataset"])
    for name, value in job.get("training", {}).items():
        if value is not None:
            yield (f"{name}'s optimiser" if name in OPTIMISERS else name), _setting(value)
    evaluation = job["evaluation"]
    yield "metrics", ", ".join(_choice(metric) for metric in evaluation["metrics"])
    yield "samples measured", f"{evaluation['samples']:,}"
    if evaluation.get("extractor"):
        yield "extractor", _choice(evaluation["extractor"])


def _choice(choice: Facts) -> str:
    """`mlp(width=128, depth=3)`, with the parameters that were left to their defaults."""
    told = [*choice["parameters"], *choice["defaults"]]
    parameters = ", ".join(f"{name}={value}" for name, value in told)
    return one_line(f"{choice['name']}({parameters})" if told else choice["name"])


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return one_line(", ".join(f"{name}={_setting(item)}" for name, item in value.items() if item is not None))
    return one_line(str(value))


def _print_command(console: Console, shown: Facts) -> None:
    console.print(Text("\nTo do it again", style="bold"))
    again = shown["command"] or "It was made elsewhere and only measured here: 'ganbench evaluate' measures it again."
    console.print(Text(f"  {one_line(again)}"), soft_wrap=True)
    console.print(Text(f"Its files: {one_line(shown['path'])}"), soft_wrap=True)
