"""Points in the plane with known modes: PacGAN's toys `ring8` and `grid25`."""

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_datasets() -> Iterable[Component]:
    """Offer `ring8` and `grid25`."""
    for name, modes, place in (("ring8", 8, "on a circle"), ("grid25", 25, "on a square grid")):
        yield Component(
            name,
            f"ganbench_points.data:{name}",
            summary=f"{modes} equal Gaussians {place}, 100,000 training points",
            paper="arXiv:1712.04086",
            gives={"data": "points", "shape": (2,), "classes": 0, "modes": modes, "extractor": "", "samples": 10000},
        )
