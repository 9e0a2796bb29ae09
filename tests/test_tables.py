import json
import os
from dataclasses import replace

import fabricate
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganbench.errors import ResultsError
from ganbench.store import RECORD, Store
from ganbench.tables import COLUMNS, load_curves, load_results, score_rules
from ganbench.terms import Budget, Choice, Reference, Score, Spent, Training, Variant


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "suite")


def commit(store, seed=0, scores=None, status="ok", environment=None, **changes):
    outcome = fabricate.Outcome(fabricate.image_scores(3.0) if scores is None else scores, status)
    return fabricate.commit(store, fabricate.trial(seed=seed, **changes), outcome, environment)


def test_a_trial_is_a_row_with_its_parts_scores_costs_and_provenance(store):
    attempt = commit(store, seed=4)
    row = load_results(store.path).iloc[0]
    assert (row["suite"], row["kind"], row["status"], row["seed"]) == ("suite", "trial", "ok", 4)
    assert (row["generator"], row["discriminator"], row["loss"]) == ("dcgan", "dcgan", "hinge")
    assert (row["fcd_digits"], row["coverage_digits"]) == (3.0, 0.8)
    assert (row["kimg"], row["steps"], row["images_per_second"]) == (100.0, 1562, 5000.0)
    assert (row["device"], row["torch"], row["extractor"], row["n_fake"]) == ("Test CPU", "2.11.0", "digits", 898)
    assert row["path"] == str(attempt.path)
    assert row["finished_at"] == pd.Timestamp("2030-01-01T00:00:25", tz="UTC")


def test_the_columns_are_the_documented_ones_with_the_scores_before_the_costs(store):
    commit(store)
    table = load_results(store.path)
    scores = ["fcd_digits", "coverage_digits", "tvd_digits"]
    assert [name for name in table.columns if name not in scores] == list(COLUMNS)
    assert list(table.columns).index("wall_seconds") == list(table.columns).index("tvd_digits") + 1


@pytest.mark.parametrize("filled", [True, False])
def test_the_dtypes_are_the_documented_ones_even_of_an_empty_table(store, filled):
    if filled:
        commit(store)
    else:
        (store.path / "runs").mkdir(parents=True)
    table = load_results(store.path)
    assert {name: str(table[name].dtype) for name in COLUMNS} == {name: c.dtype for name, c in COLUMNS.items()}
    assert len(table) == int(filled)


def test_penalties_are_part_of_the_loss(store):
    network = Choice("mlp")
    objective = Variant(network, network, Choice("hinge"), (Choice("r1", (("gamma", 0.1),)),))
    fabricate.commit(store, fabricate.trial(objective), fabricate.Outcome())
    assert load_results(store.path)["loss"].tolist() == ["hinge + r1(gamma=0.1)"]


def test_only_the_newest_recorded_attempt_of_a_trial_is_a_row(store):
    commit(store, status="error", scores=())
    commit(store, scores=fabricate.image_scores(2.0))
    store.begin(fabricate.trial())  # a third one is under way
    table = load_results(store.path)
    assert table[["attempt", "status", "fcd_digits"]].values.tolist() == [[2, "ok", 2.0]]


def test_a_failure_is_a_row_without_scores_even_if_it_recorded_some(store):
    commit(store, status="diverged")
    table = load_results(store.path)
    assert table["status"].tolist() == ["diverged"]
    assert table["fcd_digits"].isna().all()


def test_a_reference_is_a_row_that_has_no_parts_and_no_seed(store):
    fabricate.commit(
        store,
        Reference(fabricate.DIGITS, "real_floor", fabricate.evaluation()),
        fabricate.Outcome(fabricate.image_scores(0.6)),
    )
    row = load_results(store.path).iloc[0]
    assert (row["kind"], row["variant"], row["generator"]) == ("reference", "real_floor", "")
    assert pd.isna(row["seed"])


def test_what_was_evaluated_is_a_row_that_says_what_it_came_as_and_shares_the_evaluation(store):
    commit(store)
    fabricate.commit(store, fabricate.submission("mine"), fabricate.Outcome(fabricate.image_scores(2.0)))
    trial, row = (load_results(store.path).iloc[number] for number in (0, 1))
    assert (row["kind"], row["variant"], row["generator"], row["loss"]) == ("evaluated", "mine", "samples", "")
    assert row["recipe"] == row["key"][:8]
    assert pd.isna(row["seed"])
    assert row["budget"] == ""
    assert row["evaluation_protocol"] == trial["evaluation_protocol"]
    assert row["protocol"] != trial["protocol"]


def test_rows_stand_references_first_then_trials_then_what_was_evaluated(store):
    fabricate.commit(store, fabricate.submission("a"), fabricate.Outcome(fabricate.image_scores(2.0)))
    commit(store)
    reference = Reference(fabricate.DIGITS, "noise", fabricate.evaluation())
    fabricate.commit(store, reference, fabricate.Outcome(fabricate.image_scores(2.0)))
    assert load_results(store.path)["kind"].tolist() == ["reference", "trial", "evaluated"]


def noisy(value, noise):
    first, *others = fabricate.image_scores(value)
    return (replace(first, noise=noise), *others)


def test_the_noise_of_scores_that_have_any_has_a_column_behind_the_scores(store):
    commit(store, seed=0, scores=noisy(3.0, 0.25))
    commit(store, seed=1, scores=noisy(4.0, None))
    table = load_results(store.path)
    assert table["noise:fcd_digits"].tolist()[0] == 0.25
    assert pd.isna(table["noise:fcd_digits"][1])
    assert [name for name in table.columns if name.startswith("noise:")] == ["noise:fcd_digits"]
    names = list(table.columns)
    assert names.index("tvd_digits") + 1 == names.index("noise:fcd_digits") == names.index("wall_seconds") - 1
    assert "noise:fcd_digits" not in score_rules(table)


def test_the_noise_of_a_score_is_no_part_of_how_it_was_measured(store):
    commit(store, seed=0, scores=noisy(3.0, 0.25))
    commit(store, seed=1, scores=noisy(3.0, 0.5))
    assert protocols(store) == (1, 1)
    assert "noise" not in load_results(store.path).attrs["measured"]["suite"]["digits"]["fcd_digits"]


def protocols(store):
    table = load_results(store.path)
    return table["protocol"].nunique(), table["evaluation_protocol"].nunique()


def test_another_seed_variant_or_recipe_is_the_same_protocol(store):
    commit(store)
    commit(store, seed=1)
    commit(store, made=fabricate.variant("wgan"))
    commit(store, training=Training(batch_size=8))
    assert protocols(store) == (1, 1)


def test_another_budget_is_another_protocol_but_shares_its_references(store):
    commit(store)
    commit(store, budget=Budget(kimg=50.0))
    assert protocols(store) == (2, 1)


@pytest.mark.parametrize(
    "scores",
    [
        fabricate.image_scores(3.0, n=500),
        tuple(replace(score, weights_sha256="cd" * 32) for score in fabricate.image_scores(3.0)),
        tuple(replace(score, split="test") for score in fabricate.image_scores(3.0)),
    ],
    ids=["sample count", "weights", "split"],
)
def test_another_way_of_measuring_is_another_protocol_for_references_too(store, scores):
    commit(store)
    commit(store, seed=1, scores=scores)
    assert protocols(store) == (2, 2)


def test_a_changed_default_of_the_dataset_is_another_protocol(store):
    commit(store)
    commit(store, dataset=Choice("digits", defaults=(("resolution", 8),)))
    assert protocols(store) == (2, 2)


def test_the_device_is_part_of_the_protocol_only_where_device_time_is_the_budget(store):
    other = {**fabricate.ENVIRONMENT_FACTS, "device": "Another CPU"}
    commit(store)
    commit(store, seed=1, environment=other)
    assert protocols(store) == (1, 1)
    commit(store, budget=Budget(device_seconds=9.0))
    commit(store, seed=1, budget=Budget(device_seconds=9.0), environment=other)
    assert protocols(store) == (3, 1)


def ran(**facts):
    return {**fabricate.ENVIRONMENT_FACTS, **facts}


def test_a_trial_says_by_which_driver_it_was_trained_in_what_precision_and_at_what_cost(store):
    facts = ran(
        device_kind="cuda", driver="vectorised", driver_reason="not graph: draws", seeds_together=4, precision="bf16"
    )
    costs = {"processor_share": 0.5, "gpu_utilisation": 0.75, "energy_joules": 1200.0, "flops_per_second": 3e12}
    outcome = fabricate.Outcome(fabricate.image_scores(3.0), costs=costs)
    fabricate.commit(store, fabricate.trial(), outcome, facts)
    row = load_results(store.path).iloc[0]
    names = ["driver", "driver_reason", "seeds_together", "precision", "device_kind"]
    assert row[names].tolist() == ["vectorised", "not graph: draws", 4, "bf16", "cuda"]
    assert row[list(costs)].tolist() == list(costs.values())


def test_what_was_recorded_before_there_were_drivers_trained_eagerly_and_alone_in_float32(store):
    commit(store)
    row = load_results(store.path).iloc[0]
    assert row[["driver", "driver_reason", "seeds_together", "precision"]].tolist() == ["eager", "", 1, "float32"]
    assert row[["processor_share", "gpu_utilisation", "energy_joules", "flops_per_second"]].isna().all()


def test_what_was_not_trained_or_never_came_to_tell_has_no_driver(store):
    reference = Reference(fabricate.DIGITS, "noise", fabricate.evaluation())
    fabricate.commit(store, reference, fabricate.Outcome(fabricate.image_scores(2.0)), ran(precision="float32"))
    commit(store, scores=(), status="killed", environment={})
    table = load_results(store.path)
    assert table[["driver", "driver_reason", "precision", "conditions"]].values.tolist() == [[""] * 4] * 2
    assert table["seeds_together"].isna().all()


def test_the_precision_that_trials_came_to_is_part_of_the_protocol_but_not_of_references(store):
    reference = Reference(fabricate.DIGITS, "noise", fabricate.evaluation())
    fabricate.commit(store, reference, fabricate.Outcome(fabricate.image_scores(2.0)))
    for seed, precision in enumerate(("float32", "tf32", "bf16")):
        commit(store, seed=seed, environment=ran(precision=precision))
    table = load_results(store.path)
    assert table["conditions"].tolist() == ["", "", "precision tf32", "precision bf16"]
    assert table.query("kind == 'trial'")["protocol"].nunique() == 3
    assert table["evaluation_protocol"].nunique() == 1


def test_a_precision_that_the_device_did_not_have_is_no_condition_and_no_other_recipe(store):
    commit(store, environment=ran(precision="float32"))
    commit(store, seed=1, environment=ran(precision="float32"), training=Training(precision="tf32"))
    assert protocols(store) == (1, 1)
    table = load_results(store.path)
    assert table["recipe"].nunique() == 1
    assert table["training"].tolist() == ["", "precision=tf32"]
    commit(store, seed=2, training=Training(flips=True))
    assert load_results(store.path)["recipe"].nunique() == 2


def test_the_driver_is_part_of_the_protocol_only_where_device_time_is_the_budget(store):
    for seed, driver in enumerate(("eager", "vectorised", "graph")):
        commit(store, seed=seed, environment=ran(driver=driver))
    assert protocols(store) == (1, 1)
    timed = Budget(kimg=50.0, device_seconds=9.0)
    for seed, driver in enumerate(("eager", "graph", "graph")):
        commit(store, seed=seed, budget=timed, environment=ran(driver=driver))
    assert protocols(store) == (3, 1)
    told = load_results(store.path)["conditions"].value_counts().to_dict()
    device = "device Test CPU"
    assert told == {"": 3, f"{device} · driver eager": 1, f"{device} · driver graph": 2}


@pytest.mark.parametrize("budget", [Budget(kimg=100.0), Budget(device_seconds=9.0)], ids=str)
def test_a_failure_that_told_nothing_is_compared_with_the_others_of_its_kind(store, budget):
    asked = {"budget": budget, "training": Training(precision="bf16")}
    commit(store, environment=ran(driver="graph", precision="bf16"), **asked)
    commit(store, seed=1, scores=(), status="killed", environment={}, **asked)
    for seed in (2, 3, 4):
        commit(store, seed=seed, environment=ran(driver="eager"), budget=budget)
    table = load_results(store.path)
    assert table["protocol"].nunique() == 2
    assert table.set_index("seed")["conditions"][1] == table.set_index("seed")["conditions"][0]
    assert "precision bf16" in table.set_index("seed")["conditions"][1]


def test_a_number_of_seeds_that_is_none_counts_as_one(store):
    commit(store, environment=ran(seeds_together="many"))
    assert load_results(store.path)["seeds_together"].tolist() == [1]


def test_the_code_that_a_row_came_from_is_told_shortly(store):
    plugins = [
        {"plugin": "mlp", "owner": "ganbench", "version": "0.1.0", "sha256": "ab" * 32},
        {"plugin": "mine.py", "owner": "mine.py", "version": "", "sha256": "cd" * 32},
        {"plugin": "digits", "owner": "ganbench", "version": "0.1.0", "sha256": "ef" * 32},
    ]
    commit(store, environment=ran(plugins=plugins, git={"ganbench": {"commit": "12" * 20, "dirty": True}}))
    commit(store, seed=1, environment=ran(plugins=plugins[:1], git={"ganbench": {"commit": "12" * 20, "dirty": False}}))
    table = load_results(store.path)
    assert table["plugins"].tolist() == [
        "ganbench 0.1.0 (digits #efefefef, mlp #abababab), mine.py #cdcdcdcd",
        "ganbench 0.1.0 (mlp #abababab)",
    ]
    assert table["git"].tolist() == ["121212121212+", "121212121212"]


@pytest.mark.parametrize("facts", [{}, {"plugins": ["mlp: ganbench 0.1.0"], "git": {}}, {"plugins": 1, "git": "main"}])
def test_a_row_of_which_the_code_was_not_recorded_tells_none(store, facts):
    commit(store, environment=ran(**facts))
    assert load_results(store.path)[["plugins", "git"]].values.tolist() == [["", ""]]


def test_a_failure_shares_the_protocol_of_the_trials_that_have_scores(store):
    commit(store)
    commit(store, seed=1, scores=(), status="oom")
    assert protocols(store) == (1, 1)


def test_the_recipe_tells_apart_trainings_and_changed_defaults(store):
    commit(store)
    commit(store, seed=1)
    commit(store, training=Training(batch_size=8))
    network = Choice("dcgan", defaults=(("width", 64),))
    commit(store, made=Variant(network, network, Choice("hinge")))
    table = load_results(store.path)
    assert table["recipe"].nunique() == 3
    assert set(table["training"]) == {"", "batch_size=8"}


def test_the_overshoot_is_known_for_the_limits_that_are_set(store):
    outcome = fabricate.Outcome(spent=Spent(100.5, 1570, 20.0, 0.3))
    fabricate.commit(store, fabricate.trial(), outcome)
    row = load_results(store.path).iloc[0]
    assert row["overshoot_kimg"] == pytest.approx(0.5)
    assert pd.isna(row["overshoot_steps"])


def test_scores_keep_their_direction_and_mean(store):
    commit(store)
    rules = score_rules(load_results(store.path))
    assert rules["fcd_digits"] == {"direction": "lower", "mean": "geometric"}
    assert rules["coverage_digits"] == {"direction": "higher", "mean": "arithmetic"}


def test_the_attributes_survive_parquet(store, tmp_path):
    commit(store)
    table = load_results(store.path)
    table.to_parquet(tmp_path / "table.parquet")
    assert pd.read_parquet(tmp_path / "table.parquet").attrs == table.attrs
    assert json.loads(json.dumps(table.attrs)) == table.attrs


def test_a_table_from_elsewhere_does_not_pass_for_results():
    with pytest.raises(ResultsError, match="load_results"):
        score_rules(pd.DataFrame({"seed": [1]}))


def test_a_score_that_is_called_like_another_column_does_not_replace_it(store):
    commit(store, seed=5, scores=(Score("seed", 0.25, "lower"),))
    table = load_results(store.path)
    assert table["seed"].tolist() == [5]
    assert table["score:seed"].tolist() == [0.25]


def test_a_folder_of_suites_is_one_table(tmp_path):
    commit(Store(tmp_path / "first"))
    commit(Store(tmp_path / "second"))
    assert load_results(tmp_path)["suite"].tolist() == ["first", "second"]


def test_a_damaged_record_is_named(store):
    attempt = commit(store)
    (attempt.path / RECORD).write_text("{")
    with pytest.raises(ResultsError, match=str(attempt.path)):
        load_results(store.path)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="nowhere"):
        load_results(tmp_path / "nowhere")


def test_curves_say_which_trial_they_belong_to(store):
    for seed in (0, 1):
        fabricate.write_curve(commit(store, seed=seed), {"fcd_digits": 3.0}, points=4)
    curves = load_curves(store.path)
    assert curves.columns[:9].tolist() == [
        "suite", "key", "dataset", "variant", "seed", "kimg", "steps", "device_seconds", "petaflops",
    ]  # fmt: skip
    assert curves.groupby("seed")["kimg"].apply(list).to_dict() == {s: [25.0, 50.0, 75.0, 100.0] for s in (0, 1)}
    assert set(curves["variant"]) == {"dcgan / dcgan / hinge"}


def test_curves_of_different_signals_fill_one_table(store):
    fabricate.write_curve(commit(store, seed=0), {"fcd_digits": 3.0}, points=2)
    fabricate.write_curve(commit(store, seed=1), {"modes_20pct": 8.0}, points=2)
    curves = load_curves(store.path)
    assert curves["fcd_digits"].notna().sum() == curves["modes_20pct"].notna().sum() == 2


def test_results_without_curves_give_an_empty_table_of_curves(store):
    commit(store)
    curves = load_curves(store.path)
    assert curves.empty
    assert "kimg" in curves


def test_a_damaged_curve_is_named(store):
    attempt = commit(store)
    (attempt.path / "curve.parquet").write_text("no parquet")
    with pytest.raises(ResultsError, match=r"curve\.parquet"):
        load_curves(store.path)


def test_a_curve_with_a_column_called_as_its_labels_are_keeps_both(store):
    attempt = commit(store)
    axes = {key: [1.0] for key in ("kimg", "steps", "device_seconds", "petaflops")}
    pd.DataFrame({**axes, "seed": [7.5]}).to_parquet(attempt.path / "curve.parquet")
    curves = load_curves(store.path)
    assert curves["seed"].tolist() == [0]
    assert curves["score:seed"].tolist() == [7.5]


def test_a_curve_is_believed_in_its_numbers_and_not_in_what_it_says_of_pandas(store):
    axes = {key: [1.0] for key in ("kimg", "steps", "device_seconds", "petaflops")}
    table = pa.table({**axes, "undefined": pa.nulls(1)}).replace_schema_metadata({"pandas": '{"columns": [{}]}'})
    pq.write_table(table, commit(store).path / "curve.parquet")
    curves = load_curves(store.path)
    assert curves["kimg"].tolist() == [1.0]
    assert curves["undefined"].isna().all()


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"kimg": ["a"]}, "column 'kimg' holds .*string, expected numbers"),
        ({"kimg": [[1.0]]}, "column 'kimg' holds list"),
        ({"kimg": [1.0]}, "no column 'steps'"),
        ({"kimg": np.zeros(10_000_001)}, "10000001 rows of 1 columns, expected at most 10000000 numbers"),
    ],
)
def test_a_curve_that_holds_no_numbers_or_too_many_is_told_why(store, columns, problem):
    attempt = commit(store)
    pd.DataFrame(columns).to_parquet(attempt.path / "curve.parquet")
    with pytest.raises(ResultsError, match=rf"curve\.parquet: not a curve that ganbench wrote \({problem}"):
        load_curves(store.path)


def test_a_count_that_no_float_can_tell_is_missing(store):
    fabricate.commit(store, fabricate.trial(), fabricate.Outcome(costs={"peak_memory_bytes": 1e300}))
    assert load_results(store.path)["peak_memory_bytes"].isna().all()


def test_an_environment_of_another_form_still_makes_a_row(store):
    fabricate.commit(store, fabricate.trial(), fabricate.Outcome(), {"packages": None, "device": ["a"]})
    assert load_results(store.path)[["torch", "device"]].to_numpy().tolist() == [["", "['a']"]]


@pytest.mark.parametrize("kind", ["reference", "evaluated"])
def test_a_record_of_another_kind_than_its_job_is_refused(store, kind):
    path = commit(store).path / RECORD
    path.write_text(path.read_text().replace('"kind": "trial"', f'"kind": "{kind}"'))
    with pytest.raises(
        ResultsError, match=rf"record\.json: kind '{kind}', but trial\.json beside it describes 'trial'"
    ):
        load_results(store.path)


def test_folders_that_no_attempt_has_made_are_no_rows_or_rows_without_a_number(store):
    attempt = commit(store)
    (attempt.path.parent / "odd").mkdir()
    (store.path / "runs" / "file").write_text("")
    os.mkfifo(store.path / "runs" / "pipe")
    assert load_results(store.path)["attempt"].tolist() == [1]
    attempt.path.rename(attempt.path.parent / ("9" * 200))
    assert load_results(store.path)["attempt"].isna().all()


def test_an_attempt_that_is_a_link_to_itself_is_passed_over(store):
    attempt = commit(store)
    (attempt.path.parent / "7").symlink_to("7")
    assert load_results(store.path)["attempt"].tolist() == [attempt.number]
    load_curves(store.path)


def test_a_name_that_no_folder_can_have_is_refused():
    with pytest.raises(ResultsError, match=r"cannot be read \(File name too long\)"):
        load_results("a" * 300)
