from __future__ import annotations

import pytest

from ganbench.rules import KEYS
from ganbench.terms import KINDS
from ganbench.wording import WORDS, in_words


def test_every_key_of_every_contract_has_words():
    known = {(side, key) for kind in KINDS for side, keys in KEYS[kind].items() for key in keys}
    assert known == {(side, key) for side, words in WORDS.items() for key in words}


@pytest.mark.parametrize(
    ("kind", "side", "contract", "words"),
    [
        ("generator", "needs", {"data": ("points", "images"), "power_of_two": False}, ["points or images"]),
        ("generator", "needs", {"min_resolution": 8}, ["images of at least 8×8"]),
        ("generator", "needs", {"labels": {"conditional": (True,)}}, ["labels, where conditional=True"]),
        ("discriminator", "gives", {"logits": "scalar", "outputs": "{outputs}"},
         ["scalar logits", "vector logits where `outputs` is more than 1, so that it can serve as an encoder"]),
        ("augmentation", "needs", {"logits": "scalar"}, ["scalar logits"]),
        ("discriminator", "gives", {"mixes_batch": False}, ["logits of each sample alone"]),
        ("discriminator", "gives", {"independent": {"norm": "layer"}},
         ["independent samples where a loss needs them, by norm=layer"]),
        ("discriminator", "gives", {"heads": {"features": True, "classes": {"conditioning": ("auxiliary",)}}},
         ["the heads features and classes where conditioning=auxiliary"]),
        ("loss", "needs", {"codes": ("{categories}", 2)},
         ["networks with `categories` categories and 2 continuous codes"]),
        ("loss", "needs", {"labels": True, "heads": "features"},
         ["labels", "a discriminator with the heads features"]),
        ("metric", "needs", {"labels": True, "classes": True},
         ["data with classes", "an extractor that tells the data's classes"]),
        ("dataset", "gives", {"data": "images", "shape": (1, "{resolution}", "{resolution}"), "classes": 0},
         ["images", "samples of 1 × `resolution` × `resolution`"]),
        ("dataset", "gives", {"splits": (60000, 100)}, ["60,000 samples to train on and 100 held out"]),
        ("extractor", "gives", {"classes": 10, "logits": True}, ["10 classes", "True logits"]),
    ],
)  # fmt: skip
def test_contracts_in_words(kind, side, contract, words):
    assert in_words(kind, side, contract) == words
