from __future__ import annotations

import json
import math
from dataclasses import replace

import altair as alt
import fabricate
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganbench import charts, charts_curves, charts_style
from ganbench.charts_cost import Quality, Times, cost_plot, on_front
from ganbench.charts_curves import MARKED, MOST_POINTS, curve_plot, mean_of, points_of
from ganbench.plotting import Wanted, plot_of
from ganbench.standings import rankings
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_curves, load_results
from ganbench.terms import AXES, Choice, Spent

FCD = Quality("fcd", "geometric", "lower")
HOSTILE = "<script>\"'\u202e{{7*7}}" + "n" * 300


def drawn(path, dataset="digits"):
    """The plots of one data set's ranking, by title."""
    table = load_results(path)
    ranking = next(found for found in rankings(board(table)) if found["dataset"].iloc[0] == dataset)
    runs = table[(table["dataset"] == dataset) & (table["kind"] == "trial")]
    return {plot.title: plot for plot in charts.plots(ranking, runs, load_curves(path))}


def data_of(plot, column):
    """The rows of the plot's data that have that column."""
    return next(rows for rows in plot.specification["datasets"].values() if column in rows[0])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "quick"
    fabricate.write_suite(path)
    return path


@pytest.fixture(scope="module")
def digits(results):
    return drawn(results)


# --- the front


def brute_front(costs, scores, direction):
    sign = 1 if direction == "lower" else -1
    points = [(cost, sign * score) for cost, score in zip(costs, scores, strict=True)]
    return [
        not any(math.isnan(part) for part in one)
        and not any(a <= one[0] and b <= one[1] and (a, b) != one for a, b in points)
        for one in points
    ]


numbers = st.one_of(st.integers(-3, 3).map(float), st.just(math.nan))


@given(st.lists(st.tuples(numbers, numbers), max_size=9), st.sampled_from(["lower", "higher"]))
def test_the_front_is_what_comparing_every_pair_finds(pairs, direction):
    costs, scores = [cost for cost, _ in pairs], [score for _, score in pairs]
    assert on_front(costs, scores, direction).tolist() == brute_front(costs, scores, direction)


def rows_for(means, costs, ok=None):
    count = len(means)
    return pd.DataFrame(
        {
            "place": range(count), "label": [f"v{i}" for i in range(count)], "mean": means,
            "low": np.nan, "high": np.nan, "ok": ok or [3] * count, "attempted": 3, "kimg": costs,
            "kimg_least": costs, "kimg_most": costs, "device_seconds": costs[::-1],
            "device_seconds_least": costs[::-1], "device_seconds_most": costs[::-1],
        }
    )  # fmt: skip


def test_the_line_of_the_front_has_a_part_for_each_axis_and_leaves_out_what_failed():
    rows = rows_for([1.0, 2.0, 3.0, 9.0], [40.0, 20.0, 10.0, 5.0], ok=[3, 3, 3, 2])
    plot = cost_plot(rows, ("kimg", "device_seconds"), FCD, Times())
    steps = data_of(plot, "axis")
    front = {axis: [(row["cost"], row["mean"]) for row in steps if row["axis"] == axis] for axis in plot.axes}
    assert front["kimg"] == [(10, 3), (20, 2), (40, 1), (40, 1)]
    assert front["device_seconds"] == [(5, 1), (40, 1)]  # on to the dearest variant
    assert "Hollow" in plot.about
    assert plot.fact.endswith("v2 (fcd 3.00 at 10.0); v1 (fcd 2.00 at 20.0); v0 (fcd 1.00 at 40.0).")


def test_where_higher_is_better_the_front_rises():
    plot = cost_plot(
        rows_for([0.9, 0.5, 0.2], [30.0, 20.0, 25.0]), ("kimg",), Quality("coverage", "arithmetic", "higher"), Times()
    )
    assert [row["mean"] for row in data_of(plot, "axis")][:2] == [0.5, 0.9]
    assert "higher is better" in json.dumps(plot.specification)


def test_without_a_variant_that_is_whole_there_is_no_front():
    plot = cost_plot(rows_for([1.0], [1.0], ok=[1]), ("kimg",), FCD, Times())
    assert "there is no front" in plot.fact
    assert not any("axis" in rows[0] for rows in plot.specification["datasets"].values())


def test_costs_are_drawn_over_what_the_budget_does_not_limit_and_offer_every_axis(digits):
    plot = digits["Quality against cost"]
    assert plot.axes == ("device_seconds", "kimg", "steps", "petaflops")
    assert {"name": "axis", "value": "device_seconds"} in plot.specification["params"]
    assert {"name": "isolated", "value": -1} in plot.specification["params"]


def test_the_costs_of_seeds_are_drawn_from_the_lowest_to_the_highest_and_told_as_numbers():
    rows = rows_for([1.0, 2.0], [40.0, 20.0]).assign(kimg_least=[30.0, 20.0], kimg_most=[50.0, 20.0])
    plot = cost_plot(rows, ("kimg",), FCD, Times())
    assert "Level: the costs from the lowest to the highest seed." in plot.about
    assert '"x2": {"field": "most"}' in json.dumps(plot.specification)
    assert [row[3] for row in plot.rows] == ["40.0 (30.0 – 50.0)", "20.0"]
    same = cost_plot(rows_for([1.0, 2.0], [40.0, 20.0]), ("kimg",), FCD, Times())
    assert "Level" not in same.about
    assert '"x2"' not in json.dumps(same.specification)


def test_a_column_of_numbers_is_called_by_its_unit_and_not_by_its_name():
    plot = cost_plot(rows_for([1.0], [1.0]), ("kimg", "device_seconds"), FCD, Times())
    assert plot.headings[3:] == ("kimg", "device seconds")
    assert charts_style.AXIS_NAMES["petaflops"] == "PFLOP"
    assert charts_style.AXIS_NAMES["steps"] in charts_style.AXIS_TITLES["steps"]


def test_real_data_far_from_every_variant_are_told_in_words_and_do_not_squeeze_them():
    far = cost_plot(rows_for([9.0, 14.0], [1.0, 2.0]), ("kimg",), replace(FCD, floor=0.744), Times())
    assert far.about.endswith("Real data score 0.744, below this axis.")
    assert not any("floor" in rows[0] for rows in far.specification["datasets"].values())
    near = cost_plot(rows_for([9.0, 14.0], [1.0, 2.0]), ("kimg",), replace(FCD, floor=8.0), Times())
    assert "Real data" not in near.about
    assert data_of(near, "floor") == [{"floor": 8.0}]


def mixed(path, ways):
    """The plot of costs of one trial for each loss, on its device and by its driver; the better, the dearer."""
    for number, (loss, (device, driver)) in enumerate(ways.items()):
        job = fabricate.trial(fabricate.variant(loss))
        spent = Spent(100.0, 1562, 20.0 - number, 0.3 - number / 100)
        outcome = fabricate.Outcome(fabricate.image_scores(3.0 + number), spent=spent)
        facts = fabricate.ENVIRONMENT_FACTS | {"device": device, "driver": driver}
        fabricate.commit(Store(path), job, outcome, facts)
    return drawn(path)["Quality against cost"]


def test_times_of_several_ways_of_training_are_not_the_first_axis_have_no_front_and_are_told(tmp_path):
    ways = {"hinge": ("CPU", "vectorised"), "wgan": ("CPU", "eager"), "lsgan": ("CPU", "eager")}
    plot = mixed(tmp_path, ways)
    assert plot.axes == ("petaflops", "kimg", "steps", "device_seconds")
    assert plot.fact.startswith("Quality against training, PFLOP. On the front")
    assert (
        "Device seconds do not compare here, so they have no front: hinge trained vectorised, the others eager."
        in plot.about
    )
    assert {row["axis"] for row in data_of(plot, "axis")} == {"petaflops", "kimg", "steps"}


def test_times_of_several_devices_do_not_compare_either(tmp_path):
    plot = mixed(tmp_path, {"hinge": ("CPU", "eager"), "wgan": ("H200", "eager")})
    assert "hinge trained on CPU, wgan on H200." in plot.about


def test_who_asks_for_times_that_do_not_compare_gets_them_without_a_front(tmp_path):
    mixed(tmp_path, {"hinge": ("CPU", "vectorised"), "wgan": ("CPU", "eager")})
    plot = plot_of(tmp_path, Wanted("pareto", axis="device_seconds")).plot
    assert plot.fact == "Quality against training, device seconds. Times do not compare here, so there is no front."
    assert "do not compare" in plot.about


def test_times_that_seeds_share_are_said_to_hide_how_much_they_vary(tmp_path):
    plot = mixed(tmp_path, {"hinge": ("CPU", "vectorised"), "wgan": ("CPU", "vectorised")})
    assert plot.axes[0] == "device_seconds"
    assert "how much it varies is not known" in plot.about


def test_costs_are_the_range_over_the_seeds_that_have_a_score(tmp_path):
    for seed, seconds in enumerate((20.0, 24.0, 99.0)):
        scores = fabricate.image_scores(3.0) if seed < 2 else ()
        outcome = fabricate.Outcome(scores, "ok" if scores else "oom", spent=Spent(100.0, 1562, seconds, 0.3))
        fabricate.commit(Store(tmp_path), fabricate.trial(seed=seed), outcome)
    (row,) = data_of(drawn(tmp_path)["Quality against cost"], "place")
    assert (row["device_seconds_least"], row["device_seconds"], row["device_seconds_most"]) == (20, 22, 24)


# --- curves


def test_curves_are_drawn_over_the_budget_s_axis_first(digits):
    assert digits["fcd_digits while training"].axes[0] == "kimg"


def test_every_line_that_has_a_colour_has_a_mark_of_its_own(digits):
    points = data_of(digits["fcd_digits while training"], "line")
    marked = {point["place"] for point in points if point["mark"]}
    assert marked == {0, 1, 2, 3, 4, 5}
    shapes = json.dumps(digits["fcd_digits while training"].specification)
    assert all(f'"{shape}"' in shapes for shape in charts_style.SHAPES)
    assert len(set(charts_style.SHAPES)) == charts_style.COLOURS


def trial_points(count, status="ok", keys=("k",)):
    """The curve of one variant's trials, as `trials_shown` gives it."""
    rows = [
        {
            "key": key,
            "place": 0,
            "label": "v",
            "status": status,
            "point": i,
            **dict.fromkeys(AXES, float(i)),
            "fcd": i + 1.0,
        }
        for key in keys
        for i in range(count)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 99, 100, 101, 250, 1000])
def test_a_long_curve_is_thinned_between_its_first_and_its_last_point(count):
    points = points_of(trial_points(count), "fcd", "arithmetic")
    assert points["kimg"].iloc[0] == 0
    assert points["kimg"].iloc[-1] == count - 1
    assert min(count, MOST_POINTS - 1) <= len(points) <= min(count, MOST_POINTS + 1)
    assert 1 <= points["mark"].sum() <= MARKED + 1
    assert points["kimg"].diff().max() <= 2 * max(1, count / MOST_POINTS) or count == 1


def test_no_more_failed_seeds_are_drawn_than_can_be_told_apart():
    keys = [f"k{i}" for i in range(charts_curves.MOST_FAILED + 20)]
    points = points_of(trial_points(3, "diverged", keys), "fcd", "arithmetic")
    assert points["line"].nunique() == charts_curves.MOST_FAILED
    assert points["last"].sum() == charts_curves.MOST_FAILED


def test_points_without_end_are_left_out():
    known = trial_points(3).assign(fcd=[1.0, math.inf, math.nan])
    assert points_of(known, "fcd", "arithmetic")["y"].tolist() == [1.0]


def test_a_curve_of_failures_only_says_so():
    plot = curve_plot(points_of(trial_points(2, "oom"), "fcd", "geometric"), ("kimg",), "fcd", "geometric")
    assert "no variant has a seed that came to the end" in plot.fact
    assert "cross" in plot.about
    assert plot.rows == ()


def test_the_numbers_of_a_curve_are_its_ends_and_its_seeds(digits):
    plot = digits["fcd_digits while training"]
    (row,) = [row for row in plot.rows if row[0] == "dcgan / wgan"]
    assert plot.headings[:4] == ("variant", "points", "first", "last")
    assert row[1] == "8"
    lowest, last, highest = float(row[4]), float(row[3]), float(row[5])
    assert lowest < last < highest


def test_a_curve_says_which_mean_it_is_and_that_the_board_has_another(digits):
    assert digits["fcd_digits while training"].about.startswith("Line: geometric mean over seeds.")
    assert ", geometric mean over seeds: " in digits["fcd_digits while training"].fact
    coverage = digits["coverage_digits while training"].about
    assert coverage.startswith("Line: arithmetic mean over seeds.")
    assert coverage.endswith("The board shows medians of it.")
    assert "medians" not in digits["discriminator/accuracy while training"].about


def test_a_geometric_mean_is_not_claimed_where_a_value_is_not_positive():
    known = trial_points(3).assign(fcd=[1.0, 4.0, 0.0])
    assert mean_of(known, "fcd", "geometric") == "arithmetic"
    assert mean_of(trial_points(3), "fcd", "geometric") == "geometric"
    assert mean_of(known.assign(status="oom"), "fcd", "geometric") == "geometric"


def test_lines_without_a_colour_are_as_good_as_wide(digits):
    widths = json.loads(json.dumps(digits["fcd_digits while training"].specification))["layer"][1]["encoding"][
        "strokeWidth"
    ]
    assert widths["value"] >= 0.9 * widths["condition"][0]["value"]


# --- all plots of a ranking


def test_every_plot_says_its_main_fact(digits):
    assert list(digits) == [
        "Quality against cost", "fcd_digits while training", "coverage_digits while training",
        "discriminator/accuracy while training", "Loss by networks",
    ]  # fmt: skip
    assert "dcgan / relativistic" in digits["Quality against cost"].fact
    assert all(plot.fact and plot.about for plot in digits.values())
    assert all(len(row) == len(plot.headings) for plot in digits.values() for row in plot.rows)


def test_one_variant_is_drawn_and_has_no_heat_map(tmp_path):
    store = Store(tmp_path)
    fabricate.whole_trial(store, fabricate.trial(), fabricate.Outcome(fabricate.image_scores(3.0)))
    assert list(drawn(tmp_path)) == [
        "Quality against cost", "fcd_digits while training", "coverage_digits while training",
        "discriminator/accuracy while training",
    ]  # fmt: skip


def test_where_every_trial_failed_there_is_no_quality_to_draw(tmp_path):
    for loss in ("hinge", "wgan"):
        fabricate.commit(Store(tmp_path), fabricate.trial(fabricate.variant(loss)), fabricate.Outcome((), "oom", "no"))
    assert drawn(tmp_path) == {}


def test_hostile_names_stay_data(tmp_path):
    store = Store(tmp_path)
    for loss in ("hinge", HOSTILE):
        fabricate.whole_trial(
            store, fabricate.trial(fabricate.variant(loss)), fabricate.Outcome(fabricate.image_scores(3.0))
        )
    for plot in drawn(tmp_path).values():
        elsewhere = {key: value for key, value in plot.specification.items() if key != "datasets"}
        assert "script" not in json.dumps(elsewhere)


def test_only_the_best_variants_are_drawn_however_many_there_are(tmp_path):
    store = Store(tmp_path)
    for i in range(charts.SHOWN + 6):
        outcome = fabricate.Outcome(fabricate.image_scores(3.0 + i))
        fabricate.commit(store, fabricate.trial(fabricate.variant(f"loss{i:02}")), outcome)
    plots = drawn(tmp_path)
    points = data_of(plots["Quality against cost"], "place")
    assert sorted(point["place"] for point in points) == list(range(charts.SHOWN))


def test_the_legend_names_what_is_drawn_with_its_colour_and_mark(results):
    entries = charts.legend(next(found for found in rankings(board(load_results(results)))))
    assert [entry["place"] for entry in entries] == list(range(7))
    assert [entry["colour"] for entry in entries] == [*(f"colour-{i}" for i in range(6)), "grey"]
    assert len({entry["mark"] for entry in entries}) == 6  # the grey one has the first one's


def test_long_names_are_short_on_buttons_and_no_two_alike(tmp_path):
    for i in range(4):
        made = fabricate.variant("hinge", "stylegan2", mapping_layers=2, style_dim=16, width=8 + i)
        made = replace(
            made, generator=Choice("stylegan2", (("mapping_layers", 2), ("style_dim", 16), ("width", 8 + i)))
        )
        fabricate.commit(Store(tmp_path), fabricate.trial(made), fabricate.Outcome(fabricate.image_scores(3.0 + i)))
    entries = charts.legend(rankings(board(load_results(tmp_path)))[0])
    assert all(len(entry["label"]) > charts.BUTTON_LETTERS >= len(entry["short"]) for entry in entries)
    assert len({entry["short"] for entry in entries}) == 4


def test_colours_are_the_pages_variables_and_never_fixed(digits):
    found = json.dumps(digits["fcd_digits while training"].specification)
    assert all(f"var(--colour-{i})" in found for i in range(6))
    assert "#" not in found.replace("https://vega.github.io/schema/vega-lite/", "")


def test_data_are_written_with_six_digits():
    data = charts_style.rounded(pd.DataFrame({"x": [1 / 3, 123456.789, math.nan]}), "x")
    assert data["x"].tolist()[:2] == [0.333333, 123457.0]
    assert math.isnan(data["x"].iloc[2])


def test_every_plot_is_what_vega_lite_asks_for(tmp_path):
    path = tmp_path / "quick"
    fabricate.write_suite(path)
    table = load_results(path)
    drawn = [
        plot
        for ranking in rankings(board(table))
        for plot in charts.plots(ranking, table[table["protocol"] == ranking["protocol"].iloc[0]], load_curves(path))
    ]
    assert len(drawn) > 5
    for plot in drawn:
        alt.Chart.from_dict(plot.specification)  # raises for what the schema does not know
