from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ganbench.errors import DataError
from ganbench.protocols import Data, Evidence, Extractor
from ganbench.terms import Score
from ganbench_metrics.memorisation import Memorisation

TOY = Extractor(torch.nn.Identity(), "toy", "ab", layer="fc", dimension=4)


def drawn(count: int, seed: int) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def memorised(train: Tensor | None, real: Tensor, fake: Tensor) -> Score:
    pixels = torch.zeros(len(real), 1, 1, 1)
    evidence = Evidence(torch.zeros(len(fake), 1), pixels, Data(pixels, pixels), TOY, fake, real, train_features=train)
    (score,) = Memorisation()(evidence)
    return score


def test_the_score_says_how_it_was_measured():
    score = memorised(drawn(60, 0), drawn(30, 1), drawn(40, 2))
    assert (score.name, score.direction, score.n_fake, score.n_real) == ("memorised_toy", "lower", 40, 30)
    assert score.settings == "n_train=60"


def test_training_samples_themselves_are_all_memorised():
    train = drawn(100, 0)
    assert memorised(train, drawn(50, 1), train[:50]).value == 1


def test_copies_of_held_out_samples_are_as_far_below_zero_as_can_be():
    real = drawn(50, 1)
    assert memorised(drawn(100, 0), real, real.clone()).value == pytest.approx(-100 / 50)


def test_half_copies_and_half_held_out_copies_by_hand():
    train, real = drawn(60, 0), drawn(40, 1)
    fake = torch.cat([train[:30], real[:10]])
    assert memorised(train, real, fake).value == pytest.approx((0.75 - 0.6) / 0.4)


@pytest.mark.parametrize(("train", "real"), [(200, 200), (900, 100)])
def test_independent_samples_score_zero_within_the_noise_that_is_told(train, real):
    runs = [memorised(drawn(train, seed), drawn(real, 200 + seed), drawn(150, 400 + seed)) for seed in range(1, 101)]
    values = np.array([run.value for run in runs])
    assert abs(values.mean()) < 4 * values.std() / 10
    assert np.mean([run.noise for run in runs]) == pytest.approx(values.std(), rel=0.3)


def test_samples_near_to_training_samples_are_memorised_in_part():
    train = drawn(500, 0)
    copies = [memorised(train, drawn(500, 1), train + spread * drawn(500, 2)).value for spread in (0.1, 0.3, 1.0)]
    assert 1 > copies[0] > copies[1] > copies[2] > -0.1
    assert copies[0] > 0.9


def test_a_sample_that_is_in_both_splits_counts_half():
    train, real = drawn(50, 0), drawn(50, 1)
    train[:25] = real[:25]
    fake = real[:25]
    assert memorised(train, real, fake).value == pytest.approx(0, abs=1e-12)


def test_a_collapsed_generator_has_the_noise_of_a_single_outcome():
    train, real = drawn(50, 0), drawn(50, 1)
    score = memorised(train, real, drawn(1, 2).repeat(500, 1))
    assert score.value in (1, -1)
    assert score.noise > 0.8
    assert memorised(train, real, drawn(500, 2)).noise < 0.3


@pytest.mark.parametrize(("train", "real", "fake"), [(19, 30, 30), (30, 19, 30), (30, 30, 19)])
def test_below_twenty_samples_there_is_no_value(train, real, fake):
    score = memorised(drawn(train, 0), drawn(real, 1), drawn(fake, 2))
    assert (score.value, score.noise) == (None, None)
    assert memorised(drawn(20, 0), drawn(20, 1), drawn(20, 2)).value is not None


def test_without_training_samples_it_says_what_is_missing():
    with pytest.raises(DataError, match="metric 'memorisation' compares with training samples"):
        memorised(None, drawn(30, 1), drawn(30, 2))
