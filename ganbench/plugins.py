"""Find what installed plugins and local plugin files offer, without letting a broken one stop the rest.

A plugin is a module: one that a distribution names by an entry point in the group `ganbench`, or a file that the user
asks for. Each is tried by itself: imported, its interface version and its hooks checked, its components collected and
checked; only then are they offered. In a plugin file the target `":MyLoss"` means the file itself.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from ganbench.errors import ChoiceError, PluginError, suggest
from ganbench.hookspecs import PROJECT
from ganbench.loader import collect, import_entry, import_file, one_line
from ganbench.terms import KINDS, Choice, Component, Kind

ONLY = "GANBENCH_PLUGINS"
"""The environment variable that lists, with commas, the installed plugins to load: no other is."""

WITHOUT = "GANBENCH_DISABLE_PLUGINS"
"""The environment variable that lists, with commas, the installed plugins to leave alone."""


@dataclass(frozen=True)
class Source:
    """Where a plugin comes from: `plugin` is its entry point or its file's path, `owner` its distribution or file."""

    plugin: str
    owner: str
    version: str = ""

    def __str__(self) -> str:
        if not self.version:
            return f"plugin file {self.plugin}"
        return f"plugin '{self.plugin}' (distribution {self.owner} {self.version})"


@dataclass(frozen=True)
class Offer:
    """A component that can be used, and who offers it, as in `Source`; `module` is the one that registers it."""

    kind: Kind
    component: Component
    plugin: str
    owner: str
    version: str = ""
    module: str = ""

    @property
    def code(self) -> str:
        """What tells this code from its other versions: a file's hash, a version; empty for ganbench's own plugins."""
        if not self.version:
            return f"{self.owner} {hashlib.sha256(Path(self.plugin).read_bytes()).hexdigest()[:12]}"
        return "" if _same_owner(self.owner, PROJECT) else f"{self.owner} {self.version}"

    def __str__(self) -> str:
        return f"{self.kind} '{self.component.name}' of {Source(self.plugin, self.owner, self.version)}"


@dataclass(frozen=True)
class Broken:
    """A plugin that offers nothing, with the cause in one line and the traceback in `details`."""

    plugin: str
    owner: str
    version: str
    cause: str
    details: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        return f"{Source(self.plugin, self.owner, self.version)}: {self.cause}"


@dataclass(frozen=True)
class Registry:
    """What can be used, what is broken, and what deserves a warning."""

    offers: tuple[Offer, ...] = ()
    broken: tuple[Broken, ...] = ()
    warnings: tuple[str, ...] = ()

    def names(self, kind: Kind) -> list[str]:
        """The names of that kind, in alphabetical order."""
        return sorted({offer.component.name for offer in self.offers if offer.kind == kind})

    def kind_of(self, kinds: Sequence[Kind], choice: Choice) -> Kind:
        """The one of `kinds` that has a component of that name. Raises ChoiceError where none has, or several have."""
        offers = [offer for offer in self.offers if offer.kind in kinds and offer.component.name == choice.name]
        owned = [offer for offer in offers if not choice.owner or _same_owner(choice.owner, offer.owner)]
        found = list(dict.fromkeys(offer.kind for offer in owned or offers))
        if len(found) > 1:
            several = " and of ".join(map(_a, found))
            raise ChoiceError(f"'{choice.name}' is the name of {several}, so it is not clear which")
        if not found:
            raise ChoiceError(self._unknown(kinds, choice))
        return found[0]

    def find(self, kind: Kind, choice: Choice) -> Offer:
        """The one component that `choice` names. Raises ChoiceError where there is none, or more than one."""
        named = [offer for offer in self.offers if (offer.kind, offer.component.name) == (kind, choice.name)]
        chosen = [offer for offer in named if _same_owner(choice.owner, offer.owner)] if choice.owner else named
        if len(chosen) == 1:
            return chosen[0]
        owners = [offer.owner for offer in named]
        if chosen:
            raise ChoiceError(f"{kind} '{choice.name}' is offered by {_one_of(owners, choice.name)}")
        if named:
            raise ChoiceError(
                f"'{choice.owner}' offers no {kind} '{choice.name}'; it is offered by {_one_of(owners, choice.name)}"
            )
        raise ChoiceError(self._unknown([kind], choice))

    def _unknown(self, kinds: Sequence[Kind], choice: Choice) -> str:
        *first, last = kinds
        message = f"no {', '.join(first)} or {last}" if first else f"no {last}"
        message += f" named '{choice.name}'."
        for other in dict.fromkeys(offer.kind for offer in self.offers if offer.component.name == choice.name):
            message += f" There is {_a(other)} of that name."
        message += suggest(choice.name, [name for kind in kinds for name in self.names(kind)])
        message += "".join(f"\nIt may belong to one that does not load: {item}" for item in self.broken)
        return message

    def load(self, kind: Kind, choice: Choice) -> Any:
        """The class or function that `choice` names, imported. Raises PluginError that names its owner."""
        offer = self.find(kind, choice)
        module_name, _, attribute = offer.component.target.partition(":")
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            raise PluginError(f"{offer}: cannot be imported: {one_line(error)}") from error
        if not hasattr(module, attribute):
            known = suggest(attribute, (name for name in vars(module) if not name.startswith("_")))
            raise PluginError(f"{offer}: cannot be imported: {module_name} has no '{attribute}'.{known}")
        return getattr(module, attribute)


def discover(files: Sequence[Path] = ()) -> Registry:
    """What the installed plugins and the plugin files in `files` offer.

    ganbench's own come first, so that nobody else can displace them, then the other distributions in alphabetical
    order: of two entry points with one name, the second is broken. The environment variables `ONLY` and `WITHOUT`
    choose among installed plugins. Raises PluginError where they name one that is not installed, and for a file that
    is not there.
    """
    offers: list[Offer] = []
    broken: list[Broken] = []
    warnings: list[str] = []
    loaded: dict[str, Source] = {}
    for source, load in (*_selected(_installed()), *_local(files)):
        torch_before = "torch" in sys.modules
        try:
            offers += _offered(source, load, loaded, offers)
        except PluginError as error:
            details = "".join(traceback.format_exception(error))
            broken.append(Broken(source.plugin, source.owner, source.version, one_line(error), details))
        if source.version and "torch" in sys.modules and not torch_before:
            warnings.append(f"{source} imports torch to register: name targets, and import torch in their modules only")
    return Registry(tuple(offers), tuple(broken), tuple(warnings))


def listing(registry: Registry, kind: Kind | None = None) -> list[dict[str, str]]:
    """One row a component and one a broken plugin, all with the same columns; the status is ok, ambiguous or broken."""
    count = Counter((offer.kind, offer.component.name) for offer in registry.offers)
    rows = [_row(registry, offer, count) for offer in registry.offers if kind in (None, offer.kind)]
    rows.sort(key=lambda row: (KINDS.index(row["kind"]), row["name"], row["owner"]))
    columns = ("name", "kind", "owner", "version", "status", "summary", "paper", "cause")
    broken = [
        dict(zip(columns, (item.plugin, "", item.owner, item.version, "broken", "", "", item.cause), strict=True))
        for item in registry.broken
    ]
    return rows + broken


def requirements(registry: Registry, requires: Sequence[str]) -> list[str]:
    """For each requirement, such as `"my-gans>=1"`, that is not met, the reason."""
    return [reason for text in requires if (reason := _unmet(registry, text))]


def _row(registry: Registry, offer: Offer, count: Mapping[tuple[Kind, str], int]) -> dict[str, str]:
    component = offer.component
    ambiguous = count[offer.kind, component.name] > 1
    others = [
        item.owner for item in registry.offers if (item.kind, item.component.name) == (offer.kind, component.name)
    ]
    return {
        "name": component.name,
        "kind": offer.kind,
        "owner": offer.owner,
        "version": offer.version,
        "status": "ambiguous" if ambiguous else "ok",
        "summary": component.summary,
        "paper": component.paper,
        "cause": f"offered by {_one_of(others, component.name)}" if ambiguous else "",
    }


def _unmet(registry: Registry, text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        return f"'{text}' is not a requirement such as 'name>=1': {one_line(error)}"
    if requirement.marker is not None and not requirement.marker.evaluate():
        return ""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{text}: {requirement.name} is not installed"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{text}: {requirement.name} {version} is installed"
    broken = [str(item) for item in registry.broken if _same_owner(requirement.name, item.owner)]
    return f"{text}: it is installed, but does not load: {'; '.join(broken)}" if broken else ""


def _a(word: str) -> str:
    """The word with its article."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _same_owner(first: str, second: str) -> bool:
    return _normal(first) == _normal(second)


def _normal(name: str) -> str:
    """A distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _one_of(owners: Iterable[str], name: str) -> str:
    owners = sorted(owners)
    return f"{' and '.join(owners)}: write {' or '.join(f'{owner}:{name}' for owner in owners)}"


_Candidate = tuple[Source, Callable[[], ModuleType]]


def _installed() -> list[_Candidate]:
    found: list[_Candidate] = []
    for entry in metadata.entry_points(group=PROJECT):
        assert entry.dist is not None  # entry_points() reads them from distributions
        source = Source(entry.name, entry.dist.name or "unknown", entry.dist.version or "unknown")
        found.append((source, functools.partial(import_entry, entry)))
    return sorted(found, key=lambda pair: (_normal(pair[0].owner) != PROJECT, _normal(pair[0].owner), pair[0].plugin))


def _selected(installed: list[_Candidate]) -> list[_Candidate]:
    names = {source.plugin for source, _ in installed}
    only, without = _listed(ONLY, names), _listed(WITHOUT, names)
    return [(source, load) for source, load in installed if source.plugin in (only or names) - without]


def _local(files: Sequence[Path]) -> Iterator[_Candidate]:
    for path in dict.fromkeys(Path(file).resolve() for file in files):
        if not path.is_file():
            raise PluginError(f"plugin file {path}: there is no such file")
        yield Source(str(path), path.name), functools.partial(import_file, path)


def _listed(variable: str, known: set[str]) -> set[str]:
    """The plugins that an environment variable lists."""
    listed = {name.strip() for name in os.environ.get(variable, "").split(",")} - {""}
    for name in sorted(listed - known):
        raise PluginError(f"environment variable {variable}: no installed plugin named '{name}'.{suggest(name, known)}")
    return listed


def _offered(
    source: Source, load: Callable[[], ModuleType], loaded: dict[str, Source], offers: Sequence[Offer]
) -> list[Offer]:
    """What one plugin offers. Raises PluginError where it is broken, or would pass unseen behind another."""
    if source.plugin in loaded:
        raise PluginError(f"{loaded[source.plugin]} has an entry point of that name too, and was loaded: rename one")
    loaded[source.plugin] = source
    module = load()
    offered = [
        Offer(kind, component, source.plugin, source.owner, source.version, module.__name__)
        for kind, component in collect(module)
    ]
    for offer in offered:
        for other in offers:
            same = (offer.kind, offer.component.name) == (other.kind, other.component.name)
            if same and _same_owner(offer.owner, other.owner):
                raise PluginError(f"{offer.kind} '{offer.component.name}' is offered already: {other}")
    return offered
