from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from ganbench.extraction import extract
from ganbench.protocols import Data, Evidence, Extractor, Places
from ganbench.terms import Score
from ganbench_classifiers import extractors
from ganbench_digits.data import digits
from ganbench_metrics import detectability
from ganbench_metrics.detectability import Detectability

TOY = Extractor(torch.nn.Identity(), "toy", "ab", layer="fc", dimension=2)


def points(real: Tensor, fake: Tensor) -> Evidence:
    return Evidence(fake=fake, real=real, data=Data(train=real[:0], heldout=real))


def drawn(count: int, seed: int, dimension: int = 2) -> Tensor:
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed))


def scores(evidence: Evidence) -> dict[str, Score]:
    return {score.name: score for score in Detectability()(evidence)}


def values(real: Tensor, fake: Tensor) -> tuple[float, float]:
    logistic, neighbour = scores(points(real, fake)).values()
    return logistic.value, neighbour.value


def test_points_are_looked_at_themselves_and_images_by_their_features():
    assert list(scores(points(drawn(30, 1), drawn(30, 2)))) == ["c2st_logistic_points", "c2st_1nn_points"]
    pixels = torch.zeros(30, 1, 1, 1)
    evidence = Evidence(pixels, pixels, Data(pixels, pixels), TOY, drawn(30, 2) + 50, drawn(30, 1))
    found = scores(evidence)
    assert {name: (score.value, score.direction) for name, score in found.items()} == {
        "c2st_logistic_toy": (1, "lower"),
        "c2st_1nn_toy": (1, "lower"),
    }


def test_samples_of_one_distribution_cannot_be_told_apart():
    runs = [values(drawn(200, seed), drawn(200, 100 + seed)) for seed in range(1, 21)]
    logistic, neighbour = np.mean(runs, axis=0)
    assert logistic == pytest.approx(0.5, abs=0.03)
    assert neighbour == pytest.approx(0.5, abs=0.03)


def test_a_shifted_mean_is_seen_as_well_as_theory_allows():
    best = 0.5 * (1 + math.erf(1 / math.sqrt(2)))  # two unit Gaussians, two deviations apart
    logistic, _ = values(drawn(4000, 1), drawn(4000, 2) + torch.tensor([2.0, 0.0]))
    assert logistic == pytest.approx(best, abs=0.02)


def test_both_sides_count_alike_for_the_regression():
    best = 0.5 * (1 + math.erf(1 / math.sqrt(2)))
    logistic, _ = values(drawn(4000, 1), drawn(200, 2) + torch.tensor([2.0, 0.0]))
    assert logistic == pytest.approx(best, abs=0.05)


def test_the_nearest_neighbour_is_that_of_scikit_learn():
    real, fake = drawn(60, 1), drawn(60, 2) * 0.5 + 0.3
    features, labels = torch.cat([real, fake]).double().numpy(), [0] * 60 + [1] * 60
    expected = cross_val_score(KNeighborsClassifier(1), features, labels, cv=LeaveOneOut()).mean()
    assert values(real, fake)[1] == pytest.approx(expected)


def test_both_sides_count_alike_for_the_nearest_neighbour():
    real, fake = torch.arange(100.0)[:, None].repeat(1, 2), torch.full((20, 2), 1000.0)
    assert scores(points(real, fake))["c2st_1nn_points"].value == 1
    spread = torch.linspace(0.5, 98.5, 20)[:, None].repeat(1, 2)
    found = scores(points(real, spread))["c2st_1nn_points"].value
    assert found == pytest.approx(0.3)  # each fake is between two reals: it is lost, and so are both of them


def test_copies_of_the_held_out_samples_are_below_chance():
    real = drawn(100, 1)
    assert values(real, real.clone())[1] == 0


def test_every_sample_twice_is_seen_by_the_nearest_neighbour_alone():
    logistic, neighbour = values(drawn(1000, 1), drawn(500, 2).repeat(2, 1))
    assert neighbour > 0.8
    assert logistic == pytest.approx(0.5, abs=0.05)


def test_where_all_samples_are_equal_chance_decides():
    same = torch.ones(50, 2)
    _, neighbour = values(same, same.clone())
    assert neighbour == pytest.approx(49 / 99)


def test_200_repeated_digits_are_seen_by_the_nearest_neighbour_and_hardly_by_the_regression():
    data, extractor = digits(Places()), extractors.digits(Places())
    real = extract(extractor, data.heldout)["features"]
    rng = torch.Generator().manual_seed(0)
    chosen = data.train[torch.randperm(len(data.train), generator=rng)[:200]]
    fake = extract(extractor, chosen[torch.arange(898) % 200])["features"]
    evidence = Evidence(data.train, data.heldout, data, extractor, fake, real)
    logistic, neighbour = (score.value for score in Detectability()(evidence))
    assert neighbour == pytest.approx(0.91, abs=0.02)
    assert logistic < 0.65


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_noise_is_the_deviation_over_samples(shift):
    runs = [scores(points(drawn(200, seed, 8), drawn(200, 500 + seed, 8) + shift)) for seed in range(1, 101)]
    for name in ("c2st_logistic_points", "c2st_1nn_points"):
        told = np.mean([run[name].noise for run in runs])
        assert told == pytest.approx(np.std([run[name].value for run in runs]), rel=0.35)


def test_below_twenty_samples_a_side_there_is_no_value():
    found = scores(points(drawn(19, 1), drawn(19, 2)))
    assert [(score.value, score.noise) for score in found.values()] == [(None, None)] * 2
    assert None not in values(drawn(20, 1), drawn(20, 2))


def test_features_that_never_change_are_no_obstacle():
    real, fake = drawn(100, 1), drawn(100, 2) + 9
    real[:, 1] = fake[:, 1] = 5.0
    assert values(real, fake)[0] == pytest.approx(1, abs=0.02)


def test_scores_are_the_same_every_time():
    evidence = points(drawn(100, 1), drawn(100, 2))
    assert Detectability()(evidence) == Detectability()(evidence)


def test_of_many_samples_the_regression_sees_evenly_spaced_ones(monkeypatch):
    monkeypatch.setattr(detectability, "LARGEST", 50)
    real, fake = drawn(200, 1), drawn(200, 2) + 1
    seen = torch.arange(50) * 4
    assert values(real, fake)[0] == values(real[seen], fake[seen])[0]
