import json
import math

import fabricate
import pandas as pd
import pytest

from ganbench.cells import Scale
from ganbench.slider import MOST_STOPS, SOONER, row_at, slider, stops_of
from ganbench.standings import rankings
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_curves, load_results
from ganbench.terms import AXES, Spent


def made(path):
    table = load_results(path)
    return table, load_curves(path), board(table)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return made(fabricate.write_suite(tmp_path_factory.mktemp("results") / "quick").path)


def test_stops_lie_where_trials_were_evaluated_and_before_the_full_budget(results):
    stops = stops_of(results[1], ["fcd_digits", "modes_20pct"], 10)
    assert stops["kimg"] == pytest.approx([12.5, 25.0, 37.5, 62.5, 75.0, 87.5], rel=0.005)  # of seven recorded
    assert list(stops) == list(AXES)
    assert all(len(values) <= MOST_STOPS and values == sorted(values) for values in stops.values())


def test_many_rows_have_fewer_stops(results):
    counts = [
        {axis: len(stops) for axis, stops in stops_of(results[1], ["fcd_digits"], rows).items()}
        for rows in (1_000, 2_000, 99_999)
    ]
    assert counts == [dict.fromkeys(AXES, 1), {"kimg": 2}, {"kimg": 1}]


def test_there_are_no_stops_without_curves(results):
    table, curves, ranked = results
    assert stops_of(curves.head(0), ["fcd_digits"], 10) == {}
    assert stops_of(curves, ["nothing"], 10) == {}
    assert slider(table, curves.head(0), ranked)[0] == {}


def test_earlier_stops_rank_by_what_was_scored_there(results):
    table, curves, ranked = results
    stops, cells = slider(*results)
    ranking, place = rankings(ranked)[0], 3
    assert stops["kimg"][place] == pytest.approx(62.5, rel=0.005)
    best = table[(table["loss"] == ranking["loss"].iloc[1]) & (table["generator"] == "dcgan")]
    there = curves[curves["key"].isin(best["key"])]
    known = there[(there["kimg"] - 62.5).abs() < 0.1]["fcd_digits"]
    assert len(known) == 3
    row = cells[0]["kimg"][place][1]
    assert row[5] == pytest.approx(math.exp(known.map(math.log).mean()), rel=0.01)
    assert row[5] > ranking["mean"].iloc[1]
    rows = zip(cells[0]["kimg"][place], ranking["kind"], strict=True)
    assert all(cells is None for cells, kind in rows if kind != "trial")
    places = [row[0] for row in cells[0]["kimg"][place] if row]
    assert sorted(places) == list(range(1, 1 + len(places)))


def test_what_was_not_recorded_at_a_stop_has_no_cells_there(tmp_path):
    for loss, kimg in (("short", 50.0), ("long", 100.0)):
        for seed in range(2):
            outcome = fabricate.Outcome(fabricate.image_scores(3.0 + seed), spent=Spent(kimg, 700, 20.0, 0.3))
            attempt = fabricate.commit(Store(tmp_path), fabricate.trial(fabricate.variant(loss), seed), outcome)
            fabricate.write_curve(attempt, {"fcd_digits": 3.0 + seed}, kimg=kimg, points=4)
    stops, cells = slider(*made(tmp_path))
    losses = rankings(made(tmp_path)[2])[0]["loss"].tolist()
    shown = {
        stop: dict(zip(losses, row, strict=True)) for stop, row in zip(stops["kimg"], cells[0]["kimg"], strict=True)
    }
    assert shown[75.0]["short"] == SOONER
    assert shown[75.0]["long"][0] == 0
    assert shown[12.5]["short"][0] in (0, 1)
    assert shown[12.5]["long"] is None


def test_a_stop_does_not_lie_before_the_points_that_it_is_named_after(tmp_path):
    for seed, kimg in enumerate((50.24, 50.3)):  # shown as 10.0 and 10.1 thousand images by the fifth of five points
        outcome = fabricate.Outcome(fabricate.image_scores(3.0), spent=Spent(kimg, 700, 20.0, 0.3))
        attempt = fabricate.commit(Store(tmp_path), fabricate.trial(seed=seed), outcome)
        fabricate.write_curve(attempt, {"fcd_digits": 3.0}, kimg=kimg, points=5)
    stops, cells = slider(*made(tmp_path))
    assert stops["kimg"][0] >= 10.048
    assert all(row is not None for rows in cells[0]["kimg"] for row in rows)


def test_stops_that_no_trials_share_begin_where_every_trial_has_begun(tmp_path):
    for seed, seconds in enumerate((3.0, 11.3)):
        outcome = fabricate.Outcome(fabricate.image_scores(3.0), spent=Spent(50.0, 700, seconds, 0.3))
        attempt = fabricate.commit(Store(tmp_path), fabricate.trial(seed=seed), outcome)
        fabricate.write_curve(attempt, {"fcd_digits": 3.0}, kimg=50.0, points=5)
    curves = load_curves(tmp_path)
    firsts = curves.groupby("key")["device_seconds"].min()
    assert stops_of(curves, ["fcd_digits"], 2)["device_seconds"][0] >= firsts.max()


def test_device_time_is_not_compared_between_devices(tmp_path):
    for seed, device in enumerate(("one", "another")):
        facts = {**fabricate.ENVIRONMENT_FACTS, "device": device}
        attempt = fabricate.commit(
            Store(tmp_path), fabricate.trial(seed=seed), fabricate.Outcome(fabricate.image_scores(3.0)), facts
        )
        fabricate.write_curve(attempt, {"fcd_digits": 3.0})
    stops, cells = slider(*made(tmp_path))
    assert "device_seconds" not in stops  # where no board has anything to show
    assert cells[0]["kimg"]


def test_a_stop_that_few_variants_reached_ranks_none(tmp_path):
    for loss, kimg in (("one", 50.0), ("two", 50.0), ("three", 50.0), ("long", 100.0)):
        outcome = fabricate.Outcome(fabricate.image_scores(3.0), spent=Spent(kimg, 700, 20.0, 0.3))
        attempt = fabricate.commit(Store(tmp_path), fabricate.trial(fabricate.variant(loss)), outcome)
        fabricate.write_curve(attempt, {"fcd_digits": 3.0}, kimg=kimg, points=4)
    stops, _ = slider(*made(tmp_path))
    assert stops["kimg"] == [12.5, 25.0, 37.5, 50.0]  # at 75, which "long" alone reached, it would have won


def test_a_row_without_end_or_score_is_written_as_json():
    scale = Scale(1.0, 4.0, logarithmic=True)
    row = {"kind": "trial", "rank": "1–2", "rank_low": 1, "rank_high": 2, "ok": 2, "attempted": 2}
    assert row_at({**row, "mean": 2.0, "low": 1.0, "high": 4.0}, 0, 2, scale) == [
        0, "1–2", "2.00", "[1.00, 4.00]", "2/2", 2.0, [0.0, 100.0], [0.0, 50.0, 100.0],
    ]  # fmt: skip
    for mean, low, high in ((math.nan,) * 3, (math.inf, 0.0, math.inf), (2.0, 0.0, math.inf)):
        json.dumps(row_at({**row, "mean": mean, "low": low, "high": high}, 0, 2, scale), allow_nan=False)
    assert row_at({**row, "mean": 5.0, "low": 4.0, "high": 6.0}, 0, 2, scale)[-1] is None  # beyond the strip
    unranked = {**row, "rank_low": pd.NA, "rank_high": pd.NA, "mean": 2.0, "low": math.nan, "high": math.nan}
    assert row_at(unranked, 0, 2, None)[-2:] == [None, None]
