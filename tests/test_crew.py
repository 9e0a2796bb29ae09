from __future__ import annotations

import functools
import json
import os
from concurrent.futures import Future
from dataclasses import replace

import fabricate
import pytest

from ganbench import crew as crew_module
from ganbench import runner
from ganbench.assignments import Assignment
from ganbench.crew import Settings
from ganbench.drivers import Driver
from ganbench.errors import StorageError
from ganbench.leases import Leases, read_owner
from ganbench.runner import recorded_now, run
from ganbench.store import Store
from ganbench.tasks import Stopped, now
from ganbench.terms import Record

SETTINGS = Settings(device="cpu", workers=1)


class Watcher:
    """A view that notes what it is told of."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *given: self.told.append((name, *given)) if name != "tick" else None


class Processes:
    """Stands in for processes: a test says what becomes of each group that is handed over."""

    def __init__(self, perform):
        self._perform = perform
        self.given = []

    def __call__(self, workers):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        pass

    def gpus(self):
        return {}

    def prepare(self, *ignored):
        pass

    def submit(self, tasks, limits):
        self.given.append((tasks, limits))
        future = Future()
        try:
            future.set_result(self._perform(tasks) or "")
        except Exception as error:  # noqa: BLE001 - what a test raises
            future.set_exception(error)
        return future


def commit(task, status="ok"):
    task.attempt.commit(Record(task.job.key, "trial", status, now(), now(), costs={"wall_seconds": 1.0}))


def all_well(tasks):
    for task in tasks:
        if not task.attempt.committed:
            commit(task)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def run_with(store, monkeypatch):
    """A function that runs a trial in stand-ins for processes, with leases of 0.4 s, and gives its records and view."""

    def start(perform=all_well, jobs=None, recorded=None):
        processes, watcher = Processes(perform), Watcher()
        monkeypatch.setattr(runner, "LocalProcesses", processes)
        monkeypatch.setattr(runner, "_executor", lambda settings, workers: processes)
        monkeypatch.setattr(runner, "Leases", functools.partial(Leases, lease_seconds=0.4))
        monkeypatch.setattr(crew_module, "ELSEWHERE_SECONDS", 0.1)
        records = run(jobs or [fabricate.trial()], store, SETTINGS, watcher, recorded)
        return records, watcher, processes

    return start


def claim_of_another(store, key):
    """A claim that a run on another machine has to the key."""
    folder = store.folder_of(key)
    folder.mkdir(parents=True, exist_ok=True)
    with Leases(store.path) as mine:
        own = read_owner(store.path / "runners" / f"{mine.runner}.json")
    path = folder / "claim.1"
    path.write_text(json.dumps(vars(replace(own, runner="another", machine="another", host="far"))))
    return path


def test_what_a_silent_run_had_is_taken_over_under_the_next_number(store, run_with):
    job = fabricate.trial()
    theirs = store.begin(job)
    Assignment(Driver(), (job.key,)).write(theirs)
    (theirs.path / "curve.parquet").write_text("as far as it came")
    claim_of_another(store, job.key)
    records, watcher, processes = run_with()
    ((tasks, _),) = processes.given
    assert tasks[0].attempt.number == 2
    assert not theirs.path.exists()  # whoever still writes there writes into nothing
    assert [record.status for record in records] == ["ok"]
    waited = [told for told in watcher.told if told[0] == "elsewhere"]
    assert waited
    assert (waited[0][1], str(waited[0][2])) == (1, f"process {os.getpid()} on far")
    assert [path.name for path in store.folder_of(job.key).iterdir()] == ["2"]


def test_what_another_run_has_done_meanwhile_is_told_and_not_done_again(store, run_with):
    job = fabricate.trial()
    claim_of_another(store, job.key)

    done = []

    def finish_there():
        if not done:
            done.append(fabricate.commit(store, job, fabricate.Outcome()))

    original = Leases.claim

    def claim(self, folder):
        found = original(self, folder)
        finish_there()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Leases, "claim", claim)
        records, watcher, processes = run_with()
    assert processes.given == []
    assert [record.key for record in records] == [job.key]
    assert [told[1].key for told in watcher.told if told[0] == "finished"] == [job.key]


def test_what_the_remains_of_a_dead_run_have_recorded_since_the_plan_was_made_is_not_done_again(store, run_with):
    job = fabricate.trial()
    before = recorded_now([job], store)
    fabricate.commit(store, job, fabricate.Outcome())
    records, _, processes = run_with(recorded=before)
    assert processes.given == []
    assert [record.key for record in records] == [job.key]
    records, _, processes = run_with()  # whoever asks for it again now gets it
    assert len(processes.given) == 1


def test_a_run_that_was_taken_over_while_its_machine_slept_lets_go_and_waits(store, run_with):
    job = fabricate.trial()

    def sleeps(tasks):
        (task,) = tasks
        if task.attempt.number == 1:  # another run has taken the key, and moved the attempt out of the way
            theirs = task.attempt.fenced()
            (theirs.path.parent / "claim.2").write_text("{}")
            commit(replace(task, attempt=theirs))
            raise FileNotFoundError(task.attempt.path)
        raise AssertionError("done twice")

    records, watcher, _ = run_with(sleeps)
    assert [record.status for record in records] == ["ok"]
    assert "left" in [told[0] for told in watcher.told]
    assert [attempt.number for attempt in store.attempts(job.key)] == [2]


def test_a_full_disk_ends_the_run_and_makes_no_row(store, run_with):
    def full(tasks):
        raise StorageError("curve.parquet: cannot be written (No space left on device)")

    with pytest.raises(StorageError, match="No space left"):
        run_with(full)
    assert store.latest(fabricate.trial().key) is None
    assert store.unfinished(fabricate.trial().key) is not None
    assert not (store.path / "runners").exists()
    run_with()
    assert store.latest(fabricate.trial().key).number == 1


def test_a_trial_that_was_stopped_has_no_record_and_is_taken_up_again(store, run_with):
    def stopped(tasks):
        raise Stopped

    records, watcher, _ = run_with(stopped)
    assert records == []
    assert "left" in [told[0] for told in watcher.told]
    records, _, processes = run_with()
    assert [record.status for record in records] == ["ok"]
    assert processes.given[0][0][0].attempt.number == 1


def test_what_was_reached_is_kept_for_the_same_company_and_cleared_for_another(store, run_with):
    def leave(tasks):
        (tasks[0].attempt.path / "curve.parquet").write_text("as far as it came")
        raise Stopped

    run_with(leave)
    attempt = store.unfinished(fabricate.trial().key)
    run_with(lambda tasks: leave(tasks) if (tasks[0].attempt.path / "curve.parquet").exists() else all_well(tasks))
    assert not attempt.committed
    Assignment(Driver("graph"), (attempt.key,)).write(attempt)
    run_with()
    assert not (attempt.path / "curve.parquet").exists()
    assert attempt.committed


def test_limits_are_for_each_of_the_seeds_that_share_a_process_but_for_silence(store, run_with, monkeypatch):
    monkeypatch.setattr(
        f"{__name__}.SETTINGS", replace(SETTINGS, limits=replace(SETTINGS.limits, seconds=5.0, memory_bytes=100))
    )
    _, _, processes = run_with(jobs=[fabricate.trial()])
    ((tasks, limits),) = processes.given
    assert (limits.seconds, limits.silent_seconds, limits.memory_bytes) == (5.0, 1800.0, 100)
    assert tasks[0].memory_bytes == 100
