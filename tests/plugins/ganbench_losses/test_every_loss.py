"""Every loss against its paper's formula, written a second time and plainly; and what holds of all of them."""

from __future__ import annotations

import dataclasses
import importlib
import math

import pytest
import torch
from torch.func import vmap
from torch.testing import assert_close

import ganbench_losses

OFFERED = {component.name: component for component in ganbench_losses.ganbench_losses()}
SETTINGS = {
    "infogan": {"categories": 3, "continuous": 2, "weight": 0.7, "continuous_weight": 0.2},
    "mmd": {"weight": 0.7, "bandwidths": (0.5, 2.0)},
    "ebgan": {"margin": 2.0, "pulling_away": 0.3},
    "acgan": {"weight": 0.6},
    "r3gan": {"gamma": 0.3},
}
DIVERGENCES = ["kl", "reverse-kl", "pearson", "squared-hellinger", "jensen-shannon", "total-variation"]
CASES = [(name, SETTINGS.get(name, {})) for name in OFFERED if name != "f-gan"]
CASES += [
    ("f-gan", {"divergence": name, "generator": way}) for name in DIVERGENCES for way in ("saturating", "alternative")
]
IDS = [f"{name}-{'-'.join(map(str, given.values()))}" if name == "f-gan" else name for name, given in CASES]
every_case = pytest.mark.parametrize(("name", "given"), CASES, ids=IDS)
both_players = pytest.mark.parametrize("player", ["discriminator", "generator"])


def build(name, given):
    module, attribute = OFFERED[name].target.split(":")
    return getattr(importlib.import_module(module), attribute)(**given)


def kind_of(name):
    return OFFERED[name].needs["logits"]


def objective(terms):
    return sum(term.mean() for term in terms.values())


# The formulas once more, with logarithms, exponentials and loops, from nothing but the papers.


def log_sigmoid(x):
    return torch.log(1 / (1 + torch.exp(-x)))


def slope_length(critic, sample):
    sample = sample.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(sample.unsqueeze(0)).sum(), sample, create_graph=True)
    return (slope**2).sum() ** 0.5


def lengths(critic, samples):
    return torch.stack([slope_length(critic, sample) for sample in samples])


def between(game):
    epsilon = torch.rand(4, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return epsilon * game.real + (1 - epsilon) * game.fake


def around(game):
    noise = torch.randn(4, 2, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean = game.real.sum() / 32
    return game.real + 0.5 * (((game.real - mean) ** 2).sum() / 32) ** 0.5 * noise


def logistic_discriminator(game):
    return {"adversarial": -log_sigmoid(game.critic(game.real)) - log_sigmoid(-game.critic(game.fake))}


def logistic_generator(game):
    return {"adversarial": -log_sigmoid(game.critic(game.fake))}


def wasserstein(game):
    return {"adversarial": game.critic(game.fake) - game.critic(game.real)}


def raising(game):
    return {"adversarial": -game.critic(game.fake)}


def relativistic(game):
    return {"adversarial": -log_sigmoid(game.critic(game.real) - game.critic(game.fake))}


def relativistic_generator(game):
    return {"adversarial": -log_sigmoid(game.critic(game.fake) - game.critic(game.real))}


def averages(game, sign):
    real, fake = game.critic(game.real), game.critic(game.fake)
    return {"adversarial": -log_sigmoid(sign * (real - fake.sum() / 4)) - log_sigmoid(sign * (real.sum() / 4 - fake))}


F_GAN = {  # output activation and conjugate, as the paper's tables have them
    "kl": (lambda v: v, lambda t: torch.exp(t - 1)),
    "reverse-kl": (lambda v: -torch.exp(-v), lambda t: -1 - torch.log(-t)),
    "pearson": (lambda v: v, lambda t: 0.25 * t**2 + t),
    "squared-hellinger": (lambda v: 1 - torch.exp(-v), lambda t: t / (1 - t)),
    "jensen-shannon": (lambda v: math.log(2) - torch.log(1 + torch.exp(-v)), lambda t: -torch.log(2 - torch.exp(t))),
    "total-variation": (lambda v: 0.5 * torch.tanh(v), lambda t: t),
}


def f_discriminator(game, divergence, **_):
    activation, conjugate = F_GAN[divergence]
    return {"adversarial": -activation(game.critic(game.real)) + conjugate(activation(game.critic(game.fake)))}


def f_generator(game, divergence, generator):
    activation, conjugate = F_GAN[divergence]
    fake = activation(game.critic(game.fake))
    return {"adversarial": -fake if generator == "alternative" else -conjugate(fake)}


def mixture(a, b, bandwidths):
    return sum(math.e ** (-((a - b) ** 2).sum() / (2 * sigma**2)) for sigma in bandwidths)


def discrepancy(game, bandwidths):
    real, fake = game.critic(game.real), game.critic(game.fake)
    rows = []
    for n in range(4):
        others = [m for m in range(4) if m != n]
        rows.append(
            sum(mixture(real[n], real[m], bandwidths) + mixture(fake[n], fake[m], bandwidths) for m in others) / 3
            - sum(mixture(real[n], fake[m], bandwidths) + mixture(real[m], fake[n], bandwidths) for m in range(4)) / 4
        )
    return torch.stack(rows)


def mmd_discriminator(game, weight, bandwidths):
    real, fake = game.critic(game.real), game.critic(game.fake)

    def witness(samples):
        (vector,) = game.critic(samples)
        return sum(mixture(vector, real[m], bandwidths) - mixture(vector, fake[m], bandwidths) for m in range(4)) / 4

    penalty = weight * (lengths(witness, between(game)) - 1) ** 2
    return {"adversarial": -discrepancy(game, bandwidths), "gradient_penalty": penalty}


def repulsive_discriminator(game):
    def mean_to_others(vectors, n, bounded):
        squares = [bounded(((vectors[n] - vectors[m]) ** 2).sum()) for m in range(4) if m != n]
        return sum(torch.exp(-square / 2) for square in squares) / 3

    real, fake = game.critic(game.real), game.critic(game.fake)
    rows = [
        mean_to_others(real, n, lambda d: torch.where(d < 4, d, 4.0))
        - mean_to_others(fake, n, lambda d: torch.where(d > 0.25, d, 0.25))
        for n in range(4)
    ]
    return {"adversarial": torch.stack(rows)}


def ebgan_discriminator(game, margin, **_):
    real, fake = -game.critic(game.real), -game.critic(game.fake)
    return {"adversarial": real + torch.where(fake < margin, margin - fake, 0.0)}


def ebgan_generator(game, pulling_away, **_):
    codes = game.critic.judge(game.fake)["features"]
    rows = []
    for n in range(4):
        cosines = [
            (codes[n] * codes[m]).sum() / ((codes[n] ** 2).sum() * (codes[m] ** 2).sum()) ** 0.5
            for m in range(4)
            if m != n
        ]
        rows.append(pulling_away * sum(cosine**2 for cosine in cosines) / 3)
    return {**raising(game), "pulling_away": torch.stack(rows)}


def surprise(logits, labels):
    chances = torch.exp(logits) / torch.exp(logits).sum(dim=1, keepdim=True)
    return -torch.log(torch.stack([chances[n, label] for n, label in enumerate(labels.tolist())]))


def acgan_discriminator(game, weight):
    real, fake = (game.critic.judge(samples)["classes"] for samples in (game.real, game.fake))
    classes = weight * (surprise(real, game.labels) + surprise(fake, game.labels))
    return {**logistic_discriminator(game), "classes": classes}


def acgan_generator(game, weight):
    fake = game.critic.judge(game.fake)["classes"]
    return {**logistic_generator(game), "classes": weight * surprise(fake, game.labels)}


def information(game, weight, continuous_weight, **_):
    guess = game.critic.judge(game.fake)["code"]
    of_category = surprise(guess[:, :3], game.latents[:, :3].argmax(dim=1))
    codes = 2 * torch.distributions.Normal(0, 1).cdf(game.latents[:, 3:5]) - 1
    density = torch.exp(-0.5 * (codes - guess[:, 3:]) ** 2) / (2 * math.pi) ** 0.5
    return {"information": weight * of_category - continuous_weight * torch.log(density).sum(dim=1)}


ORACLES = {
    "minimax": (logistic_discriminator, lambda game: {"adversarial": log_sigmoid(-game.critic(game.fake))}),
    "nonsaturating": (logistic_discriminator, logistic_generator),
    "dragan": (
        lambda game: {
            **logistic_discriminator(game),
            "gradient_penalty": 10 * (lengths(game.critic, around(game)) - 1) ** 2,
        },
        logistic_generator,
    ),
    "lsgan": (
        lambda game: {"adversarial": 0.5 * (game.critic(game.real) - 1) ** 2 + 0.5 * game.critic(game.fake) ** 2},
        lambda game: {"adversarial": 0.5 * (game.critic(game.fake) - 1) ** 2},
    ),
    "hinge": (
        lambda game: {
            "adversarial": (1 - game.critic(game.real)).clamp(min=0) + (1 + game.critic(game.fake)).clamp(min=0)
        },
        raising,
    ),
    "wgan": (wasserstein, raising),
    "wgan-gp": (
        lambda game: {**wasserstein(game), "gradient_penalty": 10 * (lengths(game.critic, between(game)) - 1) ** 2},
        raising,
    ),
    "wgan-lp": (
        lambda game: {
            **wasserstein(game),
            "gradient_penalty": 10 * (lengths(game.critic, between(game)) - 1).clamp(min=0) ** 2,
        },
        raising,
    ),
    "relativistic": (relativistic, relativistic_generator),
    "relativistic-average": (lambda game: averages(game, 1), lambda game: averages(game, -1)),
    "r3gan": (
        lambda game, gamma: {
            **relativistic(game),
            "r1": 0.5 * gamma * lengths(game.critic, game.real) ** 2,
            "r2": 0.5 * gamma * lengths(game.critic, game.fake) ** 2,
        },
        lambda game, gamma: relativistic_generator(game),
    ),
    "f-gan": (f_discriminator, f_generator),
    "mmd": (mmd_discriminator, lambda game, weight, bandwidths: {"adversarial": discrepancy(game, bandwidths)}),
    "mmd-repulsive": (repulsive_discriminator, lambda game: {"adversarial": discrepancy(game, (1.0,))}),
    "ebgan": (ebgan_discriminator, ebgan_generator),
    "began": (
        lambda game: {"adversarial": -game.critic(game.real) + 0.25 * game.critic(game.fake)},
        raising,
    ),
    "acgan": (acgan_discriminator, acgan_generator),
    "infogan": (
        lambda game, **given: {**logistic_discriminator(game), **information(game, **given)},
        lambda game, **given: {**logistic_generator(game), **information(game, **given)},
    ),
}


def remembered(name):
    return {"k": 0.25} if name == "began" else {}


@both_players
@every_case
def test_terms_are_those_of_the_papers_formula(name, given, player, small_critic, small_game):
    game = small_game(small_critic(kind_of(name)), remembered(name))
    oracle = ORACLES[name][player == "generator"]
    terms, expected = getattr(build(name, given), player)(game), oracle(game, **given)
    assert list(terms) == list(expected)
    for key, term in terms.items():
        assert term.shape == (4,)
        assert_close(term, expected[key], rtol=1e-9, atol=1e-12)


@both_players
@every_case
def test_gradients_in_samples_and_weights_are_those_of_the_papers_formula(
    name, given, player, small_critic, small_game
):
    critic = small_critic(kind_of(name))
    game = small_game(critic, remembered(name))
    game = dataclasses.replace(game, real=game.real.requires_grad_(), fake=game.fake.requires_grad_())
    inputs = [game.real, game.fake, *critic.weights.values()]
    oracle = ORACLES[name][player == "generator"](game, **given)
    expected = torch.autograd.grad(objective(oracle), inputs, materialize_grads=True)
    terms = getattr(build(name, given), player)(game)
    found = torch.autograd.grad(objective(terms), inputs, materialize_grads=True)
    assert any(gradient.abs().max() > 1e-6 for gradient in found)
    for gradient, wanted in zip(found, expected, strict=True):
        assert_close(gradient, wanted, rtol=1e-8, atol=1e-11)


@both_players
@every_case
def test_the_slope_along_any_change_of_the_weights_is_the_difference_of_values(
    name, given, player, small_critic, small_game
):
    critic = small_critic(kind_of(name))
    weights = list(critic.weights.values())
    directions = [torch.sin(torch.arange(weight.numel()) + 1.0).reshape(weight.shape).double() for weight in weights]

    def value(step):
        moved = {
            key: weight + step * way for (key, weight), way in zip(critic.weights.items(), directions, strict=True)
        }
        game = small_game(dataclasses.replace(critic, weights=moved), remembered(name))
        return objective(getattr(build(name, given), player)(game))

    slopes = torch.autograd.grad(value(torch.zeros((), dtype=torch.float64)), weights, materialize_grads=True)
    along = sum((slope * way).sum() for slope, way in zip(slopes, directions, strict=True))
    assert_close(along, (value(1e-6) - value(-1e-6)).detach() / 2e-6, rtol=1e-5, atol=1e-7)


class FirstNumbers:
    """A critic that says what a test wrote into its samples; all heads too."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, samples):
        return self.judge(samples)["logits"]

    def judge(self, samples):
        vectors = samples.flatten(start_dim=1)  # (N, 8)
        logits = vectors if self.kind == "vector" else vectors[:, 0]
        return {"logits": logits, "features": vectors, "classes": vectors[:, :4], "code": vectors[:, :5]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("extreme", [50.0, 1e4])
@both_players
@every_case
def test_terms_and_gradients_stay_finite_for_a_critic_that_is_very_sure(
    name, given, player, extreme, dtype, small_game
):
    signs = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=dtype)
    spread = torch.linspace(0.9, 1, 8, dtype=dtype).reshape(1, 2, 2, 2)
    real, fake = (extreme * signs[:, side].reshape(4, 1, 1, 1) * spread for side in (0, 1))
    game = small_game(FirstNumbers(kind_of(name)), remembered(name), real.requires_grad_(), fake.requires_grad_())
    game = dataclasses.replace(game, latents=game.latents.to(dtype))
    terms = getattr(build(name, given), player)(game)
    gradients = torch.autograd.grad(objective(terms), [real, fake], materialize_grads=True)
    for found in (*terms.values(), *gradients):
        assert torch.isfinite(found).all()


MIXING = {("dragan", "discriminator"), ("ebgan", "generator")} | {
    (name, player)
    for name in ("relativistic-average", "mmd", "mmd-repulsive")
    for player in ("discriminator", "generator")
}


@both_players
@every_case
def test_a_term_depends_on_other_samples_where_the_contract_says_so_and_nowhere_else(
    name, given, player, small_critic, small_game
):
    assert bool(OFFERED[name].gives.get("mixes_batch")) == any(mixing == name for mixing, _ in MIXING)
    game = small_game(small_critic(kind_of(name)), remembered(name))
    real, fake = game.real.clone(), game.fake.clone()
    real[1:], fake[1:] = 0.3 - real[1:], 1.7 * fake[1:]
    other = small_game(game.critic, remembered(name), real, fake)
    here, there = (getattr(build(name, given), player)(it) for it in (game, other))
    moved = max((here[key] - there[key])[0].abs().item() for key in here)
    assert moved > 1e-6 if (name, player) in MIXING else moved < 1e-12


@both_players
@every_case
def test_permuting_the_batch_permutes_the_terms(name, given, player, small_critic, small_game):
    game = small_game(small_critic(kind_of(name)), remembered(name))
    order = [2, 0, 3, 1]
    permuted = dataclasses.replace(
        small_game(game.critic, remembered(name), game.real[order], game.fake[order]),
        latents=game.latents[order],
        labels=game.labels[order],
    )
    here, there = (getattr(build(name, given), player)(it) for it in (game, permuted))
    for key in here.keys() - {"gradient_penalty"}:  # whose random numbers keep their places
        assert_close(there[key], here[key][order], rtol=1e-10, atol=1e-12)


VECTORISABLE = [case for case in CASES if not OFFERED[case[0]].needs.get("independent")]


@both_players
@pytest.mark.parametrize(("name", "given"), VECTORISABLE)
def test_two_seeds_in_one_vmap_get_what_each_gets_alone(name, given, player, small_critic, small_game):
    critic, loss = small_critic(kind_of(name)), build(name, given)
    games = [small_game(critic, {key: value + n for key, value in remembered(name).items()}) for n in (0, 0.5)]
    games[1] = dataclasses.replace(games[1], real=games[1].real - 1, latents=games[1].latents.flip(0))

    def play(real, fake, latents, labels, memory):
        game = dataclasses.replace(games[0], real=real, fake=fake, latents=latents, labels=labels, memory=dict(memory))
        return getattr(loss, player)(game), game.memory

    alone = [play(game.real, game.fake, game.latents, game.labels, game.memory) for game in games]
    stacked = [torch.stack([getattr(game, key) for game in games]) for key in ("real", "fake", "latents", "labels")]
    memory = {key: torch.stack([game.memory[key] for game in games]) for key in remembered(name)}
    terms, after = vmap(play)(*stacked, memory)
    for n, (own_terms, own_after) in enumerate(alone):
        for key, term in own_terms.items():
            assert_close(terms[key][n], term)
        for key, value in own_after.items():
            assert_close(after[key][n], value)
