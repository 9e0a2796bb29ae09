from __future__ import annotations

import pytest

from ganbench.errors import SuiteError
from ganbench.selection import fits, labels_of, merged, parse_filters, passes, picks
from ganbench.terms import Choice, Variant

PACKED = Choice("mlp", (("packing", 2),))
R1 = Choice("r1", (("gamma", 0.1),))
LABELS = labels_of(Choice("ring8"), Variant(Choice("dcgan"), PACKED, Choice("hinge"), (R1,)))


@pytest.mark.parametrize(
    ("glob", "label", "expected"),
    [
        ("mlp", "mlp", True),
        ("ml", "mlp", False),
        ("MLP", "mlp", False),
        ("m*", "mlp(packing=2)", True),
        ("mlp( packing = 2 )", "mlp(packing=2)", True),
        ("mlp(scales=[1, 2])", "mlp(scales=[1, 2])", True),
        ("[mn]lp", "nlp", True),
        ("?lp", "mlp", True),
        ("[", "mlp", False),
    ],
)
def test_a_glob_fits_a_label(glob, label, expected):
    assert fits(glob, [label]) is expected


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        ({}, True),
        ({"discriminator": "mlp"}, True),
        ({"discriminator": "mlp(packing=2)"}, True),
        ({"discriminator": "mlp", "generator": "mlp"}, False),
        ({"loss": "hinge + r1"}, True),
        ({"loss": "hinge+r1(gamma=0.1)"}, True),
        ({"loss": "hinge"}, False),
        ({"loss": "*r1*"}, True),
    ],
)
def test_all_the_globs_must_match(globs, expected):
    assert picks(globs, LABELS) is expected


def test_a_combination_written_in_two_ways_answers_to_both():
    other = labels_of(Choice("ring8"), Variant(Choice("dcgan", (("width", 8),)), PACKED, Choice("hinge")))
    both = merged(LABELS, other)
    assert picks({"generator": "dcgan(width=8)"}, both)
    assert picks({"loss": "hinge"}, both)
    assert picks({"loss": "hinge + r1"}, both)


def test_filters_of_one_key_are_alternatives_and_of_several_are_conditions():
    assert passes(parse_filters(["generator=mlp", "generator=dc*"]), LABELS)
    assert not passes(parse_filters(["generator=dc*", "dataset=grid25"]), LABELS)
    assert passes(parse_filters([]), LABELS)


def test_a_key_without_labels_does_not_count():
    assert passes(parse_filters(["seed=3", "generator=dcgan"]), LABELS)


def test_a_glob_may_hold_an_equals_sign():
    assert parse_filters(["discriminator=mlp(packing=2)"]) == {"discriminator": ("mlp(packing=2)",)}


@pytest.mark.parametrize("item", ["", "loss", "=hinge", "loss=", "lss=hinge"])
def test_a_filter_that_cannot_be_read_is_refused(item):
    with pytest.raises(SuiteError, match=r"^--only '"):
        parse_filters([item])
