from __future__ import annotations

import itertools
import json
import math

import pandas as pd
import pytest

from ganbench.charts_cells import (
    ANCHORS,
    MOST_LEVELS,
    axes_of,
    cells_of,
    contrast,
    fill_of,
    ink_on,
    varying,
    with_networks,
)
from ganbench.charts_heatmap import heatmap_plot

READABLE = 4.5
"""The contrast that the Web Content Accessibility Guidelines 2.1 ask of text (1.4.3)."""


def ranking(rows, direction="lower", rule="geometric"):
    """A ranking of (generator, discriminator, loss, mean, ok) with three seeds each."""
    frame = pd.DataFrame(rows, columns=["generator", "discriminator", "loss", "mean", "ok"])
    return frame.assign(kind="trial", attempted=3, direction=direction, mean_rule=rule, score="fcd")


GRID = [
    ("a", "x", "hinge", 2.0, 3), ("a", "y", "hinge", 8.0, 3), ("b", "x", "hinge", 4.0, 2),
    ("b", "y", "hinge", math.nan, 0), ("a", "x", "wgan", 16.0, 3),
]  # fmt: skip


def test_colours_grow_lighter_from_the_worst_to_the_best_and_text_on_them_is_readable():
    fills = [fill_of(i / 255) for i in range(256)]
    light = [contrast(fill, "#000000") for fill in fills[::5]]
    assert all(one < other for one, other in itertools.pairwise(light))
    assert min(contrast(ink_on(fill), fill) for fill in fills) >= READABLE
    assert (fill_of(0), fill_of(1)) == tuple("#" + "".join(f"{part:02x}" for part in ANCHORS[end]) for end in (0, -1))


def test_contrast_is_that_of_black_on_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the guidelines' own example of too little


def test_only_factors_that_vary_make_axes_and_the_third_makes_several_maps():
    trials = with_networks(ranking(GRID))
    assert varying(trials) == ["generator", "discriminator", "loss"]
    assert set(axes_of(trials)) == {"generator", "discriminator", "loss"}
    same = with_networks(ranking([("a", "x", "hinge", 1.0, 3), ("a", "x", "wgan", 2.0, 3)]))
    assert (varying(same), axes_of(same)) == (["loss"], ("loss", "", ""))


def test_networks_that_come_in_pairs_are_one_factor():
    trials = with_networks(
        ranking([("a", "a", "hinge", 1.0, 3), ("b", "b", "hinge", 2.0, 3), ("a", "a", "wgan", 2.0, 3)])
    )
    assert varying(trials) == ["networks", "loss"]
    cells = cells_of(ranking([("a", "a", "hinge", 1.0, 3), ("b", "c", "hinge", 2.0, 3), ("a", "a", "wgan", 2.0, 3)]))
    assert {*cells["row"], *cells["column"]} == {"a", "b / c", "hinge", "wgan"}


def cell(cells, *names):
    """The cell of these choices, wherever each of them stands."""
    return next(row for _, row in cells.iterrows() if {row["row"], row["column"], row["facet"]} == set(names))


def test_a_cell_has_its_mean_and_the_best_one_the_lightest_colour():
    cells = cells_of(ranking(GRID))
    assert len(cells) == 5
    best, worst, middle = cell(cells, "a", "x", "hinge"), cell(cells, "a", "x", "wgan"), cell(cells, "b", "x", "hinge")
    assert (best["text"], best["share"], best["fill"]) == ("2.00", 1, fill_of(1))
    assert (worst["text"], worst["share"]) == ("16.0", 0)
    assert (middle["share"], middle["seeds"]) == (pytest.approx(2 / 3), "2/3")  # on the scale of logarithms


def test_where_higher_is_better_the_highest_is_the_lightest():
    cells = cells_of(ranking(GRID[:3], "higher", "arithmetic"))
    assert cell(cells, "a", "y", "")["share"] == 1


def test_what_failed_is_crossed_out_and_what_was_not_tried_is_empty():
    cells = cells_of(ranking(GRID))
    failed = cell(cells, "b", "y", "hinge")
    assert (failed["text"], failed["fill"], failed["ok"]) == ("failed", "", 0)
    plot = heatmap_plot(ranking(GRID))
    assert "Crossed out: every seed failed." in plot.about
    assert "Empty: not tried." in plot.about
    assert "2/3" in plot.about
    marks = json.dumps(plot.specification)
    assert marks.count('"rule"') == 2


def test_a_full_grid_without_failures_says_nothing_of_either():
    about = heatmap_plot(ranking([(g, d, "hinge", 2.0, 3) for g in "ab" for d in "xy"])).about
    assert about == "Mean fcd over seeds and whatever else differs, lower is better: the lighter, the better."


def test_two_recipes_of_a_combination_share_a_cell_with_the_mean_of_their_means():
    rows = [("a", "x", "hinge", 2.0, 3), ("a", "x", "hinge", 8.0, 3), ("a", "x", "wgan", 3.0, 3)]
    assert cells_of(ranking(rows))["mean"].tolist() == pytest.approx([4, 3])
    assert cells_of(ranking(rows, rule="arithmetic"))["mean"].tolist() == pytest.approx([5, 3])


def test_the_best_choices_are_shown_where_there_are_too_many_and_the_rest_is_counted():
    rows = [(f"g{i}", "x", loss, 1.0 + i, 3) for i in range(MOST_LEVELS + 5) for loss in ("hinge", "wgan")]
    plot = heatmap_plot(ranking(rows))
    assert len(plot.rows) == 2 * MOST_LEVELS
    assert "Left out for room: 5 of generator." in plot.about


def test_every_seed_of_every_cell_failed():
    plot = heatmap_plot(ranking([("a", "x", "hinge", math.nan, 0), ("b", "x", "hinge", math.nan, 0)]))
    assert plot.fact.endswith("Every seed failed.")
    assert "NaN" not in json.dumps(plot.specification)


def test_its_numbers_and_its_fact_are_told():
    plot = heatmap_plot(ranking(GRID[:3]))
    assert plot.headings[2:] == ("fcd", "seeds ok")
    assert plot.rows[0][2:] == ("2.00", "3/3")
    assert plot.fact.endswith("2.00.")
    assert plot.wide


def test_every_column_and_row_has_its_label_and_the_tooltip_the_whole_name():
    long = "dcgan(norm=layer, width=64, attention=true)"
    rows = [("a", d, loss, 2.0, 3) for d in ("dcgan", long, "mlp(depth=2)") for loss in ("hinge", "wgan")]
    specification = heatmap_plot(ranking(rows)).specification
    encoding = specification["layer"][0]["encoding"]
    assert encoding["x"]["axis"]["labelOverlap"] is False
    assert encoding["y"]["axis"]["labelOverlap"] is False
    cells = next(iter(specification["datasets"].values()))
    place = "column" if cells[0]["whole_column"] in ("dcgan", long, "mlp(depth=2)") else "row"
    assert {row[f"whole_{place}"] for row in cells} == {"dcgan", long, "mlp(depth=2)"}
    assert all(0 < len(row[place]) <= 32 for row in cells)
    assert {tip["field"] for tip in encoding["tooltip"]} >= {"whole_row", "whole_column"}
