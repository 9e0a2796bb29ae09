from __future__ import annotations

import math

import pytest
import torch

from ganbench.errors import DataError
from ganbench.protocols import Data, Evidence, Modes
from ganbench_metrics.declarations import points as declarations
from ganbench_metrics.modes import ModeCoverage

DEVIATION = 0.05


def ring() -> torch.Tensor:
    angles = torch.arange(8, dtype=torch.float64) * 2 * torch.pi / 8
    return 2 * torch.stack([angles.cos(), angles.sin()], dim=1)


def grid() -> torch.Tensor:
    ticks = torch.arange(-4.0, 5.0, 2.0, dtype=torch.float64)
    return torch.cartesian_prod(ticks, ticks)


def points_evidence(
    fake: torch.Tensor,
    centres: torch.Tensor,
    weights: torch.Tensor | None = None,
    deviations: torch.Tensor | None = None,
) -> Evidence:
    weights = torch.full((len(centres),), 1 / len(centres), dtype=torch.float64) if weights is None else weights
    deviations = torch.full((len(centres),), DEVIATION, dtype=torch.float64) if deviations is None else deviations
    real = centres.float()
    data = Data(train=real, heldout=real, modes=Modes(centres, deviations, weights))
    return Evidence(fake=fake.float(), real=real, data=data)


def modes(*args, **options) -> dict[str, float | None]:
    return {score.name: score.value for score in ModeCoverage()(points_evidence(*args, **options))}


def noises(*args, **options) -> dict[str, float | None]:
    return {score.name: score.noise for score in ModeCoverage()(points_evidence(*args, **options))}


def sampled(centres: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    chosen = centres[torch.randint(len(centres), (count,), generator=rng)]
    return chosen + DEVIATION * torch.randn(count, 2, generator=rng, dtype=torch.float64)


def test_the_scores_come_as_they_are_declared_ranking_score_first():
    scores, measures = ModeCoverage()(points_evidence(ring(), ring())), declarations.MODES.measures
    assert [score.name for score in scores] == ["tvd_modes", "modes_20pct", "modes_any", "high_quality", "kl_modes"]
    assert [(score.name, score.direction, score.mean) for score in scores] == [
        (measure.name, measure.direction, measure.mean) for measure in measures
    ]
    assert {(score.metric, score.split, score.n_fake) for score in scores} == {("modes", "heldout", 8)}


def test_one_sample_on_each_centre_is_perfect():
    assert modes(ring(), ring()) == pytest.approx(
        {"tvd_modes": 0, "modes_20pct": 8, "modes_any": 8, "high_quality": 1, "kl_modes": 0}, abs=1e-12
    )


def test_collapse_on_one_of_eight_modes():
    scores = modes(ring()[:1].repeat(100, 1), ring())
    assert scores == pytest.approx(
        {"tvd_modes": 7 / 8, "modes_20pct": 1, "modes_any": 1, "high_quality": 1, "kl_modes": math.log(8)}
    )


def test_samples_of_no_mode_have_a_bin_of_their_own():
    fake = torch.cat([ring(), torch.zeros(8, 2)])  # half of the samples in the middle of the ring
    scores = modes(fake, ring())
    assert scores["tvd_modes"] == pytest.approx(0.5)
    assert scores["high_quality"] == 0.5
    assert scores["kl_modes"] == pytest.approx(0, abs=1e-12)


def test_high_quality_ends_at_three_standard_deviations():
    centre = torch.zeros(1, 2, dtype=torch.float64)
    fake = torch.tensor([[2.99 * DEVIATION, 0], [0, -3.01 * DEVIATION], [2.2 * DEVIATION, 2.2 * DEVIATION]])
    assert modes(fake, centre)["high_quality"] == pytest.approx(1 / 3)


def test_without_a_sample_on_any_mode_the_divergence_is_undefined():
    scores = modes(torch.zeros(10, 2), ring())
    assert scores == {"tvd_modes": 1, "modes_20pct": 0, "modes_any": 0, "high_quality": 0, "kl_modes": None}


def test_unequal_weights_are_the_fair_shares():
    centres = torch.tensor([[0.0, 0], [1, 0]], dtype=torch.float64)
    weights = torch.tensor([0.9, 0.1], dtype=torch.float64)
    fake = centres.repeat_interleave(torch.tensor([17, 83]), dim=0)
    scores = modes(fake, centres, weights)
    assert scores["modes_20pct"] == 1  # 17 of a fair 90 is less than a fifth
    assert scores["tvd_modes"] == pytest.approx(0.73)
    assert scores["kl_modes"] == pytest.approx(0.17 * math.log(0.17 / 0.9) + 0.83 * math.log(0.83 / 0.1))


def test_a_perfect_sampler_of_the_ring_has_the_scores_that_theory_gives():
    count, repeats = 2000, 20
    runs = [modes(sampled(ring(), count, seed), ring()) for seed in range(repeats)]
    high_quality = sum(run["high_quality"] for run in runs) / repeats
    divergence_ = sum(run["kl_modes"] for run in runs) / repeats
    assert all(run["modes_20pct"] == run["modes_any"] == 8 for run in runs)
    assert high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.002)  # 98.9 %: Rayleigh within three
    assert divergence_ == pytest.approx((8 - 1) / (2 * count), rel=0.4)
    assert max(run["tvd_modes"] for run in runs) < 0.06


@pytest.mark.parametrize(("centres", "at_least"), [(ring(), 7), (grid(), 20)], ids=["ring8", "grid25"])
def test_uniform_noise_captures_modes_by_the_papers_rule_and_none_by_the_share_rule(centres, at_least):
    rng = torch.Generator().manual_seed(0)
    half_width = centres.abs().max() + 3 * DEVIATION
    fake = (2 * torch.rand(2500, 2, generator=rng, dtype=torch.float64) - 1) * half_width
    scores = modes(fake, centres)
    assert scores["modes_20pct"] == 0
    assert scores["modes_any"] >= at_least
    assert scores["tvd_modes"] > 0.9


def test_points_without_known_modes_are_refused():
    real = torch.zeros(3, 2)
    with pytest.raises(DataError, match="metric 'modes'"):
        ModeCoverage()(Evidence(fake=real, real=real, data=Data(train=real, heldout=real)))


def test_a_point_belongs_to_the_mode_that_is_nearest_in_units_of_its_deviation():
    centres = torch.tensor([[0.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    deviations = torch.tensor([1.0, 0.1], dtype=torch.float64)
    fake = torch.tensor(
        [[1.5, 0.0], [1.5, 0.0], [1.5, 0.0], [2.05, 0.0]]
    )  # three: 1.5 of the broad mode, 5 of the other
    scores = modes(fake, centres, deviations=deviations)
    assert scores["high_quality"] == 1
    assert scores["tvd_modes"] == pytest.approx(0.25)


def test_each_modes_own_deviation_bounds_it():
    centres = torch.tensor([[0.0, 0.0], [100.0, 0.0]], dtype=torch.float64)
    deviations = torch.tensor([1.0, 10.0], dtype=torch.float64)
    fake = torch.tensor([[2.9, 0.0], [0.0, 3.1], [100.0, 29.0], [100.0, 31.0], [131.0, 0.0]])
    assert modes(fake, centres, deviations=deviations)["high_quality"] == pytest.approx(2 / 5)


def test_the_order_of_points_and_of_modes_changes_nothing():
    fake = torch.cat([sampled(ring(), 300, 0), sampled(ring()[:3], 100, 1), torch.zeros(20, 2)])
    shuffled = fake[torch.randperm(len(fake), generator=torch.Generator().manual_seed(0))]
    assert modes(shuffled, ring()) == pytest.approx(modes(fake, ring()), abs=1e-12)
    assert modes(fake, ring().flip(0)) == pytest.approx(modes(fake, ring()), abs=1e-12)
    assert noises(shuffled, ring()) == pytest.approx(noises(fake, ring()), abs=1e-12)


def uneven(count: int, seed: int) -> torch.Tensor:
    """Samples of a poor generator: seven modes unevenly, the seventh at a fifth of its share, and one point in ten."""
    rng = torch.Generator().manual_seed(seed)
    shares = torch.tensor([0.3, 0.2, 0.15, 0.1, 0.1, 0.0245, 0.0255, 0.0])
    drawn = torch.multinomial(
        torch.cat([shares, 1 - shares.sum(dim=0, keepdim=True)]), count, replacement=True, generator=rng
    )
    places = torch.cat([ring(), torch.zeros(1, 2, dtype=torch.float64)])
    return places[drawn]


def test_the_noise_is_the_deviation_over_other_samples_of_the_generator():
    count, repeats = 1000, 150
    runs = [modes(uneven(count, seed), ring()) for seed in range(repeats)]
    stated = [noises(uneven(count, seed), ring()) for seed in range(repeats)]
    for name, tolerance in (("tvd_modes", 0.2), ("modes_20pct", 0.25), ("high_quality", 0.2), ("kl_modes", 0.2)):
        actual = torch.tensor([run[name] for run in runs], dtype=torch.float64).std().item()
        mean = sum(noise[name] for noise in stated) / repeats
        assert mean == pytest.approx(actual, rel=tolerance), name


def test_the_noise_of_a_perfect_sampler_is_overstated_by_less_than_two_thirds():
    count, repeats = 1000, 150
    for name in ("tvd_modes", "kl_modes"):
        values = [modes(sampled(ring(), count, seed), ring())[name] for seed in range(repeats)]
        stated = sum(noises(sampled(ring(), count, seed), ring())[name] for seed in range(repeats)) / repeats
        assert 1 <= stated / torch.tensor(values, dtype=torch.float64).std().item() < 5 / 3, name


def test_the_noise_of_a_share_by_hand():
    fake = torch.cat([ring(), torch.zeros(8, 2)])
    assert noises(fake, ring())["high_quality"] == pytest.approx(math.sqrt(0.25 / 16))


def test_captured_modes_are_uncertain_where_a_single_point_captures():
    fake = torch.cat([ring()[:1].repeat(99, 1), ring()[1:2]])
    unseen = 0.99**100  # the chance that one point in a hundred does not come
    assert noises(fake, ring())["modes_any"] == pytest.approx(math.sqrt(unseen * (1 - unseen)), rel=1e-6)


def test_an_undefined_divergence_has_no_noise():
    assert noises(torch.zeros(10, 2), ring())["kl_modes"] is None


def test_a_mode_of_no_weight_leaves_the_divergence_undefined_once_it_is_hit():
    centres = torch.tensor([[0.0, 0], [1, 0]], dtype=torch.float64)
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert modes(centres[:1], centres, weights)["kl_modes"] == 0
    scores = modes(centres, centres, weights)
    assert scores["kl_modes"] is None
    assert (scores["tvd_modes"], scores["modes_20pct"], scores["modes_any"]) == (0.5, 1, 2)
