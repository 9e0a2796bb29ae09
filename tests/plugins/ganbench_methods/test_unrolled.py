from __future__ import annotations

import math

import pytest
import torch
from scenes import SmallCritic, drawn, gradients, initialised, slopes, small_generator
from small import registry, trial
from torch import nn
from torch.nn.functional import softplus
from torch.testing import assert_close

from ganbench.building import build_engine
from ganbench.errors import ChoiceError
from ganbench.objective import Objective
from ganbench.protocols import Places
from ganbench.workshop import load_data, open_workshop
from ganbench_losses.logistic import Minimax, NonSaturating
from ganbench_methods.unrolled import Unrolled
from ganbench_penalties.gradients import R1

RATE = 0.3


class Scalar(nn.Module):
    """Latents to one number that is learned, or samples (N, 1) to that number times the sample."""

    def __init__(self, value, *, judges):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value, dtype=torch.float64))
        self.judges = judges

    def forward(self, inputs):
        return self.value * inputs[:, 0] if self.judges else self.value.repeat(len(inputs), 1)


class Quadratic:
    """With D(x) = w·x, real samples at 1 and fakes at θ: the critic minimises w·(θ − 1) + ½w², the generator −w·θ."""

    def discriminator(self, game):
        return {"difference": game.critic(game.fake) - game.critic(game.real), "size": game.critic(game.real) ** 2 / 2}

    def generator(self, game):
        return {"adversarial": -game.critic(game.fake)}


@pytest.fixture
def duel(make_scene):
    """A scene of two numbers: w = 0.8 against θ = −0.5."""
    networks = {"generator": Scalar(-0.5, judges=False), "discriminator": Scalar(0.8, judges=True)}
    return make_scene(networks, torch.ones(4, 1, dtype=torch.float64), objective=Quadratic())


@pytest.fixture
def game(make_scene):
    """A function that builds a scene of small networks for a loss."""
    networks = {"generator": small_generator(), "discriminator": initialised(SmallCritic(), 3)}
    return lambda objective: make_scene(networks, objective=objective)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_quadratic_game_is_unrolled_as_its_closed_form_says(steps, duel):
    kept = (1 - RATE) ** steps  # w follows w ← (1 − η)·w + η·(1 − θ)
    theta, later = -0.5, kept * 0.8 + (1 - kept) * 1.5
    terms = Unrolled(steps, RATE).disguise(duel)
    assert_close(terms["adversarial"], torch.full((4,), -later * theta, dtype=torch.float64))
    (gradient,) = gradients(terms, duel.networks["generator"])
    # −∂f/∂w_K · dw_K/dθ, which vanishes where the critic has come to its optimum, 1 − θ
    assert float(gradient) == pytest.approx(-later + (theta - 1 + later) * (1 - kept))
    if steps:
        f = later * (theta - 1) + later**2 / 2
        assert_close(terms["answer"], torch.full((4,), -f, dtype=torch.float64))


def test_without_the_gradient_through_the_steps_it_would_be_another_one(duel):
    (gradient,) = gradients(Unrolled(2, RATE).disguise(duel), duel.networks["generator"])
    kept = (1 - RATE) ** 2
    detached = -(kept * 0.8 + (1 - kept) * 1.5)
    assert abs(float(gradient) - detached) > 0.1


@pytest.mark.parametrize("steps", [1, 4])
def test_nothing_is_to_be_gained_by_leading_a_critic_astray_that_is_at_its_optimum(steps, make_scene):
    networks = {"generator": Scalar(-0.5, judges=False), "discriminator": Scalar(1.5, judges=True)}  # 1.5 = 1 − θ
    scene = make_scene(networks, torch.ones(4, 1, dtype=torch.float64), objective=Quadratic())
    (gradient,) = gradients(Unrolled(steps, RATE).disguise(scene), networks["generator"])
    assert float(gradient) == pytest.approx(-1.5)  # through −w·θ alone it would be −1.5 + (1 − kept)·θ


class ByHand:
    """SmallCritic with weights in a list, moved by steps that are written out."""

    def __init__(self, critic):
        self.weights = [weight.clone() for weight in critic.parameters()]

    def __call__(self, samples):
        hidden, bias, out, last = self.weights
        return (torch.tanh(samples @ hidden.T + bias) @ out.T + last)[:, 0]

    def move(self, scene, fake, objective):
        terms = objective.discriminator(scene.game(fake, self))
        total = sum(term.mean() for term in terms.values())
        slopes_of = torch.autograd.grad(total, self.weights, create_graph=True)
        self.weights = [weight - RATE * slope for weight, slope in zip(self.weights, slopes_of, strict=True)]


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("penalties", [(), (R1(gamma=0.5),)], ids=["plain", "r1"])
def test_in_a_zero_sum_game_the_gradient_is_the_slope_of_what_the_discriminator_gains_later(steps, penalties, game):
    objective = Objective(Minimax(), penalties, "the loss", ("r1",) * len(penalties))

    def gained():
        scene = game(objective)
        fake, critic = scene.networks["generator"](scene.latents), ByHand(scene.networks["discriminator"])
        for _ in range(steps):
            critic.move(scene, fake, objective)
        return {name: -term for name, term in objective.discriminator(scene.game(fake, critic)).items()}

    scene = game(objective)
    found = gradients(Unrolled(steps, RATE).disguise(scene), scene.networks["generator"])
    assert_close(found, slopes(gained, scene.networks["generator"]), rtol=1e-5, atol=1e-7)


def test_two_steps_are_those_that_are_written_out(game):
    scene = game(NonSaturating())
    generator, critic = scene.networks["generator"], ByHand(scene.networks["discriminator"])
    fake = generator(scene.latents)
    for _ in range(2):
        critic.move(scene, fake, NonSaturating())
    later = {"answer": -softplus(-critic(scene.real)) - softplus(critic(fake.detach()))}
    terms = Unrolled(2, RATE).disguise(scene)
    assert_close(terms["answer"], later["answer"])
    assert_close(terms[next(iter(terms))], softplus(-critic(fake)))
    held = ByHand(scene.networks["discriminator"])
    held.weights = [weight.detach() for weight in critic.weights]
    expected = gradients({"own": softplus(-held(fake)), **later}, generator)
    assert_close(gradients(terms, generator), expected)


def test_heads_are_those_of_the_discriminator_some_steps_later(make_scene):
    class Features:
        def discriminator(self, game):
            return {"real": game.critic.judge(game.real)["features"].square().sum(dim=1)}

        def generator(self, game):
            return {"fake": game.critic.judge(game.fake)["features"].sum(dim=1)}

    critic = initialised(SmallCritic(), 3)
    scene = make_scene({"generator": small_generator(), "discriminator": critic}, objective=Features())
    weights = list(critic.hidden.parameters())
    loss = torch.tanh(critic.hidden(scene.real)).square().sum(dim=1).mean()
    hidden, bias = (w - RATE * slope for w, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True))
    expected = torch.tanh(scene.networks["generator"](scene.latents) @ hidden.T + bias).sum(dim=1)
    assert_close(Unrolled(1, RATE).disguise(scene)["fake"], expected)


def test_the_discriminator_is_left_where_it_was_with_its_running_statistics(make_scene):
    critic = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LeakyReLU(0.2), nn.Linear(4, 1), nn.Flatten(0))
    networks = {"generator": small_generator(), "discriminator": initialised(critic, 3)}
    before = {name: tensor.clone() for name, tensor in critic.state_dict().items()}
    Unrolled(3, RATE).disguise(make_scene(networks, objective=NonSaturating()))
    assert_close(critic.state_dict(), before, rtol=0, atol=0)
    assert all(weight.grad is None for weight in critic.parameters())


def test_weights_that_do_not_move_stay_and_those_that_no_term_reaches_do_too(make_scene):
    critic = initialised(SmallCritic(), 3)
    critic.spare = nn.Linear(2, 2).double()
    critic.out.bias.requires_grad_(requires_grad=False)
    networks = {"generator": small_generator(), "discriminator": critic}
    terms = Unrolled(2, RATE).disguise(make_scene(networks, objective=NonSaturating()))
    assert all(gradient is not None for gradient in gradients(terms, networks["generator"]))


def test_every_unrolled_step_sees_the_same_samples(duel):
    seen = []

    class Watching(Quadratic):
        def discriminator(self, game):
            seen.append((game.real, game.fake, game.latents))
            return super().discriminator(game)

    scene = type(duel)(**{**vars(duel), "objective": Watching()})
    Unrolled(3, RATE).disguise(scene)
    assert len(seen) == 3 + 1  # and what they come to
    assert all(mine is first for tensors in seen[:3] for mine, first in zip(tensors, seen[0], strict=True))
    assert_close(seen[3], tuple(tensor.detach() for tensor in seen[0]), rtol=0, atol=0)
    assert seen[0][1].requires_grad


def test_what_an_unrolled_step_remembers_is_forgotten():
    from ganbench.protocols import Game, Scene

    class Counting(Quadratic):
        def discriminator(self, game):
            game.memory["count"] = game.memory["count"] + 1
            return super().discriminator(game)

    memory = {"count": torch.tensor(0.0)}
    networks = {"generator": Scalar(-0.5, judges=False), "discriminator": Scalar(0.8, judges=True)}
    real, latents, rng = torch.ones(4, 1, dtype=torch.float64), drawn(1, 4, 2), torch.Generator()

    def game(fake, critic):
        return Game(real, fake, latents, None, critic, networks["generator"], rng, 1, memory)

    Unrolled(3, RATE).disguise(Scene(real, latents, None, networks, Counting(), game, rng, 1))
    assert float(memory["count"]) == 0


@pytest.mark.parametrize("added", ["unrolled(steps=0)", "unrolled(steps=3, rate=0)", "top-k(share=1)"])
def test_a_method_that_changes_nothing_is_the_usual_game_bit_for_bit(added):
    workshop = open_workshop(registry(), Places())
    settings = {"ema_half_life_kimg": 0.05, "discriminator_steps": 2}
    usual, other = (trial(loss=loss, **settings) for loss in ("nonsaturating", f"nonsaturating + {added}"))
    data = load_data(workshop, usual.dataset)
    engines = [build_engine(workshop, made, data) for made in (usual, other)]
    for engine in engines:
        for _ in range(4):
            engine.step()
    mine, its = (engine.players[0] for engine in engines)
    assert_close(list(mine.generator.parameters()), list(its.generator.parameters()), rtol=0, atol=0)
    assert_close(list(mine.discriminator.parameters()), list(its.discriminator.parameters()), rtol=0, atol=0)
    assert_close(list(mine.average.parameters()), list(its.average.parameters()), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, "unrolled: steps is -1, expected 0 or more"),
        ({"rate": -0.1}, "unrolled: rate is -0.1, expected 0 or more"),
        ({"rate": math.nan}, "unrolled: rate is nan, expected 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ChoiceError, match=message):
        Unrolled(**settings)
