"""Load one plugin: import its module, check its interface version and hooks, collect and check its components."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from ganbench import hookspecs
from ganbench.contracts import check_contract
from ganbench.errors import GanbenchError, PluginError, suggest
from ganbench.hookspecs import API_VERSION, HOOKS, PROJECT
from ganbench.rules import Rule, integer, nonblank, one_of
from ganbench.terms import NAME, Component, Kind, Measure, Recipe

if TYPE_CHECKING:
    from pathlib import Path

_SCORE = re.compile(r"[A-Za-z](?:[A-Za-z0-9_.]|\{extractor\}|\{count\})*")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def import_entry(entry: metadata.EntryPoint) -> ModuleType:
    """The module that an entry point names. Raises PluginError with the cause in one line."""
    try:
        module = entry.load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"cannot be imported: {one_line(error)}") from error
    if not isinstance(module, ModuleType):
        raise PluginError(f"the entry point '{entry.value}' must name a module, not a {type(module).__name__}")
    return module


def import_file(path: Path) -> ModuleType:
    """The module that a file holds, imported once a process, under a name that another process gives it too."""
    stem = re.sub(r"\W", "_", path.stem)
    name = f"{PROJECT}_file_{stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("is not a Python file: expected a name that ends in .py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(f"cannot be imported: {one_line(error)}") from error
    return module


def collect(module: ModuleType) -> list[tuple[Kind, Component]]:
    """Everything that a plugin's module offers, checked. Raises PluginError for the first thing that is wrong."""
    _check_version(module)
    _check_hooks(module)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"does not fit the hooks of ganbench: {one_line(error)}") from error
    offered = [(kind, item) for kind, hook in HOOKS.items() for item in _results(manager, kind, hook)]
    for place, (kind, component) in enumerate(offered):
        if (kind, component.name) in [(other, item.name) for other, item in offered[:place]]:
            raise PluginError(f"offers {kind} '{component.name}' twice")
    return [(kind, _checked(module, kind, component)) for kind, component in offered]


def one_line(error: BaseException) -> str:
    """What went wrong, in one line: the kind of error too, unless it is one of ganbench's own."""
    message = " ".join(str(error).split())
    kind = type(error).__name__
    if isinstance(error, GanbenchError):
        return message
    return f"{kind}: {message}" if message else kind


def _check_version(module: ModuleType) -> None:
    version = getattr(module, "GANBENCH_API", API_VERSION)
    if version != API_VERSION:
        raise PluginError(
            f"is written for version {version!r} of the plugin interface, and this ganbench has version {API_VERSION}: "
            "install releases of the two that fit"
        )


def _check_hooks(module: ModuleType) -> None:
    """Find what pluggy passes over in silence: a misspelt hook, a forgotten mark, a module without hooks."""
    hooks = [(name, options) for name, options in _functions(module) if options or name.startswith(f"{PROJECT}_")]
    for name, options in hooks:
        hook = (options or {}).get("specname") or name
        if hook not in HOOKS.values():
            raise PluginError(f"unknown hook '{hook}'.{suggest(hook, HOOKS.values())}")
        if options is None:
            raise PluginError(f"hook '{name}' is not marked: put @hookimpl, from ganbench.hookspecs, above it")
    if not hooks:
        raise PluginError(f"has no hook, so it offers nothing.{suggest('', HOOKS.values())}")


def _functions(module: ModuleType) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The functions of a module, each with what @hookimpl says of it, or None."""
    for name, value in list(vars(module).items()):
        if inspect.isroutine(value):
            yield name, getattr(value, f"{PROJECT}_impl", None)


def _results(manager: pluggy.PluginManager, kind: Kind, hook: str) -> list[Component]:
    """What the plugin's own implementation returns: through pluggy, a None would look like nothing on offer."""
    components: list[Component] = []
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        try:
            result = implementation.function()
            items = list(result) if isinstance(result, Iterable) else result
        except (Exception, SystemExit) as error:
            raise PluginError(f"{hook} fails: {one_line(error)}") from error
        if not isinstance(items, list) or not all(isinstance(item, Component) for item in items):
            raise PluginError(f"{hook} must yield or return Components, each one a {kind}; it gave {items!r}")
        components += items
    return components


def _checked(module: ModuleType, kind: Kind, component: Component) -> Component:
    """The component, with the file's own module in a target that leaves the module out."""
    who = f"{kind} '{component.name}'"
    for part in ("name", "target", "summary", "paper"):
        if not isinstance(text := getattr(component, part), str):
            raise PluginError(f"{who}: {part}: expected text, got {text!r}")
    target = f"{module.__name__}{component.target}" if component.target.startswith(":") else component.target
    if not NAME.fullmatch(component.name):
        raise PluginError(f"{who}: a name has letters, digits, '.', '_' and '-', and starts with a letter or a digit")
    if not _TARGET.fullmatch(target):
        raise PluginError(f"{who}: target '{component.target}': expected 'module:attribute'")
    if not component.summary or "\n" in component.summary:
        raise PluginError(f"{who}: summary: expected one line, got {component.summary!r}")
    for side in ("needs", "gives"):
        if not isinstance(contract := getattr(component, side), Mapping):
            raise PluginError(f"{who}: {side}: expected a mapping, got {contract!r}")
    measures = getattr(component, "measures")  # noqa: B009 - what a plugin put there need not be what the type says
    if not isinstance(measures, tuple) or not all(isinstance(item, Measure) for item in measures):
        raise PluginError(f"{who}: measures: expected a tuple of Measures, got {measures!r:.80}")
    check_contract(kind, component)
    _check_measures(who, component.measures)
    if component.recipe is not None and (kind not in ("loss", "method") or not isinstance(component.recipe, Recipe)):
        raise PluginError(f"{who}: recipe: a Recipe belongs to a loss or a method, got {component.recipe!r}")
    return replace(component, target=target)


def _score_name(value: Any) -> bool:
    return isinstance(value, str) and _SCORE.fullmatch(value) is not None


def _bound(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (number and abs(value) < math.inf)


_BOUND = Rule("a finite number, or None", _bound)
_TEXT = Rule("text that is not blank", nonblank)
_ANY_TEXT = Rule("text", lambda value: isinstance(value, str))
_MEASURE = {
    "name": Rule("a letter, then letters, digits, '_', '.', '{extractor}' and '{count}'", _score_name),
    "direction": Rule("'lower' or 'higher'", one_of("lower", "higher")),
    "definition": _TEXT,
    "formula": _TEXT,
    "unit": _ANY_TEXT,
    "lowest": _BOUND,
    "highest": _BOUND,
    "perfect": _BOUND,
    "mean": Rule("'geometric' or 'arithmetic'", one_of("geometric", "arithmetic")),
    "minimum": Rule("an integer of at least 1", integer(1)),
    "undefined": _ANY_TEXT,
    "noise": _ANY_TEXT,
    "paper": _ANY_TEXT,
    "traps": Rule("a tuple of texts", lambda value: isinstance(value, tuple) and all(map(nonblank, value))),
    "version": Rule("an integer of at least 1", integer(1)),
}
"""What the fields of a Measure may hold. By hand: pydantic takes longer to import than all plugins to load."""


def _check_measures(who: str, measures: Sequence[Measure]) -> None:
    """Nothing, if the metrics' page can be written from these, and scores be held against them."""
    for place, measure in enumerate(measures):
        which = f"{who}: measure {measure.name!r:.80}"
        for field, rule in _MEASURE.items():
            if not rule.fits(value := getattr(measure, field)):
                raise PluginError(f"{which}: {field}: expected {rule.expected}, got {value!r:.80}")
        lowest = -math.inf if measure.lowest is None else measure.lowest
        highest = math.inf if measure.highest is None else measure.highest
        if lowest > highest:
            raise PluginError(f"{which}: lowest: expected at most the highest value, {highest}, got {lowest}")
        if measure.perfect is not None and not lowest <= measure.perfect <= highest:
            raise PluginError(f"{which}: perfect: expected a value from {lowest} to {highest}, got {measure.perfect}")
        if measure.name in [other.name for other in measures[:place]]:
            raise PluginError(f"{which} is declared twice: expected one Measure for each score")
