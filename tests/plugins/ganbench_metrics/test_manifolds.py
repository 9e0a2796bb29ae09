from __future__ import annotations

import numpy as np
import prdc
import pytest
import torch
from featured import evidence, mixed, normal, values
from torch_fidelity.metric_prc import prc_features_to_metric

from ganbench.errors import ChoiceError
from ganbench_metrics import neighbours, pairs
from ganbench_metrics.manifolds import DensityCoverage, PrecisionRecall

METRICS = PrecisionRecall(), DensityCoverage()


def scores(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float | None]:
    shown = evidence(real, fake)
    found = {**values(PrecisionRecall()(shown)), **values(DensityCoverage()(shown))}
    return {name.removesuffix("_toy"): value for name, value in found.items()}


def test_precision_and_recall_by_hand():
    real = torch.tensor([[0.0], [1], [2], [10]])  # balls of radius 1, 1, 1, 8
    fake = torch.tensor([[0.5], [2.5], [50], [60]])  # balls of radius 2, 2, 10, 10
    assert values(PrecisionRecall(neighbours=1)(evidence(real, fake))) == {"precision_toy": 0.5, "recall_toy": 0.75}


def test_density_and_coverage_by_hand():
    real = torch.tensor([[0.0], [1], [3], [10]])  # balls of radius 1, 1, 2, 7
    fake = torch.tensor([[0.5], [3.5], [2.0]])  # in the balls of 0 and 1; of 3 and 10; of 1 and 3
    assert values(DensityCoverage(neighbours=1)(evidence(real, fake))) == {"density_toy": 2.0, "coverage_toy": 1.0}
    assert values(DensityCoverage(neighbours=1)(evidence(real, fake[:1]))) == {"density_toy": 2.0, "coverage_toy": 0.5}
    assert values(DensityCoverage(neighbours=2)(evidence(real, fake[:1])))["density_toy"] == 3 / 2  # radii 3, 2, 3, 9


@pytest.mark.parametrize(
    ("reals", "fakes", "dimension", "scale"), [(150, 150, 3, 1.5), (90, 170, 8, 0.8), (160, 60, 40, 1)]
)
@pytest.mark.parametrize("side", [512, 37])
def test_all_four_are_those_of_torch_fidelity_and_prdc(monkeypatch, reals, fakes, dimension, scale, side):
    monkeypatch.setattr(pairs, "SIDE", side)
    real, fake = (
        mixed(reals, dimension, 0),
        scale * mixed(fakes, dimension, 0)[:fakes].flip(0) + normal(fakes, dimension, 5) / 2,
    )
    ours = scores(real, fake)
    theirs = prc_features_to_metric(fake, real, verbose=False)
    three = prdc.compute_prdc(real_features=real.numpy(), fake_features=fake.numpy(), nearest_k=3)
    five = prdc.compute_prdc(real_features=real.numpy(), fake_features=fake.numpy(), nearest_k=5)
    for name in ("precision", "recall"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-6)
        assert ours[name] == pytest.approx(three[name], rel=1e-12)
    for name in ("density", "coverage"):
        assert ours[name] == pytest.approx(five[name], rel=1e-12)
    assert len(set(ours.values())) == 4


@pytest.mark.parametrize("kept", [0, 2**27])
def test_all_four_are_the_same_whether_products_are_kept_or_not(monkeypatch, kept):
    monkeypatch.setattr(pairs, "KEPT", kept)
    monkeypatch.setattr(pairs, "SIDE", 40)
    real, fake = mixed(100, 5, 0), mixed(110, 5, 1)
    shown = evidence(real, fake)
    once = {**values(PrecisionRecall()(shown)), **values(DensityCoverage()(shown))}
    monkeypatch.setattr(pairs, "SIDE", 512)
    apart = scores(real, fake)
    assert list(once.values()) == list(apart.values())


def test_copies_of_real_samples_are_on_balls_of_radius_0_whatever_rounding_does():
    real = (normal(20, 2048, 0).float() + 30).repeat(6, 1)
    fake = real[torch.randperm(120, generator=torch.Generator().manual_seed(0))]
    assert neighbours.nearest(real, 5, pairs.within(real)).max() < 1e-6
    assert scores(real, fake) == {"precision": 1, "recall": 1, "density": 6 / 5, "coverage": 1}
    moved = fake + 3e-4  # 0.014 away, where pairs of different samples are 60 apart
    assert scores(real, moved)["precision"] == 0


def test_a_sample_as_near_as_the_kth_neighbour_is_within_the_ball():
    rng = torch.Generator().manual_seed(0)
    real = torch.randint(0, 3, (200, 6), generator=rng).double() + 0.1  # most distances occur many times
    fake = torch.randint(0, 3, (150, 6), generator=rng).double() + 0.1
    ours = scores(real, fake)
    squared = (real[:, None] - fake).square().sum(dim=2).round().numpy()
    alike = (real[:, None] - real).square().sum(dim=2).round().numpy()
    alike_fake = (fake[:, None] - fake).square().sum(dim=2).round().numpy()
    three, five = np.sort(alike)[:, 3], np.sort(alike)[:, 5]
    assert ours["precision"] == (squared <= three[:, None]).any(axis=0).mean()
    assert ours["recall"] == (squared <= np.sort(alike_fake)[:, 3]).any(axis=1).mean()
    assert ours["density"] == pytest.approx((squared <= five[:, None]).sum() / (5 * 150), rel=1e-12)
    assert ours["coverage"] == (squared <= five[:, None]).any(axis=1).mean()
    assert (squared < five[:, None]).sum() < (squared <= five[:, None]).sum() - 100


def test_a_collapsed_generator_keeps_precision_and_loses_recall_and_coverage():
    real = normal(300, 3, 0)
    fine, collapsed = scores(real, normal(300, 3, 1)), scores(real, real[:1] * 0.1 + 1e-3 * normal(300, 3, 1))
    assert collapsed["precision"] == 1 > fine["precision"] > 0.8
    assert collapsed["recall"] == 0 < 0.8 < fine["recall"]
    assert collapsed["coverage"] < 0.2 < 0.9 < fine["coverage"]


def test_one_real_picture_repeated_has_precision_1():
    real = normal(200, 4, 0)
    assert scores(real, real[:1].expand(200, -1))["precision"] == 1


def test_dropping_half_of_the_data_lowers_recall_and_coverage_and_no_precision():
    real, fake = normal(400, 3, 0), normal(800, 3, 1)
    dropped = scores(real, fake[fake[:, 0] > 0][:300])
    whole = scores(real, fake[:300])
    assert dropped["precision"] > whole["precision"] - 0.05
    assert dropped["recall"] < 0.75 * whole["recall"]
    assert dropped["coverage"] < 0.75 * whole["coverage"]


def test_an_outlier_gives_noise_a_recall_and_no_coverage():
    real = normal(200, 2, 0)
    scattered = scores(real, 100 * normal(200, 2, 1))
    assert scattered["recall"] > 0.9
    assert scattered["coverage"] < 0.1


def test_coverage_of_a_perfect_sampler_is_a_little_below_1():
    found = [scores(normal(400, 4, 2 * trial), normal(400, 4, 2 * trial + 1))["coverage"] for trial in range(10)]
    assert float(np.mean(found)) == pytest.approx(1 - 2**-5, abs=0.01)


def test_real_radii_are_found_once_for_both_metrics_and_the_next_evaluation(monkeypatch):
    calls = []

    def counted(samples, k, blocks):
        calls.append((len(samples), k))
        return nearest(samples, k, blocks)

    nearest = neighbours.nearest
    monkeypatch.setattr(neighbours, "nearest", counted)
    real = mixed(60, 4, 0)
    shown = evidence(real, mixed(50, 4, 1))
    for metric in METRICS:
        metric(shown)
    DensityCoverage(neighbours=2)(evidence(real, mixed(40, 4, 2), of_real=shown.of_real))
    assert calls == [(60, 5), (50, 3)]
    DensityCoverage(neighbours=7)(shown)
    assert calls[2:] == [(60, 7)]


def test_scores_say_how_they_were_measured():
    shown = evidence(mixed(40, 2, 0), mixed(30, 2, 1))
    for metric, k in zip(METRICS, (3, 5), strict=True):
        for score in metric(shown):
            assert (score.settings, score.direction, score.mean) == (f"neighbours={k}", "higher", "arithmetic")
            assert (score.n_real, score.n_fake) == (40, 30)


def test_fewer_samples_than_neighbours_leave_them_undefined():
    features = mixed(10, 2, 0)
    for real, fake in ((features, features[:3]), (features[:3], features)):
        assert set(values(PrecisionRecall()(evidence(real, fake))).values()) == {None}
    assert set(values(DensityCoverage()(evidence(features[:5], features))).values()) == {None}
    assert set(values(DensityCoverage()(evidence(features, features[:0]))).values()) == {None}
    assert None not in values(DensityCoverage()(evidence(features[:6], features[:1]))).values()


@pytest.mark.parametrize("build", [PrecisionRecall, DensityCoverage])
def test_no_neighbours_are_refused(build):
    with pytest.raises(ChoiceError, match="neighbours is 0, expected at least 1"):
        build(neighbours=0)
