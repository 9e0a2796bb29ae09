"""How good and how diverse generated samples are: distances, neighbours, coverage, detectability, memorisation."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

# By whole names: `ganbench_metrics.points`, once imported, would take the place of a bare `points` here.
from ganbench_metrics.declarations.diversity import COMPONENTS as OF_DIVERSITY
from ganbench_metrics.declarations.features import COMPONENTS as OF_FEATURES
from ganbench_metrics.declarations.points import COMPONENTS as OF_POINTS

GANBENCH_API = 1


@hookimpl
def ganbench_metrics() -> Iterable[Component]:
    """Offer metrics of features, of points with a known density, and of what samples lack or repeat."""
    return (*OF_FEATURES, *OF_POINTS, *OF_DIVERSITY)
