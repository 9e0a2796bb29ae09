"""Compare GANs under equal budgets, several seeds and one named protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganbench.hookspecs import hookimpl
    from ganbench.tables import load_curves, load_results
    from ganbench.terms import Component, Measure, Optimiser, Recipe, Score

__version__ = "0.1.0"

__all__ = [
    "Component",
    "Measure",
    "Optimiser",
    "Recipe",
    "Score",
    "__version__",
    "hookimpl",
    "load_curves",
    "load_results",
]

_HOMES = {
    "Component": "ganbench.terms",
    "Measure": "ganbench.terms",
    "Optimiser": "ganbench.terms",
    "Recipe": "ganbench.terms",
    "Score": "ganbench.terms",
    "hookimpl": "ganbench.hookspecs",
    "load_curves": "ganbench.tables",
    "load_results": "ganbench.tables",
}

if not TYPE_CHECKING:  # a type checker would take this for a promise that every name exists

    def __getattr__(name: str) -> object:
        """The public name, imported when it is first asked for: `import ganbench` alone stays cheap (PEP 562)."""
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value

    def __dir__() -> list[str]:
        """What there is, names that are not imported yet too."""
        return sorted({*globals(), *__all__})
