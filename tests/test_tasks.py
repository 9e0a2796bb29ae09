from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fabricate import evaluation, trial

from ganbench.protocols import Places
from ganbench.store import LOG, Store
from ganbench.tasks import Task, commit_loss, now
from ganbench.terms import Choice, Reference


@pytest.fixture
def begun(tmp_path):
    """A function that gives a task with a folder of its own."""
    return lambda job: Task(job, Store(tmp_path).begin(job), Places(), "cpu")


def test_now_is_the_time_in_utc_to_the_millisecond():
    text = now()
    moment = datetime.fromisoformat(text)
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - moment) < timedelta(seconds=10)
    assert len(text) == len("2030-01-01T00:00:00.000+00:00")


def test_a_process_that_never_came_back_leaves_a_record_and_a_log(begun):
    task = begun(trial())
    record = commit_loss(task, "killed", "ended by signal SIGKILL", "2030-01-01T00:00:00.000+00:00")
    assert task.attempt.record() == record
    assert (record.key, record.kind, record.status) == (trial().key, "trial", "killed")
    assert record.message == record.log == "ended by signal SIGKILL"
    assert record.started_at == "2030-01-01T00:00:00.000+00:00"
    assert datetime.fromisoformat(record.finished_at) <= datetime.now(UTC)
    assert (task.attempt.path / LOG).read_text() == "ended by signal SIGKILL\n"


def test_what_the_process_had_logged_is_kept(begun):
    task = begun(Reference(Choice("digits"), "noise", evaluation()))
    (task.attempt.path / LOG).write_text("Traceback …")
    record = commit_loss(task, "error", "left no record", now())
    assert record.kind == "reference"
    assert (task.attempt.path / LOG).read_text() == "Traceback …left no record\n"
