from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from fabricate import ENVIRONMENT_FACTS, Outcome, commit, image_scores, submission, trial, whole_trial, write_curve

from ganbench.portrait_files import INTERPOLATIONS, NEIGHBOURS, PORTRAIT
from ganbench.soundness import (
    damage_of,
    differing,
    shown,
    size_of,
    software_of,
    strays_in,
    without_company,
)
from ganbench.store import (
    CURVE,
    ENVIRONMENT,
    EVENTS,
    GENERATOR,
    LOG,
    RECORD,
    TASK,
    TRIAL,
    Attempt,
    Store,
)
from ganbench.terms import Budget, Score

PICTURE = "samples-00001563.png"
FINAL = (TRIAL, TASK, ENVIRONMENT, CURVE, PICTURE, INTERPOLATIONS, NEIGHBOURS, PORTRAIT, GENERATOR)
OLD = Path(__file__).parent / "data" / "schema-1"
WELL = Outcome(image_scores(2.5))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def attempt(store):
    return whole_trial(store, trial(), WELL)


def found(attempt):
    """What is wrong, as pairs of a file and a word."""
    return sorted((problem.path.name, problem.problem) for problem in damage_of(attempt))


def told(attempt):
    (problem,) = damage_of(attempt)
    return problem.what


def rewritten(attempt, name, **changes):
    """The JSON file with other values in it."""
    path = attempt.path / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def without_checksums(attempt):
    """As if the record had been written for the files as they are now."""
    rewritten(attempt, RECORD, files={})


# --- sound ones


def test_nothing_is_wrong_with_what_was_just_written(store, attempt):
    assert found(attempt) == []
    assert list(strays_in(attempt)) == []
    assert list(without_company(attempt)) == []
    failed = commit(store, trial(seed=1), Outcome((), "error", "no such file"))
    assert found(failed) == []
    assert found(commit(store, submission(), WELL)) == []


def test_nothing_is_wrong_with_what_was_written_before_there_were_checksums():
    attempts = list(Store(OLD).attempts())
    assert len(attempts) == 4
    assert [found(attempt) for attempt in attempts] == [[]] * 4


def test_a_log_and_events_may_grow_after_the_record(attempt):
    for name in (LOG, EVENTS):
        (attempt.path / name).write_text("more")
    assert found(attempt) == []


# --- files


@pytest.mark.parametrize("name", FINAL)
def test_one_other_bit_in_a_file_is_seen(attempt, name):
    path = attempt.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert (name, "changed") in found(attempt)


@pytest.mark.parametrize("name", FINAL)
def test_a_file_that_is_gone_is_missed(attempt, name):
    (attempt.path / name).unlink()
    assert set(found(attempt)) == {(name, "missing")}


@pytest.mark.parametrize("name", FINAL)
def test_a_symbolic_link_is_not_followed_even_to_what_the_file_was(tmp_path, attempt, name):
    elsewhere = tmp_path / "elsewhere"
    (attempt.path / name).rename(elsewhere)
    (attempt.path / name).symlink_to(elsewhere)
    assert found(attempt) == [(name, "link")]


@pytest.mark.parametrize("name", [*FINAL, RECORD])
def test_what_is_no_file_is_not_opened(attempt, name):
    (attempt.path / name).unlink()
    os.mkfifo(attempt.path / name)  # to open it would be to wait for ever
    assert found(attempt) == [(name, "stray")]


def test_a_picture_that_came_after_the_record_does_not_belong_to_it(attempt):
    shutil.copy(attempt.path / PICTURE, attempt.path / "samples-00009999.png")
    assert found(attempt) == [("samples-00009999.png", "stray")]


def test_a_record_that_names_files_elsewhere_leads_nowhere(tmp_path, attempt):
    (tmp_path / "secret").write_text("")
    rewritten(attempt, RECORD, files={"../../../../secret": "ab", "/etc/passwd": "cd", "..": "ef"})
    assert {problem for _, problem in found(attempt)} == {"missing", "stray"}
    assert all(each.path.is_relative_to(attempt.path.parent) for each in damage_of(attempt))


def test_other_files_and_folders_are_strays(attempt):
    (attempt.path / "notes.txt").write_text("")
    (attempt.path / "more").mkdir()
    assert [problem.path.name for problem in strays_in(attempt)] == ["more", "notes.txt"]


# --- what files say


@pytest.mark.parametrize("name", [RECORD, TRIAL, ENVIRONMENT, TASK, PORTRAIT])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"[" * 100_000, b'{"a": 1e', b"9" * 5000])
def test_whatever_stands_where_json_should_be_is_named(attempt, name, content):
    without_checksums(attempt)
    (attempt.path / name).write_bytes(content)
    assert (name, "unreadable") in found(attempt)


def test_a_record_of_a_newer_ganbench_is_not_damaged_but_asks_for_an_upgrade(attempt):
    rewritten(attempt, RECORD, schema=99)
    (problem,) = damage_of(attempt)
    assert (problem.problem, problem.do) == ("unreadable", "upgrade ganbench")


def test_an_attempt_in_the_folder_of_another_key_is_found(store, attempt):
    moved = attempt.path.parent.rename(attempt.path.parent.with_name("ab" * 32))
    assert found(Attempt(moved / "1")) == [(RECORD, "key"), (TRIAL, "key")]


def test_a_record_of_another_job_is_found(store, attempt):
    other = whole_trial(store, trial(seed=1), WELL)
    shutil.copy(other.path / RECORD, attempt.path / RECORD)
    assert (RECORD, "key") in found(attempt)
    without_checksums(other)
    rewritten(other, RECORD, kind="reference")
    assert told(other) == "is of a job called reference, not trial"


def test_a_job_with_a_number_beyond_all_numbers_is_named(attempt):
    without_checksums(attempt)
    rewritten(attempt, TRIAL, budget={"kimg": float("1e9")})
    path = attempt.path / TRIAL
    path.write_text(path.read_text().replace("1000000000.0", "1e999"))
    assert "1e999 is beyond all numbers" in told(attempt)


# --- curves


def with_curve(store, change, scores=WELL.scores):
    """An attempt whose record is right about the file, and the file wrong about the end."""

    def write(attempt):
        write_curve(attempt, {score.name: 0.5 if score.value is None else score.value for score in scores})
        curve = change(pd.read_parquet(attempt.path / CURVE))
        curve.to_parquet(attempt.path / CURVE, index=False)

    return commit(store, trial(), Outcome(scores), None, write)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda curve: curve.iloc[:-1],
            "does not end with the record's steps, fcd_digits, coverage_digits, tvd_digits",
        ),
        (lambda curve: curve.assign(steps=7), "does not end with the record's steps"),
        (lambda curve: curve.assign(fcd_digits=2.5000000000000004), "does not end with the record's fcd_digits"),
        (lambda curve: curve.assign(fcd_digits=float("nan")), "does not end with the record's fcd_digits"),
        (lambda curve: curve.assign(fcd_digits="2.5"), "does not end with the record's fcd_digits"),
        (lambda curve: curve.drop(columns="tvd_digits"), "has no column tvd_digits"),
        (lambda curve: curve.iloc[:0], "has 0 rows, expected one for each evaluation point"),
    ],
)
def test_a_curve_that_does_not_end_as_the_record_says_is_found(store, change, message):
    assert told(with_curve(store, change)) == message


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_score_that_is_undefined_is_so_in_both(store, nothing):
    scores = (Score("kl_modes", None, "lower"),)
    assert found(with_curve(store, lambda curve: curve.assign(kl_modes=nothing), scores)) == []
    assert told(with_curve(store, lambda curve: curve, scores)) == "does not end with the record's kl_modes"


def test_a_failures_curve_ends_where_it_was_measured_last(store):
    outcome = Outcome((), "diverged", "a weight is not finite", 412)
    job = trial(seed=3)
    assert (
        found(commit(store, job, outcome, None, lambda attempt: write_curve(attempt, {"fcd_digits": 9.0}, 2.0))) == []
    )


# --- what other formats say


@pytest.mark.parametrize("name", [CURVE, GENERATOR, PICTURE, INTERPOLATIONS, NEIGHBOURS])
@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.99])
def test_a_file_that_was_recorded_in_part_is_not_whole(store, name, share):
    def cut(attempt):
        content = (attempt.path / name).read_bytes()
        (attempt.path / name).write_bytes(content[: int(len(content) * share)])

    attempt = whole_trial(store, trial(), WELL)
    without_checksums(attempt)
    cut(attempt)
    assert found(attempt) == [(name, "unfit")]
    assert told(attempt).startswith("cannot be read: ")


def test_a_picture_that_would_fill_the_memory_is_not_decoded(attempt):
    without_checksums(attempt)
    path = attempt.path / PICTURE
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 100_000, 100_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    assert "DecompressionBomb" in told(attempt)


# --- company


def test_who_trained_together_is_expected_to_lie_together(store):
    jobs = [trial(seed=seed) for seed in (0, 1)]
    first = whole_trial(store, jobs[0], WELL, jobs)
    (problem,) = without_company(first)
    assert problem.what == f"trained together with {jobs[1].key[:8]}, of which nothing is here"
    whole_trial(store, jobs[1], WELL, jobs)
    assert list(without_company(first)) == []
    assert found(first) == []


@pytest.mark.parametrize("together", [[], ["../../.."], [7], "ab", None])
def test_a_task_that_does_not_name_its_own_company_is_found(attempt, together):
    rewritten(attempt, TASK, together=together)
    (problem,) = without_company(attempt)
    assert (problem.path.name, problem.problem) == (TASK, "unreadable")


# --- scores and software


def test_scores_differ_if_a_bit_does_or_if_only_one_record_has_them(attempt):
    record = attempt.record()
    first, second, third = record.scores
    assert differing((record, record)) == []
    other = replace(record, scores=(replace(first, value=2.5000000000000004), second))
    assert differing((record, other)) == [first.name, third.name]
    zero, minus = (replace(record, scores=(replace(first, value=value),)) for value in (0.0, -0.0))
    assert differing((zero, minus)) == [first.name]
    assert differing((record, replace(other, status="diverged"))) == []


def test_software_is_the_same_whenever_and_with_however_many_cores_it_ran(store):
    facts = [{**ENVIRONMENT_FACTS, "cores": cores, "sittings": [cores]} for cores in (1, 2)]
    one, two = (commit(store, trial(), WELL, environment) for environment in facts)
    other = commit(store, trial(), WELL, {**ENVIRONMENT_FACTS, "packages": {"torch": "2.12.0"}})
    nothing = commit(store, trial(), WELL, {})
    told = [software_of(attempt, attempt.job()) for attempt in (one, two, other, nothing)]
    assert told[0] == told[1] != told[2]
    assert told[3] == ""
    assert software_of(one, trial(budget=Budget(device_seconds=5.0))) == ""


# --- words and sizes


def test_what_is_shown_is_one_line_that_no_terminal_obeys():
    assert shown("a\n\tb\x1b[31m\x9b\udcff") == "a  b\ufffd[31m\ufffd?"


def test_a_size_is_that_of_all_files_and_of_no_link(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for place in ("a/x", "a/b/y"):
        (tmp_path / place).write_bytes(b"12345")
    (tmp_path / "big").write_bytes(b"1" * 1000)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "big")
    assert size_of(tmp_path / "a") == 10 + (tmp_path / "a" / "link").lstat().st_size
    assert size_of(tmp_path / "a" / "x") == 5
    assert size_of(tmp_path / "nothing") == 0
