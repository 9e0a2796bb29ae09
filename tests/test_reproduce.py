from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import fabricate
import pytest
import torch
from commands import ganbench, records, write_suite
from fabricate import Outcome, commit
from safetensors.torch import load_file, save_file
from small import ODD, performed, trial

from ganbench import supervision
from ganbench.assignments import Assignment
from ganbench.drivers import Driver
from ganbench.reproduce import company_of, weight_distances
from ganbench.store import CURVE, ENVIRONMENT, GENERATOR, RECORD, TASK, Attempt, Store
from ganbench.terms import Reference


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Results of a loss whose two seeds train together, of one that diverges, and of one in a plugin file."""
    folder = tmp_path_factory.mktemp("reproduced")
    suite = write_suite(folder / "tiny.toml", losses=("hinge", {"name": "nan-at", "step": 3}, "noisy"), steps=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        done = ganbench("run", suite, "--results", folder / "tiny", "--workers", 1, "--plugin", ODD)
    assert done.status == 1, done.err
    return folder / "tiny"


@pytest.fixture
def results(finished, tmp_path):
    """A copy of them, to do with as a test likes."""
    return shutil.copytree(finished, tmp_path / "tiny")


def attempt_at(results, seed=0, loss="hinge") -> Attempt:
    """The first attempt at that trial."""
    for attempt in Store(results).attempts():
        job = attempt.job()
        if not isinstance(job, Reference) and (job.variant.loss.name, job.seed) == (loss, seed):
            return attempt
    raise AssertionError(f"no trial of {loss} with seed {seed}")


def reproduce(results, attempt, *options):
    return ganbench("reproduce", results, attempt.key[:10], *options)


def found(result) -> dict:
    return json.loads(result.out)


def edit(attempt: Attempt, name: str, **changes) -> None:
    """Change a file of the attempt by hand."""
    path = attempt.path / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def failing(report: dict) -> set[str]:
    return {item["what"] for item in report["compared"] if not item["agrees"]}


def test_seeds_that_trained_together_come_to_the_same_bits_together(results):
    attempt = attempt_at(results, seed=1)
    assert (attempt.environment()["driver"], attempt.environment()["seeds_together"]) == ("vectorised", 2)
    before = sorted(path.relative_to(results) for path in results.rglob("*"))
    result = reproduce(results, attempt, "--format", "json")
    report = found(result)
    assert (result.status, report["demanded"], report["reasons"]) == (0, "bits", [])
    assert (report["agrees"], report["same"], report["environment"], report["path"]) == (True, True, [], None)
    assert {item["part"] for item in report["compared"]} == {"status", "spent", "scores", "curve", "weights"}
    assert sorted(path.relative_to(results) for path in results.rglob("*")) == before


def test_a_seed_whose_company_is_not_recorded_is_done_alone_and_held_to_a_tolerance(results):
    shutil.rmtree(attempt_at(results, seed=1).path.parent)
    result = reproduce(results, attempt_at(results, seed=0), "--format", "json")
    report = found(result)
    assert report["reasons"] == ["not as it was: driver, seeds_together"]
    changes = {change["what"]: (change["then"], change["now"]) for change in report["environment"]}
    assert changes == {"driver": ("vectorised", "eager"), "seeds_together": ("2", "1")}
    assert (result.status, report["agrees"]) == (0, True)


def test_a_score_that_was_changed_by_hand_does_not_agree(results):
    attempt = attempt_at(results)
    (first, *others) = json.loads((attempt.path / RECORD).read_text())["scores"]
    edit(attempt, RECORD, scores=[{**first, "value": first["value"] * 0.9999}, *others])
    result = reproduce(results, attempt)
    assert result.status == 1
    assert result.out.splitlines()[-1] == f"It does not agree: {first['name']}."
    assert "Held to the last bit" in result.out


def test_weights_that_were_changed_by_hand_do_not_agree(results):
    attempt = attempt_at(results)
    tensors = load_file(attempt.path / GENERATOR)
    name = sorted(tensors)[0]
    save_file({**tensors, name: tensors[name] * 1.25}, attempt.path / GENERATOR)
    result = reproduce(results, attempt)
    assert (result.status, result.out.splitlines()[-1]) == (1, "It does not agree: weights.")
    line = next(line for line in result.out.splitlines() if line.startswith(f"  {name} "))
    assert "0.2 of its norm off" in line


def test_the_new_results_are_kept_where_that_is_asked_for_and_never_among_the_old_ones(results, tmp_path):
    attempt = attempt_at(results)
    result = reproduce(results, attempt, "--results", tmp_path / "new", "--format", "json")
    now = Attempt(tmp_path / "new" / "runs" / attempt.key / "1")
    assert (result.status, found(result)["path"]) == (0, str(now.path))
    assert [score.value for score in now.record().scores] == [score.value for score in attempt.record().scores]
    for folder in (results, tmp_path / "new"):
        again = reproduce(results, attempt, "--results", folder)
        assert (again.status, again.out) == (2, "")
        assert again.err == f"ganbench: --results {folder}: has this job already. Pass a new folder, or none\n"
    assert len(list(attempt.path.parent.iterdir())) == 1


def test_a_trial_that_diverged_agrees_where_it_diverges_at_the_same_step(results):
    attempt = attempt_at(results, loss="nan-at")
    assert attempt.record().status == "diverged"
    result = reproduce(results, attempt, "--plugin", ODD, "--format", "json")
    report = found(result)
    assert (result.status, report["demanded"], report["same"]) == (0, "bits", True)
    steps = {item["what"]: item["now"] for item in report["compared"] if item["part"] == "status"}
    assert steps == {"status": "diverged", "failed_step": 3}
    edit(attempt, RECORD, failed_step=4)
    result = reproduce(results, attempt, "--plugin", ODD)
    assert (result.status, result.out.splitlines()[-1]) == (1, "It does not agree: failed_step.")


def test_a_reference_comes_to_the_same_bits(results):
    attempt = next(attempt for attempt in Store(results).attempts() if isinstance(attempt.job(), Reference))
    result = reproduce(results, attempt, "--format", "json")
    assert (result.status, found(result)["demanded"], found(result)["same"]) == (0, "bits", True)
    assert {item["part"] for item in found(result)["compared"]} == {"status", "scores"}


def test_a_trial_that_was_killed_is_compared_by_how_it_ends(results):
    attempt = attempt_at(results)
    edit(attempt, RECORD, status="killed", scores=[])
    result = reproduce(results, attempt)
    assert (result.status, result.out.splitlines()[-1]) == (1, "It does not agree: status.")
    assert "killed" in result.out


def test_a_trial_that_ran_out_of_time_has_that_time_again(results, monkeypatch):
    monkeypatch.setattr(supervision, "LOOK_SECONDS", 0.01)
    monkeypatch.setenv("ODD_PAUSE", "1")  # or so short a trial may be over before it is looked at
    attempt = attempt_at(results, loss="noisy")
    edit(attempt, RECORD, status="timeout", scores=[], costs={"wall_seconds": 0.01})
    result = reproduce(results, attempt, "--plugin", ODD, "--format", "json")
    assert (result.status, found(result)["same"]) == (0, True)
    assert [(item["then"], item["now"]) for item in found(result)["compared"]] == [("timeout", "timeout")]


def test_a_plugin_that_is_not_there_is_asked_for_by_its_name_and_hash(results):
    attempt = attempt_at(results, loss="noisy")
    code = next(item["sha256"] for item in attempt.environment()["plugins"] if item["plugin"] == "odd.py")
    result = reproduce(results, attempt)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"ganbench: {attempt.key[:8]} cannot be done again: no loss named 'noisy'.")
    assert result.err.endswith(f"\nIt was done with odd.py #{code[:12]}. Pass --plugin FILE\n")


def test_a_plugin_with_other_code_is_told_with_both_hashes_and_held_to_a_tolerance(results, tmp_path, as_installed):
    changed = tmp_path / "odd.py"
    changed.write_text(f"{ODD.read_text()}\n# changed\n")
    attempt = attempt_at(results, loss="noisy")
    then = next(item["sha256"][:12] for item in attempt.environment()["plugins"] if item["plugin"] == "odd.py")
    result = reproduce(results, attempt, "--plugin", changed)
    assert result.status == 0
    told = next(line for line in result.out.splitlines() if line.startswith("Other code: plugin odd.py "))
    assert f"#{then}" in told
    assert told.count("#") == 2
    assert "Bits need not be the same (not as it was: plugin odd.py)" in result.out
    assert result.out.splitlines()[-1] == "It agrees, to the last bit."  # for the change was no more than a comment


def test_what_was_recorded_before_there_were_hashes_is_held_to_a_tolerance(results):
    attempt = attempt_at(results)
    environment = attempt.environment()
    names = [f"{item['plugin']}: {item['owner']} {item['version']}" for item in environment["plugins"]]
    old = {name: value for name, value in environment.items() if name not in ("ganbench_sha256", "git", "libc")}
    attempt.write_json(ENVIRONMENT, {**old, "plugins": names})
    result = reproduce(results, attempt)
    assert (result.status, result.out.splitlines()[-1]) == (0, "It agrees, to the last bit.")
    assert "Bits need not be the same (not recorded: ganbench_sha256, libc, plugin losses, " in result.out
    assert "Other code" not in result.out


def test_a_tolerance_that_is_too_narrow_is_held_to(results):
    attempt = attempt_at(results)
    environment = {**attempt.environment(), "cpu_capability": "another"}
    edit(attempt, ENVIRONMENT, **environment)
    scores = json.loads((attempt.path / RECORD).read_text())["scores"]
    changed = next(score for score in scores if score["name"] == "sliced_w1")
    changed.update(value=changed["value"] * 1.02, noise=None)
    edit(attempt, RECORD, scores=scores)
    assert reproduce(results, attempt).status == 0
    result = reproduce(results, attempt, "--tolerance", 0.01)
    assert (result.status, result.out.splitlines()[-1]) == (1, "It does not agree: sliced_w1.")


def test_what_cannot_be_done_again_is_a_bad_request(results, tmp_path):
    commit(Store(tmp_path / "made"), fabricate.submission(), Outcome(fabricate.image_scores(3.0)))
    elsewhere = ganbench("reproduce", tmp_path / "made", fabricate.submission().key[:8])
    assert elsewhere.status == 2
    assert "'elsewhere' was made elsewhere and only measured here. 'ganbench evaluate --force'" in elsewhere.err
    nobody = ganbench("reproduce", results, "nobody")
    assert (nobody.status, nobody.err.partition(".")[0]) == (2, f"ganbench: {results}: no key begins with 'nobody'")
    assert len(records(results)) == len({path.parent.parent for path in records(results)})


def test_a_device_that_is_not_there_is_refused(results):
    if torch.cuda.is_available():  # then nothing is to be refused
        pytest.skip("this machine has a GPU")
    result = reproduce(results, attempt_at(results), "--device", "cuda:0")
    assert (result.status, result.err) == (2, "ganbench: --device cuda:0: not on this machine. Found: cpu\n")


def test_what_ran_on_a_gpu_as_a_graph_is_done_on_a_processor_where_there_is_no_other(results):
    if torch.cuda.is_available():  # then it is done there
        pytest.skip("this machine has a GPU")
    attempt = attempt_at(results)
    edit(attempt, ENVIRONMENT, device="A GPU", device_kind="cuda", driver="vectorised+graph")
    Assignment(Driver("vectorised+graph"), tuple(attempt.task()["together"])).write(attempt)
    result = reproduce(results, attempt, "--format", "json")
    assert (result.status, found(result)["reasons"]) == (
        0,
        ["it ran on a GPU", "not as it was: device, device_kind, driver"],
    )
    changes = {change["what"]: change["now"] for change in found(result)["environment"]}
    assert (changes["device_kind"], changes["driver"]) == ("cpu", "vectorised")


def test_where_device_time_is_the_budget_bits_are_not_demanded(tmp_path):
    attempt = performed(trial(budget={"device_seconds": 0.05}), tmp_path)
    result = reproduce(tmp_path, attempt, "--tolerance", 1e9, "--format", "json")
    assert (result.status, found(result)["reasons"][0]) == (0, "device time is the budget")


def test_what_other_peoples_results_say_cannot_steer_the_terminal(results):
    attempt = attempt_at(results)
    edit(attempt, ENVIRONMENT, platform="\x1b[2J", libc="\x1b]0;title\x07")
    result = reproduce(results, attempt)
    assert result.status == 0
    assert "�[2J" in result.out
    assert "\x1b" not in result.out


# --- company


def recorded(store, seed, together=2, driver="vectorised", assigned=None, **changes):
    """A made-up attempt at a seed that trained with others."""
    environment = {**fabricate.ENVIRONMENT_FACTS, "driver": driver, "seeds_together": together}
    attempt = commit(store, fabricate.trial(seed=seed, **changes), Outcome(fabricate.image_scores(3.0)), environment)
    if assigned:
        Assignment(Driver(driver), tuple(assigned)).write(attempt)
    return attempt


def test_the_company_is_the_one_that_was_written_down_in_its_order(tmp_path):
    store = Store(tmp_path)
    keys = [fabricate.trial(seed=seed).key for seed in (2, 0)]
    attempts = {seed: recorded(store, seed, assigned=keys) for seed in (0, 1, 2)}
    assert (attempts[0].path / TASK).is_file()
    assert company_of(attempts[0]) == (Driver("vectorised"), [attempts[2], attempts[0]])


def test_the_company_of_what_is_older_are_the_variants_seeds_if_there_are_as_many(tmp_path):
    store = Store(tmp_path)
    pair = [recorded(store, seed) for seed in (1, 0)]
    recorded(store, 0, training=replace(fabricate.trial().training, batch_size=8))
    recorded(store, 5, together=3)
    assert company_of(pair[0]) == (Driver("vectorised"), [pair[1], pair[0]])
    third = recorded(store, 2)
    driver, members = company_of(third)
    assert (driver.name, members) == ("eager", [third])


@pytest.mark.parametrize(
    ("driver", "alone"), [("eager", "eager"), ("vectorised", "eager"), ("vectorised+graph", "graph")]
)
def test_what_has_lost_its_company_is_done_alone(tmp_path, driver, alone):
    attempt = recorded(Store(tmp_path), 0, driver=driver, together=1 if driver == "eager" else 2)
    found_driver, members = company_of(attempt)
    assert (found_driver.name, members) == (alone, [attempt])


def test_the_newest_attempt_need_not_be_the_one_that_keeps_itself_company(tmp_path):
    store = Store(tmp_path)
    keys = [fabricate.trial(seed=seed).key for seed in (0, 1)]
    first, other = (recorded(store, seed, assigned=keys) for seed in (0, 1))
    recorded(store, 0, together=1, driver="eager")
    assert company_of(first) == (Driver("vectorised"), [first, other])


def test_a_record_without_any_facts_was_made_alone(tmp_path):
    attempt = commit(Store(tmp_path), fabricate.trial(), Outcome((), "killed"), environment={})
    assert company_of(attempt) == (Driver("eager"), [attempt])


# --- weights


def test_weights_are_as_far_apart_as_their_difference_is_long(tmp_path):
    then, now = tmp_path / "then.safetensors", tmp_path / "now.safetensors"
    same = {"same": torch.tensor([math.nan, 1.0]), "scalar": torch.tensor(2.0), "steps": torch.tensor([3])}
    save_file({**same, "a": torch.tensor([3.0, 4.0]), "zero": torch.zeros(2), "gone": torch.ones(1)}, then)
    save_file({**same, "a": torch.tensor([3.0, 4.5]), "zero": torch.ones(2), "a2": torch.ones(1)}, now)
    assert weight_distances(then, now) == {
        "a": pytest.approx(0.1), "a2": math.inf, "gone": math.inf, "same": 0.0, "scalar": 0.0, "steps": 0.0,
        "zero": math.inf,
    }  # fmt: skip
    assert weight_distances(then, tmp_path / "none") == dict.fromkeys(
        ["a", "gone", "same", "scalar", "steps", "zero"], math.inf
    )
    assert weight_distances(tmp_path / "none", tmp_path / "none") == {}


def test_a_curve_that_cannot_be_read_is_said_to_be_none(results):
    attempt = attempt_at(results)
    (attempt.path / CURVE).write_bytes(b"no curve")
    result = reproduce(results, attempt)
    assert (result.status, result.out) == (2, "")
    assert f"{attempt.path / CURVE}: not a curve that ganbench wrote" in result.err
