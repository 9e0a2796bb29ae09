from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_layers.codes import coded
from ganbench_layers.latents import GeneratorInput, needs_classes

LATENTS, LABELS = torch.arange(12.0).reshape(2, 6).sin(), torch.tensor([1, 0])


def test_without_labels_and_codes_latents_pass_untouched():
    entry = GeneratorInput("net", 6)
    assert entry(LATENTS) is LATENTS
    assert entry.features == 6


def test_labels_are_appended_to_coded_latents():
    entry = GeneratorInput("net", 6, classes=3, categories=2, continuous=1)
    expected = torch.cat([coded(LATENTS, 2, 1), torch.tensor([[0.0, 1, 0], [1, 0, 0]])], dim=1)
    assert_close(entry(LATENTS, LABELS), expected)
    assert entry.features == 9


def test_more_codes_than_latents_are_refused():
    with pytest.raises(
        ChoiceError, match="net: categories is 5 and continuous is 2, expected no more codes than the 6"
    ):
        GeneratorInput("net", 6, categories=5, continuous=2)
    GeneratorInput("net", 6, categories=5, continuous=1)


@pytest.mark.parametrize("codes", [{"categories": 1}, {"categories": -2}, {"continuous": -1}])
def test_codes_that_cannot_be_are_refused(codes):
    with pytest.raises(ChoiceError, match=r"net: categories is .* expected 0 or more, and not a single category"):
        GeneratorInput("net", 6, **codes)


def test_data_without_classes_is_refused_by_what_needs_them():
    assert needs_classes("net", "conditional", 3) == 3
    with pytest.raises(ChoiceError, match="net: conditional needs data with classes, got 0 classes"):
        needs_classes("net", "conditional", 0)
