from __future__ import annotations

import json
import subprocess
import sys

import pytest
from commands import ganbench
from fabricate import Outcome, image_scores, trial, whole_trial

from ganbench.store import CURVE, Store

WELL = Outcome(image_scores(2.5))


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "results")
    whole_trial(store, trial(), WELL)
    return store


def test_sound_results_are_one_line_and_status_0(store):
    said = ganbench("results", "verify", store.path)
    assert (said.status, said.out) == (0, "Sound: 1 recorded attempt of 1 suite\n")
    assert ganbench("results", "verify", store.path, "--format", "json").rows == []


def test_problems_are_a_table_or_json_and_status_1(store):
    attempt = next(store.attempts())
    (attempt.path / CURVE).unlink()
    told = ganbench("results", "verify", store.path)
    assert told.status == 1
    head, first, *_, last = told.out.splitlines()
    assert head.split() == ["place", "problem", "what", "do"]
    assert first.startswith(f"runs/{trial().key[:8]}…/1/curve.parquet  missing  is not there")
    assert last == "1 problem: 1 recorded attempt of 1 suite"
    (row,) = ganbench("results", "verify", store.path, "--format", "json").rows
    assert row == {
        "place": f"runs/{trial().key}/1/curve.parquet",
        "problem": "missing",
        "what": "is not there, though it is in the record",
        "do": "copy it again, or delete the attempt: 'ganbench run' repeats it",
    }


@pytest.mark.parametrize("command", ["verify", "gc"])
def test_where_there_are_no_results_it_is_one_message_and_status_2(tmp_path, command):
    said = ganbench("results", command, tmp_path)
    assert (said.status, said.out) == (2, "")
    assert said.err == (
        f"ganbench: {tmp_path}: no runs in it. Expected a results folder, which 'ganbench run SUITE' writes\n"
    )


def test_nothing_is_deleted_without_yes(store):
    torn = store.begin(trial())
    said = ganbench("results", "gc", store.path)
    assert said.status == 0
    assert f"runs/{trial().key[:8]}…/2  left over  cut short" in said.out
    assert said.out.splitlines()[-1].startswith("1 to delete, ")
    assert torn.path.exists()
    size = (torn.path / "trial.json").stat().st_size
    said = ganbench("results", "gc", store.path, "--yes", "--format", "json")
    assert said.rows[0]["bytes"] == size
    assert said.err.startswith("1 deleted, ")
    assert not torn.path.exists()
    assert ganbench("results", "gc", store.path).out == "0 to delete, 0 bytes.\n"


def test_merging_tells_what_was_copied_and_which_scores_differ(tmp_path, store):
    other = Store(tmp_path / "other")
    whole_trial(other, trial(), Outcome(image_scores(2.6), finished_at="2030-01-02T00:00:00+00:00"))
    into = tmp_path / "all"
    said = ganbench("results", "merge", store.path, other.path, "--into", into)
    assert said.status == 0
    head, row, last = said.out.splitlines()
    assert head.split() == ["key", "variant", "attempts", "scores"]
    assert row.split() == [f"{trial().key[:8]}…", "dcgan", "/", "dcgan", "/", "hinge", "2", "fcd_digits"]
    assert last == f"2 copied, 0 there already, 1 of one key with other results: {into}"
    facts = json.loads(ganbench("results", "merge", store.path, other.path, "--into", into, "--format", "json").out)
    assert facts == {"copied": 0, "present": 2, "conflicts": [], "left_out": []}


def test_merging_what_is_damaged_is_told_and_status_1(tmp_path, store):
    (next(store.attempts()).path / CURVE).unlink()
    said = ganbench("results", "merge", store.path, "--into", tmp_path / "all")
    assert said.status == 1
    assert "curve.parquet" in said.out
    assert said.out.splitlines()[-1].startswith("0 copied, 0 there already, 1 left out")


def test_merging_into_what_is_merged_is_one_message_and_status_2(store):
    said = ganbench("results", "merge", store.path, "--into", store.path / "x")
    assert said.status == 2
    assert said.err.startswith(f"ganbench: --into {store.path / 'x'}: lies inside {store.path}")
    assert len(said.err.splitlines()) == 1


WITHOUT_TORCH = """
import sys
from ganbench import cli
for arguments in (["--help"], ["verify", sys.argv[1]], ["gc", sys.argv[1], "--yes"],
                  ["merge", sys.argv[1], "--into", sys.argv[2]]):
    sys.argv[3:] = []
    before, sys.argv = sys.argv, ["ganbench", "results", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        assert not end.code, end.code
    sys.argv = before
assert "torch" not in sys.modules
"""


def test_looking_after_results_needs_no_torch(tmp_path, store):
    command = [sys.executable, "-c", WITHOUT_TORCH, str(store.path), str(tmp_path / "all")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
