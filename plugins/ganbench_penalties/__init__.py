"""Registers the penalties and regularisers that a suite adds to any loss with `+`."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

GANBENCH_API = 1


@hookimpl
def ganbench_penalties() -> Iterable[Component]:
    """Offer penalties on the critic's gradient and on its logits, and terms that keep fakes apart."""
    yield from _gradients()
    yield from _logits()
    yield from _diversity()


def _gradients() -> Iterable[Component]:
    needs = {"logits": "scalar", "independent": True}
    yield Component(
        "r1",
        "ganbench_penalties.gradients:R1",
        summary="Zero-centred gradient penalty at real samples, (γ/2)·‖∇D‖²",
        paper="arXiv:1801.04406",
        needs=needs,
    )
    yield Component(
        "r2",
        "ganbench_penalties.gradients:R2",
        summary="Zero-centred gradient penalty at fake samples, (γ/2)·‖∇D‖²",
        paper="arXiv:1801.04406",
        needs=needs,
    )
    yield Component(
        "gp",
        "ganbench_penalties.gradients:GradientPenalty",
        summary="One-centred gradient penalty between real and fake samples, as in WGAN-GP",
        paper="arXiv:1704.00028",
        needs=needs,
    )


def _logits() -> Iterable[Component]:
    yield Component(
        "lecam",
        "ganbench_penalties.lecam:LeCam",
        summary="Logits stay near a running mean of those at the other side, for little data",
        paper="arXiv:2104.03310",
        needs={"logits": "scalar"},
        gives={"mixes_batch": True},
    )
    yield Component(
        "consistency",
        "ganbench_penalties.consistency:Consistency",
        summary="The same logit for an image and for its mirrored or shifted self: CR, and bCR with fakes",
        paper="arXiv:1910.12027",
        needs={"logits": "scalar", "data": "images"},
    )
    yield Component(
        "latent-consistency",
        "ganbench_penalties.consistency:LatentConsistency",
        summary="Latents that differ a little look different and are judged alike: zCR",
        paper="arXiv:2002.04724",
        needs={"logits": "scalar"},
    )


def _diversity() -> Iterable[Component]:
    yield Component(
        "mode-seeking",
        "ganbench_penalties.diversity:ModeSeeking",
        summary="Fakes as far apart as their latents",
        paper="arXiv:1903.05628",
        gives={"mixes_batch": True},
    )
    yield Component(
        "feature-matching",
        "ganbench_penalties.diversity:FeatureMatching",
        summary="The critic's mean features of fakes are to be those of real samples",
        paper="arXiv:1606.03498",
        needs={"heads": ("features",)},
        gives={"mixes_batch": True},
    )
    yield Component(
        "pulling-away",
        "ganbench_penalties.diversity:PullingAway",
        summary="The critic's features of different fakes are to be at right angles",
        paper="arXiv:1609.03126",
        needs={"heads": ("features",)},
        gives={"mixes_batch": True},
    )
