"""A run that is killed goes on where it was, and comes to the same end bit for bit."""

from __future__ import annotations

import os
import signal
import time

import pytest
from commands import wait_for
from trouble import BREAKING, Command, Killing, begun, differences, orphans, outcome, residue

from ganbench.store import Store


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_end_and_leaves_nothing_behind(reference, tmp_path):
    suite, expected = reference
    killing = Killing(Command(suite, tmp_path / "eight"), expected, seed=7, longest=8.0)
    while killing.kills < 6 and not killing.finished:
        killing.once()
    if not killing.finished:
        said = killing.command.finish()
        assert "done already" in said or killing.kills
        assert differences(expected, outcome(tmp_path / "eight")) == []
        assert residue(tmp_path / "eight") == []
    assert killing.wrong == []
    assert orphans() == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_was_reached_says_how_to_go_on_and_the_rest_is_the_same(reference, tmp_path, number):
    suite, expected = reference
    results = tmp_path / "eight"
    command = Command(suite, results, ("--device", "cpu", "--checkpoint", "3600"))
    process = command.start()
    wait_for(lambda: begun(results))
    os.kill(process.pid, number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "may finish a step and keep what was reached" in said
    assert f"To go on: ganbench run {suite}" in said
    assert list(results.glob("checkpoints/*.safetensors"))
    assert list(results.glob("runs/*/claim.*")) == []
    assert list(results.glob("runners/*")) == []
    command.finish()
    assert differences(expected, outcome(results)) == []
    assert residue(results) == []
    assert any(attempt.environment().get("resumed") for attempt in Store(results).attempts())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_interruption_ends_at_once(reference, tmp_path):
    suite, _ = reference
    slow = tmp_path / "slow.toml"
    slow.write_text(suite.read_text().replace('"hinge"', '{ name = "slow", pause = 5.0 }'))
    process = Command(slow, tmp_path / "slow", ("--device", "cpu", "--plugin", str(BREAKING))).start()
    wait_for(lambda: list((tmp_path / "slow").glob("runs/*/*/events.jsonl")) and begun(tmp_path / "slow", 1))
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    began = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert time.monotonic() - began < 5
    assert orphans() == []
