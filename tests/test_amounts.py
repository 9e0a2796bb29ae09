"""Numbers as a reader takes them in."""

import math

import pandas as pd
import pytest

from ganbench.amounts import cost_words, medians, noise_without_dust, told_cost, told_number


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("peak_memory_bytes", 644_464_640, ("615", "MiB")),
        ("peak_memory_bytes", 1000, ("0.977", "KiB")),
        ("peak_memory_bytes", 512, ("512", "bytes")),
        ("peak_memory_bytes", 80 * 2**30, ("80", "GiB")),
        ("flops_per_step", 23_592_960.0, ("23.6", "MFLOP")),
        ("flops_per_step", 3e21, ("3,000", "EFLOP")),
        ("flops_per_second", 6.35e9, ("6.35", "GFLOP/s")),
        ("petaflops", 0.31, ("0.310", "PFLOP")),
        ("steps", 782, ("782", "")),
        ("device_seconds", 2.905, ("2.90", "s")),
    ],
)
def test_a_cost_has_a_unit_of_its_size(name, value, told):
    assert told_cost(name, value) == told


@pytest.mark.parametrize(
    ("value", "told"), [(8.0, "8"), (0.0, "0"), (1562, "1,562"), (8.01, "8.01"), (0.5, "0.500"), (math.nan, "–")]
)
def test_a_whole_number_is_told_as_it_is_counted(value, told):
    assert told_number(value) == told


def test_columns_have_the_words_of_the_field():
    assert cost_words("steps") == "generator updates"
    assert cost_words("wall_seconds") == "wall seconds"


def test_medians_are_over_what_ended_well_and_over_all_if_nothing_did():
    runs = [{"status": status, "steps": steps} for status, steps in (("ok", 5), ("ok", 7), ("ok", pd.NA), ("oom", 1))]
    assert medians(runs, ["steps"]) == {"steps": 6.0}
    assert medians(runs[3:], ["steps"]) == {"steps": 1.0}
    assert medians(runs[2:3], ["steps"]) == {}


def test_noise_is_dust_beside_its_score_or_beside_what_the_score_usually_is():
    table = pd.DataFrame(
        {"modes": [8.0, 8.0, 0.0, 8.0, math.nan], "noise:modes": [3e-8, 0.25, 7e-7, math.nan, math.nan], "kl": 1e-7}
    )
    table.attrs["scores"] = {"modes": {}, "kl": {}}
    cleaned = noise_without_dust(table)
    assert list(cleaned) == ["noise:modes"]
    assert cleaned["noise:modes"].fillna(-1).tolist() == [0.0, 0.25, 0.0, -1, -1]


def test_small_noise_of_a_small_score_stays():
    table = pd.DataFrame({"kl": [1e-7, 2e-7], "noise:kl": [3e-8, 4e-8]})
    table.attrs["scores"] = {"kl": {}}
    assert noise_without_dust(table)["noise:kl"].tolist() == [3e-8, 4e-8]
