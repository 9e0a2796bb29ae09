from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch

from ganbench.errors import DataError, SuiteError
from ganbench.faults import CLEARLY, CONTROL, FaultTable, faults, measure_faults, parted
from ganbench.plugins import discover
from ganbench.protocols import Data, Modes, Places
from ganbench.terms import Choice
from ganbench.workshop import Workshop

IMAGE_METRICS = (
    "frechet",
    "frechet-infinity",
    "kernel",
    "inception-score",
    "precision-recall",
    "density-coverage",
    "classes",
    "bins",
    "detectability",
    "memorisation",
    "conditional-accuracy",
)
POINT_METRICS = ("modes", "sliced-wasserstein", "rbf-mmd", "log-likelihood", "detectability")

DISTANCES = {"fcd_digits", "fcd_infinity_digits", "kid_digits"}
HISTOGRAMS = {"tvd_classes", "kl_classes", "jsd_digits"}
VARIETY = {"recall_digits", "coverage_digits"}
QUALITY = {"precision_digits", "density_digits"}
CLASSES = {"classes_covered", "classes_any"}
TESTS = {"c2st_logistic_digits", "c2st_1nn_digits"}
ALL = {*DISTANCES, *HISTOGRAMS, *VARIETY, *QUALITY, *CLASSES, *TESTS}
ALL |= {"ndb_digits", "isc_digits", "conditional_accuracy_digits", "memorised_digits"}

# By fault: the scores that must be clearly worse, and those that must not move. The rest is left open: there the fault
# is small where the score looks, chance decides (20 samples may miss a class), or the score is fooled (see below).
DIGITS: dict[str, tuple[set[str], set[str]]] = {
    "collapse": (ALL - QUALITY - {"memorised_digits"}, {"memorised_digits"}),
    "20 repeated": (
        VARIETY | TESTS | {"fcd_digits", "fcd_infinity_digits", "jsd_digits", "ndb_digits"},
        QUALITY | {"classes_any", "conditional_accuracy_digits", "memorised_digits"},
    ),
    "200 repeated": (
        VARIETY | {"c2st_1nn_digits"},
        QUALITY | CLASSES | {"tvd_classes", "c2st_logistic_digits", "isc_digits", "memorised_digits"},
    ),
    "twice": (
        VARIETY | {"c2st_1nn_digits"},
        QUALITY | CLASSES | DISTANCES | {"tvd_classes", "kl_classes", "isc_digits", "memorised_digits"},
    ),
    "dropped": (
        DISTANCES
        | HISTOGRAMS
        | VARIETY
        | {"classes_covered", "c2st_1nn_digits", "isc_digits", "conditional_accuracy_digits"},
        QUALITY | {"c2st_logistic_digits", "memorised_digits"},
    ),
    "mislabelled": ({"conditional_accuracy_digits"}, ALL - {"conditional_accuracy_digits"}),
    "memorised": ({"memorised_digits"}, ALL - {"memorised_digits"}),
    "noise": (ALL - {"classes_any", "memorised_digits"}, {"classes_any", "memorised_digits"}),
    "outliers": (
        {"jsd_digits", "isc_digits", "conditional_accuracy_digits"},
        VARIETY | CLASSES | DISTANCES | TESTS | {"tvd_classes", "kl_classes", "memorised_digits"},
    ),
    "noisy 8": (set(), ALL),
    "noisy 32": (
        QUALITY | TESTS | {"fcd_digits", "kid_digits", "coverage_digits", "isc_digits"},
        CLASSES | {"tvd_classes", "kl_classes", "recall_digits", "conditional_accuracy_digits", "memorised_digits"},
    ),
    "blurred 0.5": (
        VARIETY | TESTS | {"fcd_digits", "kid_digits", "jsd_digits"},
        CLASSES | {"tvd_classes", "kl_classes", "conditional_accuracy_digits", "memorised_digits"},
    ),
    "blurred 1": (ALL - {"classes_any", "memorised_digits"}, {"classes_any", "memorised_digits"}),
}

MODES = {"tvd_modes", "kl_modes"}
COUNTS = {"modes_20pct", "modes_any"}
TRANSPORT = {"sliced_w1", "rbf_mmd2"}
NEIGHBOUR, REGRESSION = {"c2st_1nn_points"}, {"c2st_logistic_points"}
LIKELIHOOD, PLACE = {"log_likelihood_gap"}, {"high_quality"}
OF_POINTS = {*MODES, *COUNTS, *TRANSPORT, *NEIGHBOUR, *REGRESSION, *LIKELIHOOD, *PLACE}

RING8: dict[str, tuple[set[str], set[str]]] = {
    "collapse": (OF_POINTS - PLACE - LIKELIHOOD, LIKELIHOOD),
    "20 repeated": ({"tvd_modes"} | NEIGHBOUR, PLACE | LIKELIHOOD | REGRESSION),
    "200 repeated": ({"kl_modes"} | NEIGHBOUR, COUNTS | PLACE | LIKELIHOOD | REGRESSION),
    "twice": (NEIGHBOUR, OF_POINTS - NEIGHBOUR),
    "dropped": (MODES | COUNTS | TRANSPORT | NEIGHBOUR, LIKELIHOOD | PLACE | REGRESSION),
    "mislabelled": (set(), OF_POINTS),
    "memorised": (set(), OF_POINTS),
    "noise": (OF_POINTS - REGRESSION, REGRESSION),
    "outliers": ({"tvd_modes"} | PLACE | LIKELIHOOD, COUNTS | {"kl_modes"} | TRANSPORT | NEIGHBOUR | REGRESSION),
    "noisy": ({"tvd_modes"} | PLACE | LIKELIHOOD, COUNTS | {"kl_modes"} | TRANSPORT | REGRESSION),
    "shifted": ({"tvd_modes"} | PLACE | LIKELIHOOD | NEIGHBOUR, COUNTS | {"kl_modes"} | TRANSPORT | REGRESSION),
    "centres": (NEIGHBOUR | LIKELIHOOD, MODES | COUNTS | TRANSPORT | REGRESSION),
}

# Scores that a fault makes better than real samples: what no ranking may rest on alone.
FOOLED = {
    "digits": {"collapse": {"precision_digits"}, "blurred 0.5": {"isc_digits"}},
    "ring8": {"collapse": PLACE, "centres": PLACE},
}


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop(discover(), Places(), torch.device("cpu"))


@pytest.fixture(scope="module")
def tables(workshop) -> dict[str, FaultTable]:
    image_metrics, point_metrics = ([Choice(name) for name in names] for names in (IMAGE_METRICS, POINT_METRICS))
    return {
        "digits": measure_faults(workshop, Choice("digits"), image_metrics),
        "ring8": measure_faults(workshop, Choice("ring8"), point_metrics, samples=1000),
    }


EXPECTED = {"digits": DIGITS, "ring8": RING8}
CASES = [(dataset, fault) for dataset, of in EXPECTED.items() for fault in of]


def test_every_fault_and_every_score_is_expected_of(tables):
    assert list(tables["digits"].values.index) == [CONTROL, *_in_order(tables["digits"], DIGITS)]
    assert list(tables["ring8"].values.index) == [CONTROL, *_in_order(tables["ring8"], RING8)]
    assert set(tables["digits"].values.columns) == ALL
    assert set(tables["ring8"].values.columns) == OF_POINTS


def _in_order(table: FaultTable, expected: dict) -> list[str]:
    return [name for name in table.values.index if name in expected]


@pytest.mark.parametrize(("dataset", "fault"), CASES, ids=[" ".join(case) for case in CASES])
def test_a_fault_moves_the_scores_that_it_should_move_and_no_others(tables, dataset, fault):
    worse, same = EXPECTED[dataset][fault]
    by = tables[dataset].worse().loc[fault]
    assert not worse & same
    assert {name: by[name] for name in worse if not by[name] > CLEARLY} == {}
    assert {name: by[name] for name in same if not abs(by[name]) <= CLEARLY} == {}


@pytest.mark.parametrize("dataset", list(FOOLED))
def test_some_scores_of_some_faults_are_better_than_those_of_real_samples(tables, dataset):
    by = tables[dataset].worse()
    for fault, scores in FOOLED[dataset].items():
        assert all(by.loc[fault, name] < -2 for name in scores)


def test_labels_alone_move_nothing_but_what_looks_at_them(tables):
    moved = tables["digits"].worse().loc["mislabelled"]
    assert set(moved[moved != 0].index) == {"conditional_accuracy_digits"}


def test_the_control_is_at_the_floor(tables):
    values = tables["digits"].values.loc[CONTROL]
    assert values["c2st_1nn_digits"] == pytest.approx(0.5, abs=0.04)
    assert values["c2st_logistic_digits"] == pytest.approx(0.5, abs=0.04)
    assert values["memorised_digits"] == pytest.approx(0, abs=0.1)
    assert values["kid_digits"] == pytest.approx(0, abs=0.02)
    assert values["precision_digits"] == pytest.approx(values["recall_digits"], abs=0.05)


def test_the_table_says_what_it_shows(tables):
    table = tables["digits"]
    assert (table.count, table.descriptions[CONTROL]) == (599, "other real samples")
    assert (table.directions["fcd_digits"], table.directions["coverage_digits"]) == ("lower", "higher")
    assert list(table.descriptions) == list(table.values.index)


def labelled_images(count: int = 1500) -> Data:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=rng)
    labels = torch.randint(0, 5, (count,), generator=rng)
    half = count // 2
    return Data(images[:half], images[half:], labels[:half], labels[half:])


def made_of(data: Data, samples: int = 500) -> dict:
    rng = torch.Generator().manual_seed(1)
    return {fault.name: fault for fault in faults(parted(data, samples, rng), rng)}


def members(samples: torch.Tensor) -> list[bytes]:
    return [sample.numpy().tobytes() for sample in samples]


def test_the_three_parts_are_equal_and_disjoint_and_keep_their_labels():
    data = labelled_images()
    parts = parted(data, 10_000, torch.Generator().manual_seed(0))
    sides = [members(samples) for samples in (parts.data.train, parts.data.heldout, parts.unseen)]
    assert [len(set(side)) for side in sides] == [500] * 3
    assert len({*sides[0], *sides[1], *sides[2]}) == 1500
    known = dict(zip(members(torch.cat([data.train, data.heldout])), range(1500), strict=True))
    labels = torch.cat([data.train_labels, data.heldout_labels])
    assert torch.equal(parts.labels, labels[[known[member] for member in sides[2]]])
    assert torch.equal(parts.data.train_labels, labels[[known[member] for member in sides[0]]])


def test_the_parts_mix_the_data_sets_own_splits():
    data = labelled_images()
    parts = parted(data, 10_000, torch.Generator().manual_seed(0))
    of_train = set(members(data.train))
    shares = [sum(member in of_train for member in members(side)) / 500 for side in (parts.data.heldout, parts.unseen)]
    assert all(0.4 < share < 0.6 for share in shares)


def test_data_without_a_training_split_are_parted_too():
    data = labelled_images()
    heldout_only = Data(data.train[:0], data.heldout, None, data.heldout_labels)
    parts = parted(heldout_only, 10_000, torch.Generator().manual_seed(0))
    assert (len(parts.unseen), len(parts.labels)) == (250, 250)


def test_each_fault_is_what_it_says():
    data = labelled_images()
    rng = torch.Generator().manual_seed(1)
    parts = parted(data, 500, rng)
    made = {fault.name: fault for fault in faults(parts, rng)}
    distinct = {name: len(set(members(fault.samples))) for name, fault in made.items()}
    for fault in made.values():
        assert (tuple(fault.samples.shape), fault.samples.dtype) == ((500, 1, 8, 8), torch.uint8)
        assert fault.labels.shape == (500,)
    assert torch.equal(made[CONTROL].samples, parts.unseen)
    assert torch.equal(made["memorised"].samples, parts.data.train)
    assert [distinct[name] for name in ("collapse", "20 repeated", "200 repeated", "twice")] == [1, 20, 200, 250]
    assert (made["outliers"].samples != parts.unseen).flatten(1).any(dim=1).sum() == 50
    assert not torch.equal(made["mislabelled"].labels, parts.labels)
    noise = made["noisy 32"].samples.double() - parts.unseen.double()
    assert noise[(parts.unseen > 100) & (parts.unseen < 155)].std() == pytest.approx(32, abs=2)
    assert made["blurred 1"].samples.double().std() < made["blurred 0.5"].samples.double().std()


def test_a_dropped_class_is_still_asked_for_and_others_take_its_place():
    data = labelled_images()
    made = made_of(data)
    control, dropped = made[CONTROL], made["dropped"]
    moved = (control.samples != dropped.samples).flatten(1).any(dim=1)
    (lost,) = set(control.labels[moved].tolist())
    assert torch.equal(moved, control.labels == lost)
    assert torch.equal(dropped.labels, control.labels)
    of_lost = set(members(control.samples[control.labels == lost]))
    assert not of_lost & set(members(dropped.samples))


def test_samples_without_labels_lack_no_class():
    data = replace(labelled_images(), train_labels=None, heldout_labels=None)
    made = made_of(data)
    assert not {"dropped", "mislabelled"} & set(made)
    assert made[CONTROL].labels is None


def test_labels_of_one_split_alone_are_no_labels():
    assert parted(replace(labelled_images(), train_labels=None), 500, torch.Generator()).labels is None


def test_points_without_modes_are_spoiled_on_their_own_scale():
    points = 5 * torch.randn(1500, 2, generator=torch.Generator().manual_seed(0))
    made = made_of(Data(points[:700], points[700:]))
    assert "centres" not in made
    assert (made["shifted"].samples - made[CONTROL].samples).mean(dim=0).tolist() == pytest.approx([0.5, 0], abs=0.02)
    assert (made["noisy"].samples - made[CONTROL].samples).std() == pytest.approx(0.25, abs=0.02)


def test_points_with_modes_fall_onto_their_centres():
    centres = torch.tensor([[0.0, 0], [10, 0]], dtype=torch.float64)
    deviations, weights = torch.tensor([0.1, 0.2]).double(), torch.tensor([0.5, 0.5]).double()
    rng = torch.Generator().manual_seed(0)
    points = centres.float()[torch.randint(2, (600,), generator=rng)] + 0.1 * torch.randn(600, 2, generator=rng)
    made = made_of(Data(points[:300], points[300:], modes=Modes(centres, deviations, weights)))
    assert set(map(tuple, made["centres"].samples.tolist())) == {(0.0, 0.0), (10.0, 0.0)}
    assert (made["shifted"].samples - made[CONTROL].samples)[:, 0].mean() == pytest.approx(0.2, abs=1e-3)


def test_too_few_samples_are_refused():
    with pytest.raises(
        DataError, match=r"needs 40 real samples a side and three times as many in all, got 1000 .* 119"
    ):
        parted(labelled_images(119), 1000, torch.Generator())
    with pytest.raises(DataError, match="got 39 a side, of 1500"):
        parted(labelled_images(), 39, torch.Generator())


def table() -> FaultTable:
    values = pd.DataFrame(
        {"distance": [1.0, 3.0, 9.0], "modes": [8.0, 1.0, 8.0], "share": [0.5, 0.9, math.nan]},
        index=[CONTROL, "collapse", "other"],
    )
    deviations = pd.Series({"distance": 0.25, "modes": 0.0, "share": 0.05})
    errors = pd.DataFrame(0.01, index=values.index, columns=values.columns)
    errors.loc["collapse", "modes"] = 0.0
    errors.loc["other", "distance"] = 8.0
    return FaultTable(values, errors, deviations, {"distance": "lower", "modes": "higher", "share": "higher"}, {}, 10)


def test_worse_counts_deviations_of_the_control_in_the_bad_direction():
    worse = table().worse()
    assert worse.loc["collapse"].to_dict() == {"distance": 8.0, "modes": math.inf, "share": pytest.approx(-8)}
    assert worse.loc["other", "distance"] == 1  # by its own error, which is larger
    assert worse.loc[CONTROL].to_dict() == {"distance": 0.0, "modes": 0.0, "share": 0.0}
    assert math.isnan(worse.loc["other", "share"])


def test_cells_mark_what_is_clearly_worse_or_better():
    assert table().cells().loc["collapse"].tolist() == ["3*", "1*", "0.9+"]
    assert table().cells().loc["other"].tolist() == ["9", "8", "–"]


PLUGIN = '''
"""A metric of somebody else."""

from ganbench.hookspecs import hookimpl
from ganbench.terms import Component, Measure, Score


@hookimpl
def ganbench_metrics():
    brightness = Measure("brightness", "higher", "Mean of all pixels.", "mean(x)", unit="grey levels")
    yield Component(
        "brightness", ":brightness", summary="Mean of all pixels", needs={"data": "images"}, measures=(brightness,)
    )


def brightness():
    return lambda evidence: (Score("brightness", evidence.fake.double().mean().item(), "higher"),)
'''


def test_a_metric_of_somebody_else_takes_part(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    workshop = Workshop(discover([path]), Places(), torch.device("cpu"))
    found = measure_faults(workshop, Choice("digits"), [Choice("brightness"), Choice("classes")], samples=60)
    assert set(found.values.columns) >= {"brightness", "tvd_classes"}
    assert found.values.loc["noise", "brightness"] == pytest.approx(127.5, abs=3)
    assert found.count == 60


def test_all_installed_metrics_that_apply_are_measured_where_none_is_named(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    workshop = Workshop(discover([path]), Places(), torch.device("cpu"))
    found = measure_faults(workshop, Choice("digits"), samples=45)
    assert set(found.values.columns) == {*ALL, "brightness"}


def test_the_same_samples_are_drawn_every_time(workshop):
    first, second = (measure_faults(workshop, Choice("ring8"), [Choice("modes")], samples=50) for _ in range(2))
    pd.testing.assert_frame_equal(first.values, second.values)


def test_a_metric_that_does_not_apply_is_refused(workshop):
    with pytest.raises(SuiteError, match="metric classes applies to none of the data sets"):
        measure_faults(workshop, Choice("ring8"), [Choice("modes"), Choice("classes")])
