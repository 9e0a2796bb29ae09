"""Two runs on one folder share the work, and take over what a dead one has left."""

from __future__ import annotations

import os
import signal

import pytest
from commands import wait_for
from trouble import Command, begun, differences, orphans, outcome, residue, starts


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_runs_on_one_folder_do_nothing_twice_and_both_end_with_the_whole_table(reference, tmp_path):
    suite, expected = reference
    results = tmp_path / "eight"
    runs = [Command(suite, results, ("--device", "cpu")).start() for _ in range(2)]
    said = [process.communicate(timeout=240)[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], said
    assert differences(expected, outcome(results)) == []
    assert residue(results) == []
    assert set(starts(results).values()) == {1}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_a_dead_run_was_at_is_taken_over_by_the_other(reference, tmp_path):
    suite, expected = reference
    results = tmp_path / "eight"
    first = Command(suite, results, ("--device", "cpu", "--checkpoint", "0.1")).start()
    wait_for(lambda: begun(results))
    second = Command(suite, results, ("--device", "cpu")).start()
    wait_for(lambda: len(list(results.glob("runners/*.json"))) == 2)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    said, _ = second.communicate(timeout=240)
    assert second.returncode == 0, said
    assert differences(expected, outcome(results)) == []
    assert residue(results) == []
    assert orphans() == []
