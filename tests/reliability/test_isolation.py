"""Whatever a plugin does to its process, it ends its own trial alone, as a row that says how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trouble import Command, breaking_suite, expected_of_harm, orphans, residue

import ganbench
from ganbench.store import find_attempt


def shared_memory():
    return {path.name for path in Path("/dev/shm").glob("*")} if Path("/dev/shm").exists() else set()


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """The table of a suite whose losses break what they run in, and what was left behind."""
    folder = tmp_path_factory.mktemp("broken")
    suite, options = breaking_suite(folder)
    before = shared_memory()
    said = Command(suite, folder / "broken", options).finish(status=1)
    left = sorted(name for name in shared_memory() - before if name.startswith(("psm_", "torch_")))
    return ganbench.load_results(folder / "broken").set_index("loss"), said, left, orphans(), folder / "broken"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("loss", expected_of_harm())
def test_a_trial_that_breaks_is_a_row_that_says_how(broken, loss):
    table, *_ = broken
    row, (status, message) = table.loc[loss], expected_of_harm()[loss]
    assert row["status"] == status
    assert message in row["message"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_stays_behind(broken):
    _, said, shared, processes, results = broken
    assert processes == []
    assert shared == []
    assert residue(results) == []
    assert "10 of 16 failed" in said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_crash_leaves_its_trace_in_the_log_and_its_last_lines_in_the_record(broken):
    table, *_, results = broken
    attempt = find_attempt(results, table.loc["segfault"]["key"])
    assert "Fatal Python error: Segmentation fault" in (attempt.path / "log.txt").read_text()
    assert "in discriminator" in json.loads((attempt.path / "record.json").read_text())["log"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_loss_that_remembers_what_cannot_be_written_down_trains_without_checkpoints(broken):
    table, *_, results = broken
    events = (find_attempt(results, table.loc["queueing"]["key"]).path / "events.jsonl").read_text()
    assert "keeps 'seen', which no checkpoint can hold" in events
