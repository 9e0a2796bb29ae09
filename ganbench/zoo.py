"""What is known of a component without importing it: for `ganbench plugins show`, and for the page of all of them."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ganbench.conformance.reading import Definition, definition_of
from ganbench.errors import ChoiceError, PluginError
from ganbench.hookspecs import PROJECT
from ganbench.partners import partners
from ganbench.plugins import Offer, Registry, discover
from ganbench.signatures import Parameter, parameters_of
from ganbench.terms import KINDS, PACKING, Choice, Component, Kind, Optimiser, Recipe
from ganbench.wording import in_words

if TYPE_CHECKING:
    from rich.console import Console

INDENT = 14
"""Columns that the names of facts take in a terminal."""

Facts = Mapping[str, Any]

USES: Mapping[Kind, str] = {
    "generator": '[matrix] generator = ["{}"]',
    "discriminator": '[matrix] discriminator = ["{}"]',
    "loss": '[matrix] loss = ["{}"]',
    "penalty": '[matrix] loss = ["hinge + {}"]',
    "augmentation": '[matrix] loss = ["hinge + {}"]',
    "method": '[matrix] loss = ["hinge + {}"]',
    "dataset": 'datasets = ["{}"]',
    "metric": 'metrics = ["{}"]',
    "extractor": '[evaluation] extractor = "{}"',
    "executor": "ganbench run SUITE --executor {}",
}
"""Where a component of the kind is named: in a suite, or on the command line."""

HEADINGS: Mapping[Kind, str] = {
    "generator": "Generators",
    "discriminator": "Discriminators",
    "loss": "Losses",
    "penalty": "Penalties",
    "augmentation": "Augmentations",
    "method": "Methods",
    "dataset": "Data sets",
    "metric": "Metrics",
    "extractor": "Extractors",
    "executor": "Executors",
}


def named(registry: Registry, name: str) -> list[Offer]:
    """The components of that name, of `owner:name` or of `kind:name`, one of each kind and owner that offers it.

    Raises ChoiceError with the nearest names for one that nothing has.
    """
    prefix, _, bare = name.rpartition(":")
    of_name = [offer for offer in registry.offers if offer.component.name == bare]
    found = [offer for offer in of_name if prefix in ("", offer.owner, offer.kind)]
    if found:
        return sorted(found, key=lambda offer: (KINDS.index(offer.kind), offer.owner))
    known = {offer.component.name for offer in registry.offers}
    near = difflib.get_close_matches(bare, sorted(known), n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    broken = "".join(f"\nIt may belong to one that does not load: {item}" for item in registry.broken)
    raise ChoiceError(f"no component named '{name}'.{hint} 'ganbench plugins list' names all {len(known)}{broken}")


def facts_of(registry: Registry, offer: Offer) -> Facts:
    """All that is known of a component, in the order in which it is told: JSON's own types. Imports no target."""
    component = offer.component
    definition = _definition(component)
    return {
        "name": component.name,
        "kind": offer.kind,
        "owner": offer.owner,
        "version": offer.version,
        "summary": component.summary,
        "paper": component.paper,
        "file": f"{definition.file}:{definition.line}" if definition else "",
        "docstring": definition.docstring if definition else "",
        "parameters": _parameters(offer, definition),
        "needs": in_words(offer.kind, "needs", component.needs),
        "gives": in_words(offer.kind, "gives", component.gives),
        "recipe": _recipe(component.recipe) if component.recipe else [],
        "scores": [measure.name for measure in component.measures],
        "use": _use(registry, offer),
        "fits": {kind: list(names) for kind, names in partners(registry, offer).items()},
    }


def _definition(component: Component) -> Definition | None:
    """Where the component is defined; None of one that has no source, which is no reason to say nothing of it."""
    try:
        return definition_of(component.target)
    except (PluginError, SyntaxError, ValueError):
        return None


def _parameters(offer: Offer, definition: Definition | None) -> list[dict[str, Any]]:
    """Name, type, default as a suite would write it, and what the docstring says of each parameter."""
    try:
        known = parameters_of(offer.component.target, offer.kind)
    except PluginError:
        return []
    told = meanings(definition.sections().get("Parameters", "") if definition else "", [item.name for item in known])
    rows = [
        {
            "name": item.name,
            "type": item.annotation,
            "default": _default(item),
            "required": item.required,
            "description": told.get(item.name, ""),
        }
        for item in known
    ]
    return [*rows, _PACKING] if offer.kind == "discriminator" else rows


_PACKING = {
    "name": PACKING,
    "type": "int",
    "default": "1",
    "required": False,
    "description": "the number of samples that it judges together; of every discriminator",
}


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return ""
    return str(Choice("", ((parameter.name, parameter.default),)))[1:-1].partition("=")[2]


def meanings(text: str, names: Sequence[str]) -> dict[str, str]:
    """What a docstring's section on parameters says of each: "`width` is that of a layer" means that of a layer."""
    text = " ".join(text.split())
    found = {name: match for name in names if (match := re.search(rf"`{re.escape(name)}\b[^`]*`", text))}
    places = sorted(found.items(), key=lambda item: item[1].start())
    told: dict[str, str] = {}
    following = len(text)
    for name, match in reversed(places):
        said = re.sub(r"^(?:(?:is|are)\b|,|:)?\s*|[\s;,.]*(?:\band)?\s*$", "", text[match.end() : following].strip())
        told[name] = said or next(reversed(told.values()), "")  # "`width` and `depth` are …" is said of both
        following = match.start()
    return told


def _recipe(recipe: Recipe) -> list[str]:
    same = recipe.generator == recipe.discriminator
    players = ("both",) if same else ("generator", "discriminator")
    told = [
        f"{player}: {_optimiser(recipe.generator if player != 'discriminator' else recipe.discriminator)}"
        for player in players
    ]
    if recipe.discriminator_steps != 1:
        told.append(f"{recipe.discriminator_steps} updates of the discriminator a step")
    return [*told, f"weights of the discriminator within ±{recipe.clip:g}"] if recipe.clip else told


def _optimiser(optimiser: Optimiser) -> str:
    first, second = optimiser.betas
    return f"{optimiser.name} at {optimiser.learning_rate:g}, betas {first:g} and {second:g}"


def _use(registry: Registry, offer: Offer) -> str:
    """How the component is named, with its owner where another offers the same name."""
    component = offer.component
    same = [item for item in registry.offers if (item.kind, item.component.name) == (offer.kind, component.name)]
    written = f"{offer.owner}:{component.name}" if len(same) > 1 else component.name
    kind: Kind = "loss" if component.gives.get("alone") else offer.kind
    return USES[kind].format(written)


def print_component(console: Console, facts: Facts, registry: Registry) -> None:
    """A component for a terminal, each fact under its name, the docstring as it was written."""
    from rich.text import Text

    from ganbench.listings import print_rows

    console.print(Text.assemble((f"{facts['kind']} {facts['name']}", "bold"), f": {facts['summary']}"))
    told = {"offered by": f"{facts['owner']} {facts['version']}".strip(), "paper": facts["paper"]}
    _print_facts(console, {**told, "file": facts["file"], "written": facts["use"]})
    if facts["docstring"]:
        console.print(Text(f"\n{_without_parameters(facts['docstring'])}"), soft_wrap=True)
    if facts["parameters"]:
        console.print(Text("\nparameters", style="bold"))
        rows = [{**row, "default": row["default"] or "required"} for row in facts["parameters"]]
        print_rows(console, [{key: row[key] for key in ("name", "type", "default", "description")} for row in rows])
    listed = {key: "; ".join(facts[key]) for key in ("needs", "gives", "recipe")}
    fits = {HEADINGS[kind].lower(): _fits(kind, names, registry) for kind, names in facts["fits"].items()}
    console.print()
    more = f"; 'ganbench metrics {facts['name']}' defines them"
    _print_facts(console, {**listed, "scores": ", ".join(facts["scores"]) + more if facts["scores"] else ""})
    if fits:
        console.print(Text("\nfits", style="bold"))
        _print_facts(console, fits)


def _without_parameters(docstring: str) -> str:
    """The docstring without its last section, which is told beside the types and defaults."""
    return re.split(r"^Parameters:", docstring, maxsplit=1, flags=re.MULTILINE)[0].rstrip()


def _fits(kind: Kind, names: Sequence[str], registry: Registry) -> str:
    everything = len(names) > 1 and list(names) == registry.names(kind)
    return "all of them" if everything else ", ".join(names) or "none that is installed"


def _print_facts(console: Console, facts: Mapping[str, str]) -> None:
    from rich.text import Text

    for name, value in facts.items():
        if value:
            head = f"{name:<{INDENT}}  "
            filled = textwrap.fill(
                value, console.width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False
            )
            console.print(Text(filled), soft_wrap=True)


def zoo_page(registry: Registry) -> str:
    """The page of everything that comes with ganbench, by kind: a line and a paper for each."""
    shipped = [offer for offer in registry.offers if offer.owner == PROJECT]
    parts = [_PAGE]
    for kind in KINDS:
        rows = sorted((offer.component for offer in shipped if offer.kind == kind), key=lambda item: item.name)
        if rows:
            table = [f"| `{item.name}` | {item.summary.replace('|', '&#124;')} | {item.paper} |" for item in rows]
            parts.append("\n".join([f"## {HEADINGS[kind]}", "", "| name | what it is | paper |", _RULE, *table, ""]))
    return "\n".join([*parts, "<!-- end -->\n"])


_RULE = "| --- | --- | --- |"
_PAGE = """# The zoo

Everything that comes with ganbench, with the paper that each is from. `ganbench plugins show NAME` tells the rest:
formula or layers, shapes, recipe, traps, parameters with their defaults, and what it goes with. How to write
parameters in a suite is told under [Suites](suites.md#names-and-parameters), and how to add your own in the
[tutorial](tutorial.md).

```console
$ ganbench plugins show r1
```

<!-- begin: python -m ganbench.zoo -->
"""

if __name__ == "__main__":
    import sys

    sys.stdout.write(zoo_page(discover()))  # python -m ganbench.zoo > docs/zoo.md
