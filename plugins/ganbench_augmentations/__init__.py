"""Registers the augmentations that a suite adds to any loss with `+`: changes of all that the discriminator sees."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_augmentations() -> Iterable[Component]:
    """Offer diffaugment, ada and instance-noise."""
    yield Component(
        "diffaugment",
        "ganbench_augmentations.diffaugment:DiffAugment",
        summary="Random colour, translation and cutout, on real and fake, for both players",
        paper="arXiv:2006.10738",
        needs={"data": "images"},
    )
    yield Component(
        "ada",
        "ganbench_augmentations.ada:ADA",
        summary="Blitting, geometry and colour with a probability that follows how far the discriminator overfits",
        paper="arXiv:2006.06676",
        needs={"data": "images", "logits": "scalar"},
    )
    yield Component(
        "instance-noise",
        "ganbench_augmentations.noise:InstanceNoise",
        summary="Gaussian noise on all that the discriminator sees, fading out",
        paper="arXiv:1701.04862",
    )
