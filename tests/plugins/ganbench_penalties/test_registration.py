from __future__ import annotations

import importlib

import pytest

import ganbench_penalties

OFFERED = {component.name: component for component in ganbench_penalties.ganbench_penalties()}


def test_the_penalties_of_the_first_zoo_are_offered():
    assert list(OFFERED) == ["r1", "r2", "gp"]


@pytest.mark.parametrize("component", OFFERED.values(), ids=OFFERED.keys())
def test_every_penalty_can_be_built_and_needs_independent_samples(component):
    module, attribute = component.target.split(":")
    assert callable(getattr(importlib.import_module(module), attribute)().discriminator)
    assert component.needs["independent"] is True
