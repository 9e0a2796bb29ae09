from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import norm
from torch import Tensor

from ganbench.errors import ChoiceError, DataError
from ganbench.protocols import Data, Evidence, Extractor
from ganbench.terms import Score
from ganbench_metrics import bins as module
from ganbench_metrics.bins import Bins, different, jensen_shannon

TOY = Extractor(torch.nn.Identity(), "toy", "ab", layer="fc", dimension=2)


def evidence(real: Tensor, fake: Tensor, train: Tensor | None) -> Evidence:
    pixels = torch.zeros(len(real), 1, 1, 1)
    data = Data(train=pixels, heldout=pixels)
    return Evidence(torch.zeros(len(fake), 1), pixels, data, TOY, fake, real, train_features=train)


def drawn(count: int, seed: int) -> Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def clusters(*counts: int) -> Tensor:
    """Points far apart from those of other clusters, `counts` of each."""
    centres = torch.tensor([[0.0, 0], [100, 0], [0, 100], [100, 100]])[: len(counts)]
    members = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return centres[members] + 0.01 * drawn(len(members), sum(counts))


def scores(*sides: Tensor, **options) -> dict[str, Score]:
    return {score.name: score for score in Bins(**options)(evidence(*sides))}


def test_bins_of_well_separated_clusters_have_the_scores_that_their_counts_give():
    found = scores(clusters(50, 50, 50, 50), clusters(10, 50, 60, 80), clusters(40, 40, 40, 40), bins=4)
    # z of 50 and 10 in 200: 5.6; of 50 and 60: 1.1; of 50 and 80: 3.2
    assert found["ndb_toy"].value == 0.5
    assert found["jsd_toy"].value == pytest.approx(jensenshannon([0.25] * 4, [0.05, 0.25, 0.3, 0.4]) ** 2)


def test_the_scores_say_how_they_were_measured():
    ndb, jsd = scores(drawn(100, 1), drawn(90, 2), drawn(300, 3)).values()
    assert (ndb.name, jsd.name, ndb.direction, jsd.direction) == ("ndb_toy", "jsd_toy", "lower", "lower")
    assert (ndb.n_real, ndb.n_fake, ndb.extractor, ndb.settings) == (100, 90, "toy", "bins=4, n_train=300")


def test_a_perfect_sampler_differs_in_a_twentieth_of_the_bins_and_its_divergence_is_at_its_floor():
    train = drawn(5000, 0)
    runs = [scores(drawn(4000, seed), drawn(4000, 1000 + seed), train) for seed in range(1, 11)]
    assert np.mean([run["ndb_toy"].value for run in runs]) == pytest.approx(0.05, abs=0.02)
    assert np.mean([run["jsd_toy"].value for run in runs]) == pytest.approx(99 / (4 * 4000), rel=0.15)


def test_dropped_mass_is_seen_by_both():
    real, fake = drawn(2000, 1), drawn(4000, 2)
    spared = fake[fake[:, 0] < 0.7][:2000]
    perfect, lacking = scores(real, fake[:2000], drawn(3000, 0)), scores(real, spared, drawn(3000, 0))
    assert lacking["ndb_toy"].value > perfect["ndb_toy"].value + 0.3
    assert lacking["jsd_toy"].value > 5 * perfect["jsd_toy"].value


def test_collapse_onto_one_bin_fills_that_bin_only():
    found = scores(clusters(50, 50, 50, 50), clusters(200), clusters(40, 40, 40, 40), bins=4)
    assert found["ndb_toy"].value == 1
    assert found["jsd_toy"].value == pytest.approx(jensenshannon([0.25] * 4, [1, 0, 0, 0]) ** 2)


@pytest.mark.parametrize(("count", "asked", "used"), [(898, 100, 44), (5000, 100, 100), (5000, 30, 30), (40, 100, 2)])
def test_there_are_as_many_bins_as_leave_twenty_samples_to_each(count, asked, used):
    found = scores(drawn(count, 1), drawn(count, 2), drawn(300, 3), bins=asked)
    assert found["ndb_toy"].settings.startswith(f"bins={used},")


@pytest.mark.parametrize(("count", "train"), [(39, 300), (100, 1)])
def test_too_few_samples_leave_both_scores_undefined(count, train):
    found = scores(drawn(count, 1), drawn(count, 2), drawn(train, 3))
    assert [(score.value, score.noise) for score in found.values()] == [(None, None)] * 2


def test_the_z_test_is_that_of_the_textbook():
    real, fake = torch.tensor([30.0, 70.0, 900.0, 0.0]), torch.tensor([45.0, 55.0, 400.0, 0.0])
    p, q = real / 1000, fake / 500
    pooled = (real + fake) / 1500
    z = (p - q).abs() / (pooled * (1 - pooled) * (1 / 1000 + 1 / 500)).sqrt()
    significant = 2 * norm.sf(z.nan_to_num(0).numpy()) < 0.05
    assert different(real, fake).tolist() == significant.tolist() == [True, True, True, False]


def test_the_divergence_is_bounded_by_ln_2():
    assert jensen_shannon(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 5.0])) == pytest.approx(math.log(2))
    assert jensen_shannon(torch.tensor([3.0, 9.0]), torch.tensor([1.0, 3.0])) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("shares", [[0.1] * 10, [0.0] + [1 / 9] * 9], ids=["equal", "one empty"])
def test_the_noise_of_the_divergence_is_its_deviation_over_samples(shares):
    rng = np.random.default_rng(0)
    values, told = [], []
    for _ in range(300):
        real = torch.from_numpy(rng.multinomial(900, [0.1] * 10)).double()
        fake = torch.from_numpy(rng.multinomial(600, shares)).double()
        values.append(jensen_shannon(real, fake))
        told.append(module._noise(real, fake))
    assert np.mean(told) == pytest.approx(np.std(values), rel=0.2)


def test_bins_are_placed_once_and_alike():
    real, train, fake = drawn(400, 1), drawn(500, 0), drawn(400, 2)
    same = evidence(real, fake, train)
    assert Bins()(same) == Bins()(same) == Bins()(evidence(real, fake, train))


def test_of_many_training_samples_evenly_spaced_ones_place_the_bins(monkeypatch):
    monkeypatch.setattr(module, "FITTED_PER_BIN", 10)
    train = drawn(800, 0)
    kept = train[torch.arange(20) * 40]
    sides = drawn(40, 1), drawn(40, 2)
    first, second = scores(*sides, train), scores(*sides, kept)
    assert [score.value for score in first.values()] == [score.value for score in second.values()]


def test_one_bin_and_no_training_samples_are_refused():
    with pytest.raises(ChoiceError, match="bins is 1, expected at least 2"):
        Bins(bins=1)
    with pytest.raises(DataError, match="metric 'bins' needs training samples"):
        Bins()(evidence(drawn(100, 1), drawn(100, 2), None))
