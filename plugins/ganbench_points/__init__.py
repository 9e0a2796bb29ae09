"""Points in the plane whose density is known: PacGAN's toys, a curve, two scales at once, and modes that are rare."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_datasets() -> Iterable[Component]:
    """Offer five mixtures of Gaussians, each with its exact density and a perfect sampler."""
    pacgan = "arXiv:1712.04086"
    yield _points("ring8", "eight equal Gaussians on a circle", modes=8, paper=pacgan)
    yield _points("grid25", "twenty-five equal Gaussians on a square grid", modes=25, paper=pacgan)
    yield _points("spiral", "a curve of two turns with Gaussian noise, without modes")
    yield _points("two-scales", "a ring of eight Gaussians and the same ring 60 times smaller", modes=16, classes=2)
    yield _points("rare-modes", "eight Gaussians on a circle, with weights from 36 % down to 1 %", modes=8)


def _points(name: str, summary: str, modes: int = 0, classes: int = 0, paper: str = "") -> Component:
    return Component(
        name,
        f"ganbench_points.data:{name.replace('-', '_')}",
        summary=f"{summary}: 100,000 training points",
        paper=paper,
        gives={
            "data": "points",
            "shape": (2,),
            "classes": classes,
            "modes": modes,
            "density": True,
            "splits": (100_000, 10_000),
            "extractor": "",
            "samples": 10_000,
            "licence": "Apache-2.0",
            "source": "drawn by ganbench itself when it is needed: nothing to obtain",
        },
    )
