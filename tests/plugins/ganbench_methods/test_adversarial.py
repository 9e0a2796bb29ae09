from __future__ import annotations

import pytest
import torch
from scenes import (
    DIMENSION,
    LATENT_DIM,
    PairCritic,
    SmallCritic,
    drawn,
    gradients,
    initialised,
    slopes,
    small_encoder,
    small_generator,
)
from torch.nn.functional import leaky_relu, softplus
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_methods.adversarial import AAE, BiGAN, Joint
from ganbench_mlp.networks import MLPDiscriminator


@pytest.fixture
def regularised():
    """An adversarial autoencoder's networks: the critic judges latents."""
    return {
        "generator": small_generator(),
        "encoder": small_encoder(LATENT_DIM),
        "critic": initialised(SmallCritic(LATENT_DIM), 3),
    }


@pytest.fixture
def paired():
    """A bidirectional GAN's networks: the critic judges pairs."""
    return {
        "generator": small_generator(),
        "encoder": small_encoder(LATENT_DIM),
        "critic": initialised(PairCritic(), 3),
    }


# --- AAE


def test_the_autoencoder_pays_half_the_squared_distance_over_all_numbers(regularised, make_scene):
    scene = make_scene(regularised)
    again = regularised["generator"](regularised["encoder"](scene.real))
    expected = torch.stack([0.3 * sum(d**2 for d in row) / 2 for row in again - scene.real])
    assert_close(dict(AAE(reconstruction=0.3).errors(scene)), {"reconstruction": expected})


def test_to_the_critic_the_prior_is_real_and_the_code_is_fake(regularised, make_scene):
    scene, critic = make_scene(regularised), regularised["critic"]
    terms = AAE().criticism(scene)
    expected = softplus(-critic(scene.latents)) + softplus(critic(regularised["encoder"](scene.real)))
    assert_close(dict(terms), {"adversarial": expected})


def test_the_encoder_wants_its_codes_taken_for_the_prior(regularised, make_scene):
    scene = make_scene(regularised)
    expected = softplus(-regularised["critic"](regularised["encoder"](scene.real)))
    assert_close(dict(AAE().disguise(scene)), {"adversarial": expected})


@pytest.mark.parametrize(
    ("move", "players", "others"),
    [
        ("errors", ("generator", "encoder"), ("critic",)),
        ("criticism", ("critic",), ("generator", "encoder")),
        ("disguise", ("encoder",), ("generator",)),
    ],
)
def test_an_aaes_turns_reach_their_players_with_the_right_gradient(move, players, others, regularised, make_scene):
    def minimised():
        return getattr(AAE(reconstruction=0.3), move)(make_scene(regularised))

    for name in players:
        found, expected = gradients(minimised(), regularised[name]), slopes(minimised, regularised[name])
        assert_close(found, expected, rtol=1e-5, atol=1e-6)
    for name in others:
        assert set(gradients(minimised(), regularised[name])) == {None}


def test_an_aaes_encoder_moves_twice_a_step_with_an_optimiser_for_each_aim():
    turns = AAE().turns()
    assert [turn.players for turn in turns] == [("generator", "encoder"), ("critic",), ("encoder",)]
    assert [turn.optimiser for turn in turns] == ["generator", "discriminator", "generator"]
    assert len({turn.name for turn in turns}) == 3


def test_an_aaes_encoder_has_an_output_for_each_latent_and_its_critic_judges_latents():
    asked = []
    networks = AAE(width=5).networks(lambda shape, **given: asked.append((shape, given)), 7, (1, 8, 8))
    assert asked == [((1, 8, 8), {"outputs": 7})]
    assert networks["critic"](torch.randn(3, 7)).shape == (3,)
    assert sum(weight.numel() for weight in networks["critic"].parameters()) == (7 + 1) * 5 + (5 + 1) * 5 + 5 + 1


# --- BiGAN


def pairs(networks, scene):
    """The logits of real samples with their codes, and of fakes with their latents."""
    weight, bias = networks["critic"].linear.weight[0], networks["critic"].linear.bias
    codes, fake = networks["encoder"](scene.real), networks["generator"](scene.latents)
    real_logits = scene.real @ weight[:DIMENSION] + codes @ weight[DIMENSION:] + bias
    return real_logits, fake @ weight[:DIMENSION] + scene.latents @ weight[DIMENSION:] + bias


def test_the_critic_of_pairs_tells_samples_with_codes_from_fakes_with_latents(paired, make_scene):
    scene = make_scene(paired)
    real_logits, fake_logits = pairs(paired, scene)
    expected = softplus(-real_logits) + softplus(fake_logits)
    assert_close(dict(BiGAN().criticism(scene)), {"adversarial": expected})


def test_generator_and_encoder_want_the_opposite(paired, make_scene):
    scene = make_scene(paired)
    real_logits, fake_logits = pairs(paired, scene)
    expected = softplus(real_logits) + softplus(-fake_logits)
    assert_close(dict(BiGAN().disguise(scene)), {"adversarial": expected})


def test_an_encoders_step_makes_real_pairs_look_more_fake(paired, make_scene):
    scene = make_scene(paired)
    before, _ = pairs(paired, scene)
    found = gradients(BiGAN().disguise(scene), paired["encoder"])
    with torch.no_grad():
        for weight, gradient in zip(paired["encoder"].parameters(), found, strict=True):
            weight.sub_(1e-3 * gradient)
    after, _ = pairs(paired, scene)
    assert (after - before).detach().mean() < 0


@pytest.mark.parametrize(
    ("move", "players", "others"),
    [("criticism", ("critic",), ("generator", "encoder")), ("disguise", ("generator", "encoder"), ())],
)
def test_a_bigans_turns_reach_their_players_with_the_right_gradient(move, players, others, paired, make_scene):
    def minimised():
        return getattr(BiGAN(), move)(make_scene(paired))

    for name in players:
        assert_close(gradients(minimised(), paired[name]), slopes(minimised, paired[name]), rtol=1e-5, atol=1e-6)
    for name in others:
        assert set(gradients(minimised(), paired[name])) == {None}


def test_a_stochastic_encoders_codes_are_drawn_by_the_scenes_random_numbers(paired, make_scene):
    networks = {**paired, "encoder": small_encoder(2 * LATENT_DIM)}
    scene = make_scene(networks, seed=4)
    means, log_variances = networks["encoder"](scene.real).chunk(2, dim=1)
    noise = torch.randn(means.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    codes = means + torch.exp(log_variances / 2) * noise
    _, fake_logits = pairs(paired, scene)
    expected = softplus(networks["critic"](scene.real, codes)) + softplus(-fake_logits)
    assert_close(dict(BiGAN(stochastic=True).disguise(scene)), {"adversarial": expected})


@pytest.mark.parametrize(("stochastic", "outputs"), [(False, 7), (True, 14)])
def test_a_bigans_discriminator_is_made_as_encoder_and_as_part_of_the_critic(stochastic, outputs):
    asked = []

    def make(shape, **given):
        asked.append(given)
        return MLPDiscriminator(shape, width=6, depth=1, **given)

    networks = BiGAN(width=5, stochastic=stochastic).networks(make, 7, (1, 4, 4))
    assert asked == [{"outputs": outputs}, {"outputs": 5}]
    assert networks["encoder"](torch.randn(3, 1, 4, 4)).shape == (3, outputs)
    assert networks["critic"](torch.randn(3, 1, 4, 4), torch.randn(3, 7)).shape == (3,)
    assert [turn.players for turn in BiGAN().turns()] == [("critic",), ("generator", "encoder")]


def test_the_joint_critic_joins_features_of_the_sample_and_of_its_latents():
    critic = initialised(Joint(small_encoder(5), LATENT_DIM, 5), 8)
    samples, latents = drawn(1, 4, DIMENSION), drawn(2, 4, LATENT_DIM)
    features = leaky_relu(critic.samples(samples), 0.2), leaky_relu(critic.latents[0](latents), 0.2)
    hidden = torch.cat(features, dim=1)
    for layer in (critic.both[0], critic.both[2]):
        hidden = leaky_relu(hidden @ layer.weight.T + layer.bias, 0.2)
    assert_close(critic(samples, latents), (hidden @ critic.both[4].weight.T + critic.both[4].bias)[:, 0])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AAE(reconstruction=-1.0), "aae: reconstruction is -1.0, expected 0 or more"),
        (lambda: AAE(width=0), "aae: width is 0, expected 1 or more"),
        (lambda: BiGAN(width=0), "bigan: width is 0, expected 1 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ChoiceError, match=message):
        build()
