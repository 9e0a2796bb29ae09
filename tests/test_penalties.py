from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench.penalties import (
    at_least_one,
    gradient_norms,
    gradient_penalty,
    interpolate,
    lipschitz_penalty,
    nonnegative,
    pulling_away,
    squared_gradient_norms,
    zero_centred_penalty,
)

SHAPES = [(2,), (3, 4, 4), (1, 8, 8)]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def linear_critic(norm: float, shape: tuple[int, ...]):
    """A critic whose gradient has length `norm` at every sample, spread over all dimensions."""
    direction = normal(math.prod(shape), seed=7)
    weights = norm * direction / direction.square().sum().sqrt()
    return lambda samples: samples.flatten(1) @ weights


def half_square(samples: Tensor) -> Tensor:
    """Its gradient at a sample is the sample itself."""
    return samples.flatten(1).square().sum(dim=1) / 2


def smooth_critic() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)).double()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_norm_of_a_linear_critic_is_the_norm_of_its_weights(shape):
    norms = gradient_norms(linear_critic(3.0, shape), normal(5, *shape))
    assert_close(norms, torch.full((5,), 3.0, dtype=torch.float64))


def test_gradient_norms_run_over_all_dimensions_of_an_image_not_over_channels_only():
    images = torch.ones(2, 3, 4, 4, dtype=torch.float64) * torch.tensor([1.0, 2.0], dtype=torch.float64).reshape(
        2, 1, 1, 1
    )
    norms = gradient_norms(half_square, images)
    assert_close(norms, torch.tensor([math.sqrt(48), 2 * math.sqrt(48)], dtype=torch.float64))


def test_gradient_norms_belong_to_one_sample_each():
    points = torch.tensor([[3.0, 4.0], [0.0, 0.5], [-6.0, 8.0]], dtype=torch.float64)
    assert_close(gradient_norms(half_square, points), torch.tensor([5.0, 0.5, 10.0], dtype=torch.float64))


def test_squared_gradient_norms_are_the_squares():
    points = torch.tensor([[3.0, 4.0], [0.0, 0.5]], dtype=torch.float64)
    assert_close(squared_gradient_norms(half_square, points), torch.tensor([25.0, 0.25], dtype=torch.float64))


def test_samples_are_left_as_they_were():
    samples = normal(4, 2).requires_grad_()
    zero_centred_penalty(half_square, samples * 1, 2.0).sum()
    frozen = normal(4, 2)
    gradient_norms(half_square, frozen)
    assert samples.grad is None
    assert not frozen.requires_grad


def test_penalties_do_not_reach_the_generator_behind_the_samples():
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    critic = smooth_critic()
    penalty = gradient_penalty(critic, normal(4, 2), scale * normal(4, 2, seed=1), 10.0, rng())
    assert torch.autograd.grad(penalty.sum(), scale, allow_unused=True) == (None,)


def test_interpolation_has_one_epsilon_a_sample_shared_by_all_its_dimensions():
    real, fake = torch.ones(64, 3, 4, 4), torch.zeros(64, 3, 4, 4)
    epsilon = interpolate(real, fake, rng())
    assert epsilon.shape == (64, 3, 4, 4)
    assert_close(epsilon, epsilon[:, :1, :1, :1].expand_as(epsilon), rtol=0, atol=0)
    assert len(epsilon[:, 0, 0, 0].unique()) == 64
    assert epsilon.min() >= 0
    assert epsilon.max() < 1


def test_interpolation_weighs_real_with_epsilon_and_fake_with_the_rest():
    real, fake = normal(6, 2), normal(6, 2, seed=1)
    epsilon = torch.rand(6, 1, generator=rng(5), dtype=torch.float64)
    assert_close(interpolate(real, fake, rng(5)), epsilon * real + (1 - epsilon) * fake)


def test_interpolation_depends_on_its_generator_alone():
    real, fake = normal(6, 2), normal(6, 2, seed=1)
    torch.manual_seed(1)
    first = interpolate(real, fake, rng(5))
    torch.manual_seed(2)
    assert_close(interpolate(real, fake, rng(5)), first, rtol=0, atol=0)
    assert not torch.equal(interpolate(real, fake, rng(6)), first)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 2, 64])
def test_a_critic_with_gradient_norm_1_everywhere_pays_nothing_at_any_batch_size(shape, count):
    penalty = gradient_penalty(
        linear_critic(1.0, shape), normal(count, *shape), normal(count, *shape, seed=1), 10.0, rng()
    )
    assert_close(penalty, torch.zeros(count, dtype=torch.float64), rtol=0, atol=1e-25)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 2, 64])
def test_a_critic_with_gradient_norm_3_everywhere_pays_10_times_4_a_sample(shape, count):
    penalty = gradient_penalty(
        linear_critic(3.0, shape), normal(count, *shape), normal(count, *shape, seed=1), 10.0, rng()
    )
    assert_close(penalty, torch.full((count,), 40.0, dtype=torch.float64))


def test_the_gradient_penalty_of_a_curved_critic_is_taken_between_real_and_fake():
    real, fake = normal(6, 2), normal(6, 2, seed=1)
    norms = interpolate(real, fake, rng(5)).square().sum(dim=1).sqrt()
    assert_close(gradient_penalty(half_square, real, fake, 2.5, rng(5)), 2.5 * (norms - 1) ** 2)


def test_a_lipschitz_penalty_is_taken_where_it_is_asked_for():
    points = torch.tensor([[3.0, 4.0], [0.0, 0.5]], dtype=torch.float64)
    assert_close(lipschitz_penalty(half_square, points, 2.0), torch.tensor([32.0, 0.5], dtype=torch.float64))


def test_a_one_sided_penalty_is_paid_only_where_the_critic_is_steeper_than_1():
    points = torch.tensor([[3.0, 4.0], [0.0, 0.5], [0.6, 0.8]], dtype=torch.float64)
    paid = lipschitz_penalty(half_square, points, 2.0, one_sided=True)
    assert_close(paid, torch.tensor([32.0, 0.0, 0.0], dtype=torch.float64))


def test_pulling_away_is_the_mean_squared_cosine_to_the_other_samples():
    features = torch.tensor([[1.0, 0.0], [0.0, 5.0], [2.0, 2.0]], dtype=torch.float64)  # at 90° and twice 45°
    assert_close(pulling_away(features), torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64))


def test_the_mean_of_pulling_away_is_the_published_double_sum():
    features = normal(7, 5)
    pairs = [
        (one @ other / (one.norm() * other.norm())) ** 2
        for i, one in enumerate(features)
        for j, other in enumerate(features)
        if i != j
    ]
    assert_close(pulling_away(features).mean(), sum(pairs) / (7 * 6))


def test_pulling_away_does_not_depend_on_the_length_of_features_and_knows_samples_without_any():
    features = normal(7, 5)
    lengths = torch.arange(1.0, 8.0, dtype=torch.float64).unsqueeze(1)
    assert_close(pulling_away(features * lengths), pulling_away(features))
    features[2] = 0
    features.requires_grad_()
    (slope,) = torch.autograd.grad(pulling_away(features).sum(), features)
    assert torch.isfinite(slope).all()
    assert_close(pulling_away(features)[2], torch.tensor(0.0, dtype=torch.float64))


def test_a_sample_alone_is_pulled_away_from_nothing():
    assert_close(pulling_away(normal(1, 5)), torch.zeros(1, dtype=torch.float64))


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_a_negative_weight_is_refused_by_its_owners_name(value):
    with pytest.raises(ChoiceError, match=rf"^hinge: margin is {value}, expected 0 or more$"):
        nonnegative("hinge", "margin", value)
    assert nonnegative("hinge", "margin", 0.0) == 0.0


def test_an_interval_of_less_than_1_is_refused_by_its_owners_name():
    with pytest.raises(ChoiceError, match=r"^r1: every is 0, expected 1 or more$"):
        at_least_one("r1", "every", 0)
    assert at_least_one("r1", "every", 1) == 1


def test_a_linear_critic_pays_in_r1_half_gamma_times_the_squared_weight_norm():
    penalty = zero_centred_penalty(linear_critic(3.0, (2,)), normal(4, 2), gamma=0.5)
    assert_close(penalty, torch.full((4,), 0.5 / 2 * 9, dtype=torch.float64))


def test_permuting_the_samples_permutes_the_penalties():
    critic, samples = smooth_critic(), normal(8, 2)
    order = torch.randperm(8, generator=rng(1))
    penalty = zero_centred_penalty(critic, samples, 10.0)
    assert_close(zero_centred_penalty(critic, samples[order], 10.0), penalty[order])
    assert penalty.unique().numel() == 8


def test_penalties_of_a_batch_are_those_of_its_samples_alone():
    critic, samples = smooth_critic(), normal(8, 2)
    alone = torch.cat([gradient_norms(critic, sample[None]) for sample in samples])
    assert_close(gradient_norms(critic, samples), alone)


@pytest.mark.parametrize("one_centred", [True, False])
def test_the_gradient_of_a_penalty_in_the_critics_weights_matches_finite_differences(one_centred):
    critic, real, fake = smooth_critic(), normal(4, 2), normal(4, 2, seed=1)
    names = [name for name, _ in critic.named_parameters()]

    def penalty(*weights: Tensor) -> Tensor:
        def bound(samples: Tensor) -> Tensor:
            return torch.func.functional_call(critic, dict(zip(names, weights, strict=True)), (samples,))

        return (
            gradient_penalty(bound, real, fake, 10.0, rng()) if one_centred else zero_centred_penalty(bound, real, 10.0)
        )

    assert torch.autograd.gradcheck(penalty, tuple(weight.detach().requires_grad_() for weight in critic.parameters()))


@pytest.mark.parametrize("one_centred", [True, False])
def test_a_critic_with_no_slope_at_all_still_gets_finite_weight_gradients(one_centred):
    critic = nn.Linear(2, 1).double()
    nn.init.zeros_(critic.weight)

    def logits(samples: Tensor) -> Tensor:
        return critic(samples).squeeze(1)

    real, fake = normal(4, 2), normal(4, 2, seed=1)
    penalty = (
        gradient_penalty(logits, real, fake, 10.0, rng()) if one_centred else zero_centred_penalty(logits, real, 10.0)
    )
    (gradient,) = torch.autograd.grad(penalty.mean(), [critic.weight])
    assert_close(penalty, torch.full((4,), 10.0 if one_centred else 0.0, dtype=torch.float64))
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_penalties_keep_the_precision_of_the_samples(dtype):
    real, fake = normal(4, 2).to(dtype), normal(4, 2, seed=1).to(dtype)
    assert gradient_penalty(half_square, real, fake, 10.0, rng()).dtype == dtype
    assert zero_centred_penalty(half_square, real, 10.0).dtype == dtype
