from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
import torch
from featured import evidence, mixed, normal, values
from torch_fidelity.metric_kid import kid_features_to_metric

from ganbench.errors import ChoiceError
from ganbench_metrics import kernel, pairs
from ganbench_metrics.kernel import Kernel, jackknife


@pytest.fixture
def small_subsets(monkeypatch):
    monkeypatch.setattr(kernel, "LARGEST_SUBSET", 50)


def by_torch_fidelity(real, fake, **sampling) -> tuple[float, float]:
    found = kid_features_to_metric(fake.double(), real.double(), verbose=False, **sampling)
    return found["kernel_inception_distance_mean"], found["kernel_inception_distance_std"]


def unbiased(real: torch.Tensor, fake: torch.Tensor) -> float:
    """MMD² under the cubic kernel by the textbook, for any numbers of samples."""
    kernels = [
        ((left @ right.T) / left.shape[1] + 1) ** 3 for left, right in ((real, real), (fake, fake), (real, fake))
    ]
    alike = [(matrix.sum() - matrix.trace()) / (len(matrix) * (len(matrix) - 1)) for matrix in kernels[:2]]
    return float(alike[0] + alike[1] - 2 * kernels[2].mean())


def test_by_hand():
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    (score,) = Kernel()(evidence(real, fake))  # k(0,1) + k(1,2) - (k(0,1) + k(0,2) + k(1,1) + k(1,2)) / 2
    assert score.value == pytest.approx(1 + 27 - (1 + 1 + 8 + 27) / 2)
    assert (score.name, score.direction, score.mean) == ("kid_toy", "lower", "arithmetic")


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(("reals", "fakes"), [(200, 200), (120, 90), (50, 130)])
@pytest.mark.parametrize("side", [512, 17])
def test_it_is_torch_fidelitys_number_by_either_way_to_sum(small_subsets, monkeypatch, at_once, reals, fakes, side):
    monkeypatch.setattr(kernel, "_once_is_cheaper", lambda *_: at_once)
    monkeypatch.setattr(pairs, "SIDE", side)
    real, fake = mixed(reals, 6, 0).float(), mixed(fakes, 6, 1).float() + 0.2
    (score,) = Kernel(subsets=7)(evidence(real, fake, rng_seed=3))
    mean, _ = by_torch_fidelity(real, fake, kid_subsets=7, kid_subset_size=50, rng_seed=3)
    assert score.value == pytest.approx(mean, rel=1e-9)
    assert score.settings == "kid_subsets=7, kid_subset_size=50, rng_seed=3"


def test_one_subset_that_holds_every_sample_is_the_textbooks_statistic():
    real, fake = mixed(80, 4, 0), mixed(80, 4, 1) + 0.2
    (score,) = Kernel()(evidence(real, fake))
    assert score.value == pytest.approx(unbiased(real, fake), rel=1e-9)
    assert score.settings == "kid_subsets=1, kid_subset_size=80, rng_seed=0"


def test_pairs_are_summed_at_once_where_that_is_less_arithmetic():
    def features(count, dimension):
        return torch.empty(count, dimension)

    assert kernel._once_is_cheaper(features(5000, 2048), features(5000, 2048), 100, 1000)
    assert not kernel._once_is_cheaper(features(50_000, 2048), features(50_000, 2048), 100, 1000)
    assert not kernel._once_is_cheaper(features(10_000, 64), features(10_000, 64), 100, 1000)


def test_subsets_are_as_many_as_asked_for_and_follow_the_seed(small_subsets):
    shown = evidence(mixed(200, 3, 0), mixed(200, 3, 1))
    three, thirty = Kernel(subsets=3)(shown)[0], Kernel(subsets=30)(shown)[0]
    assert three.value != thirty.value
    assert Kernel(subsets=3)(shown)[0] == three
    assert Kernel(subsets=3)(replace(shown, rng_seed=1))[0].value != three.value


def test_sums_over_the_real_side_are_remembered_for_the_same_subsets_only(small_subsets):
    real = mixed(200, 3, 0)
    shown = evidence(real, mixed(200, 3, 1))
    first = Kernel(subsets=5)(shown)[0]
    for fakes, seed, subsets in ((200, 0, 5), (150, 0, 5), (200, 1, 5), (200, 0, 6)):
        fresh = evidence(real, mixed(fakes, 3, 2), rng_seed=seed)
        recalled = replace(fresh, of_real=shown.of_real)
        assert Kernel(subsets)(recalled) == Kernel(subsets)(fresh)
        assert Kernel(subsets)(fresh)[0].value != first.value


def test_equal_distributions_score_0_on_average_and_values_below_it_are_kept():
    found = [Kernel()(evidence(normal(100, 4, trial), normal(100, 4, trial + 100)))[0] for trial in range(40)]
    observed = [score.value for score in found]
    assert min(observed) < 0 < max(observed)
    assert abs(statistics.mean(observed)) < 3 * statistics.stdev(observed) / 40**0.5


def test_the_jackknife_leaves_out_one_sample_of_either_side():
    real, fake = mixed(12, 3, 0), mixed(12, 3, 1) + 0.2
    without_real = [unbiased(torch.cat([real[:n], real[n + 1 :]]), fake) for n in range(12)]
    without_fake = [unbiased(real, torch.cat([fake[:n], fake[n + 1 :]])) for n in range(12)]
    variance = 11 * (statistics.pvariance(without_real) + statistics.pvariance(without_fake))
    assert jackknife(real, fake) == pytest.approx(variance**0.5, rel=1e-9)


@pytest.mark.parametrize(("count", "shift"), [(50, 0.3), (400, 0.3), (400, 0.0), (55, 0.3)])
def test_noise_is_the_deviation_over_repeated_samples(small_subsets, count, shift):
    trials = [
        Kernel(subsets=40)(evidence(normal(count, 4, 2 * trial), normal(count, 4, 2 * trial + 1) + shift))[0]
        for trial in range(60)
    ]
    seen = statistics.stdev(score.value for score in trials)
    estimated = statistics.mean(score.noise for score in trials)
    assert 0.7 * seen < estimated < (1.5 if shift else 3) * seen


def test_sides_of_different_number_in_one_subset_have_no_noise():
    (score,) = Kernel()(evidence(mixed(30, 2, 0), mixed(31, 2, 1)))
    assert score.value is not None
    assert score.noise is None
    assert Kernel(subsets=1)(evidence(mixed(30, 2, 0), mixed(30, 2, 1)))[0].noise > 0


@pytest.mark.parametrize("count", [0, 1])
def test_one_sample_a_side_is_too_few(count):
    features = mixed(9, 2, 0)
    assert values(Kernel()(evidence(features, features[:count]))) == {"kid_toy": None}
    assert values(Kernel()(evidence(features[:count], features))) == {"kid_toy": None}


def test_no_subsets_are_refused():
    with pytest.raises(ChoiceError, match="subsets is 0, expected at least 1"):
        Kernel(subsets=0)
