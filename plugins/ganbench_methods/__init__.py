"""Registers the methods: what trains a generator by other turns than the usual game of two players."""

from __future__ import annotations

from collections.abc import Iterable

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component, Optimiser, Recipe

GANBENCH_API = 1

EAGER = ("eager",)
"""A method's step is its own, so seeds train one by one, operation by operation."""


@hookimpl
def ganbench_methods() -> Iterable[Component]:
    """Offer vae, aae, bigan, vae-gan, unrolled and top-k."""
    adam = Optimiser("adam", 1e-3, (0.9, 0.999))  # arXiv:1412.6980, algorithm 1
    dcgan = Optimiser("adam", 2e-4, (0.5, 0.999))  # arXiv:1511.06434, §4, as arXiv:1605.09782, appendix C
    yield Component(
        "vae",
        "ganbench_methods.variational:VAE",
        summary="Variational autoencoder: the baseline that is not adversarial",
        paper="arXiv:1312.6114",
        needs={"encoder": True, "driver": EAGER},
        gives={"alone": True},
        recipe=Recipe(adam, adam),
    )
    yield Component(
        "aae",
        "ganbench_methods.adversarial:AAE",
        summary="Adversarial autoencoder: a critic pulls the codes of real samples to the prior",
        paper="arXiv:1511.05644",
        needs={"encoder": True, "driver": EAGER},
        gives={"alone": True},
        recipe=Recipe(dcgan, dcgan),
    )
    yield Component(
        "bigan",
        "ganbench_methods.adversarial:BiGAN",
        summary="Bidirectional GAN: the critic judges pairs of a sample and its latents, and an encoder plays too",
        paper="arXiv:1605.09782",
        needs={"encoder": True, "driver": EAGER},
        gives={"alone": True},
        recipe=Recipe(dcgan, dcgan),
    )
    yield Component(
        "vae-gan",
        "ganbench_methods.variational:VAEGAN",
        summary="Variational autoencoder whose reconstructions are compared by the features of a critic",
        paper="arXiv:1512.09300",
        needs={"encoder": True, "heads": ("features",), "driver": EAGER},
        gives={"alone": True},
        recipe=Recipe(dcgan, dcgan),
    )
    yield Component(
        "unrolled",
        "ganbench_methods.unrolled:Unrolled",
        summary="The generator moves against the discriminator as it will be some steps later",
        paper="arXiv:1611.02163",
        needs={"driver": EAGER},
    )
    yield Component(
        "top-k",
        "ganbench_methods.top_k:TopK",
        summary="The generator learns from those of its fakes that the discriminator takes for most real",
        paper="arXiv:2002.06224",
        needs={"logits": "scalar", "driver": EAGER},
    )
