from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ganbench.shortening import shortened


def test_names_that_fit_stay_as_they_are():
    assert shortened(["mlp(depth=2) / hinge", "mlp(depth=2) / wgan"], 20) == [
        "mlp(depth=2) / hinge",
        "mlp(depth=2) / wgan",
    ]


def test_settings_that_every_part_of_a_kind_has_become_a_gap():
    names = [
        "stylegan2(mapping_layers=2, width=8) / sngan(width=8) / hinge",
        "stylegan2(mapping_layers=2, width=8) / mlp(depth=2, width=16) / hinge",
        "stylegan2(mapping_layers=2, width=8) / mlp(depth=2, norm=layer, width=16) / hinge",
    ]
    assert shortened(names, 42) == [
        "stylegan2(…) / sngan(…) / hinge",
        "stylegan2(…) / mlp(…) / hinge",
        "stylegan2(…) / mlp(…, norm=layer) / hinge",
    ]


def test_settings_of_a_kind_that_also_stands_without_are_kept():
    names = ["dcgan(norm=layer, width=8) / hinge", "dcgan / hinge"]
    assert shortened(names, 33) == ["dcgan(norm=…yer, width=8) / hinge", "dcgan / hinge"]


def test_what_is_too_long_is_cut_in_the_middle():
    assert shortened(["abcdefghijklmnopqrstuvwxyz"], 10) == ["abc…uvwxyz"]


def test_names_of_which_the_cuts_are_alike_begin_where_they_begin_to_differ():
    names = [f"one two three {middle} seven eight nine ten" for middle in ("four", "five")]
    assert shortened(names, 18) == ["…hree four seven …", "…hree five seven …"]


def test_what_no_cut_tells_apart_stays_whole():
    names = [f"{'a' * 30}{one}{'b' * 30}{two}{'c' * 30}" for one in "xy" for two in "xy"]
    assert len(set(shortened(names, 12))) == 4


@given(st.lists(st.text(st.sampled_from('ab(),=… /"['), max_size=40), unique=True), st.integers(8, 20))
def test_different_names_never_get_the_same_short_one(names, most):
    short = shortened(names, most)
    assert len(set(short)) == len(names)
    assert all(len(text) <= max(most, len(name)) + 3 for text, name in zip(short, names, strict=True))
