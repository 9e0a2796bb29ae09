from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small import registry, trial
from torch.testing import assert_close

from ganbench.building import build_engine, build_evaluator, build_objective
from ganbench.errors import PluginError
from ganbench.networks import build_generator, build_players, packing_of
from ganbench.protocols import Places
from ganbench.terms import Choice
from ganbench.workshop import Workshop, load_data

CPU = torch.device("cpu")


@pytest.fixture
def workshop():
    return Workshop(registry(), Places(), CPU)


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_a_component_is_made_with_what_was_set_and_what_was_not(workshop):
    loss = trial(loss="wgan-gp(weight=3)").variant.loss
    assert workshop.make("loss", loss).weight == 3.0
    assert workshop.make("loss", trial(loss="wgan-gp").variant.loss).weight == 10.0


def test_a_label_says_what_it_is_and_whose(workshop):
    assert workshop.label("loss", Choice("hinge")).startswith("loss 'hinge' of plugin 'losses' (distribution ganbench ")
    assert workshop.label("generator", Choice("wide")).startswith("generator 'wide' of plugin file ")


def test_what_a_component_refuses_bears_its_own_words(workshop):
    with pytest.raises(PluginError, match=r"^loss 'wgan-gp.* of plugin 'losses'.*: wgan-gp: weight is -1"):
        workshop.make("loss", Choice("wgan-gp", (("weight", -1.0),)))


def test_an_argument_that_a_component_does_not_take_is_its_owners_mistake(workshop):
    with pytest.raises(PluginError, match=r"^loss 'hinge.*raised TypeError"):
        workshop.make("loss", Choice("hinge", (("colour", "red"),)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("listed", "gave a list, expected ganbench's Data"),
        ("misshapen", r"train is torch.float32 of shape \(20, 3\), expected torch.float32 of shape \(N, 2\)"),
        ("double", r"heldout is torch.float64 of shape \(20, 2\), expected torch.float32"),
        ("half-empty", r"heldout is torch.float32 of shape \(0, 2\), expected"),
    ],
)
def test_data_that_are_not_as_their_contract_says_are_refused(workshop, name, message):
    with pytest.raises(PluginError, match=f"^dataset '{name}' of plugin file .*{message}"):
        load_data(workshop, Choice(name))


@pytest.mark.parametrize(
    ("name", "message"),
    [("function", "gave a function, expected a torch.nn.Module"), ("weightless", "has no weights to train")],
)
def test_a_network_that_cannot_be_trained_is_refused(workshop, name, message):
    with pytest.raises(PluginError, match=f"^generator '{name}' of plugin file .* {message}$"):
        build_players(workshop, trial(generator=name), (2,))


def test_the_seed_decides_the_first_weights_and_nothing_else_does(workshop):
    one = build_players(workshop, trial(seed=1), (2,))
    torch.rand(17)
    again = build_players(workshop, trial(seed=1, loss="hinge", batch_size=8, ema_half_life_kimg=1), (2,))
    other = build_players(workshop, trial(seed=2), (2,))
    for player in ("generator", "discriminator"):
        assert_close(state(getattr(one, player)), state(getattr(again, player)), rtol=0, atol=0)
        first, second = (next(getattr(players, player).parameters()) for players in (one, other))
        assert not torch.equal(first, second)


def test_building_leaves_the_global_random_state_alone(workshop):
    before = torch.get_rng_state()
    build_players(workshop, trial(), (2,))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_alone_has_the_weights_that_it_has_among_the_players(workshop):
    alone = build_generator(workshop, trial(seed=3), (2,))
    assert_close(state(alone), state(build_players(workshop, trial(seed=3), (2,)).generator), rtol=0, atol=0)


def test_an_average_is_built_where_the_trial_asks_for_one(workshop):
    assert build_players(workshop, trial(), (2,)).average is None
    players = build_players(workshop, trial(ema_half_life_kimg=1), (2,))
    assert_close(state(players.average), state(players.generator), rtol=0, atol=0)


def test_a_packed_discriminator_is_built_for_more_channels(workshop):
    packed = trial(discriminator="mlp(width=8, depth=1, packing=2)")
    assert packing_of(packed.variant.discriminator) == 2
    players = build_players(workshop, packed, (2,))
    assert players.packing == 2
    assert players.discriminator(torch.zeros(5, 4)).shape == (5,)
    assert players.fake(torch.zeros(16, 4)).shape == (8, 4)


def test_packing_is_one_where_nothing_is_said():
    assert packing_of(trial().variant.discriminator) == 1
    assert packing_of(Choice("mlp")) == 1


def test_an_objective_has_the_loss_the_penalties_and_their_labels(workshop):
    made = build_objective(workshop, trial(loss="hinge + r1(gamma=0.5) + r2"))
    assert type(made.loss).__name__ == "Hinge"
    assert [penalty.gamma for penalty in made.penalties] == [0.5, 10.0]
    assert made.loss_label.startswith("loss 'hinge' of plugin 'losses'")
    assert [label.partition(" of ")[0] for label in made.penalty_labels] == ["penalty 'r1(gamma=0.5)'", "penalty 'r2'"]


@pytest.mark.parametrize("loss", ["nonsaturating", "wgan-gp", "wgan", "lsgan + r1 + gp"])
def test_two_engines_of_one_trial_do_the_same(workshop, loss):
    made = trial(loss=loss, generator="mlp(width=8, norm=batch)", ema_half_life_kimg=1)
    data = load_data(workshop, made.dataset)
    engines = [build_engine(workshop, made, data) for _ in range(2)]
    for _ in range(3):
        engines[0].step()
    torch.rand(5)
    for _ in range(3):
        engines[1].step()
    first, second = (state(engine.players[0].scored) for engine in engines)
    assert_close(first, second, rtol=0, atol=0)
    assert engines[0].statistics() == engines[1].statistics()


def test_an_evaluator_counts_as_many_samples_as_the_trial_says(workshop):
    made = trial(samples=37)
    data = load_data(workshop, made.dataset)
    evaluator = build_evaluator(workshop, data, made.dataset, made.evaluation)
    assert evaluator.count == 37
    assert evaluator.scores(data.heldout[:37])[0].n_fake == 37


def test_an_evaluator_uses_the_extractor_that_the_evaluation_names(workshop):
    made = trial("digits", samples=20, metrics=["frechet"])
    evaluator = build_evaluator(workshop, load_data(workshop, made.dataset), made.dataset, made.evaluation)
    (score,) = evaluator.scores(evaluator.real)
    assert (score.name, score.extractor) == ("fcd_digits", "digits")


def test_an_evaluator_names_the_classes_that_its_extractor_knows(workshop):
    for dataset, names in (("digits", tuple("0123456789")), ("ring8", ())):
        made = trial(dataset, samples=20)
        data = load_data(workshop, made.dataset)
        assert build_evaluator(workshop, data, made.dataset, made.evaluation).class_names == names
    made = trial("digits", samples=20)
    data = replace(load_data(workshop, made.dataset), class_names=())
    evaluator = build_evaluator(workshop, data, made.dataset, made.evaluation)
    assert evaluator.class_names == tuple("0123456789")


def test_classes_of_another_vocabulary_are_not_taken_for_the_datas(workshop):
    made = trial("digits", samples=20)
    offers = [
        replace(offer, component=replace(offer.component, gives={**offer.component.gives, "vocabulary": "clothes"}))
        if (offer.kind, offer.component.name) == ("dataset", "digits")
        else offer
        for offer in workshop.registry.offers
    ]
    other = replace(workshop, registry=replace(workshop.registry, offers=tuple(offers)))
    data = load_data(other, made.dataset)
    assert build_evaluator(other, data, made.dataset, made.evaluation).class_names == ()


@pytest.mark.gpu
def test_first_weights_on_a_gpu_are_those_on_the_cpu(workshop, cuda):
    on_cpu = build_players(workshop, trial(), (2,))
    on_gpu = build_players(replace(workshop, device=cuda), trial(), (2,))
    for player in ("generator", "discriminator"):
        there = getattr(on_gpu, player)
        assert next(there.parameters()).device == cuda
        assert_close(state(there.cpu()), state(getattr(on_cpu, player)), rtol=0, atol=0)
