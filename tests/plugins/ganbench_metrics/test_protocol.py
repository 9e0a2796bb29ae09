from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ganbench.errors import DataError
from ganbench.protocols import Data, Evidence, Extractor
from ganbench_metrics.protocol import INCEPTION_SHA256, blank, ending, features_of, short


def evidence(extractor: Extractor | None = None, **features) -> Evidence:
    real, fake = torch.zeros(7, 2), torch.zeros(5, 2)
    return Evidence(fake=fake, real=real, data=Data(train=real, heldout=real), extractor=extractor, **features)


def extractor(tag: str) -> Extractor:
    return Extractor(torch.nn.Identity(), tag, weights_sha256="abc", layer="fc", dimension=64, logits_layer="logits")


@pytest.mark.parametrize(
    ("count", "written"), [(0, "0"), (898, "898"), (1000, "1k"), (5000, "5k"), (50_000, "50k"), (5500, "5500")]
)
def test_sample_counts_are_written_in_thousands_where_they_are_whole_thousands(count, written):
    assert short(count) == written


def test_only_inceptions_scores_are_named_after_the_sample_count():
    canonical = replace(extractor("inception"), weights_sha256=INCEPTION_SHA256, layer="2048")
    assert ending(canonical, 10_000) == "inception_10k"
    assert ending(replace(canonical, weights_sha256="abc"), 10_000) == "inception"
    assert ending(extractor("digits"), 898) == "digits"


def test_a_blank_score_says_how_it_was_measured():
    score = blank(evidence(extractor("digits")), "kernel", subsets=3, share=0.5)
    assert (score.metric, score.n_fake, score.n_real, score.split) == ("kernel", 5, 7, "heldout")
    assert (score.extractor, score.weights_sha256, score.layer, score.dimension) == ("digits", "abc", "fc", 64)
    assert score.settings == "subsets=3, share=0.5"
    assert score.value is None


def test_a_blank_score_of_points_names_no_extractor():
    score = blank(evidence(), "modes")
    assert (score.extractor, score.weights_sha256, score.layer, score.dimension, score.settings) == ("", "", "", 0, "")


def test_features_come_real_first_as_they_were_extracted():
    real, fake = torch.full((7, 2), 1.0), torch.full((5, 2), 2.0)
    found, first, second = features_of(evidence(extractor("digits"), real_features=real, fake_features=fake), "kernel")
    assert found.tag == "digits"
    assert first is real
    assert second is fake


def test_a_metric_of_features_says_that_there_are_none():
    with pytest.raises(DataError, match="metric 'kernel' compares features"):
        features_of(evidence(), "kernel")
