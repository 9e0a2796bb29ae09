"""From what an author writes, a name or a path, to the components to check and all that is installed beside them."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from ganbench.conformance.registration import Plugin
from ganbench.errors import ChoiceError, GanbenchError, PluginError, suggest
from ganbench.hookspecs import PROJECT
from ganbench.loader import collect, one_line
from ganbench.plugins import Broken, Offer, Registry, discover
from ganbench.terms import KINDS


@dataclass(frozen=True)
class Selection:
    """The components to check, and the plugins that they come from."""

    offers: tuple[Offer, ...]
    plugins: Mapping[str, Plugin]
    """By the name that offers know it by, how a fresh interpreter finds the plugin."""
    registry: Registry


def select(subject: str | Path, files: Sequence[Path] = ()) -> Selection:
    """What `subject` names, with the plugin files in `files` beside what is installed.

    A path is a plugin file or a folder with a pyproject.toml, whose plugins need not be installed. A name is a
    component's, `hinge`, `owner:hinge` or `loss:hinge`, else a plugin's, else a distribution's; a name that several
    kinds share stands for all of them. Raises GanbenchError where there is nothing of that name, or it is broken.
    """
    path = Path(subject)
    if isinstance(subject, Path) or _is_path(subject):
        return _of_file(path, files) if path.suffix == ".py" else _of_folder(path, files)
    registry = discover(files)
    found = _named(registry, subject) or _of_plugin(registry, subject)
    if not found:
        raise _unknown(registry, subject)
    return Selection(tuple(found), _plugins_of(found), registry)


def _is_path(subject: str) -> bool:
    """Whether it is written as a path, or is a project's folder."""
    written = subject.endswith(".py") or subject in (".", "..") or "/" in subject or os.sep in subject
    return written or Path(subject, "pyproject.toml").is_file()


def _named(registry: Registry, name: str) -> list[Offer]:
    first, _, rest = name.rpartition(":")
    offers = [offer for offer in registry.offers if offer.component.name == rest]
    if first in KINDS:
        return [offer for offer in offers if offer.kind == first]
    return [offer for offer in offers if first in ("", offer.owner)]


def _of_plugin(registry: Registry, name: str) -> list[Offer]:
    """What the plugin, the module or the distribution of that name offers. Raises PluginError where it is broken."""
    for broken in registry.broken:
        if name in (broken.plugin, _module(broken.owner, broken.plugin)) or _same(name, broken.owner):
            raise PluginError(str(broken))
    offers = registry.offers
    of_plugin = [offer for offer in offers if name in (offer.plugin, _module(offer.owner, offer.plugin))]
    return of_plugin or [offer for offer in offers if _same(name, offer.owner)]


def _same(name: str, owner: str) -> bool:
    """Whether two names are one distribution's."""
    return bool(canonicalize_name(name) == canonicalize_name(owner))


def _module(owner: str, plugin: str) -> str:
    """The module that an installed plugin's entry point names, "" for a file."""
    entries = metadata.entry_points(group=PROJECT, name=plugin)
    return next((entry.module for entry in entries if entry.dist and _same(entry.dist.name, owner)), "")


def _unknown(registry: Registry, name: str) -> ChoiceError:
    offers = registry.offers
    known = {offer.component.name for offer in offers} | {offer.plugin for offer in offers if offer.version}
    return ChoiceError(f"no component or plugin named '{name}'.{suggest(name, known)}")


def _plugins_of(offers: Sequence[Offer]) -> dict[str, Plugin]:
    """How a fresh interpreter finds the plugins of these offers: installed ones by their entry points."""
    return {offer.plugin: Plugin(_module(offer.owner, offer.plugin) or offer.plugin) for offer in offers}


def _of_file(path: Path, files: Sequence[Path]) -> Selection:
    path = path.resolve()
    registry = discover([*files, path])
    _refuse_broken(registry.broken, str(path))
    offers = tuple(offer for offer in registry.offers if offer.plugin == str(path))
    return Selection(offers, {str(path): Plugin(str(path))}, registry)


def _refuse_broken(broken: Sequence[Broken], plugin: str) -> None:
    for item in broken:
        if item.plugin == plugin:
            raise PluginError(str(item))


def _of_folder(folder: Path, files: Sequence[Path]) -> Selection:
    """The plugins of a project that may not be installed: they take the place of an installed version of it."""
    project = _project(folder)
    roots = tuple(str(root) for root in (folder.resolve(), folder.resolve() / "src", folder.resolve() / "plugins"))
    name, version = str(project.get("name", folder.resolve().name)), str(project.get("version", "0"))
    entries: dict[str, str] = project.get("entry-points", {}).get(PROJECT, {})
    if not entries:
        raise PluginError(f"{folder / 'pyproject.toml'}: expected entry points in [project.entry-points.{PROJECT}]")
    sys.path[:0] = [root for root in roots if root not in sys.path and Path(root).is_dir()]
    registry = discover(files)
    offers: list[Offer] = []
    for plugin, module in entries.items():
        offers += _collected(plugin, module, name, version)
    others = tuple(offer for offer in registry.offers if not _same(offer.owner, name))
    plugins = {plugin: Plugin(module, roots) for plugin, module in entries.items()}
    return Selection(tuple(offers), plugins, replace(registry, offers=(*others, *offers)))


def _project(folder: Path) -> dict[str, Any]:
    file = folder / "pyproject.toml"
    try:
        project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    except OSError as error:
        raise GanbenchError(
            f"{folder}: expected a plugin file that ends in .py, or a folder with a pyproject.toml ({error.strerror})"
        ) from error
    except ValueError as error:
        raise GanbenchError(f"{file}: not TOML: {error}") from error
    return project


def _collected(plugin: str, module: str, owner: str, version: str) -> list[Offer]:
    try:
        offered = collect(import_module(module))
    except PluginError as error:
        raise PluginError(f"plugin '{plugin}' of {owner}: {error}") from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin '{plugin}' of {owner}: cannot be imported: {one_line(error)}") from error
    return [Offer(kind, component, plugin, owner, version) for kind, component in offered]
