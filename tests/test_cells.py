import math

import fabricate
import pandas as pd
import pytest

from ganbench.cells import Scale, board_rows, families, family_of, rank_bar, scale_of, sparklines
from ganbench.standings import rankings
from ganbench.statistics import board
from ganbench.store import CURVE, Store
from ganbench.tables import load_curves, load_results


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The ranking on digits, the rows of its trials, and all curves."""
    path = fabricate.write_suite(tmp_path_factory.mktemp("results") / "quick").path
    table = load_results(path)
    ranking = rankings(board(table))[0]
    return ranking, table[table["protocol"] == ranking["protocol"].iloc[0]], load_curves(path)


def test_a_scale_places_values_in_percent_of_its_length():
    assert Scale(0.0, 4.0, logarithmic=False).place(1.0) == 25.0
    assert Scale(1.0, 100.0, logarithmic=True).place(10.0) == 50.0
    assert [Scale(1.0, 2.0, logarithmic=False).place(value) for value in (0.0, 3.0)] == [0.0, 100.0]
    assert Scale(1.0, 2.0, logarithmic=False).holds(2.0)
    assert not Scale(1.0, 2.0, logarithmic=False).holds(2.1)


def test_the_scale_of_a_ranking_holds_every_seed_with_room(digits):
    scale = scale_of(digits[0])
    values = [value for seeds in digits[0]["values"] for value in seeds if digits[0]["kind"].iloc[0]]
    assert scale.logarithmic
    assert scale.low < min(value for value in values if value > 1)
    assert not scale.holds(188.0)  # that is noise, which is no trial


def test_the_bar_of_a_rank_covers_its_share_of_all_ranks():
    assert rank_bar({"rank_low": 2, "rank_high": 3}, 4) == [25.0, 50.0]
    assert rank_bar({"rank_low": 1, "rank_high": 1}, 1000) == [0.0, 3.0]  # never too thin to be seen
    assert rank_bar({"rank_low": pd.NA, "rank_high": pd.NA}, 4) is None
    assert rank_bar({"rank_low": 1, "rank_high": 1}, 1) is None


@pytest.mark.parametrize(
    ("choice", "family"),
    [
        ("hinge", "hinge"),
        ("hinge + r1(gamma=0.1) + ada(p=(1, 2))", "hinge + r1 + ada"),
        ("(all)", "(all)"),
        ("a((b", "a((b"),
        ("a\nb", "a b"),
    ],
)
def test_a_family_is_a_name_without_parameters(choice, family):
    assert family_of(choice) == family


def test_families_are_told_for_the_parts_that_differ(digits):
    assert families(board_rows(*digits)) == {
        "generator": ["dcgan", "mlp"],
        "discriminator": ["dcgan", "mlp"],
        "loss": ["hinge", "lsgan", "minimax", "nonsaturating", "relativistic", "wgan"],
    }


def test_rows_say_how_they_ended_and_how_sure_they_are(digits):
    rows = {row["name"]: row for row in board_rows(*digits)}
    assert [rows[name]["group"] for name in ("real data", "dcgan / hinge", "dcgan / minimax", "noise")] == [
        "reference", "complete", "failed", "reference",
    ]  # fmt: skip
    assert rows["dcgan / hinge"]["provisional"]
    assert not rows["real data"]["provisional"]
    assert rows["dcgan / hinge"]["strip"]["dots"].count("M") == 3
    assert rows["dcgan / hinge"]["curve"]["told"].startswith("8 points, from ")
    assert rows["real data"]["strip"] is None
    assert rows["real data"]["curve"] is None


def curve_of(tmp_path, values, seeds=(1.0,), score=4.0, status="ok"):
    for seed, factor in enumerate(seeds):
        scores = fabricate.image_scores(score) if status == "ok" else ()
        attempt = fabricate.commit(Store(tmp_path), fabricate.trial(seed=seed), fabricate.Outcome(scores, status))
        fabricate.write_curve(attempt, {}, points=len(values))
        path = attempt.path / CURVE
        pd.read_parquet(path).assign(fcd_digits=[factor * value for value in values]).to_parquet(path, index=False)
    table = load_results(tmp_path)
    return sparklines(board(table), table, load_curves(tmp_path))


def test_a_small_curve_is_the_geometric_mean_of_its_seeds_point_by_point(tmp_path):
    (spark,) = curve_of(tmp_path, [100.0, 10.0, 1.0], seeds=(0.5, 2.0)).values()
    assert spark == {"points": "33,2 67,12 100,22", "told": "3 points, from 100 to 1.00"}


@pytest.mark.parametrize("values", [[4.0], [math.inf, 4.0], [math.nan, 4.0]])
def test_a_single_known_point_makes_no_curve(tmp_path, values):
    assert curve_of(tmp_path, values) == {}


def test_a_flat_curve_and_one_with_a_zero_are_drawn(tmp_path):
    assert curve_of(tmp_path / "flat", [2.0, 2.0])
    (spark,) = curve_of(tmp_path / "zero", [2.0, 0.0]).values()
    assert spark["told"] == "2 points, from 2.00 to 0"


def test_seeds_that_failed_are_left_out_of_the_curve(tmp_path):
    assert curve_of(tmp_path, [3.0, 2.0], status="diverged") == {}
