from __future__ import annotations

import importlib

import pytest

import ganbench_penalties

OFFERED = {component.name: component for component in ganbench_penalties.ganbench_penalties()}


def target(component):
    module, attribute = component.target.split(":")
    return getattr(importlib.import_module(module), attribute)


def test_the_penalties_of_the_zoo_are_offered():
    assert list(OFFERED) == [
        "r1",
        "r2",
        "gp",
        "lecam",
        "consistency",
        "latent-consistency",
        "mode-seeking",
        "feature-matching",
        "pulling-away",
    ]


@pytest.mark.parametrize("name", ["r1", "r2", "gp"])
def test_penalties_on_gradients_need_independent_samples(name):
    assert OFFERED[name].needs["independent"] is True


@pytest.mark.parametrize("component", OFFERED.values(), ids=OFFERED.keys())
def test_every_penalty_can_be_built_and_moves_a_player(component):
    penalty = target(component)()
    assert callable(getattr(penalty, "discriminator", getattr(penalty, "generator", None)))
