from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
import torch
from featured import evidence, mixed, normal
from torch_fidelity.metric_isc import isc_features_to_metric

from ganbench.errors import ChoiceError, DataError
from ganbench.protocols import Evidence
from ganbench_metrics.inception_score import InceptionScore
from ganbench_metrics.protocol import INCEPTION_SHA256


def classified(logits: torch.Tensor, **more: object) -> Evidence:
    shown = evidence(torch.zeros(7, 2), torch.zeros(len(logits), 2), **more)
    extractor = replace(shown.extractor, logits_layer="logits")
    return replace(shown, extractor=extractor, fake_logits=logits, real_logits=torch.zeros(7, logits.shape[1]))


@pytest.mark.parametrize(("count", "splits", "seed"), [(100, 10, 0), (107, 10, 5), (50, 1, 0), (61, 4, 2020)])
def test_it_is_torch_fidelitys_number(count, splits, seed):
    logits = 3 * mixed(count, 5, 0).float()
    (score,) = InceptionScore(splits)(classified(logits, rng_seed=seed))
    expected = isc_features_to_metric(logits, splits, rng_seed=seed)
    assert score.value == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    if splits > 1:
        deviation = expected["inception_score_std"] * math.sqrt(splits / (splits - 1))
        assert score.noise == pytest.approx(deviation / math.sqrt(splits), rel=1e-9)
    else:
        assert score.noise is None


def test_sure_and_even_predictions_score_the_number_of_classes():
    (score,) = InceptionScore(splits=1)(classified(1000 * torch.eye(6).repeat(5, 1)))
    assert score.value == pytest.approx(6)


def test_fakes_of_one_class_and_fakes_of_no_class_score_1():
    one_class = torch.tensor([[1000.0, 0, 0]]).repeat(40, 1)
    for logits in (one_class, torch.zeros(40, 3)):
        assert InceptionScore()(classified(logits))[0].value == pytest.approx(1)


def test_noise_is_the_deviation_over_repeated_samples():
    trials = [InceptionScore()(classified(2 * normal(400, 4, trial)))[0] for trial in range(60)]
    seen = statistics.stdev(score.value for score in trials)
    assert 0.7 * seen < statistics.mean(score.noise for score in trials) < 1.4 * seen


def test_its_protocol_names_the_logits():
    shown = classified(mixed(40, 3, 0))
    (score,) = InceptionScore()(shown)
    assert (score.name, score.direction, score.mean) == ("isc_toy", "higher", "arithmetic")
    assert (score.layer, score.dimension, score.settings) == ("logits", 3, "splits=10, rng_seed=0")
    inception = replace(shown.extractor, tag="inception", weights_sha256=INCEPTION_SHA256, layer="2048")
    assert InceptionScore()(replace(shown, extractor=inception))[0].name == "isc_inception_40"


def test_a_split_of_one_fake_is_too_few():
    assert InceptionScore()(classified(mixed(19, 3, 0)))[0].value is None
    assert InceptionScore()(classified(mixed(20, 3, 0)))[0].value > 1


def test_without_logits_it_says_what_is_missing():
    with pytest.raises(DataError, match="'inception-score' needs class logits"):
        InceptionScore()(evidence(mixed(30, 2, 0), mixed(30, 2, 1)))


def test_no_splits_are_refused():
    with pytest.raises(ChoiceError, match="splits is 0, expected at least 1"):
        InceptionScore(splits=0)
