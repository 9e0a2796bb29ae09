from __future__ import annotations

import math

import pytest
import torch

from ganbench.errors import DataError
from ganbench.protocols import Data, Evidence, Extractor, Modes
from ganbench_metrics.coverage import ClassCoverage, ModeCoverage, _within_class, covered, divergence, total_variation

DEVIATION = 0.05


def ring() -> torch.Tensor:
    angles = torch.arange(8, dtype=torch.float64) * 2 * torch.pi / 8
    return 2 * torch.stack([angles.cos(), angles.sin()], dim=1)


def grid() -> torch.Tensor:
    ticks = torch.arange(-4.0, 5.0, 2.0, dtype=torch.float64)
    return torch.cartesian_prod(ticks, ticks)


def points_evidence(fake: torch.Tensor, centres: torch.Tensor, weights: torch.Tensor | None = None) -> Evidence:
    weights = torch.full((len(centres),), 1 / len(centres), dtype=torch.float64) if weights is None else weights
    real = centres.float()
    data = Data(train=real, heldout=real, modes=Modes(centres, DEVIATION, weights))
    return Evidence(fake=fake.float(), real=real, data=data)


def modes(*args) -> dict[str, float | None]:
    return {score.name: score.value for score in ModeCoverage()(points_evidence(*args))}


def sampled(centres: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    chosen = centres[torch.randint(len(centres), (count,), generator=rng)]
    return chosen + DEVIATION * torch.randn(count, 2, generator=rng, dtype=torch.float64)


def test_the_scores_of_points_come_ranking_score_first_with_their_directions():
    scores = ModeCoverage()(points_evidence(ring(), ring()))
    assert [(score.name, score.direction) for score in scores] == [
        ("tvd_modes", "lower"),
        ("modes_20pct", "higher"),
        ("modes_any", "higher"),
        ("high_quality", "higher"),
        ("kl_modes", "lower"),
    ]
    assert {(score.metric, score.split, score.n_fake) for score in scores} == {("modes", "heldout", 8)}
    assert [score.mean for score in scores] == ["geometric", *["arithmetic"] * 4]


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


def classes_evidence(real_classes: list[int], fake_classes: list[int], classes: int = 4, off: float = 0.0) -> Evidence:
    """Features are a class's own axis, `off` away from it for fakes; logits say the class."""

    def features(members: list[int], shift: float) -> torch.Tensor:
        spread_ = 0.1 * torch.randn(len(members), 2, generator=torch.Generator().manual_seed(len(members)))
        return torch.stack([10.0 * torch.tensor(members), torch.full((len(members),), shift)], dim=1) + spread_

    def logits(members: list[int]) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(members), classes).float()

    real, fake = torch.zeros(len(real_classes), 1, 1, 1), torch.zeros(len(fake_classes), 1, 1, 1)
    return Evidence(
        fake=fake,
        real=real,
        data=Data(train=real, heldout=real),
        extractor=Extractor(torch.nn.Identity(), "toy", "ab", layer="fc", dimension=2, logits_layer="logits"),
        real_features=features(real_classes, 0.0),
        fake_features=features(fake_classes, off),
        real_logits=logits(real_classes),
        fake_logits=logits(fake_classes),
    )


def classes(*args, **options) -> dict[str, float | None]:
    return {score.name: score.value for score in ClassCoverage()(classes_evidence(*args, **options))}


FOUR_CLASSES = [0, 1, 2, 3] * 25


def test_the_scores_of_classes_come_ranking_score_first_with_what_they_were_measured_by():
    scores = ClassCoverage()(classes_evidence(FOUR_CLASSES, [0, 1, 2, 3] * 20))
    assert [(score.name, score.direction) for score in scores] == [
        ("tvd_classes", "lower"),
        ("kl_classes", "lower"),
        ("classes_covered", "higher"),
    ]
    for score in scores:
        assert (score.metric, score.extractor, score.weights_sha256) == ("classes", "toy", "ab")
        assert (score.layer, score.dimension, score.n_fake, score.n_real) == ("logits", 4, 80, 100)


def test_equal_histograms_are_perfect():
    assert classes(FOUR_CLASSES, [3, 2, 1, 0] * 20) == pytest.approx(
        {"tvd_classes": 0, "kl_classes": 0, "classes_covered": 4}, abs=1e-12
    )


def test_one_dropped_class_of_four():
    assert classes(FOUR_CLASSES, [0, 1, 2] * 30) == pytest.approx(
        {"tvd_classes": 0.25, "kl_classes": math.log(4 / 3), "classes_covered": 3}
    )


def test_the_divergence_is_of_the_fakes_from_the_reals():
    scores = classes([0] * 30 + [1] * 70, [0] * 80 + [1] * 20, classes=2)
    assert scores["tvd_classes"] == pytest.approx(0.5)
    assert scores["kl_classes"] == pytest.approx(0.8 * math.log(8 / 3) + 0.2 * math.log(2 / 7))


def test_a_class_that_the_reals_lack_leaves_the_divergence_undefined_and_is_not_covered():
    scores = classes([0, 1, 2] * 30, FOUR_CLASSES)
    assert scores["kl_classes"] is None
    assert scores["tvd_classes"] == pytest.approx(0.25)
    assert scores["classes_covered"] == 3


def test_a_class_with_less_than_a_fifth_of_its_fair_share_is_not_covered():
    def covered_with(members: int) -> float | None:
        return classes(FOUR_CLASSES, [0, 1, 2] * 31 + [3] * members)["classes_covered"]

    assert covered_with(2) == 3
    assert covered_with(7) == 4


def test_images_with_the_right_histogram_but_foreign_features_cover_nothing():
    scores = classes(FOUR_CLASSES, FOUR_CLASSES, off=5.0)
    assert scores["tvd_classes"] == pytest.approx(0, abs=1e-12)
    assert scores["classes_covered"] == 0


def test_a_class_of_a_single_real_image_is_covered_by_that_image_only():
    evidence = classes_evidence([0] * 20 + [1], [0] * 20 + [1])
    scores = {score.name: score.value for score in ClassCoverage()(evidence)}
    assert scores["classes_covered"] == 2  # equal seeds: the fakes are the reals
    assert classes([0] * 20 + [1], [0] * 18 + [1])["classes_covered"] == 1


def test_an_extractor_without_logits_is_no_classifier():
    evidence = classes_evidence(FOUR_CLASSES, FOUR_CLASSES)
    with pytest.raises(DataError, match="extractor 'toy' is no classifier"):
        ClassCoverage()(Evidence(**{**vars(evidence), "fake_logits": None}))


def test_total_variation_of_disjoint_histograms_is_one():
    assert total_variation(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])) == 1


def test_divergence_by_hand():
    counts, reference = torch.tensor([3.0, 1.0, 0.0]), torch.tensor([0.5, 0.25, 0.25])
    assert divergence(counts, reference) == pytest.approx(0.75 * math.log(1.5))
    assert divergence(counts, torch.tensor([0.0, 0.5, 0.5])) is None
    assert divergence(torch.zeros(3), reference) is None


@pytest.mark.parametrize(("count", "modes_"), [(1125, 75), (1155, 77), (40, 8)])
def test_a_fifth_exactly_is_covered_whatever_rounding_says(count, modes_):
    fair = count * torch.full((modes_,), 1 / modes_, dtype=torch.float64)
    counts = torch.full((modes_,), float(count // (5 * modes_)), dtype=torch.float64)
    assert covered(counts, fair).all()
    assert not covered(counts - 0.01, fair).any()


def test_what_is_never_due_is_never_covered():
    assert not covered(torch.tensor([0.0, 3.0]), torch.zeros(2)).any()


def test_the_third_real_neighbour_bounds_where_a_real_image_vouches_for_fakes():
    real = torch.tensor([[0.0], [1], [3], [6], [10]])  # radii 6, 5, 3, 5, 9
    fake = torch.tensor([[18.9], [19.1], [-5.9], [-6.1]])
    within = _within_class(real, torch.zeros(5, dtype=torch.int64), fake, torch.zeros(4, dtype=torch.int64))
    assert within.tolist() == [True, False, True, False]
