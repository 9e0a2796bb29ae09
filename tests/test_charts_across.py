from __future__ import annotations

import json
import math
from dataclasses import replace

import fabricate
import numpy as np
import pandas as pd
import pytest

from ganbench.aggregates import across
from ganbench.charts_across import across_of, across_plots, improvement_plot, profile_plot, ranks_plot
from ganbench.charts_effects import effect_plots, effects_of
from ganbench.effects import effects
from ganbench.meanranks import FEWEST, compare_ranks
from ganbench.standings import lead_sentence, rankings
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_results
from ganbench.terms import Choice, Reference

MEANS = {"hinge": 3.0, "wgan": 14.0, "lsgan": 5.0}


def write_results(path, datasets, seeds=3):
    store, rng = Store(path), np.random.default_rng(0)
    for number in range(datasets):
        data = Choice("digits", (("fold", number),))
        for name, value in (("real_floor", 0.6), ("noise", 180.0)):
            job = Reference(data, name, fabricate.evaluation(data))
            fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(value)))
        for network in ("dcgan", "sngan"):
            for loss, mean in MEANS.items():
                for seed in range(seeds):
                    value = mean * (2 if network == "sngan" else 1) * math.exp(rng.normal(0, 0.1))
                    job = fabricate.trial(fabricate.variant(loss, network), seed, data)
                    fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(value)))
    return path


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    return load_results(write_results(tmp_path_factory.mktemp("six"), FEWEST))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return load_results(write_results(tmp_path_factory.mktemp("two"), 2))


def test_from_six_data_sets_up_there_is_a_critical_difference_diagram(six):
    told = across_of(six, board(six))
    assert [plot.title for plot in told["plots"]] == [
        "Interquartile mean", "Profiles", "The best against the others", "Critical differences",
    ]  # fmt: skip
    assert told["no_ranks"] == ""
    assert told["sentence"].startswith("Over 6 data sets, dcgan / hinge has the highest interquartile mean: 0.")


def test_below_six_it_is_said_why_there_is_none(two):
    told = across_of(two, board(two))
    assert [plot.title for plot in told["plots"]][-1] == "The best against the others"
    assert "takes 6 or more data sets" in told["no_ranks"]


def test_of_one_data_set_nothing_is_said(two):
    alone = board(two)
    assert across_of(two, alone[alone["dataset"] == alone["dataset"].iloc[0]]) is None


def test_the_interquartile_means_are_those_of_the_statistics(six):
    found = across(six, board(six))
    plot = across_plots(found)[0]
    assert [row[0] for row in plot.rows] == found.scores["label"].tolist()
    rows = next(iter(plot.specification["datasets"].values()))
    assert [row["value"] for row in rows] == pytest.approx(found.scores["mean"].tolist(), rel=1e-5)


def test_the_bars_of_the_diagram_join_what_cannot_be_told_apart():
    scores = np.array([[9.0, 8.9, 1.0]] * 5 + [[8.9, 9.0, 1.0]] * 5)
    ranks = compare_ranks(scores)
    plot = ranks_plot(ranks, {0: "a", 1: "b", 2: "c"})
    assert ranks.groups == ((0, 1),)
    assert "Not told apart: a, b." in plot.fact
    bars = [rows for rows in plot.specification["datasets"].values() if "rank" not in rows[0]]
    assert [[row["short"] for row in rows] for rows in bars] == [["a", "b"]]


def test_a_variant_that_may_be_as_good_is_named():
    first = pd.DataFrame(
        {"place": [0, 0], "other": [1, 2], "probability": [0.6, 0.9], "low": [0.4, 0.8], "high": [0.8, 1.0]}
    )
    plot = improvement_plot(first, {0: "a", 1: "b", 2: "c"})
    assert plot.specification["layer"][-1]["encoding"]["x"]["scale"]["domain"] == [0, 1]
    assert plot.fact == "Probability that a is better. It may be even with b."
    assert improvement_plot(first[1:], {0: "a", 2: "c"}).fact.endswith("It is beyond one half for every other variant.")


def test_a_profile_says_where_half_of_the_trials_lie():
    share = [1.0, 0.6, 0.2]
    rows = pd.DataFrame({"place": 0, "threshold": [0.0, 0.5, 1.0], "share": share, "low": share, "high": share})
    assert profile_plot(rows, {0: "a"}).fact.endswith("above: a 0.500.")


def test_a_profile_is_told_as_numbers_at_a_few_scores():
    thresholds = np.linspace(0, 1, 51)
    share = 1 - thresholds
    rows = pd.DataFrame({"place": 0, "threshold": thresholds, "share": share, "low": share / 2, "high": 1.0})
    plot = profile_plot(rows, {0: "a"})
    assert plot.headings == ("variant", "above 0.0", "above 0.2", "above 0.4", "above 0.6", "above 0.8")
    assert plot.rows == (
        ("a", "100% [50%, 100%]", "80% [40%, 100%]", "60% [30%, 100%]", "40% [20%, 100%]", "20% [10%, 100%]"),
    )
    assert profile_plot(rows.assign(low=np.nan, high=np.nan), {0: "a"}).rows[0][1] == "100%"


def test_long_names_are_cut_where_they_do_not_differ_and_whole_in_tooltips_and_numbers():
    names = {place: f"mlp(depth=2, width=16) / mlp(depth=2, width=16) / loss-{place}" for place in range(3)}
    first = pd.DataFrame(
        {"place": 0, "other": [1, 2], "probability": 0.5, "low": np.nan, "high": np.nan},
    )
    plot = improvement_plot(first, names)
    (rows,) = (rows for rows in plot.specification["datasets"].values() if "label" in rows[0])
    assert [row["short"] for row in rows] == ["mlp(…) / mlp(…) / loss-1", "mlp(…) / mlp(…) / loss-2"]
    assert [row["label"] for row in rows] == [names[1], names[2]] == [row[0] for row in plot.rows]
    assert plot.headings[1] == "probability that the best is better"
    assert names[0] in plot.about


def test_where_no_variant_is_better_than_noise_none_is_praised(tmp_path):
    store = Store(tmp_path)
    for number in range(2):
        data = Choice("digits", (("fold", number),))
        for name, value in (("real_floor", 0.6), ("noise", 18.0)):
            job = Reference(data, name, fabricate.evaluation(data))
            fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(value)))
        for loss, value in (("hinge", 19.0), ("wgan", 20.0)):
            job = fabricate.trial(fabricate.variant(loss), 0, data)
            fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(value)))
    table = load_results(tmp_path)
    told = across_of(table, board(table))
    assert told["sentence"] == "Over 2 data sets, no variant is better than noise: every interquartile mean is 0."
    means = told["plots"][0]
    assert means.fact.endswith("no variant is better than noise: every interquartile mean is 0.")
    assert means.specification["layer"][-1]["encoding"]["x"]["scale"]["domain"] == [0, 1]
    assert lead_sentence(rankings(board(table))[0]) == (
        "After 100 kimg, no variant is better than noise: the best fcd_digits is 19.0, "
        "that of noise 18.0 (lower is better)."
    )


# --- effects


def test_each_part_that_varies_has_a_plot_and_all_have_one_scale(two):
    found = effects(two, rankings(board(two))[0])
    drawn = effect_plots(found)
    assert [plot.headings[0] for plot in drawn.plots] == list(dict.fromkeys(found.levels["factor"]))
    assert drawn.ratio
    domains = {json.dumps(plot.specification["layer"][0]["encoding"]["x"]["scale"]) for plot in drawn.plots}
    assert len(domains) == 1
    (scale,) = domains
    assert json.loads(scale)["type"] == "log"


def test_an_effect_is_told_with_its_interval_and_whether_it_is_one(two):
    plots = {plot.headings[0]: plot for plot in effects_of(two, rankings(board(two))[0]).plots}
    loss = plots["loss"]
    average = math.prod(MEANS.values()) ** (1 / 3)
    best = loss.rows[0]
    assert best[0] == "hinge"
    assert float(best[1].removeprefix("× ")) == pytest.approx(3.0 / average, rel=0.1)
    assert "hinge × " in loss.fact
    filled = next(rows for rows in loss.specification["datasets"].values() if "decided" in rows[0])
    assert {row["level"] for row in filled if row["decided"]} >= {"hinge", "wgan"}


def test_effects_without_intervals_are_drawn_as_dots(two):
    found = effects(two, rankings(board(two))[0])
    unknown = found.levels.assign(low=np.nan, high=np.nan, p=np.nan)
    plot = effect_plots(replace(found, levels=unknown)).plots[0]
    assert "x2" not in json.dumps(plot.specification["layer"])
    assert "no seeds are left to tell whether they differ" in plot.fact
    assert "No intervals" in plot.about
    assert "95 %" not in plot.about


def test_a_choice_is_filled_by_the_corrected_p_and_its_interval_is_its_own(two):
    found = effects(two, rankings(board(two))[0])
    levels = found.levels.assign(p=0.2, low=0.5, high=0.9)
    plot = effect_plots(replace(found, levels=levels)).plots[-1]
    number = len(levels)
    assert "95 % interval of each choice by itself" in plot.about
    assert f"after Holm's correction for the {number} choices of all parts" in plot.about
    assert f"no choice differs from the average after Holm's correction for the {number} choices" in plot.fact
    assert "; the interval by itself leaves out 1 for hinge" in plot.fact


def test_the_axis_of_ratios_has_a_label_at_one_and_two_more_places(two):
    for plot in effects_of(two, rankings(board(two))[0]).plots:
        axis = plot.specification["layer"][0]["encoding"]["x"]["axis"]
        assert 1 in axis["values"]
        assert 3 <= len(axis["values"]) == axis["tickCount"]  # fewer, and Vega would leave out every other one
        assert axis["labelOverlap"] is False


def test_why_there_are_no_effects_is_told(two):
    found = replace(effects(two, rankings(board(two))[0]), reason="Too many.")
    assert effect_plots(found).reason == "Too many."


def test_a_combination_that_does_other_than_its_parts_is_told(tmp_path):
    store, rng = Store(tmp_path), np.random.default_rng(1)
    for network in ("dcgan", "sngan"):
        for loss in ("hinge", "wgan"):
            for seed in range(5):
                value = 3.0 * (8 if (network, loss) == ("sngan", "wgan") else 1) * math.exp(rng.normal(0, 0.05))
                job = fabricate.trial(fabricate.variant(loss, network), seed)
                fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(value)))
    table = load_results(tmp_path)
    rows = effects_of(table, board(table)).interactions
    assert {row[:2] for row in rows} == {(a, b) for a in ("dcgan", "sngan") for b in ("hinge", "wgan")}
    assert all(row[2].startswith("× ") for row in rows)


def test_where_nothing_differs_there_are_no_effects(tmp_path):
    fabricate.commit(Store(tmp_path), fabricate.trial(), fabricate.Outcome(fabricate.image_scores(3.0)))
    table = load_results(tmp_path)
    assert effects_of(table, board(table)).plots == ()
