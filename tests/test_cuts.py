import math
from dataclasses import replace

import fabricate
import pandas as pd
import pytest

from ganbench.cuts import Cut, cut, parse_cut
from ganbench.disk import write_atomically
from ganbench.errors import ResultsError
from ganbench.statistics import board
from ganbench.store import CURVE, Store
from ganbench.tables import load_curves, load_results
from ganbench.terms import Budget, Reference, Spent


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "suite")


POINTS = ((25.0, 8.0, 0.2), (50.0, 4.0, 0.4), (100.0, 1.0, 0.8))
"""Thousands of images, the distance and the coverage there."""


def add(store, loss="a", seed=0, points=POINTS, status="ok", end=None, facts=None, seconds=0.1, **changes):
    """A trial with that curve: a step takes 64 images and `seconds` of the device for a thousand."""
    rows = [
        {"kimg": kimg, "steps": kimg * 1000 / 64, "device_seconds": seconds * kimg, "petaflops": kimg / 50,
         "wall_seconds": kimg, "fcd_digits": distance, "coverage_digits": coverage}
        for kimg, distance, coverage in points
    ]  # fmt: skip
    end = end or (points[-1][0] if points else 1.0)
    spent = Spent(end, int(end * 1000 / 64), seconds * end, end / 50)
    scores = fabricate.image_scores(*points[-1][1:]) if status == "ok" else ()
    outcome = fabricate.Outcome(scores, status, "" if status == "ok" else "raised", spent=spent)

    def write(attempt):
        write_atomically(attempt.path / CURVE, pd.DataFrame(rows).to_parquet(index=False))

    environment = {**fabricate.ENVIRONMENT_FACTS, **(facts or {})}
    made = fabricate.trial(fabricate.variant(loss), seed, **changes)
    return fabricate.commit(store, made, outcome, environment, write)


def cut_at(store, text):
    return cut(load_results(store.path), load_curves(store.path), parse_cut(text))


@pytest.mark.parametrize(
    ("text", "axis", "value"),
    [
        ("100kimg", "kimg", 100.0),
        ("1.5 Mimg", "kimg", 1500.0),
        ("5_000steps", "steps", 5000.0),
        ("1step", "steps", 1.0),
        ("30s", "device_seconds", 30.0),
        ("2min", "device_seconds", 120.0),
        ("2PF", "petaflops", 2.0),
        ("64gf", "petaflops", 64e-6),
        ("1e3 kimg", "kimg", 1000.0),
        (".5kimg", "kimg", 0.5),
    ],
)
def test_a_budget_is_written_as_a_number_with_its_unit(text, axis, value):
    assert parse_cut(text) == Cut(axis, pytest.approx(value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("100", "'100' is no budget; expected a number with its unit, such as 100kimg"),
        ("kimg", "'kimg' is no budget"),
        ("-5kimg", "'-5kimg' is no budget"),
        ("5 parsecs", "no unit 'parsecs'. Known: gf, h, kimg,"),
        ("0kimg", "above 0"),
        ("1e999s", "finite"),
        ("nankimg", "is no budget"),
    ],
)
def test_anything_else_is_refused_with_examples(text, said):
    with pytest.raises(ResultsError) as refused:
        parse_cut(text)
    assert said in str(refused.value)


def test_at_a_recorded_point_it_is_what_was_recorded(store):
    add(store)
    (row,) = cut_at(store, "50kimg")[0].to_dict("records")
    assert (row["fcd_digits"], row["coverage_digits"], row["kimg"], row["steps"]) == (4.0, 0.4, 50.0, 781)
    assert str(cut_at(store, "50kimg")[1]) == "0 of 1 trials are read off between two recorded points"


def test_between_points_it_is_a_straight_line_over_the_logarithm_of_the_budget(store):
    add(store)
    table, reach = cut_at(store, "70kimg")
    share = math.log(70 / 50) / math.log(2)
    assert table["fcd_digits"].tolist() == pytest.approx([4.0 * 0.25**share])  # averaged geometrically: a power law
    assert table["coverage_digits"].tolist() == pytest.approx([0.4 + 0.4 * share])
    assert table[["device_seconds", "petaflops", "steps"]].iloc[0].tolist() == pytest.approx([7.0, 1.4, 1094])
    assert (reach.between, reach.left_out) == (1, 0)


@pytest.mark.parametrize(("text", "kimg"), [("70kimg", 70), ("7s", 70), ("1.4PF", 70), ("1000steps", 64)])
def test_every_axis_cuts_alike(store, text, kimg):
    add(store)
    share = math.log(kimg / 50) / math.log(2)
    assert cut_at(store, text)[0]["fcd_digits"].tolist() == pytest.approx([4.0 * 0.25**share], rel=1e-9)


def test_nothing_is_told_before_the_first_point_and_after_the_last(store):
    add(store)
    for text in ("24kimg", "101kimg"):
        table, reach = cut_at(store, text)
        assert table.empty
        (variant,) = reach.variants
        assert variant.startswith("digits ")
        assert str(reach).endswith(f"1 is left out and not ranked, for not every seed is recorded there: {variant}")


def test_a_variant_of_which_one_seed_is_not_recorded_there_is_left_out_whole(store):
    add(store, "quick", 0)
    add(store, "quick", 1, seconds=0.2)  # twice as slow: at 2.5 s it has shown no more than 12 kimg
    add(store, "other", 0)
    table, reach = cut_at(store, "3s")
    assert table["loss"].tolist() == ["other"]
    assert reach.left_out == 2


def test_what_fails_later_has_not_failed_yet_and_what_failed_before_has(store):
    add(store, "later", points=POINTS[:2], status="diverged", end=60.0)
    add(store, "before", points=POINTS[:1], status="diverged", end=30.0)
    add(store, "never")
    table, _ = cut_at(store, "40kimg")
    found = table.set_index("loss")
    assert found["status"].to_dict() == {"later": "ok", "before": "diverged", "never": "ok"}
    assert found["fcd_digits"].notna().to_dict() == {"later": True, "before": False, "never": True}
    assert found.loc["later", "message"] == ""
    ranked = board(table)
    assert ranked.set_index("loss")["ok"].to_dict() == {"later": 1, "before": 0, "never": 1}


def test_between_its_last_point_and_its_failure_nothing_is_told(store):
    add(store, points=POINTS[:2], status="diverged", end=60.0)
    table, reach = cut_at(store, "55kimg")
    assert table.empty
    assert reach.left_out == 1


def test_a_failure_that_cannot_tell_when_is_one_from_the_start(store):
    fabricate.commit(store, fabricate.trial(), fabricate.Outcome((), "killed", "by signal SIGKILL"))
    table = load_results(store.path).assign(kimg=math.nan)
    table.attrs = load_results(store.path).attrs
    found, _ = cut(table, load_curves(store.path), parse_cut("40kimg"))
    assert found["status"].tolist() == ["killed"]


def test_the_board_says_that_it_is_cut_and_ranks_by_what_was_then(store):
    for seed in range(3):
        add(store, "fast", seed, [(25.0, 3.0 + seed / 9, 0.1), (100.0, 2.9 + seed / 9, 0.1)])
        add(store, "slow", seed, [(25.0, 99.0 + seed, 0.1), (100.0, 0.3 + seed / 90, 0.1)])
    whole, early = board(load_results(store.path)), board(cut_at(store, "30kimg")[0])
    assert whole["loss"].tolist() == ["slow", "fast"]
    assert early["loss"].tolist() == ["fast", "slow"]
    assert set(early["budget"]) == {"30 kimg (cut from 100 kimg)"}
    assert not set(early["protocol"]) & set(whole["protocol"])


def test_budgets_that_differ_stay_boards_of_their_own(store):
    add(store, "a")
    add(store, "b", budget=Budget(kimg=500.0), points=((40.0, 3.0, 0.1), (500.0, 1.0, 0.1)))
    assert board(cut_at(store, "50kimg")[0])["protocol"].nunique() == 2


def test_device_time_is_compared_on_one_device_and_driver_only(store):
    add(store, "a", facts={"device": "one"})
    add(store, "b", facts={"device": "two"})
    assert board(cut_at(store, "50kimg")[0])["protocol"].nunique() == 1
    cut_in_time = board(cut_at(store, "5s")[0])
    assert cut_in_time["protocol"].nunique() == 2
    assert set(cut_in_time["conditions"]) == {f"device {name} · driver eager" for name in ("one", "two")}


def test_references_stand_beside_as_they_are(store):
    add(store)
    job = Reference(fabricate.DIGITS, "noise", fabricate.evaluation())
    fabricate.commit(store, job, fabricate.Outcome(fabricate.image_scores(180.0)))
    ranked = board(cut_at(store, "50kimg")[0])
    assert ranked["variant"].tolist() == ["dcgan / dcgan / a", "noise"]
    assert ranked["mean"].tolist() == [4.0, 180.0]


def test_the_scores_own_noise_is_not_that_of_another_point(store):
    first, *others = fabricate.image_scores(1.0)
    outcome = fabricate.Outcome((replace(first, noise=0.2), *others), spent=Spent(100.0, 1562, 10.0, 2.0))

    def write(attempt):
        rows = [{"kimg": k, "steps": k, "device_seconds": k, "petaflops": k, "fcd_digits": 1.0} for k in (10.0, 100.0)]
        write_atomically(attempt.path / CURVE, pd.DataFrame(rows).to_parquet(index=False))

    fabricate.commit(store, fabricate.trial(), outcome, None, write)
    table, _ = cut_at(store, "50kimg")
    assert table["noise:fcd_digits"].isna().all()
    assert table["coverage_digits"].isna().all()  # which the curve does not have


def test_a_cut_table_has_the_columns_and_kinds_of_any_other(store):
    add(store)
    table, whole = cut_at(store, "70kimg")[0], load_results(store.path)
    assert table.dtypes.to_dict() == whole.dtypes.to_dict()
    assert table.attrs == whole.attrs


def test_where_there_are_no_curves_all_is_left_out(store):
    fabricate.commit(store, fabricate.trial(), fabricate.Outcome(fabricate.image_scores(1.0)))
    table, reach = cut_at(store, "50kimg")
    assert table.empty
    assert reach.left_out == 1
