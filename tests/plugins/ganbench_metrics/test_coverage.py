from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from ganbench.errors import DataError
from ganbench.protocols import Data, Evidence, Extractor, Memory
from ganbench_metrics import coverage
from ganbench_metrics.coverage import ClassCoverage
from ganbench_metrics.histograms import (
    counts_of,
    covered,
    divergence,
    divergence_noise,
    total_variation,
    total_variation_noise,
)


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
    return scores_of(classes_evidence(*args, **options))


def scores_of(evidence: Evidence) -> dict[str, float | None]:
    return {score.name: score.value for score in ClassCoverage()(evidence)}


FOUR_CLASSES = [0, 1, 2, 3] * 25


def test_the_scores_of_classes_come_ranking_score_first_with_what_they_were_measured_by():
    scores = ClassCoverage()(classes_evidence(FOUR_CLASSES, [0, 1, 2, 3] * 20))
    assert [(score.name, score.direction) for score in scores] == [
        ("tvd_classes", "lower"),
        ("kl_classes", "lower"),
        ("classes_covered", "higher"),
        ("classes_any", "higher"),
    ]
    for score in scores:
        assert (score.metric, score.extractor, score.weights_sha256) == ("classes", "toy", "ab")
        assert (score.layer, score.dimension, score.n_fake, score.n_real) == ("logits", 4, 80, 100)


def test_equal_histograms_are_perfect():
    assert classes(FOUR_CLASSES, [3, 2, 1, 0] * 20) == pytest.approx(
        {"tvd_classes": 0, "kl_classes": 0, "classes_covered": 4, "classes_any": 4}, abs=1e-12
    )


def test_one_dropped_class_of_four():
    assert classes(FOUR_CLASSES, [0, 1, 2] * 30) == pytest.approx(
        {"tvd_classes": 0.25, "kl_classes": math.log(4 / 3), "classes_covered": 3, "classes_any": 3}
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


def test_the_fair_share_is_of_the_fakes_that_there_are():
    assert classes(FOUR_CLASSES, [0, 1, 2, 3] * 3)["classes_covered"] == 4
    assert classes([0, 1, 2, 3] * 3, [0, 1, 2] * 100 + [3] * 3)["classes_covered"] == 3


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


def line_evidence(real: list[float], fake: list[float]) -> Evidence:
    """Features on a line, all of the one class that there is."""
    sides = {"real": torch.tensor(real)[:, None], "fake": torch.tensor(fake)[:, None]}
    return Evidence(
        **sides,
        data=Data(train=sides["real"], heldout=sides["real"]),
        extractor=Extractor(torch.nn.Identity(), "toy", "ab", layer="fc", dimension=1, logits_layer="logits"),
        real_features=sides["real"],
        fake_features=sides["fake"],
        real_logits=torch.ones(len(real), 1),
        fake_logits=torch.ones(len(fake), 1),
    )


@pytest.mark.parametrize(("fake", "vouched_for"), [(18.9, 1), (19.1, 0), (-5.9, 1), (-6.1, 0)])
def test_the_third_real_neighbour_bounds_where_a_real_image_vouches_for_fakes(fake, vouched_for):
    evidence = line_evidence([0.0, 1, 3, 6, 10], [fake] * 5)  # radii 6, 5, 3, 5, 9
    assert scores_of(evidence)["classes_covered"] == vouched_for


def test_one_image_is_enough_for_a_class_by_the_papers_rule_whatever_it_looks_like():
    scores = classes(FOUR_CLASSES, [0] * 99 + [3], off=5.0)
    assert (scores["classes_any"], scores["classes_covered"]) == (2, 0)


def test_distances_in_small_blocks_are_the_same(monkeypatch):
    rng = torch.Generator().manual_seed(0)
    shape = (200, 3)
    sides = {side: torch.randn(shape, generator=rng) for side in ("real", "fake")}
    evidence = replace(
        classes_evidence(FOUR_CLASSES * 2, FOUR_CLASSES * 2), real_features=sides["real"], fake_features=sides["fake"]
    )
    whole = ClassCoverage()(replace(evidence, of_real=Memory()))
    monkeypatch.setattr(coverage, "BLOCK", 400)
    assert ClassCoverage()(replace(evidence, of_real=Memory())) == whole


def test_the_radii_of_real_images_are_computed_once(monkeypatch):
    asked = []
    radii = coverage._radii
    monkeypatch.setattr(coverage, "_radii", lambda *sides: asked.append(1) or radii(*sides))
    evidence = classes_evidence(FOUR_CLASSES, FOUR_CLASSES)
    first, again = scores_of(evidence), scores_of(replace(evidence, fake_features=evidence.fake_features + 100))
    assert (first["classes_covered"], again["classes_covered"], len(asked)) == (4, 0, 1)


def histograms(shares: list[float], count: int, rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(rng.multinomial(count, shares)).double()


@pytest.mark.parametrize(
    "fake_shares",
    [[0.1] * 10, [0.0] + [1 / 9] * 9, [0.05] * 5 + [0.15] * 5],
    ids=["equal", "one dropped", "uneven"],
)
def test_the_noise_of_histograms_is_the_deviation_over_samples(fake_shares):
    rng = np.random.default_rng(0)
    divergences, distances, told, told_resampled = [], [], [], []
    for seed in range(300):
        real, fake = histograms([0.1] * 10, 900, rng), histograms(fake_shares, 600, rng)
        divergences.append(divergence(fake, real / 900))
        distances.append(total_variation(fake / 600, real / 900))
        told.append(divergence_noise(fake, real))
        if seed < 20:
            evidence = replace(line_evidence([0.0], [0.0]), resamples=200, rng_seed=seed)
            told_resampled.append(total_variation_noise(fake, real, evidence))
    assert np.mean(told) == pytest.approx(np.std(divergences), rel=0.2)
    assert 0.9 < np.mean(told_resampled) / np.std(distances) < 1.4


def test_without_resamples_there_is_noise_by_closed_form_only():
    noise = {score.name: score.noise for score in ClassCoverage()(classes_evidence(FOUR_CLASSES, FOUR_CLASSES))}
    assert noise == {
        "tvd_classes": None,
        "kl_classes": pytest.approx(math.sqrt(6) / 100),  # half of the χ² of three degrees, times 2/N
        "classes_covered": None,
        "classes_any": None,
    }


def test_a_thousand_classes_and_26000_samples_take_seconds():
    rng = torch.Generator().manual_seed(0)
    sides = [torch.randn(26_000, 16, generator=rng) for _ in range(2)]
    members = [torch.randint(1000, (26_000,), generator=rng) for _ in range(2)]
    logits = [torch.zeros(26_000, 1000).scatter_(1, of[:, None], 1.0) for of in members]
    evidence = Evidence(
        fake=torch.zeros(26_000, 1),
        real=torch.zeros(26_000, 1),
        data=Data(train=torch.zeros(0, 1), heldout=torch.zeros(26_000, 1)),
        extractor=Extractor(torch.nn.Identity(), "toy", "ab", layer="fc", dimension=16, logits_layer="logits"),
        real_features=sides[0],
        fake_features=sides[1],
        real_logits=logits[0],
        fake_logits=logits[1],
    )
    started = time.perf_counter()
    scores = scores_of(evidence)
    assert time.perf_counter() - started < 20  # about one on a core of its own
    assert scores["classes_any"] == 1000
    assert scores["kl_classes"] == pytest.approx(999 / 26_000, rel=0.2)
    assert torch.equal(counts_of(members[0], 1000).sum(), torch.tensor(26_000.0, dtype=torch.float64))
