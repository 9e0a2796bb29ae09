from __future__ import annotations

import math
from contextlib import contextmanager

import pytest
import torch
from small import Constant, Difference, LinearCritic, registry, training, trial
from torch import nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from ganbench.batches import Batches
from ganbench.building import build_engine
from ganbench.errors import PluginError
from ganbench.methods import MethodEngine
from ganbench.objective import Objective
from ganbench.players import Players, averaged
from ganbench.protocols import Places, Turn
from ganbench.solo import Solo
from ganbench.stepping import Diverged
from ganbench.terms import Budget, Optimiser
from ganbench.training import Meter, train
from ganbench.workshop import load_data, open_workshop

METHODS = ["vae", "aae", "bigan", "vae-gan", "nonsaturating + unrolled(steps=2)", "hinge + top-k"]
LABEL = "method 'duel' of tests"


class StepClock:
    """Charges nothing."""

    def resume(self): ...

    def pause(self): ...

    def seconds(self):
        return 0.0


class Duel:
    """A critic of points against a generator, which notes the scene of every turn."""

    def __init__(self):
        self.seen = []

    def turns(self):
        return (
            Turn("discriminator", ("critic",), "discriminator", self.criticism, every_batch=True),
            Turn("generator", ("generator",), "generator", self.disguise),
        )

    def criticism(self, scene):
        self.seen.append(("discriminator", scene))
        with torch.no_grad():
            fake = scene.networks["generator"](scene.latents)
        return {"adversarial": scene.networks["critic"](fake) - scene.networks["critic"](scene.real)}

    def disguise(self, scene):
        self.seen.append(("generator", scene))
        return {"adversarial": -scene.networks["critic"](scene.networks["generator"](scene.latents))}


def duel(turns=None, settings=None, objective=None, **networks):
    """An engine in the plane, where every real point is (1, 2) and every fake one begins at (5, 5)."""
    settings = settings or training()
    networks = {"generator": Constant(), "critic": LinearCritic(0.5, 0.5), **networks}
    others = nn.ModuleDict({name: network for name, network in networks.items() if name != "generator"})
    average = None if settings.ema_half_life_kimg is None else averaged(networks["generator"])
    cast = Solo(Players(networks["generator"], others, average, (2,)), 0)
    batches = Batches(torch.tensor([[1.0, 2.0]]).repeat(10, 1), None, settings.batch_size, [0])
    turns = Duel().turns() if turns is None else turns
    return MethodEngine(cast, networks, turns, objective, batches, settings, label=LABEL, seed=0)


def turn(minimised, name="generator", players=("generator",), **settings):
    return Turn(name, players, "generator", minimised, **settings)


def ran(trained, budget, points=(1.0,), report=lambda spent: None):
    return list(train(trained, budget, points, Meter(StepClock(), 0), report))


def built(objective, seed=0, **settings):
    """The engine of a planned trial of small networks."""
    workshop, made = open_workshop(registry(), Places()), trial(loss=objective, seed=seed, **settings)
    return build_engine(workshop, made, load_data(workshop, made.dataset))


def weights(trained):
    players = trained.players[0]
    return [
        weight.detach().clone()
        for network in (players.generator, players.discriminator)
        for weight in network.parameters()
    ]


# --- one step


def test_each_turn_descends_on_what_it_minimises():
    trained = duel()
    trained.step()
    critic, generator = trained.players[0].discriminator["critic"], trained.players[0].generator
    assert_close(critic.weight, torch.tensor([0.5 - 0.4, 0.5 - 0.3]))  # the gradient is (5, 5) − (1, 2)
    assert_close(generator.point, torch.tensor([5 + 0.1 * 0.1, 5 + 0.1 * 0.2]))  # the critic has moved already


def test_statistics_bear_the_names_of_turns_and_terms():
    trained = duel()
    trained.step()
    assert trained.statistics()[0] == pytest.approx(
        {
            "discriminator/adversarial": 5.0 - 1.5,
            "gradient_norm/discriminator": 5.0,
            "generator/adversarial": -(0.1 * 5 + 0.2 * 5),
            "gradient_norm/generator": math.hypot(0.1, 0.2),
        }
    )


def test_turns_of_every_batch_come_for_each_of_them_before_the_others_come_once():
    method = Duel()
    trained = duel(method.turns(), training(discriminator_steps=3))
    trained.step()
    trained.step()
    assert [name for name, _ in method.seen] == ["discriminator", "discriminator", "discriminator", "generator"] * 2
    assert [scene.step for _, scene in method.seen] == [1] * 4 + [2] * 4
    assert trained.kimg == 2 * 3 * 4 / 1000


def test_a_turn_that_comes_once_sees_the_last_batch_and_every_turn_latents_of_its_own():
    method = Duel()
    trained = duel(method.turns(), training(discriminator_steps=2))
    trained._batches = Batches(torch.arange(24.0).reshape(12, 2), None, 4, [0])
    trained.step()
    first, last, once = (scene for _, scene in method.seen)
    assert torch.equal(once.real, last.real)
    assert not torch.equal(first.real, last.real)
    assert len({tuple(scene.latents.flatten().tolist()) for scene in (first, last, once)}) == 3
    assert once.real.shape == once.latents.shape == (4, 2)
    assert once.labels is None


def test_a_network_that_moves_in_two_turns_has_an_optimiser_in_each():
    adam = Optimiser("adam", 0.1, (0.9, 0.999))
    points = lambda scene: scene.networks["generator"](scene.latents)[:, 0]  # noqa: E731
    turns = (
        turn(lambda scene: {"down": points(scene)}, "first"),
        turn(lambda scene: {"up": -points(scene)}, "second"),
    )
    trained = duel(turns, training(generator=adam, discriminator=adam))
    for _ in range(5):
        trained.step()
    # Each optimiser has seen one constant gradient, so that its steps are 0.1 and cancel; a shared one's would not.
    assert_close(trained.players[0].generator.point, torch.tensor([5.0, 5.0]), rtol=0, atol=1e-5)


def test_a_turn_takes_the_settings_of_the_player_that_it_names():
    settings = training(generator=Optimiser("sgd", 0.1), discriminator=Optimiser("sgd", 0.01))
    moved = {}
    for name in ("generator", "discriminator"):
        down = Turn("t", ("generator",), name, lambda scene: {"x": scene.networks["generator"](scene.latents)[:, 0]})
        trained = duel((down,), settings)
        trained.step()
        moved[name] = 5 - float(trained.players[0].generator.point[0].detach())
    assert moved == pytest.approx({"generator": 0.1, "discriminator": 0.01}, rel=1e-4)


@pytest.mark.parametrize("objective", METHODS)
def test_a_step_of_a_method_reads_nothing_on_the_host(objective):
    trained = built(objective, ema_half_life_kimg=0.05, clip=1.0)
    trained.step()
    with no_read():
        trained.step()
    with pytest.raises(AssertionError, match="read on the host"), no_read():
        trained.players[0].generator(torch.ones(1, 4)).sum().item()


class NoRead(TorchDispatchMode):
    """Refuses to hand a tensor's value to the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal"):
            raise AssertionError(f"a tensor's value was read on the host, by {func}")
        return func(*args, **(kwargs or {}))


@contextmanager
def no_read():
    with NoRead():
        yield


# --- budgets, averages, learning rates, clipping


def test_a_budget_of_images_ends_training_and_counts_every_batch():
    (end,) = ran(duel(settings=training(discriminator_steps=2)), Budget(kimg=0.02))
    assert (end.spent.steps, end.spent.kimg) == (3, 0.024)


def test_the_average_halves_its_memory_with_every_half_life_of_images():
    trained = duel(settings=training(ema_half_life_kimg=0.004, ema_rampup=1e9))  # four images, as in a step
    players = trained.players[0]
    expected = players.generator.point.detach().clone()
    for _ in range(3):
        trained.step()
        expected = expected / 2 + players.generator.point.detach() / 2
        assert_close(players.average.point, expected)
    assert players.scored is players.average


def test_all_learning_rates_fall_with_the_budget():
    settings = training(schedule="linear", generator=Optimiser("sgd", 0.1), discriminator=Optimiser("sgd", 0.01))
    trained, seen = duel(settings=settings), []
    optimisers = [trained._sides[name].optimiser for name in ("generator", "discriminator")]
    ran(trained, Budget(steps=4), report=lambda _: seen.append([o.param_groups[0]["lr"] for o in optimisers]))
    assert seen == [pytest.approx([0.1 * share, 0.01 * share]) for share in (1, 0.75, 0.5, 0.25)]


def test_clipping_bounds_the_critics_weights_and_leaves_the_generator():
    trained = duel(settings=training(clip=0.01))
    trained.step()
    assert float(trained.players[0].discriminator["critic"].weight.detach().abs().max()) == pytest.approx(0.01)
    assert float(trained.players[0].generator.point.detach().abs().min()) > 4


def test_clipping_leaves_a_network_alone_that_plays_against_the_critic():
    trained = duel(settings=training(clip=0.01), encoder=LinearCritic(3.0, 4.0))
    trained.step()
    assert trained.players[0].discriminator["encoder"].weight.tolist() == [3.0, 4.0]


# --- divergence


@pytest.mark.parametrize("name", ["discriminator", "generator"])
def test_a_term_that_is_not_finite_ends_training_at_its_step(name):
    method = Duel()
    first, second = method.turns()

    def spoilt(scene):
        terms = (method.criticism if name == "discriminator" else method.disguise)(scene)
        return {"adversarial": terms["adversarial"] * (math.nan if scene.step == 3 else 1)}

    turns = tuple(
        Turn(t.name, t.players, t.optimiser, spoilt if t.name == name else t.minimised) for t in (first, second)
    )
    with pytest.raises(Diverged, match=r"not finite at step 3$"):
        ran(duel(turns), Budget(steps=10))


@pytest.mark.parametrize("name", ["generator", "critic", "spare"])
def test_a_weight_of_any_network_that_is_not_finite_is_found(name):
    networks = {"generator": Constant(), "critic": LinearCritic(0.5, 0.5), "spare": LinearCritic(1.0)}
    networks[name].register_parameter("unused", nn.Parameter(torch.tensor([0.0, math.nan])))
    with pytest.raises(Diverged, match="a weight is not finite at step 2"):
        ran(duel(**networks), Budget(steps=2))


# --- mistakes of plugins


def test_a_turn_of_a_network_that_there_is_not_is_named_with_the_nearest_that_there_is():
    turns = (turn(lambda scene: {}, players=("critik",)),)
    with pytest.raises(PluginError, match=rf"^{LABEL}: turn 'generator' moves 'critik'\. Did you mean 'critic'\?"):
        duel(turns)


def test_turns_of_one_name_are_refused_if_they_move_different_networks():
    turns = (turn(lambda scene: {}, "same"), turn(lambda scene: {}, "same", ("critic",)))
    with pytest.raises(PluginError, match=rf"^{LABEL}: two turns named 'same' move .* name one anew$"):
        duel(turns)


def test_turns_of_one_name_share_an_optimiser():
    adam = Optimiser("adam", 0.1, (0.9, 0.999))

    def moved(names):
        down = [
            turn(lambda scene, sign=sign: {"x": sign * scene.networks["generator"](scene.latents)[:, 0]}, name)
            for name, sign in zip(names, (1, 3), strict=True)
        ]
        trained = duel(tuple(down), training(generator=adam, discriminator=adam))
        trained.step()
        return len(trained._sides), float(trained.players[0].generator.point[0].detach())

    (one, shared), (two, apart) = moved(("same", "same")), moved(("first", "second"))
    assert (one, two) == (1, 2)
    assert apart == pytest.approx(5 - 0.2, abs=1e-5)  # each optimiser's first step is 0.1
    assert shared != pytest.approx(apart, abs=1e-4)


def test_turns_of_one_name_that_do_not_move_the_same_are_refused():
    turns = (turn(lambda scene: {}), turn(lambda scene: {}, players=("critic",)))
    with pytest.raises(PluginError, match=r"two turns named 'generator' move \('generator',\) and \('critic',\)"):
        duel(turns)


def test_a_turn_with_the_optimiser_of_nobody_is_named_with_the_nearest():
    turns = (Turn("t", ("generator",), "critic", lambda scene: {}),)
    with pytest.raises(PluginError, match="turn 't' takes the optimiser of 'critic'"):
        duel(turns)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda scene: {"a": scene.real.sum()}, r"term 'a' gave a tensor of shape \(\), expected .* \(4,\)$"),
        (lambda scene: {"a": scene.real}, r"term 'a' gave a tensor of shape \(4, 2\), expected .* \(4,\)$"),
        (lambda scene: {"a": torch.ones(4, dtype=torch.int64)}, "term 'a' is torch.int64, expected floating-point"),
        (lambda scene: {"a": 1.0}, r"term 'a' gave a float, expected a tensor of shape \(4,\)$"),
        (lambda scene: scene.real[:, 0], r"returned a tensor of shape \(4,\), expected a mapping"),
        (lambda scene: {}, "returned an empty mapping, expected a mapping"),
        (lambda scene: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda scene: scene.networks["critc"], "raised KeyError: 'critc'"),
        (lambda scene: {"a": scene.real[:, 0]}, "none of the generator's terms depends on its weights"),
    ],
)
def test_what_a_turn_does_wrong_is_reported_with_its_owners_label(given, message):
    with pytest.raises(PluginError, match=f"^{LABEL}:? {message}" if "raised" in message else message) as caught:
        duel((turn(given),)).step()
    assert str(caught.value).startswith(LABEL)


# --- with a loss and without


def test_a_method_that_stands_alone_has_no_objective():
    method = Duel()
    duel(method.turns()).step()
    assert all(scene.objective is None for _, scene in method.seen)


def test_a_method_beside_a_loss_is_shown_it_and_makes_its_games():
    method, said = Duel(), []

    class Spy(Difference):
        def generator(self, game):
            said.append(game)
            return super().generator(game)

    def disguise(scene):
        fake = scene.networks["generator"](scene.latents)
        return scene.objective.generator(scene.game(fake, scene.networks["critic"]))

    first, _ = method.turns()
    trained = duel((first, turn(disguise)), objective=Objective(Spy()))
    trained.step()
    (game,) = said
    assert game.real.tolist() == [[1.0, 2.0]] * 4
    assert game.fake.requires_grad
    assert game.step == 1
    assert_close(game.generator(game.latents), torch.tensor([[5.01, 5.02]]).repeat(4, 1))
    assert_close(trained.players[0].generator.point, torch.tensor([5.01, 5.02]))


@pytest.mark.parametrize("added", ["unrolled(steps=0)", "top-k(share=1)"])
def test_what_a_loss_remembers_is_what_it_remembers_in_the_usual_game(added):
    engines = [built(f"nonsaturating + lecam{also}") for also in ("", f" + {added}")]
    for trained in engines:
        for _ in range(4):
            trained.step()
    usual, other = (trained._cast.memory.told() for trained in engines)
    assert_close(other, usual, rtol=0, atol=0)
    assert any(float(value) for value in usual.values())


def test_steps_that_are_thrown_away_leave_nothing_in_what_a_loss_remembers():
    unrolled, usual = built("nonsaturating + lecam + unrolled(steps=3)"), built("nonsaturating + lecam")
    for trained in (unrolled, usual):
        trained.step()
    mine, its = (trained._cast.memory.told() for trained in (unrolled, usual))
    assert_close(mine, its, rtol=0, atol=0)  # one real step of the discriminator, the same in both


@pytest.mark.parametrize("objective", METHODS)
def test_two_engines_of_a_trial_do_the_same_and_those_of_another_seed_do_not(objective):
    engines = [built(objective, seed, ema_half_life_kimg=0.05) for seed in (0, 0, 1)]
    for trained in engines:
        for _ in range(3):
            trained.step()
    first, again, other = map(weights, engines)
    assert_close(first, again, rtol=0, atol=0)
    assert engines[0].statistics() == engines[1].statistics()
    assert not any(torch.equal(mine, its) for mine, its in zip(first, other, strict=True) if mine.ndim > 1)


def test_a_planned_method_trains_by_its_own_recipe_and_one_beside_a_loss_by_the_losss():
    alone, beside = built("vae"), built("hinge + top-k")
    assert {name: side.settings for name, side in alone._sides.items()} == {
        "autoencoder": Optimiser("adam", 1e-3, (0.9, 0.999))
    }
    assert alone.objective is None
    assert {side.settings for side in beside._sides.values()} == {Optimiser("adam", 2e-4, (0.0, 0.9))}
    assert isinstance(beside.objective, Objective)
