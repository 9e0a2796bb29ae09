from __future__ import annotations

import importlib

import pytest
import torch
from small import registry, trial

import ganbench_methods
from ganbench.building import build_engine
from ganbench.protocols import Places
from ganbench.terms import Optimiser
from ganbench.workshop import load_data, open_workshop

OFFERED = {component.name: component for component in ganbench_methods.ganbench_methods()}
ALONE = {"vae", "aae", "bigan", "vae-gan"}
every_offer = pytest.mark.parametrize("component", OFFERED.values(), ids=OFFERED.keys())


def target_of(component):
    module, attribute = component.target.split(":")
    return getattr(importlib.import_module(module), attribute)


def test_the_methods_of_the_zoo_are_offered():
    assert set(OFFERED) == {*ALONE, "unrolled", "top-k"}


def test_those_that_stand_alone_bring_a_recipe_and_make_the_discriminator_an_encoder():
    assert {name for name, component in OFFERED.items() if component.gives.get("alone")} == ALONE
    assert {name for name, component in OFFERED.items() if component.needs.get("encoder")} == ALONE
    adam, dcgan = Optimiser("adam", 1e-3, (0.9, 0.999)), Optimiser("adam", 2e-4, (0.5, 0.999))
    for name in ALONE:
        recipe = OFFERED[name].recipe
        assert recipe.generator == recipe.discriminator == (adam if name == "vae" else dcgan)


@every_offer
def test_every_method_moves_networks_that_it_names_with_a_turn_of_another_name_each(component):
    method = target_of(component)()
    assert len({turn.name for turn in method.turns()}) == len(method.turns())
    assert all(turn.optimiser in ("generator", "discriminator") for turn in method.turns())
    assert any("generator" in turn.players for turn in method.turns())


@every_offer
def test_every_docstring_has_the_sections_that_a_reader_looks_for(component):
    lines = [line.strip() for line in target_of(component).__doc__.splitlines()]
    for section in ("Formula:", "Shapes:", "Paper:", "Recipe:", "Traps:", "Parameters:"):
        assert sum(line.startswith(section) for line in lines) == 1, section
    assert component.paper in target_of(component).__doc__


@pytest.mark.parametrize("dataset", ["ring8", "digits"])
@every_offer
def test_each_turn_moves_its_players_and_no_other_network(component, dataset):
    alone = component.gives.get("alone")
    objective = component.name if alone else f"nonsaturating + {component.name}"
    made, workshop = trial(dataset, objective), open_workshop(registry(), Places())
    engine = build_engine(workshop, made, load_data(workshop, made.dataset))
    real, labels = engine._batches.take(engine._batches.choose())
    for turn in engine._turns:
        before = {name: [w.detach().clone() for w in net.parameters()] for name, net in engine._networks.items()}
        engine._take(turn, real, labels)
        moved = {
            name
            for name, network in engine._networks.items()
            if any(not torch.equal(old, new) for old, new in zip(before[name], network.parameters(), strict=True))
        }
        assert moved == set(turn.players), turn.name
