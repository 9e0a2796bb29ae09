from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ganbench.errors import DataError
from ganbench.protocols import Data, Evidence, Extractor
from ganbench.terms import Score
from ganbench_metrics.conditional import ConditionalAccuracy

TOY = Extractor(torch.nn.Identity(), "toy", "ab", layer="fc", dimension=2, logits_layer="logits")


def evidence(seen: list[int], asked: list[int] | None) -> Evidence:
    pixels = torch.zeros(len(seen), 1, 1, 1)
    logits = torch.nn.functional.one_hot(torch.tensor(seen), 3).float()
    return Evidence(
        fake=pixels,
        real=pixels,
        data=Data(pixels, pixels),
        extractor=TOY,
        fake_features=torch.ones(len(seen), 2),
        real_features=torch.zeros(len(seen), 2),
        fake_logits=logits,
        real_logits=logits.roll(1, dims=1),
        fake_labels=None if asked is None else torch.tensor(asked),
    )


def accuracy(seen: list[int], asked: list[int] | None) -> Score:
    (score,) = ConditionalAccuracy()(evidence(seen, asked))
    return score


def test_it_is_the_share_of_images_of_the_class_that_was_asked_for():
    score = accuracy([0, 1, 2, 2], [0, 1, 2, 0])
    assert (score.name, score.direction, score.value) == ("conditional_accuracy_toy", "higher", 0.75)
    assert (score.layer, score.dimension) == ("logits", 3)
    drawn = (3 + 0.5) / (4 + 1)  # half an image of either kind is added to three of four
    assert score.noise == pytest.approx((drawn * (1 - drawn) / 4) ** 0.5)


def test_a_generator_that_ignores_the_class_is_right_by_chance():
    assert accuracy([1] * 30, [0, 1, 2] * 10).value == pytest.approx(1 / 3)


def test_where_no_classes_were_asked_for_there_is_no_value():
    score = accuracy([0, 1, 2], None)
    assert (score.value, score.noise, score.n_fake) == (None, None, 3)


def test_an_extractor_without_logits_is_no_classifier():
    with pytest.raises(DataError, match="'conditional-accuracy': extractor 'toy' is no classifier"):
        ConditionalAccuracy()(replace(evidence([0], [0]), fake_logits=None))
