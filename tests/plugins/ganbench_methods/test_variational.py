from __future__ import annotations

import math

import pytest
import torch
from scenes import (
    DIMENSION,
    LATENT_DIM,
    SmallCritic,
    drawn,
    gradients,
    initialised,
    slopes,
    small_encoder,
    small_generator,
)
from torch import nn
from torch.distributions import MultivariateNormal, Normal
from torch.nn.functional import softplus
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_methods import variational
from ganbench_methods.gaussians import divergence
from ganbench_methods.variational import VAE, VAEGAN, negative_log_likelihood

DEVIATION = 0.4


def linear(weight, bias):
    """x ↦ weight·x + bias, as a module."""
    network = nn.Linear(weight.shape[1], weight.shape[0]).double()
    with torch.no_grad():
        network.weight.copy_(weight)
        network.bias.copy_(bias)
    return network


# --- the bound


@pytest.mark.parametrize("deviation", [0.1, 1.0, 2.5])
def test_the_reconstruction_is_minus_the_logarithm_of_a_gaussian_density(deviation):
    errors = drawn(1, 4, 3)
    density = Normal(torch.zeros(3, dtype=torch.float64), deviation)
    assert_close(negative_log_likelihood(errors, deviation), -density.log_prob(errors).sum(dim=1))


def test_the_most_likely_deviation_is_the_one_that_makes_the_batch_most_likely():
    errors = 0.3 * drawn(1, 40, 3)
    found = negative_log_likelihood(errors).mean()
    tried = torch.stack([negative_log_likelihood(errors, s).mean() for s in torch.linspace(0.1, 0.6, 501).tolist()])
    assert float(tried.min() - found) == pytest.approx(0, abs=1e-4)
    assert float(tried.min()) >= float(found)


def test_the_most_likely_deviation_has_the_gradient_that_it_would_have_if_it_were_differentiated():
    errors = drawn(1, 6, 3).requires_grad_()
    (held,) = torch.autograd.grad(negative_log_likelihood(errors).mean(), errors)
    (through,) = torch.autograd.grad(3 / 2 * errors.square().mean().log(), errors)  # the same but for a constant
    assert_close(held, through)


def test_errors_of_nothing_cost_a_finite_amount():
    errors = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    terms = negative_log_likelihood(errors)
    assert terms.isfinite().all()
    (gradient,) = torch.autograd.grad(terms.sum(), errors)
    assert gradient.abs().max() == 0


@pytest.fixture
def principal():
    """Probabilistic PCA with orthogonal directions, whose posterior is one that an encoder can state: players, data.

    x = W·z + b + s·ε, and z given x is N(M⁻¹Wᵀ(x − b), s²M⁻¹) with M = WᵀW + s², which is diagonal here.
    """
    directions = torch.linalg.qr(drawn(1, DIMENSION, LATENT_DIM)).Q * torch.tensor([2.0, 0.5], dtype=torch.float64)
    bias = drawn(2, DIMENSION)
    inverse = torch.linalg.inv(directions.T @ directions + DEVIATION**2 * torch.eye(LATENT_DIM, dtype=torch.float64))
    to_means = inverse @ directions.T
    log_variances = (DEVIATION**2 * inverse.diagonal()).log()
    encoder = linear(torch.cat([to_means, torch.zeros_like(to_means)]), torch.cat([-to_means @ bias, log_variances]))
    return {"generator": linear(directions, bias), "encoder": encoder}, 2 * drawn(3, 4, DIMENSION) + 1


def likelihood(generator, real):
    """The exact logarithm of the density that the generator and the deviation define: (N,)."""
    covariance = generator.weight @ generator.weight.T + DEVIATION**2 * torch.eye(DIMENSION, dtype=torch.float64)
    return MultivariateNormal(generator.bias, covariance).log_prob(real)


@pytest.fixture
def exact_draws(monkeypatch):
    """Instead of random latents, each sample has 2·Z of them whose means of squares are those of the Gaussian."""
    points = math.sqrt(LATENT_DIM) * torch.eye(LATENT_DIM, dtype=torch.float64)
    points = torch.cat([points, -points])  # (2·Z, Z)

    def drawn_exactly(means, log_variances, rng):
        return means + torch.exp(log_variances / 2) * points.repeat(len(means) // len(points), 1)

    monkeypatch.setattr(variational, "drawn", drawn_exactly)
    return len(points)


def bounds(networks, real, each, make_scene):
    """The bound of each sample, the mean over its latents taken."""
    terms = VAE(deviation=DEVIATION).bound(make_scene(networks, real.repeat_interleave(each, 0)))
    return -sum(terms.values()).view(-1, each).mean(dim=1)


def test_the_bound_is_the_likelihood_where_the_encoder_is_the_posterior(principal, exact_draws, make_scene):
    networks, real = principal
    assert_close(bounds(networks, real, exact_draws, make_scene), likelihood(networks["generator"], real))


def test_the_generators_gradient_is_that_of_the_likelihood_there(principal, exact_draws, make_scene):
    networks, real = principal
    generator = networks["generator"]
    found = torch.autograd.grad(bounds(networks, real, exact_draws, make_scene).sum(), list(generator.parameters()))
    expected = torch.autograd.grad(likelihood(generator, real).sum(), list(generator.parameters()))
    assert_close(list(found), list(expected))


def test_the_encoders_gradient_vanishes_there_and_any_other_encoder_loosens_the_bound(
    principal, exact_draws, make_scene
):
    networks, real = principal
    encoder = networks["encoder"]
    bound = bounds(networks, real, exact_draws, make_scene)
    for gradient in torch.autograd.grad(bound.sum(), list(encoder.parameters())):
        assert_close(gradient, torch.zeros_like(gradient))
    with torch.no_grad():
        encoder.bias += 0.1 * drawn(9, len(encoder.bias))
    assert (bounds(networks, real, exact_draws, make_scene) < bound - 1e-4).all()


@pytest.mark.parametrize("player", ["generator", "encoder"])
@pytest.mark.parametrize("deviation", [0.5, None])
def test_both_gradients_of_the_bound_are_its_slopes(deviation, player, make_scene):
    networks = {"generator": small_generator(), "encoder": small_encoder(2 * LATENT_DIM)}

    def minimised():
        return VAE(beta=0.7, deviation=deviation).bound(make_scene(networks))

    found, expected = gradients(minimised(), networks[player]), slopes(minimised, networks[player])
    assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_beta_weighs_the_divergence_alone(make_scene):
    networks = {"generator": small_generator(), "encoder": small_encoder(2 * LATENT_DIM)}
    one, three = (VAE(beta=beta, deviation=1.0).bound(make_scene(networks)) for beta in (1.0, 3.0))
    assert_close(three["divergence"], 3 * one["divergence"])
    assert_close(three["reconstruction"], one["reconstruction"])


def test_the_reconstruction_of_images_is_a_sum_over_all_their_numbers(make_scene):
    real = torch.ones(2, 3, 2, 2, dtype=torch.float64)
    networks = {
        "generator": nn.Sequential(linear(torch.zeros(12, 2), torch.zeros(12)), nn.Unflatten(1, (3, 2, 2))),
        "encoder": nn.Sequential(nn.Flatten(), linear(torch.zeros(4, 12), torch.zeros(4))),
    }
    terms = VAE(deviation=1.0).bound(make_scene(networks, real))
    assert_close(terms["reconstruction"], torch.full((2,), 12 / 2 * (1 + math.log(2 * math.pi)), dtype=torch.float64))
    assert_close(terms["divergence"], torch.zeros(2, dtype=torch.float64))


def test_a_vae_has_an_encoder_with_two_outputs_for_each_latent_and_moves_it_with_the_generator():
    asked = []
    networks = VAE().networks(lambda shape, **given: asked.append((shape, given)), 7, (1, 8, 8))
    assert set(networks) == {"encoder"}
    assert asked == [((1, 8, 8), {"outputs": 14})]
    (turn,) = VAE().turns()
    assert turn.players == ("generator", "encoder")
    assert turn.every_batch


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: VAE(beta=-1.0), "vae: beta is -1.0, expected 0 or more"),
        (lambda: VAE(deviation=0.0), "vae: deviation is 0.0, expected more than 0"),
        (lambda: VAE(deviation=math.nan), "vae: deviation is nan, expected more than 0"),
        (lambda: VAEGAN(gamma=-1.0), "vae-gan: gamma is -1.0, expected 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ChoiceError, match=message):
        build()


# --- VAE-GAN


@pytest.fixture
def three():
    return {
        "generator": small_generator(),
        "encoder": small_encoder(2 * LATENT_DIM),
        "critic": initialised(SmallCritic(), 3),
    }


def by_hand(networks, scene):
    """x̃, x_p and the feature distance, with the scene's own random numbers."""
    means, log_variances = networks["encoder"](scene.real).chunk(2, dim=1)
    noise = torch.randn(means.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    again = networks["generator"](means + torch.exp(log_variances / 2) * noise)
    new = networks["generator"](scene.latents)
    features = [torch.tanh(networks["critic"].hidden(samples)) for samples in (scene.real, again)]
    return again, new, ((features[0] - features[1]) ** 2).sum(dim=1) / 2, divergence(means, log_variances)


def test_the_critic_tells_real_samples_from_both_kinds_of_fakes(three, make_scene):
    scene, critic = make_scene(three), three["critic"]
    again, new, _, _ = by_hand(three, scene)
    terms = VAEGAN().criticism(scene)
    assert list(terms) == ["adversarial"]
    expected = softplus(-critic(scene.real)) + softplus(critic(again)) + softplus(critic(new))
    assert_close(terms["adversarial"], expected)


def test_the_encoder_pays_for_divergence_and_for_features_that_differ(three, make_scene):
    scene = make_scene(three)
    _, _, distance, apart = by_hand(three, scene)
    terms = VAEGAN(gamma=0.3).encoding(scene)
    assert_close(dict(terms), {"divergence": apart, "reconstruction": distance})


def test_the_generator_pays_for_features_that_differ_and_for_fakes_that_are_seen_through(three, make_scene):
    scene, critic = make_scene(three), three["critic"]
    again, new, distance, _ = by_hand(three, scene)
    terms = VAEGAN(gamma=0.3).generation(scene)
    adversarial = softplus(-critic(again)) + softplus(-critic(new))
    assert_close(dict(terms), {"reconstruction": 0.3 * distance, "adversarial": adversarial})


def test_the_encoder_gains_nothing_by_fooling_the_critic(three, make_scene):
    before = gradients(VAEGAN().encoding(make_scene(three)), three["encoder"])
    with torch.no_grad():
        three["critic"].out.weight.mul_(-7)
        three["critic"].out.bias.add_(3)
    assert_close(gradients(VAEGAN().encoding(make_scene(three)), three["encoder"]), before, rtol=0, atol=0)


@pytest.mark.parametrize(("move", "untouched"), [("criticism", ("generator", "encoder")), ("generation", ("encoder",))])
def test_no_turn_reaches_those_whose_it_is_not(move, untouched, three, make_scene):
    terms = getattr(VAEGAN(), move)(make_scene(three))
    for name in untouched:
        assert gradients(terms, three[name]) == [None] * 4


def test_real_features_are_the_target_and_are_not_drawn_to_the_reconstructions(three, make_scene):
    shared = make_scene(three)
    found = gradients(
        {"reconstruction": VAEGAN(gamma=1.0).generation(shared)["reconstruction"]}, three["critic"].hidden
    )

    def target():
        real = torch.tanh(three["critic"].hidden(shared.real)).detach()
        again, *_ = by_hand(three, shared)
        return {"reconstruction": (real - torch.tanh(three["critic"].hidden(again.detach()))).square().sum(dim=1) / 2}

    assert_close(found, gradients(target(), three["critic"].hidden))


@pytest.mark.parametrize(
    ("move", "player"), [("criticism", "critic"), ("encoding", "encoder"), ("generation", "generator")]
)
def test_each_turns_gradient_is_its_slope(move, player, three, make_scene):
    def minimised():
        return getattr(VAEGAN(gamma=0.3), move)(make_scene(three))

    assert_close(gradients(minimised(), three[player]), slopes(minimised, three[player]), rtol=1e-5, atol=1e-6)


def test_a_vae_gan_moves_one_network_a_turn_the_critic_first():
    assert [turn.players for turn in VAEGAN().turns()] == [("critic",), ("encoder",), ("generator",)]
    assert [turn.optimiser for turn in VAEGAN().turns()] == ["discriminator", "generator", "generator"]
    asked = []
    networks = VAEGAN().networks(lambda shape, **given: asked.append(given), 7, (2,))
    assert list(networks) == ["encoder", "critic"]
    assert asked == [{"outputs": 14}, {}]
