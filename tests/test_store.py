from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import pytest
from fabricate import Outcome, commit, evaluation, image_scores, trial, variant
from small import trial as planned_trial

from ganbench import store as store_module
from ganbench.disk import write_atomically
from ganbench.errors import ResultsError, StorageError
from ganbench.store import LOG, RECORD, TRIAL, Attempt, Store, find_attempt, find_stores
from ganbench.terms import Budget, Choice, Record, Reference, Score, Spent

RECORDED = Record(
    key="ab",
    kind="trial",
    status="diverged",
    started_at="2030-01-01T00:00:00.000+00:00",
    finished_at="2030-01-01T00:00:01.000+00:00",
    message="a loss term is not finite at step 7",
    failed_step=7,
    spent=Spent(0.448, 7, 0.5, 1e-6),
    scores=(Score("kl_modes", None, "lower"), *image_scores(2.5)),
    costs={"wall_seconds": 1.5},
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


# --- attempts


def test_attempts_are_numbered_from_one_in_the_order_of_numbers(store):
    attempts = [store.begin(trial()) for _ in range(11)]
    assert [attempt.number for attempt in attempts] == list(range(1, 12))
    assert [attempt.number for attempt in store.attempts(trial().key)] == list(range(1, 12))
    assert {attempt.key for attempt in attempts} == {trial().key}


def test_an_attempt_takes_the_next_number_if_another_runner_is_quicker(store, monkeypatch):
    first = store.begin(trial())
    monkeypatch.setattr(store_module, "_attempts_in", lambda folder: [])  # what was there when we looked
    assert store.begin(trial()).number == first.number + 1


def test_a_gap_in_the_numbers_is_not_filled(store):
    (store.path / "runs" / trial().key / "7").mkdir(parents=True)
    assert store.begin(trial()).number == 8


def test_an_attempt_counts_once_its_record_is_written_and_only_then(store):
    attempt = store.begin(trial())
    assert not attempt.committed
    assert store.latest(trial().key) is None
    attempt.commit(replace(RECORDED, key=attempt.key))
    assert attempt.committed
    assert store.latest(trial().key) == attempt


def test_an_attempt_is_recorded_once(store):
    attempt = store.begin(trial())
    attempt.commit(RECORDED)
    with pytest.raises(ResultsError, match=r"record\.json: already written"):
        attempt.commit(replace(RECORDED, status="ok"))
    assert attempt.record().status == "diverged"


def test_the_latest_attempt_is_the_newest_that_was_recorded(store):
    commit(store, trial(), Outcome())
    second = commit(store, trial(), Outcome(status="error"))
    store.begin(trial())
    assert store.latest(trial().key) == second


def test_what_an_interrupted_write_leaves_behind_is_no_record(store):
    attempt = store.begin(trial())
    (attempt.path / f".{RECORD}.123").write_text('{"schema": 1, "ke')
    (attempt.path / "curve.parquet").write_bytes(b"PAR1")
    assert not attempt.committed
    assert store.latest(trial().key) is None


def test_other_files_among_the_attempts_are_passed_over(store):
    attempt = store.begin(trial())
    (attempt.path.parent / "notes.txt").write_text("")
    (attempt.path.parent / "copy of 1").mkdir()
    (store.path / "runs" / "README").write_text("")
    assert list(store.attempts()) == [attempt]
    assert store.begin(trial()).number == 2


def test_a_store_lists_the_attempts_at_everything(store):
    attempts = {store.begin(trial(seed=seed)).path for seed in (0, 1)}
    assert {attempt.path for attempt in store.attempts()} == attempts


def test_the_newest_recorded_attempts_are_one_for_each_key_that_has_any(store):
    commit(store, trial(seed=0), Outcome())
    second, other = commit(store, trial(seed=0), Outcome()), commit(store, trial(seed=1), Outcome())
    store.begin(trial(seed=1))
    store.begin(trial(seed=2))
    assert list(store.newest()) == sorted([second, other], key=lambda attempt: attempt.key)


def test_an_empty_store_has_no_attempts_and_is_not_made_by_looking(store):
    assert list(store.attempts()) == []
    assert list(store.attempts("ab")) == []
    assert list(store.newest()) == []
    assert store.latest("ab") is None
    assert not store.path.exists()


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"file.*cannot write results here.*Pass --results DIR"):
        Store(tmp_path / "file").begin(trial())


# --- what is read comes back as it was written


def test_a_record_comes_back_as_it_was_written(store):
    attempt = store.begin(trial())
    written = attempt.commit(RECORDED)
    assert attempt.record() == written == replace(RECORDED, files=written.files)


def test_a_record_holds_the_checksum_of_every_file_that_nothing_changes_any_more(store):
    attempt = store.begin(trial())
    final = ("task.json", "environment.json", "curve.parquet", "samples-00000001.png", "generator.safetensors")
    for name in (*final, "events.jsonl", "log.txt", "notes.txt", ".curve.parquet.host.1"):
        (attempt.path / name).write_text(name)
    (attempt.path / "samples-2.png").symlink_to(attempt.path / "log.txt")
    files = attempt.commit(RECORDED).files
    assert sorted(files) == sorted([TRIAL, *final])
    assert all(files[name] == hashlib.sha256(name.encode()).hexdigest() for name in final)


def test_a_record_of_what_did_not_end_well_holds_the_end_of_its_log_as_text_that_no_terminal_obeys(store):
    attempt = store.begin(trial())
    lines = [f"line {number}" for number in range(100)]
    (attempt.path / LOG).write_bytes("\n".join(lines).encode() + b"\r\n\xff \x1b[31mred\x07\ttab \x9b\n\n")
    log = attempt.commit(RECORDED).log
    assert log.split("\n") == [*lines[-19:], "\ufffd \ufffd[31mred\ufffd\ttab \ufffd"]


@pytest.mark.parametrize(("character", "kept"), [("a", 2000), ("\N{EURO SIGN}", 2000), ("\N{PARTY POPPER}", 2000)])
def test_no_more_of_a_log_is_kept_than_two_thousand_characters(store, character, kept):
    attempt = store.begin(trial())
    (attempt.path / LOG).write_text("start" + character * 9999, encoding="utf-8")
    assert attempt.commit(RECORDED).log == character * kept


def test_what_ended_well_or_said_nothing_has_no_log_in_its_record(store):
    first, second = store.begin(trial()), store.begin(trial())
    (first.path / LOG).write_text("a warning")
    assert first.commit(replace(RECORDED, status="ok")).log == ""
    assert second.commit(RECORDED).log == ""


def test_a_record_that_cannot_be_made_for_lack_of_room_is_not_written(store, monkeypatch):
    attempt = store.begin(trial())

    def fail(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store_module, "sha256_of", fail)
    with pytest.raises(StorageError, match="Input/output error"):
        attempt.commit(RECORDED)
    assert not attempt.committed


def test_a_trial_comes_back_as_it_was_written_with_its_key(store):
    for job in (
        trial(
            replace(variant("hinge", width=32), penalties=(Choice("r1", (("gamma", 0.1),), defaults=(("x", None),)),))
        ),
        trial(budget=Budget(steps=3, petaflops=0.5)),
        trial(replace(variant(), loss=Choice("a", (("flag", True), ("names", ("a", "b")), ("size", 3))))),
        planned_trial(loss="wgan + r1(gamma=1)", discriminator="mlp(packing=2)", schedule="cosine"),
        planned_trial(loss="hinge + instance-noise(deviation=0.5) + r1"),
        planned_trial(loss="hinge + unrolled(steps=2)"),
        planned_trial(loss="vae(beta=2)"),
    ):
        attempt = store.begin(job)
        assert attempt.job() == job
        assert attempt.job().key == attempt.key == job.key


def test_a_reference_comes_back_as_it_was_written(store):
    reference = Reference(Choice("digits"), "noise", evaluation())
    assert store.begin(reference).job() == reference


def test_an_environment_comes_back_and_is_empty_where_there_is_none(store):
    attempt = store.begin(trial())
    assert attempt.environment() == {}
    attempt.write_json("environment.json", {"torch": "2.11.0", "threads": 1})
    assert attempt.environment() == {"torch": "2.11.0", "threads": 1}


def test_what_is_not_a_number_is_not_written(store):
    attempt = store.begin(trial())
    with pytest.raises(ValueError, match="JSON"):
        attempt.write_json("facts.json", {"value": float("nan")})
    assert sorted(path.name for path in attempt.path.iterdir()) == [TRIAL]


# --- writing atomically


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "facts.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken):
    path = tmp_path / "facts.json"
    write_atomically(path, b"old")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if broken == "fsync" else (type(path), "replace")), fail)
    with pytest.raises(StorageError, match=r"facts\.json: cannot be written \(No space left on device\)"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# --- finding results


def test_a_results_folder_is_a_store_and_so_is_each_folder_in_it(tmp_path):
    for name in ("b", "a"):
        Store(tmp_path / name).begin(trial())
    (tmp_path / "notes").mkdir()
    assert find_stores(tmp_path) == [Store(tmp_path / "a"), Store(tmp_path / "b")]
    assert find_stores(tmp_path / "a") == [Store(tmp_path / "a")]


def test_where_there_are_no_results_the_message_says_what_was_looked_for(tmp_path):
    with pytest.raises(ResultsError, match=r"nowhere: no such folder\. Expected a results folder"):
        find_stores(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match="no runs in it"):
        find_stores(tmp_path)


def test_an_attempt_is_found_by_the_beginning_of_its_key(tmp_path):
    attempt = commit(Store(tmp_path / "suite"), trial(), Outcome())
    assert find_attempt(tmp_path, trial().key[:6]) == attempt
    assert find_attempt(tmp_path / "suite", trial().key) == attempt


@pytest.mark.parametrize("key", ["zz", "", "*", "**", "/etc", "../", "[a-f]"])
def test_a_key_that_fits_nothing_or_is_no_key_is_refused(store, key):
    commit(store, trial(), Outcome())
    with pytest.raises(ResultsError, match="no key begins with"):
        find_attempt(store.path, key)


def test_a_key_that_fits_several_needs_more_digits(store):
    for key in ("ab1", "ab2", "cd3"):
        (store.path / "runs" / key).mkdir(parents=True)
    with pytest.raises(ResultsError, match=r"2 keys begin with 'ab'\. Give more of it: ab1, ab2"):
        find_attempt(store.path, "ab")


def test_an_attempt_under_way_is_not_found(store):
    store.begin(trial())
    with pytest.raises(ResultsError, match="has not ended yet"):
        find_attempt(store.path, trial().key)


def test_of_the_same_trial_in_two_suites_the_newest_attempt_is_found(tmp_path):
    newest = commit(Store(tmp_path / "a"), trial(), Outcome(finished_at="2030-01-03T00:00:00+00:00"))
    commit(Store(tmp_path / "b"), trial(), Outcome(finished_at="2030-01-02T00:00:00+00:00"))
    Store(tmp_path / "c").begin(trial())
    assert find_attempt(tmp_path, trial().key) == newest
    assert isinstance(newest, Attempt)
