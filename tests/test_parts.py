"""Variants taken apart into factors whose effects can be told apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganbench.choices import parse_objective
from ganbench.parts import NOTHING, USUAL, factors_of, split_objective, split_outside
from ganbench.terms import Choice


def variants(*parts):
    """A table of variants: generator, discriminator, loss and, if told, training."""
    rows = [dict(zip(("generator", "discriminator", "loss", "training"), [*part, ""], strict=False)) for part in parts]
    return pd.DataFrame([{**row, "variant": " / ".join(list(row.values())[:3])} for row in rows])


def found_in(*parts, finished=None):
    table = variants(*parts)
    return factors_of(table, np.ones(len(table), bool) if finished is None else np.array(finished))


def levels(found):
    return {name: list(column) for name, column in found.columns.items()}


def test_an_objective_is_a_loss_and_what_is_added_to_it():
    assert split_objective("hinge") == ("hinge", NOTHING)
    assert split_objective("hinge + r1(gamma=0.1) + ada(target=0.6)") == ("hinge", "r1(gamma=0.1) + ada(target=0.6)")


def test_a_plus_inside_brackets_or_quotes_parts_nothing():
    assert split_objective('a(b=[1, 2], c="x + \\" + y)") + d(e="] + [")') == (
        'a(b=[1, 2], c="x + \\" + y)")',
        'd(e="] + [")',
    )
    assert split_objective("a(b=(1 + 2)) + c") == ("a(b=(1 + 2))", "c")


VALUES = st.text(max_size=8) | st.integers(-9, 9) | st.booleans() | st.tuples(st.text(max_size=4), st.text(max_size=4))
CHOICES = st.builds(
    Choice, st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,6}", fullmatch=True), st.tuples(st.tuples(st.just("p"), VALUES))
)


@given(st.lists(CHOICES, min_size=1, max_size=4))
def test_every_objective_that_can_be_written_is_split_where_it_was_joined(choices):
    texts = [str(choice) for choice in choices]
    assert split_outside(" + ".join(texts), " + ") == texts
    if len(" + ".join(texts)) < 1000:
        loss, added = parse_objective(" + ".join(texts))
        assert [str(loss), *map(str, added)] == texts


@given(st.text(alphabet='a+ ()[]"\\,', max_size=30))
def test_whatever_the_text_nothing_of_it_is_lost(text):
    assert " + ".join(split_outside(text, " + ")) == text


def test_parts_that_do_not_vary_are_no_factors():
    assert levels(found_in(("g", "d", "a"), ("g", "d", "b"))) == {"loss": ["a", "b"]}
    assert levels(found_in(("g", "d", "a"))) == {}


def test_a_full_factorial_has_a_factor_for_each_part():
    parts = [(g, d, f"{loss}{added}") for g in "GH" for d in "DE" for loss in "ab" for added in ("", " + r1")]
    found = found_in(*parts)
    assert list(found.columns) == ["generator", "discriminator", "loss", "penalty"]
    assert found.used.all()
    assert levels(found)["penalty"] == [NOTHING, "r1"] * 8


def test_networks_that_each_play_their_own_kind_are_one_factor():
    found = found_in(("g", "g", "a"), ("h", "h", "a"), ("g", "g", "b"), ("h", "h", "b"))
    assert levels(found) == {"generator + discriminator": ["g", "h", "g", "h"], "loss": ["a", "a", "b", "b"]}


def test_networks_of_other_names_that_go_together_are_told_both():
    found = found_in(("g", "x", "a"), ("h", "y", "a"), ("g", "x", "b"), ("h", "y", "b"))
    assert levels(found)["generator + discriminator"] == ["g / x", "h / y", "g / x", "h / y"]


def test_a_penalty_that_comes_with_one_loss_only_is_part_of_the_loss():
    found = found_in(("g", "d", "a"), ("g", "d", "b"), ("g", "d", "c + r1"))
    assert levels(found) == {"loss + penalty": ["a", "b", "c + r1"]}


def test_a_variant_of_parts_that_no_other_has_takes_no_part_where_the_others_mix():
    crossed = [(g, "d", loss) for g in "gh" for loss in "ab"]
    found = found_in(*crossed, ("odd", "odd", "own + r1"))
    assert found.used.tolist() == [True] * 4 + [False]
    assert list(found.columns) == ["generator", "loss"]


def test_where_less_than_half_mix_the_parts_are_one_factor():
    crossed = [(g, "d", loss) for g in "gh" for loss in "ab"]
    others = [(name, "d", name) for name in "wxyz"]
    found = found_in(*crossed, *others)
    assert found.used.all()
    assert list(found.columns) == ["generator + loss"]


def test_what_never_finished_does_not_tell_parts_apart():
    parts = [("g", "g", "a"), ("h", "h", "a"), ("g", "h", "a"), ("g", "g", "b"), ("h", "h", "b")]
    assert list(found_in(*parts).columns) == ["generator", "discriminator", "loss"]
    found = found_in(*parts, finished=[True, True, False, True, True])
    assert list(found.columns) == ["generator + discriminator", "loss"]


@pytest.mark.parametrize("usual", ["", "discriminator.betas=[0.0, 0.9], batch_size=64"])
def test_training_is_a_factor_where_the_same_parts_were_trained_in_several_ways(usual):
    other = "discriminator.betas=[0.0, 0.9], batch_size=8"
    found = found_in(*[("g", "d", loss, training) for loss in "ab" for training in (usual, other)])
    assert list(found.columns) == ["loss", "training"]
    assert levels(found)["training"][1].endswith("batch_size=8")


def test_settings_that_a_loss_brings_along_are_part_of_the_loss():
    parts = [
        ("g", "d", loss, own + batch) for loss, own in (("a", ""), ("b", "steps=5")) for batch in ("", ", batch=8")
    ]
    parts = [(*part[:3], part[3].removeprefix(", ")) for part in parts]
    assert levels(found_in(*parts)) == {"loss": ["a", "a", "b", "b"], "training": [USUAL, "batch=8"] * 2}
    assert list(found_in(*parts[::2]).columns) == ["loss"]
