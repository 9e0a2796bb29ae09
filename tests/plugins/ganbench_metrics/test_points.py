"""Metrics of points against SciPy, a double loop and closed forms; and which faults each of them sees."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

import ganbench_metrics.points as module
from ganbench.errors import ChoiceError, DataError
from ganbench.protocols import Data, Evidence, Memory, Metric, Places
from ganbench_metrics.declarations import points as declarations
from ganbench_metrics.points import KernelDiscrepancy, LogLikelihood, SlicedWasserstein
from ganbench_points.data import ring8, spiral
from ganbench_points.mixture import Mixture

METRICS = [SlicedWasserstein(), KernelDiscrepancy(), LogLikelihood()]
RING = ring8(Places())


def normal(count: int, dimension: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    drawn = torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))
    return drawn * scale + shift


def evidence(real: Tensor, fake: Tensor, data: Data = RING, memory: Memory | None = None) -> Evidence:
    return Evidence(fake=fake, real=real, data=data, of_real=memory or Memory())


def value(metric: Metric, real: Tensor, fake: Tensor, data: Data = RING) -> float:
    return metric(evidence(real, fake, data))[0].value


def noise(metric: Metric, real: Tensor, fake: Tensor, data: Data = RING) -> float:
    return metric(evidence(real, fake, data))[0].noise


@pytest.mark.parametrize(
    ("metric", "component"),
    [*zip(METRICS, declarations.COMPONENTS[1:], strict=True)],
)
def test_each_score_is_as_it_is_declared(metric, component):
    (score,), (measure,) = metric(evidence(RING.heldout[:50], RING.train[:50])), component.measures
    assert (score.name, score.direction, score.mean) == (measure.name, measure.direction, measure.mean)
    assert score.metric == component.name
    assert component.target == f"{type(metric).__module__}:{type(metric).__qualname__}"
    assert (score.n_real, score.n_fake, score.split) == (50, 50, "heldout")


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_sliced_w1_is_the_mean_of_scipys_distances_along_the_lines(dimension):
    real, fake = normal(200, dimension, 0), normal(200, dimension, 1, shift=0.3, scale=1.5)
    directions = module._directions(dimension, 16).numpy()  # (D, P)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1)
    expected = [
        wasserstein_distance(real.double().numpy() @ direction, fake.double().numpy() @ direction)
        for direction in directions.T
    ]
    assert len(expected) == (1 if dimension == 1 else 16)
    assert value(SlicedWasserstein(projections=16), real, fake) == pytest.approx(np.mean(expected), rel=1e-9)


def test_sliced_w1_of_a_shift_in_the_plane_is_two_over_pi_of_its_length():
    real = normal(500, 2, 0)
    assert value(SlicedWasserstein(), real, real + torch.tensor([3.0, 4.0])) == pytest.approx(5 * 2 / math.pi, rel=1e-3)


def test_sliced_w1_scales_with_the_points():
    real, fake = normal(300, 2, 0), normal(300, 2, 1, shift=1.0)
    once = value(SlicedWasserstein(), real, fake)
    assert value(SlicedWasserstein(), 10 * real, 10 * fake) == pytest.approx(10 * once, rel=1e-6)


def test_directions_in_the_plane_are_evenly_spaced_over_half_a_turn():
    directions = module._directions(2, 8)
    cosines = (directions[:, :-1] * directions[:, 1:]).sum(dim=0)
    torch.testing.assert_close(cosines, torch.full((7,), math.cos(math.pi / 8), dtype=torch.float64))


def naive_mmd2(real: Tensor, fake: Tensor, width: float) -> float:
    def kernel(x: Tensor, y: Tensor) -> float:
        squared = ((x.double() - y.double()) ** 2).sum().item()
        return sum(math.exp(-squared / (2 * (width / 2**halvings) ** 2)) for halvings in range(5)) / 5

    def within(points: Tensor) -> float:
        count = len(points)
        return sum(kernel(points[i], points[j]) for i in range(count) for j in range(count) if i != j) / (
            count * (count - 1)
        )

    across = sum(kernel(x, y) for x in real for y in fake) / (len(real) * len(fake))
    return within(real) + within(fake) - 2 * across


def median_distance(points: Tensor) -> float:
    distances = [(x.double() - y.double()).norm().item() for i, x in enumerate(points) for y in points[:i]]
    return sorted(distances)[(len(distances) - 1) // 2]


@pytest.mark.parametrize("cells", [1, 100, 10**6])
def test_mmd2_is_that_of_a_double_loop_however_it_is_chunked(cells, monkeypatch):
    monkeypatch.setattr(module, "CELLS", cells)
    real, fake = normal(40, 3, 0), normal(40, 3, 1, shift=0.5)
    expected = naive_mmd2(real, fake, median_distance(real))
    assert value(KernelDiscrepancy(), real, fake) == pytest.approx(expected, rel=1e-9)


def test_mmd2_by_hand():
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[100.0], [100.0]])
    alike = sum(math.exp(-(4.0**halvings) / 2) for halvings in range(5)) / 5  # the median distance is 2
    assert value(KernelDiscrepancy(), real, fake) == pytest.approx(alike + 1, rel=1e-12)


def test_mmd2_is_unbiased_so_perfect_samplers_score_on_both_sides_of_zero():
    values = [value(KernelDiscrepancy(), normal(200, 2, seed), normal(200, 2, 1000 + seed)) for seed in range(60)]
    mean, deviation = np.mean(values), np.std(values)
    assert abs(mean) < 5 * deviation / math.sqrt(60)
    assert min(values) < 0 < max(values)


def test_mmd2_takes_no_more_points_than_it_can_afford_and_says_so(monkeypatch):
    monkeypatch.setattr(module, "MOST", 20)
    real, fake = normal(60, 2, 0), normal(60, 2, 1)
    (score,) = KernelDiscrepancy()(evidence(real, fake))
    assert (score.n_real, score.n_fake, score.settings) == (20, 20, "most=20")
    assert score.value == pytest.approx(value(KernelDiscrepancy(), real[::3], fake[::3]), rel=1e-12)


def test_mmd2_of_single_points_is_undefined():
    (score,) = KernelDiscrepancy()(evidence(torch.zeros(1, 2), torch.ones(1, 2)))
    assert (score.value, score.noise) == (None, None)


@pytest.mark.parametrize("apart", [0, 1], ids=["all", "all but one"])
def test_mmd2_is_finite_where_real_points_coincide(apart):
    real = torch.zeros(10, 2)
    real[:apart] = 1.0
    assert 0.2 < value(KernelDiscrepancy(), real, normal(10, 2, 0, shift=5.0)) <= 2


def test_the_gap_of_points_on_the_centres_is_a_nat_in_the_plane():
    on_centres = RING.modes.centres.repeat(1250, 1).float()
    assert value(LogLikelihood(), RING.heldout, on_centres) == pytest.approx(1, abs=0.05)


def test_the_gap_by_hand():
    real, fake = (
        torch.tensor([[1.0, 0.0], [1.0, 0.01]]),
        torch.tensor([[1.02, 0.0], [1.0, -0.03]]),
    )  # 0, 1; 2, 3 deviations
    assert value(LogLikelihood(), real, fake) == pytest.approx((4 + 9) / 4 - (0 + 1) / 4, rel=1e-5)


def test_the_gap_of_far_strays_is_large_and_finite():
    fake = RING.train[:1000].clone()
    fake[0] = torch.tensor([1e6, 0.0])
    (score,) = LogLikelihood()(evidence(RING.heldout[:1000], fake))
    assert score.value == pytest.approx(1e12 / (2 * 0.01**2) / 1000, rel=1e-4)
    assert math.isfinite(score.noise)


def test_a_gap_without_a_known_density_is_refused():
    points = torch.zeros(3, 2)
    with pytest.raises(DataError, match="metric 'log-likelihood': the density of this data set is not known"):
        LogLikelihood()(evidence(points, points, Data(train=points, heldout=points)))


def test_fewer_than_one_projection_is_refused():
    with pytest.raises(ChoiceError, match=r"sliced-wasserstein\(projections=0\)"):
        SlicedWasserstein(projections=0)


def frechet(real: Tensor, fake: Tensor) -> float:
    """Of the points themselves, by the product's eigenvalues (arXiv:1706.08500)."""
    real, fake = real.double().numpy(), fake.double().numpy()
    covariances = np.cov(real.T), np.cov(fake.T)
    root = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real).sum()
    return float(((real.mean(0) - fake.mean(0)) ** 2).sum() + sum(map(np.trace, covariances)) - 2 * root)


def test_four_of_eight_dropped_modes_are_seen_by_transport_and_kernels_but_not_by_a_frechet_distance():
    perfect, more = (RING.density.sample(4000, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    even = RING.train[RING.train_labels % 2 == 0][:4000]  # every other mode: the same mean and covariance
    real = RING.heldout[:4000]
    for metric in (SlicedWasserstein(), KernelDiscrepancy()):
        floor = max(abs(value(metric, real, perfect)), abs(value(metric, real, more)))
        (score,) = metric(evidence(real, even))
        assert score.value > 4 * floor
        assert score.value > 10 * score.noise
    noise_floor = max(frechet(real, perfect), frechet(real, more))
    assert frechet(real, even) < 3 * noise_floor
    assert value(LogLikelihood(), real, even) < 5 * noise(LogLikelihood(), real, even)  # blind, as it says


@pytest.mark.parametrize("metric", METRICS)
def test_more_blur_is_worse(metric):
    real, fake = RING.heldout[:2000], RING.train[:2000]
    blurred = [value(metric, real, fake + normal(2000, 2, 5, scale=scale)) for scale in (0.05, 0.2, 0.8)]
    assert value(metric, real, fake) < blurred[0] < blurred[1] < blurred[2]


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_fakes_changes_nothing_and_neither_does_that_of_a_thousand_reals(metric):
    real, fake = RING.heldout[:800], normal(800, 2, 0)
    shuffle = torch.randperm(800, generator=torch.Generator().manual_seed(0))
    (score,), (again,) = metric(evidence(real, fake)), metric(evidence(real[shuffle], fake[shuffle.flip(0)]))
    assert again.value == pytest.approx(score.value, rel=1e-9)
    assert again.noise == pytest.approx(score.noise, rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_the_real_side_is_computed_once_and_gives_what_it_gave(metric, monkeypatch):
    memory, real = Memory(), RING.heldout[:500]
    first = metric(evidence(real, normal(500, 2, 0), memory=memory))
    other = metric(evidence(real, normal(500, 2, 1), memory=memory))
    assert len(memory._kept) == 1
    unreal = torch.full_like(real, math.nan)  # nothing but what is remembered can be used, except by the kernel
    again = metric(evidence(real if metric is METRICS[1] else unreal, normal(500, 2, 0), memory=memory))
    assert again == first
    assert first != other


@pytest.mark.parametrize("metric", METRICS)
def test_the_noise_is_the_deviation_over_other_samples_of_both_sides(metric):
    repeats = 150
    pairs = [(normal(150, 2, seed), normal(150, 2, 1000 + seed, shift=0.7, scale=1.3)) for seed in range(repeats)]
    density = Mixture.equal(torch.zeros(1, 2, dtype=torch.float64), 1.0)
    data = dataclasses.replace(RING, density=density)
    scores = [metric(evidence(real, fake, data))[0] for real, fake in pairs]
    actual = torch.tensor([score.value for score in scores], dtype=torch.float64).std().item()
    assert sum(score.noise for score in scores) / repeats == pytest.approx(actual, rel=0.2)


@pytest.mark.parametrize("metric", METRICS[:2])
def test_the_noise_of_a_perfect_sampler_is_overstated_by_less_than_two_thirds(metric):
    scores = [metric(evidence(normal(150, 2, seed), normal(150, 2, 1000 + seed)))[0] for seed in range(150)]
    actual = torch.tensor([score.value for score in scores], dtype=torch.float64).std().item()
    assert 0.9 < sum(score.noise for score in scores) / len(scores) / actual < 1.8


@pytest.mark.parametrize("metric", [METRICS[0], METRICS[2]])
def test_a_single_point_has_a_value_and_no_noise(metric):
    (score,) = metric(evidence(RING.heldout[:1], RING.train[:1]))
    assert math.isfinite(score.value)
    assert score.noise is None


@pytest.mark.parametrize("metric", METRICS)
def test_scores_of_a_curve_need_no_modes(metric):
    data = spiral(Places())
    (score,) = metric(evidence(data.heldout[:500], data.train[:500], data))
    assert math.isfinite(score.value)
    assert score.value < 0.2
