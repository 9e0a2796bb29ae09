from __future__ import annotations

import importlib

import pytest

import ganbench_losses
from ganbench.terms import Optimiser

OFFERED = {component.name: component for component in ganbench_losses.ganbench_losses()}
every_offer = pytest.mark.parametrize("component", OFFERED.values(), ids=OFFERED.keys())


def target_of(component):
    module, attribute = component.target.split(":")
    return getattr(importlib.import_module(module), attribute)


def test_the_losses_of_the_zoo_are_offered():
    assert set(OFFERED) == {
        *("minimax", "nonsaturating", "dragan", "lsgan", "hinge", "wgan", "wgan-gp", "wgan-lp", "relativistic"),
        *("relativistic-average", "r3gan", "f-gan", "mmd", "mmd-repulsive", "ebgan", "began", "acgan", "infogan"),
    }


@every_offer
def test_every_target_is_a_loss_that_can_be_built_with_its_defaults(component):
    loss = target_of(component)()
    assert callable(loss.discriminator)
    assert callable(loss.generator)


@pytest.mark.parametrize(
    ("name", "optimiser", "learning_rate", "betas", "steps", "clip"),
    [
        ("minimax", "adam", 2e-4, (0.5, 0.999), 1, None),
        ("nonsaturating", "adam", 2e-4, (0.5, 0.999), 1, None),
        ("dragan", "adam", 2e-4, (0.5, 0.999), 1, None),
        ("lsgan", "adam", 2e-4, (0.5, 0.999), 1, None),
        ("hinge", "adam", 2e-4, (0.0, 0.9), 1, None),
        ("wgan", "rmsprop", 5e-5, (0.0, 0.99), 5, 0.01),
        ("wgan-gp", "adam", 1e-4, (0.0, 0.9), 5, None),
        ("wgan-lp", "adam", 1e-4, (0.0, 0.9), 5, None),
        ("relativistic", "adam", 2e-4, (0.0, 0.99), 1, None),
        ("relativistic-average", "adam", 2e-4, (0.0, 0.99), 1, None),
        ("r3gan", "adam", 2e-4, (0.0, 0.99), 1, None),
        ("f-gan", "adam", 2e-4, (0.5, 0.999), 1, None),
        ("mmd", "adam", 1e-4, (0.5, 0.9), 5, None),
        ("ebgan", "adam", 2e-4, (0.5, 0.999), 1, None),
        ("began", "adam", 1e-4, (0.9, 0.999), 1, None),
        ("acgan", "adam", 2e-4, (0.5, 0.999), 1, None),
    ],
)
def test_recipes_are_the_published_ones(name, optimiser, learning_rate, betas, steps, clip):
    recipe = OFFERED[name].recipe
    assert recipe.generator == recipe.discriminator == Optimiser(optimiser, learning_rate, betas, epsilon=1e-8)
    assert (recipe.discriminator_steps, recipe.clip) == (steps, clip)


@pytest.mark.parametrize(("name", "of_generator"), [("mmd-repulsive", 5e-4), ("infogan", 1e-3)])
def test_two_losses_have_a_faster_generator(name, of_generator):
    recipe = OFFERED[name].recipe
    assert recipe.generator == Optimiser("adam", of_generator, (0.5, 0.999))
    assert recipe.discriminator == Optimiser("adam", 2e-4, (0.5, 0.999))


def test_those_with_a_gradient_penalty_need_independent_samples():
    needing = {name for name, component in OFFERED.items() if component.needs.get("independent")}
    assert needing == {"dragan", "wgan-gp", "wgan-lp", "r3gan", "mmd"}


def test_critics_are_asked_for_what_the_loss_reads():
    asked = {name: (component.needs["logits"], component.needs.get("heads", ())) for name, component in OFFERED.items()}
    special = {name: needs for name, needs in asked.items() if needs != ("scalar", ())}
    assert special == {
        "mmd": ("vector", ()),
        "mmd-repulsive": ("vector", ()),
        "ebgan": ("energy", ("features",)),
        "began": ("energy", ()),
        "acgan": ("scalar", ("classes",)),
        "infogan": ("scalar", ("code",)),
    }
