from __future__ import annotations

import importlib

import pytest

import ganbench_losses
from ganbench.terms import Optimiser

OFFERED = {component.name: component for component in ganbench_losses.ganbench_losses()}


def test_the_losses_of_the_first_zoo_are_offered():
    assert list(OFFERED) == ["minimax", "nonsaturating", "lsgan", "hinge", "wgan", "wgan-gp", "relativistic"]


@pytest.mark.parametrize("component", OFFERED.values(), ids=OFFERED.keys())
def test_every_target_is_a_loss_that_can_be_built_with_its_defaults(component):
    module, attribute = component.target.split(":")
    loss = getattr(importlib.import_module(module), attribute)()
    assert callable(loss.discriminator)
    assert callable(loss.generator)


@pytest.mark.parametrize(
    ("name", "optimiser", "learning_rate", "betas", "steps", "clip"),
    [
        ("minimax", "adam", 2e-4, (0.5, 0.999), 1, None),
        ("nonsaturating", "adam", 2e-4, (0.5, 0.999), 1, None),
        ("lsgan", "adam", 2e-4, (0.5, 0.999), 1, None),
        ("hinge", "adam", 2e-4, (0.0, 0.9), 1, None),
        ("wgan", "rmsprop", 5e-5, (0.0, 0.99), 5, 0.01),
        ("wgan-gp", "adam", 1e-4, (0.0, 0.9), 5, None),
        ("relativistic", "adam", 2e-4, (0.0, 0.99), 1, None),
    ],
)
def test_recipes_are_the_published_ones(name, optimiser, learning_rate, betas, steps, clip):
    recipe = OFFERED[name].recipe
    assert recipe.generator == recipe.discriminator == Optimiser(optimiser, learning_rate, betas, epsilon=1e-8)
    assert (recipe.discriminator_steps, recipe.clip) == (steps, clip)


def test_only_wgan_gp_needs_independent_samples():
    assert [name for name, component in OFFERED.items() if component.needs.get("independent")] == ["wgan-gp"]
