from __future__ import annotations

import json

import pytest
from fabricate import image_scores, trial

from ganbench import events as events_module
from ganbench.events import BLOCK_BYTES, REPORT_SECONDS, EventLog, last_event
from ganbench.store import EVENTS, Store
from ganbench.terms import Budget, Score, Spent


@pytest.fixture
def attempt(tmp_path):
    return Store(tmp_path).begin(trial())


@pytest.fixture
def clock(monkeypatch):
    """The time that the log sees, in a list of one."""
    seconds = [1000.0]
    monkeypatch.setattr(events_module.time, "monotonic", lambda: seconds[0])
    return seconds


def written(attempt):
    return [json.loads(line) for line in (attempt.path / EVENTS).read_text().splitlines()]


def test_an_event_is_a_line_with_its_name_and_the_time(attempt):
    EventLog(attempt).write("started", device="cpu")
    (event,) = written(attempt)
    assert event.pop("time") > 1.6e9
    assert event == {"event": "started", "device": "cpu"}


def test_progress_is_told_at_most_every_half_second(attempt, clock):
    log = EventLog(attempt, Budget(steps=100))
    for steps, seconds in ((1, 0), (2, REPORT_SECONDS / 2), (3, REPORT_SECONDS), (4, REPORT_SECONDS * 1.9)):
        clock[0] = 1000 + seconds
        log.progress(Spent(steps=steps))
    assert [event["spent"]["steps"] for event in written(attempt)] == [1, 3]
    assert log.spent == Spent(steps=4)


def test_the_share_of_the_budget_never_exceeds_one(attempt, clock):
    log = EventLog(attempt, Budget(steps=4))
    log.progress(Spent(steps=1))
    log.evaluated(Spent(steps=5), ())
    assert [event["share"] for event in written(attempt)] == [0.25, 1.0]


def test_scores_are_told_with_what_was_spent(attempt):
    log = EventLog(attempt, Budget(kimg=2.0))
    log.evaluated(Spent(kimg=1.0), (*image_scores(2.5), Score("kl", None, "lower")))
    (event,) = written(attempt)
    assert event["scores"]["fcd_digits"] == 2.5
    assert event["scores"]["kl"] is None
    assert event["share"] == 0.5
    assert log.spent == Spent(kimg=1.0)


def test_without_a_budget_there_is_no_progress_to_tell(attempt):
    log = EventLog(attempt)
    log.progress(Spent(steps=3))
    assert not (attempt.path / EVENTS).exists()
    assert log.spent == Spent(steps=3)


def test_what_is_not_a_number_is_no_event(attempt):
    with pytest.raises(ValueError, match="JSON"):
        EventLog(attempt).write("odd", value=float("nan"))


def test_the_last_event_is_the_newest_of_those_asked_for(attempt):
    log = EventLog(attempt)
    for name, number in (("progress", 1), ("evaluated", 2), ("progress", 3), ("other", 4)):
        log.write(name, number=number)
    assert last_event(attempt, "progress")["number"] == 3
    assert last_event(attempt, "evaluated")["number"] == 2
    assert last_event(attempt, "progress", "evaluated")["number"] == 3
    assert last_event(attempt, "ended") == {}


def test_an_attempt_that_has_said_nothing_has_no_last_event(attempt):
    assert last_event(attempt, "progress") == {}
    (attempt.path / EVENTS).touch()
    assert last_event(attempt, "progress") == {}


def test_an_event_is_found_behind_any_number_of_others(attempt):
    log = EventLog(attempt)
    log.write("evaluated", number=1)
    for _ in range(3 * BLOCK_BYTES // 50):
        log.write("progress", share=0.5)
    assert (attempt.path / EVENTS).stat().st_size > 3 * BLOCK_BYTES
    assert last_event(attempt, "evaluated")["number"] == 1


@pytest.mark.parametrize("length", [1, BLOCK_BYTES - 60, BLOCK_BYTES, 3 * BLOCK_BYTES])
def test_a_line_of_any_length_is_read_whole(attempt, length):
    log = EventLog(attempt)
    log.write("started", text="é" * length)
    log.write("progress")
    assert last_event(attempt, "started")["text"] == "é" * length


def test_lines_that_are_no_whole_events_are_passed_over(attempt):
    EventLog(attempt).write("progress", number=1)
    with (attempt.path / EVENTS).open("ab") as file:
        file.write(b'[1, 2]\n\n"progress"\n\xff\xfe\n{"event": "progress", "num')
    assert last_event(attempt, "progress")["number"] == 1
