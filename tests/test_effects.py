"""The effects of parts: worked by hand, against simulation, and what is told where they cannot be known."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tabulated import FCD, SHARE, run_row, tabulated

from ganbench.effects import INTERACTION_COLUMNS, LEVEL_COLUMNS, MOST_LEVELS, TEST_COLUMNS, effects
from ganbench.standings import rankings
from ganbench.statistics import board

YIELD = {("low", "low"): (28, 25, 27), ("high", "low"): (36, 32, 32), ("low", "high"): (18, 19, 23),
         ("high", "high"): (31, 30, 29)}  # fmt: skip
"""A chemical process (Montgomery, Design and Analysis of Experiments, chapter 6)."""


def found_in(rows, rules=FCD):
    table = tabulated(rows, rules)
    (ranking,) = rankings(board(table))
    return effects(table, ranking)


def crossed(generators="gh", discriminators="de", losses=("a", "b", "c"), seeds=4, noise=0.1, rng=1, value=None):
    """Trials of every combination; `value` gives the logarithm of a distance that is typical for it."""
    rng = np.random.default_rng(rng)
    typical = value or (lambda generator, discriminator, loss: 0.0)
    return [
        run_row(math.exp(typical(g, d, loss) + rng.normal(0, noise)), g, d, loss, seed)
        for g, d, loss, seed in product(generators, discriminators, losses, range(seeds))
    ]


def level(found, factor, name):
    (row,) = found.levels[(found.levels["factor"] == factor) & (found.levels["level"] == name)].to_dict("records")
    return row


def without_pairs(rows):
    """The same trials, each variant with seeds of its own, so that there is no block."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    return [{**row, "seed": row["seed"] + 100 * variants.index(row["variant"])} for row in rows]


def chemical():
    """The process as trials: the reactant for a generator, the catalyst for a discriminator."""
    return without_pairs(
        [
            run_row(float(value), f"reactant-{one}", f"catalyst-{other}", seed=seed, score="share")
            for (one, other), values in YIELD.items()
            for seed, value in enumerate(values)
        ]
    )


def test_the_chemical_process_has_the_effects_that_are_printed():
    found = found_in(chemical(), SHARE)
    assert (found.scale, found.direction, found.score) == ("difference", "higher", "share")
    assert found.levels["level"].tolist() == ["reactant-high", "reactant-low", "catalyst-low", "catalyst-high"]
    high, _, _, catalyst = found.levels["effect"]
    assert 2 * high == pytest.approx(8.33, abs=5e-3)
    assert 2 * catalyst == pytest.approx(-5.00, abs=5e-3)
    assert (found.freedom, found.paired) == (8, False)


def test_the_intervals_of_the_chemical_process_are_students():
    row = level(found_in(chemical(), SHARE), "generator", "reactant-high")
    margin = stats.t.ppf(0.975, 8) * math.sqrt(31.3333 / 8 / 12)
    assert (row["low"], row["high"]) == pytest.approx((8.3333 / 2 - margin, 8.3333 / 2 + margin), abs=1e-3)
    assert row["p"] == pytest.approx(stats.f.sf(53.19, 1, 8) * 4, rel=0.01)  # both levels of the pair by Holm: × 4


def test_the_interaction_of_the_chemical_process_is_not_larger_than_noise():
    found = found_in(chemical(), SHARE)
    assert found.tests["p"].tolist() == [pytest.approx(stats.f.sf(2.13, 1, 8), abs=1e-3)]
    assert found.interactions.empty


def test_distances_have_ratios_that_multiply_to_one():
    def value(generator, discriminator, loss):
        return {"g": 0.0, "h": math.log(4)}[generator] + {"a": 0.0, "b": 0.0, "c": math.log(8)}[loss]

    found = found_in(crossed(value=value, noise=1e-6))
    assert found.scale == "ratio"
    effect = found.levels.set_index("level")["effect"]
    assert effect["g"] == pytest.approx(1 / 2, rel=1e-4)
    assert effect["h"] == pytest.approx(2, rel=1e-4)
    assert effect["c"] == pytest.approx(4, rel=1e-4)
    assert effect["d"] == pytest.approx(1, rel=1e-4)
    for _, own in found.levels.groupby("factor"):
        assert own["effect"].prod() == pytest.approx(1)


def test_each_variant_counts_once_however_many_of_its_seeds_finished():
    rows = crossed(noise=0, value=lambda g, _, loss: 1.0 if (g, loss) == ("g", "a") else 0.0)
    whole = found_in(rows)
    fewer = [{**row, "fcd": math.nan} if row["seed"] and row["loss"] == "a" else row for row in rows]
    found = found_in(fewer)
    pd.testing.assert_series_equal(found.levels["effect"], whole.levels["effect"])
    assert level(found, "loss", "a")["ok"] == 4
    assert level(found, "loss", "a")["attempted"] == 16
    assert "12 of 48 trials failed; the effects are on those that did not." in found.notes


def test_the_seed_is_a_block_where_every_variant_was_tried_with_the_same_seeds():
    rows = [{**row, "fcd": row["fcd"] * math.exp(row["seed"])} for row in crossed()]
    paired, apart = found_in(rows), found_in(without_pairs(rows))
    assert (paired.paired, paired.freedom) == (True, 11 * 3)
    assert (apart.paired, apart.freedom) == (False, 12 * 3)
    width = {name: np.log(f.levels["high"] / f.levels["low"]).mean() for name, f in (("yes", paired), ("no", apart))}
    assert width["yes"] < width["no"] / 5


def test_an_interaction_that_is_larger_than_noise_is_shown_cell_by_cell():
    def value(generator, discriminator, loss):
        return (1.0 if generator == "g" else -1.0) * (1.0 if discriminator == "d" else -1.0)

    found = found_in(crossed(value=value))
    assert found.interactions[["factor", "other"]].drop_duplicates().to_numpy().tolist() == [
        ["generator", "discriminator"]
    ]
    cells = found.interactions.set_index(["level", "other_level"])
    for own, other, expected in (("g", "d", 1), ("g", "e", -1), ("h", "d", -1), ("h", "e", 1)):
        row = cells.loc[(own, other)]
        assert math.log(row["effect"]) == pytest.approx(expected, abs=0.1)
        assert row["low"] < math.exp(expected) * 1.1
        assert row["low"] < row["effect"] < row["high"]
        assert row["variants"] == 3
    tested = found.tests.set_index(["factor", "other"])["p"]
    assert tested["generator", "discriminator"] < 1e-9
    assert (tested.drop(("generator", "discriminator")) > 0.05).all()


def test_with_one_seed_there_are_effects_but_no_intervals_and_that_is_told():
    found = found_in(crossed(seeds=1))
    assert found.levels["effect"].notna().all()
    assert found.levels[["low", "high", "p"]].isna().all().all()
    assert found.freedom == 0
    assert any(note.startswith("No intervals") for note in found.notes)


def test_levels_that_other_parts_hide_are_told_and_not_shown():
    # Any two of the three factors mix, but the third of each variant follows from the first two.
    parts = [("g", "d", "a"), ("g", "e", "b"), ("h", "d", "b"), ("h", "e", "c")]
    rows = [run_row(1.0 + n + seed / 10, *part, seed) for n, part in enumerate(parts) for seed in range(3)]
    found = found_in(rows)
    assert found.reason == ""
    (note,) = [note for note in found.notes if "do not tell it from other parts" in note]
    shown = set(found.levels["level"])
    assert shown | {name for name in "ghdeabc" if f" {name}" in note} == set("ghdeabc")
    assert len(shown) < 7


def test_parts_that_go_together_are_taken_as_one_and_told():
    rows = [row for row in crossed("gh", "gh") if row["generator"] == row["discriminator"]]
    found = found_in(rows)
    assert list(dict.fromkeys(found.levels["factor"])) == ["generator + discriminator", "loss"]
    assert "Taken as one, as they do not vary apart here: generator and discriminator." in found.notes


def test_a_variant_that_shares_no_part_is_left_out_and_told():
    rows = crossed("gh", "d") + [run_row(1.0 + seed, "odd", "odd", "own", seed) for seed in range(4)]
    found = found_in(rows)
    assert "odd" not in set(found.levels["level"])
    assert any("odd / odd / own" in note for note in found.notes)
    assert found.freedom == 5 * 3


def test_a_part_with_which_every_trial_failed_is_told_and_not_shown():
    rows = [{**row, "fcd": math.nan} if row["loss"] == "c" else row for row in crossed()]
    found = found_in(rows)
    assert found.levels[found.levels["factor"] == "loss"]["level"].tolist() in (["a", "b"], ["b", "a"])
    assert "Not shown, as every trial with it failed: loss c." in found.notes


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([run_row(None), run_row(None, loss="b")], "No trial has a score."),
        ([run_row(1.0), run_row(2.0, seed=1)], "The variants that finished do not differ in any part."),
        (
            [run_row(1.0, loss=f"l{number}") for number in range(MOST_LEVELS + 1)],
            f"The parts have {MOST_LEVELS + 1} levels, more than the {MOST_LEVELS} that are fitted.",
        ),
    ],
)
def test_where_there_is_nothing_to_say_a_sentence_says_why(rows, reason):
    found = found_in(rows)
    assert found.reason == reason
    assert found.levels.empty


@pytest.mark.parametrize(
    "rows", [[run_row(None)], crossed(), crossed(value=lambda g, d, _: 5.0 * (g == "g") * (d == "d"))]
)
def test_the_tables_have_their_columns(rows):
    found = found_in(rows)
    tables = ((found.levels, LEVEL_COLUMNS), (found.tests, TEST_COLUMNS), (found.interactions, INTERACTION_COLUMNS))
    for frame, columns in tables:
        assert {name: str(frame[name].dtype) for name in frame} == {n: column.dtype for n, column in columns.items()}


def test_a_penalty_and_a_varied_training_are_factors():
    rows = [
        {**row, "training": training, "recipe": training, "fcd": row["fcd"] * (3.0 if training else 1.0)}
        for row in crossed("g", "d", ["a", "b", "a + r1(gamma=0.1)", "b + r1(gamma=0.1)"])
        for training in ("", "batch_size=8")
    ]
    found = found_in(rows)
    assert list(dict.fromkeys(found.levels["factor"])) == ["loss", "penalty", "training"]
    assert level(found, "training", "batch_size=8")["effect"] == pytest.approx(math.sqrt(3))
    assert {"none", "r1(gamma=0.1)"} <= set(found.levels["level"])


def test_the_order_of_the_trials_does_not_matter():
    table = tabulated(crossed())
    (ranking,) = rankings(board(table))
    shuffled = effects(table.sample(frac=1, random_state=3), ranking)
    pd.testing.assert_frame_equal(shuffled.levels, effects(table, ranking).levels)


def test_scores_of_any_size_are_fitted():
    table = tabulated([{**row, "share": row["fcd"], "fcd": None} for row in crossed(losses="ab")], SHARE)
    (ranking,) = rankings(board(table))
    plain = effects(table, ranking).levels
    huge = effects(table.assign(share=table["share"] * 2.0**700), ranking).levels  # squares are beyond float64
    for name in ("effect", "low", "high"):
        np.testing.assert_allclose(huge[name] / 2.0**700, plain[name], rtol=1e-9)
    np.testing.assert_allclose(huge["p"], plain["p"], rtol=1e-9)


def test_hostile_names_are_printable_in_what_is_told():
    rows = [
        {**row, "fcd": math.nan} if row["loss"] != "a" else row for row in crossed(losses=["a", "b\u202e\x1b[2J\n"])
    ]
    notes = found_in(rows).notes
    assert notes
    assert all(note.isprintable() for note in notes)
