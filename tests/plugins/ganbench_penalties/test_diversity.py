from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_penalties.diversity import FeatureMatching, ModeSeeking, PullingAway

REAL, FAKE = [[1.0, 0.0], [3.0, 2.0]], [[0.0, 2.0], [2.0, 2.0]]


class Judge:
    """A critic whose features are the samples themselves, three times as large."""

    def __call__(self, samples: Tensor) -> Tensor:
        return samples[:, 0]

    def judge(self, samples: Tensor) -> dict[str, Tensor]:
        return {"logits": samples[:, 0], "features": 3 * samples}


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def latent_game(make_game, factor: float = 2.0):
    latents = torch.randn(6, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    game = make_game(torch.zeros(6, 3), factor * latents)
    return replace(game, latents=latents, generator=lambda given: factor * given)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_generator_that_stretches_all_distances_by_a_factor_pays_its_inverse(make_game, factor):
    paid = ModeSeeking().generator(latent_game(make_game, factor))["mode_seeking"]
    assert_close(paid, torch.full((6,), 1 / (factor + 1e-5), dtype=torch.float64))


def test_the_ratio_is_that_of_the_mean_distances_of_the_batch(make_game):
    game = latent_game(make_game)
    game = replace(game, fake=game.latents**3, generator=lambda given: given**3)
    others = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ratio = (game.latents**3 - others**3).abs().mean() / (game.latents - others).abs().mean()
    assert_close(ModeSeeking(weight=0.3).generator(game)["mode_seeking"], (0.3 / (ratio + 1e-5)).expand(6))


def test_a_generator_that_always_makes_the_same_pays_a_finite_price_with_a_finite_slope(make_game):
    game = latent_game(make_game)
    made = torch.ones(6, 3, dtype=torch.float64, requires_grad=True)
    paid = ModeSeeking().generator(replace(game, fake=made, generator=torch.ones_like))
    assert_close(paid["mode_seeking"], torch.full((6,), 1e5, dtype=torch.float64))
    (slope,) = torch.autograd.grad(paid["mode_seeking"].mean(), made)
    assert torch.isfinite(slope).all()


def test_mode_seeking_falls_as_fakes_move_apart(make_game):
    near, far = (ModeSeeking().generator(latent_game(make_game, factor))["mode_seeking"] for factor in (1.0, 1.1))
    assert (far < near).all()


def test_mode_seeking_moves_the_generator_on_both_sides_of_a_pair(make_game):
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    game = latent_game(make_game)
    game = replace(game, fake=scale * game.latents, generator=lambda given: scale * given)
    (slope,) = torch.autograd.grad(ModeSeeking().generator(game)["mode_seeking"].mean(), scale)
    assert_close(slope, torch.tensor(-1 / (2 + 1e-5) ** 2, dtype=torch.float64))


def test_feature_matching_is_the_squared_distance_of_mean_features(make_game):
    # Mean features 3·(2, 1) and 3·(1, 2): 9·(1 + 1).
    paid = FeatureMatching(weight=0.5).generator(make_game(REAL, FAKE, critic=Judge()))
    assert list(paid) == ["feature_matching"]
    assert_close(paid["feature_matching"], tensor(9.0, 9.0))


def test_feature_matching_asks_only_for_equal_means(make_game):
    paid = FeatureMatching().generator(make_game(REAL, [[4.0, -1.0], [0.0, 3.0]], critic=Judge()))
    assert_close(paid["feature_matching"], tensor(0.0, 0.0))


def test_the_gradient_of_feature_matching_is_that_of_the_means(make_game):
    game = make_game(REAL, FAKE, critic=Judge())
    fake = game.fake.clone().requires_grad_()
    real = game.real.clone().requires_grad_()
    term = FeatureMatching().generator(replace(game, real=real, fake=fake))["feature_matching"].mean()
    slopes = torch.autograd.grad(term, [fake, real], allow_unused=True)
    assert_close(slopes[0], tensor(-9.0, 9.0).expand(2, 2))  # 2 · 3² · (mean fake − mean real) / N
    assert slopes[1] is None


def test_pulling_away_is_a_tenth_of_the_mean_squared_cosine_to_the_others(make_game):
    fake = [[1.0, 0.0], [0.0, 5.0], [2.0, 2.0]]  # at 90° and twice 45°
    paid = PullingAway().generator(make_game(fake, fake, critic=Judge()))
    assert list(paid) == ["pulling_away"]
    assert_close(paid["pulling_away"], 0.1 * tensor(0.25, 0.25, 0.5))


@pytest.mark.parametrize("penalty", [FeatureMatching(), PullingAway()])
def test_permuting_the_fakes_permutes_the_term(make_game, penalty):
    fake = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    order = [3, 1, 4, 0, 2]
    (straight,) = penalty.generator(make_game(fake + 1, fake, critic=Judge())).values()
    (turned,) = penalty.generator(make_game(fake + 1, fake[order], critic=Judge())).values()
    assert_close(turned, straight[order])


@pytest.mark.parametrize(
    ("build", "name"),
    [(ModeSeeking, "mode-seeking"), (FeatureMatching, "feature-matching"), (PullingAway, "pulling-away")],
)
def test_a_negative_weight_is_refused(build, name):
    with pytest.raises(ChoiceError, match=f"{name}: weight is -1, expected 0 or more"):
        build(weight=-1)
