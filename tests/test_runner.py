from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import fabricate
import numpy as np
import pytest
from commands import PATIENT, ganbench, patient, waiting_process, write_suite
from pebble import ProcessExpired
from PIL import Image

from ganbench import history, runner
from ganbench.assignments import Assignment, assignment_of, write_groups
from ganbench.crew import Settings
from ganbench.drivers import Driver, Findings
from ganbench.errors import DataError
from ganbench.leases import Leases, read_owner
from ganbench.plan import plan
from ganbench.plugins import discover
from ganbench.protocols import Places
from ganbench.runner import present_origins, run, to_do
from ganbench.store import LOG, TRIAL, Store
from ganbench.suite import read_suite, suite_from
from ganbench.tasks import Lost, now
from ganbench.terms import Limits, Record

PLUGINS = (PATIENT, Path(__file__).parent / "odd.py")


class Watcher:
    """A view that notes what it is shown, and does something to the run while it waits."""

    def __init__(self, tick=lambda: None):
        self.started_tasks, self.ended, self._tick, self.most, self.prepared = [], [], tick, 0, []
        self.groups, self.reasons, self.surveyed, self.shares = [], [], [], []
        self.gone, self.waited_for, self.stopped = [], [], []

    def preparing(self, job):
        self.prepared.append((str(job.dataset), len(self.started_tasks)))

    def surveying(self, variants):
        self.surveyed.append(variants)

    def started(self, tasks):
        self.groups.append(tuple(tasks))
        self.started_tasks.extend(tasks)
        self.most = max(self.most, len(self.started_tasks) - len(self.ended))

    def finished(self, job, record):
        self.ended.append((job, record))

    def left(self, tasks):
        self.gone.extend(tasks)

    def elsewhere(self, jobs, owner):
        self.waited_for.append((jobs, str(owner)))

    def stopping(self, running):
        self.stopped.append(running)

    def parted(self, tasks, reason):
        self.reasons.append(([task.job.seed for task in tasks], reason))
        self.started_tasks = [task for task in self.started_tasks if task not in tasks]

    def tick(self, running):
        assert {task.job.key for tasks in running for task in tasks} == {t.job.key for t in self.started_tasks} - {
            job.key for job, _ in self.ended
        }
        self._tick()

    def busy(self, share):
        self.shares.append(share)


def planned(path, only=(), **settings):
    return plan(read_suite(str(write_suite(path, **settings))), discover(PLUGINS), only)


def name(record, jobs):
    job = next(job for job in jobs if job.key == record.key)
    return job.variant.loss.name if record.kind == "trial" else job.name


@pytest.mark.slow
def test_a_trial_that_is_killed_is_a_row_and_the_others_go_on(tmp_path, gate):
    jobs = planned(tmp_path / "kill.toml", losses=["hinge", patient(gate)], seeds=1).jobs

    def kill():
        if process := waiting_process(gate):
            os.kill(process, signal.SIGKILL)
            gate.write_text("")

    store, watcher = Store(tmp_path / "kill"), Watcher(kill)
    records = run(jobs, store, Settings(device="cpu", workers=2, plugin_files=PLUGINS), watcher)
    assert {name(record, jobs): record.status for record in records} == {
        "real_floor": "ok", "perfect": "ok", "noise": "ok", "hinge": "ok", "patient": "killed",
    }  # fmt: skip
    assert watcher.most == 2
    assert watcher.prepared == [(str(jobs[0].dataset), 0)]  # once, before anything has started
    assert [record for _, record in watcher.ended] == records
    (killed,) = (record for record in records if record.status == "killed")
    assert killed.message == "the trial's process ended by signal SIGKILL"
    assert killed.started_at <= killed.finished_at
    assert (store.latest(killed.key).path / LOG).read_text() == killed.message + "\n"

    assert to_do(jobs, store, "missing") == []
    assert [job.key for job in to_do(jobs, store, "failed")] == [killed.key]
    assert to_do(jobs, store, "all") == list(jobs)
    gate.unlink()
    retried = ganbench(
        "run", tmp_path / "kill.toml", "--results", store.path, "--plugin", PATIENT, "--plugin", PLUGINS[1],
        "--retry", "failed",
    )  # fmt: skip
    assert retried.status == 0
    assert "4 of 5 are done already." in retried.out
    assert [attempt.record().status for attempt in store.attempts(killed.key)] == ["killed", "ok"]


@pytest.mark.slow
def test_a_trial_that_fails_is_a_row_its_log_has_the_traceback_and_the_status_is_1(tmp_path):
    raising = {"name": "raising"}
    suite = write_suite(tmp_path / "fails.toml", losses=["hinge", raising], seeds=1, generators=["greedy"])
    arguments = ("run", suite, "--results", tmp_path / "fails", "--plugin", PLUGINS[1])
    result = ganbench(*arguments)
    assert result.status == 1
    assert "3 of 7 failed; --retry failed runs them again." in result.out
    rows = ganbench("table", tmp_path / "fails", "--format", "json", "--where", "kind=trial").rows
    ended = {(row["generator"].split("(")[0], row["loss"]): row["status"] for row in rows}
    assert ended["mlp", "hinge"] == "ok"
    assert ended["mlp", "raising"] == "error"
    assert ended["greedy", "hinge"] == "oom"
    for row in rows:
        log = Path(row["path"], LOG)
        assert log.exists() == (row["status"] != "ok")
        assert row["status"] == "ok" or "Traceback" in log.read_text()
    again = ganbench(*arguments)
    assert again.status == 1
    assert "7 of 7 are done already." in again.out


def test_data_that_are_missing_stop_a_run_before_anything_is_trained(tmp_path):
    suite = write_suite(tmp_path / "cifar.toml", datasets=["ring8", "cifar10"], seeds=1)
    result = ganbench("run", suite, "--results", tmp_path / "cifar", "--data-root", tmp_path / "nothing")
    assert result.status == 2
    assert "--data-root" in result.err
    assert "--download" in result.err
    assert not (tmp_path / "cifar").exists()
    jobs = planned(tmp_path / "cifar.toml", datasets=["cifar10"]).jobs
    with pytest.raises(DataError):
        run(jobs, Store(tmp_path / "cifar"), Settings(Places(tmp_path / "nothing"), "cpu"), Watcher())


def test_what_a_run_takes_is_remembered_for_the_next_plan(tmp_path):
    made = planned(tmp_path / "tiny.toml", only=["loss=hinge", "seed=0"])
    assert history.estimate(made.jobs) is None
    run(made.jobs, Store(tmp_path / "tiny"), Settings(device="cpu"), Watcher())
    assert 0 < history.estimate(made.jobs) < 60
    said = ganbench("plan", tmp_path / "tiny.toml", "--results", tmp_path / "none", "--only", "seed=0").out
    assert "about " in said


def test_nothing_to_do_starts_nothing(tmp_path):
    watcher = Watcher()
    assert run([], Store(tmp_path / "none"), Settings(), watcher) == []
    assert watcher.started_tasks == []


def test_an_attempt_without_a_record_never_happened(tmp_path):
    (job, *_) = planned(tmp_path / "tiny.toml").jobs
    store = Store(tmp_path / "tiny")
    attempt = store.begin(job)
    assert (attempt.path / TRIAL).exists()
    assert to_do([job], store, "missing") == [job]
    assert to_do([job], store, "failed") == [job]


def folder_jobs(folder, heldout=0.5):
    """A plan for a folder of pictures, which has one trial and two references."""
    dataset = f"folder:{folder}(resolution=8, channels=1, heldout={heldout})"
    suite = {
        "name": "pictures", "datasets": [dataset], "seeds": 1, "budget": {"steps": 1},
        "matrix": {"generator": ["mlp"], "discriminator": ["mlp"], "loss": ["hinge"]},
        "evaluation": {"points": 1, "extractor": "digits"}, "metrics": ["frechet"],
    }  # fmt: skip
    return plan(suite_from(suite, folder / "pictures.toml"), discover()).jobs


def put_pictures(folder, seed):
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{number:02}.png")


@pytest.mark.slow
def test_a_folder_that_holds_other_pictures_now_is_done_again(tmp_path):
    folder, store, settings = tmp_path / "pictures", Store(tmp_path / "results"), Settings(device="cpu", workers=1)
    put_pictures(folder, seed=0)
    jobs = folder_jobs(folder)
    assert present_origins(jobs, store, settings) == {}  # without a record there is nothing to compare with
    assert {record.status for record in run(jobs, store, settings, Watcher())} == {"ok"}
    assert to_do(jobs, store, "missing", present_origins(jobs, store, settings)) == []
    put_pictures(folder, seed=1)
    assert to_do(jobs, store, "missing", present_origins(jobs, store, settings)) == list(jobs)
    assert to_do(jobs, store, "missing") == []


def test_data_without_training_samples_stop_a_run_before_anything_is_trained(tmp_path):
    put_pictures(tmp_path / "pictures", seed=0)
    jobs = folder_jobs(tmp_path / "pictures", heldout=1.0)
    with pytest.raises(DataError, match="all 40 samples are held out, so there is none to train on"):
        run(jobs, Store(tmp_path / "results"), Settings(device="cpu", workers=1), Watcher())
    assert not list((tmp_path / "results").rglob("record.json"))


class Processes:
    """Stands in for processes: a test says what becomes of each group that is handed over, and of each first step."""

    def __init__(self, perform, survey=lambda trial: Findings(peak_memory_bytes=2**20), gpus=None):
        self._perform, self._survey, self._gpus, self.limits, self.sizes = perform, survey, gpus or {}, [], []

    def __call__(self, workers):
        self.sizes.append(workers)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        pass

    def gpus(self):
        return self._gpus

    def prepare(self, job, places, device, plugin_files):
        pass

    def survey(self, trial, places, device, plugin_files, seconds):
        return self._promise(self._survey, trial)

    def submit(self, tasks, limits):
        self.limits.append(limits.seconds)
        return self._promise(self._perform, tasks)

    def _promise(self, do, given):
        future = Future()
        try:
            future.set_result(do(given))
        except (ProcessExpired, TimeoutError, Lost) as error:
            future.set_exception(error)
        return future


def commit(task, status="ok", **costs):
    task.attempt.commit(Record(task.job.key, "trial", status, now(), now(), costs={"wall_seconds": 1.0, **costs}))


def all_well(tasks):
    for task in tasks:
        commit(task)
    return ""


@pytest.fixture
def run_with(tmp_path, monkeypatch):
    """A function that runs three seeds of a loss in stand-ins for processes, and gives its view, records and store."""

    def start(perform, jobs=None, settings=None, **processes):
        stand_ins = Processes(perform, **processes)
        monkeypatch.setattr(runner, "LocalProcesses", stand_ins)
        monkeypatch.setattr(runner, "_executor", lambda settings, workers: stand_ins(workers))
        watcher, store = Watcher(), Store(tmp_path / "results")
        jobs = jobs or [fabricate.trial(seed=seed) for seed in (0, 1, 2)]
        records = run(jobs, store, settings or Settings(device="cpu", workers=1, limits=Limits(5.0)), watcher)
        return watcher, records, store, stand_ins

    return start


def drivers(watcher):
    """The seeds and the driver of each group that was started."""
    return [([task.job.seed for task in tasks], tasks[0].driver.name) for tasks in watcher.groups]


def test_seeds_of_a_variant_are_done_together_within_a_limit_for_all_of_them(run_with):
    watcher, records, _, processes = run_with(all_well)
    assert watcher.surveyed == [1]
    assert drivers(watcher) == [([0, 1, 2], "vectorised")]
    assert processes.limits == [15.0]
    assert [record for _, record in watcher.ended] == records
    assert [record.status for record in records] == ["ok"] * 3
    assert watcher.shares == []


def refusing(tasks):
    return "no batching rule" if len(tasks) > 1 else all_well(tasks)


def dying(tasks):
    if len(tasks) > 1:
        raise Lost("killed", "the trial's process ended by signal SIGKILL")
    return all_well(tasks)


def late(tasks):
    if len(tasks) > 1:
        raise Lost("timeout", "the trial took longer than 15 s, its limit")
    return all_well(tasks)


def forgetful(tasks):
    return "" if len(tasks) > 1 else all_well(tasks)


@pytest.mark.parametrize(
    ("perform", "reason"),
    [
        (refusing, "no batching rule"),
        (dying, "the trial's process ended by signal SIGKILL"),
        (late, "the trial took longer than 15 s, its limit"),
        (forgetful, "the trial's process left no record"),
    ],
)
def test_seeds_that_cannot_go_on_together_are_done_one_by_one_and_say_why(run_with, perform, reason):
    watcher, records, store, processes = run_with(perform)
    assert drivers(watcher) == [([0, 1, 2], "vectorised"), ([0], "eager"), ([1], "eager"), ([2], "eager")]
    assert watcher.reasons == [([0, 1, 2], reason)]
    assert processes.limits == [15.0, 5.0, 5.0, 5.0]
    assert [record.status for record in records] == ["ok"] * 3
    for record in records:
        (only,) = store.attempts(record.key)  # what was begun together is gone
        assert assignment_of(only).together == (record.key,)
    assert {tasks[0].driver.reason for tasks in watcher.groups[1:]} == {f"not vectorised: {reason}"}


def test_a_seed_whose_end_is_known_is_not_done_again_with_the_others(run_with):
    def perform(tasks):
        commit(tasks[0], "diverged" if len(tasks) > 1 else "ok")
        return "" if len(tasks) == 1 else "out of memory"

    watcher, records, _, _ = run_with(perform)
    assert drivers(watcher) == [([0, 1, 2], "vectorised"), ([1], "eager"), ([2], "eager")]
    assert watcher.reasons == [([1, 2], "out of memory")]
    assert [record.status for record in records] == ["diverged", "ok", "ok"]


def test_a_record_is_told_of_while_the_other_seeds_go_on(tmp_path, monkeypatch):
    future, told = Future(), []

    class Slow(Processes):
        def submit(self, tasks, limits):
            commit(tasks[1], "diverged")
            self.tasks = tasks
            return future

    slow = Slow(None)

    def tick():
        told.append([record.status for _, record in watcher.ended])
        if not future.done():
            commit(slow.tasks[0])
            future.set_result("")

    watcher = Watcher(tick)
    monkeypatch.setattr(runner, "LocalProcesses", slow)
    monkeypatch.setattr(runner, "_executor", lambda settings, workers: slow(workers))
    run([fabricate.trial(seed=seed) for seed in (0, 1)], Store(tmp_path), Settings(device="cpu", workers=1), watcher)
    assert told == [["diverged"], ["diverged", "ok"]]


def test_a_lone_trial_whose_process_is_lost_has_a_record_and_no_second_try(run_with):
    def perform(tasks):
        raise Lost("killed", "the trial's process ended with exit status 3")

    watcher, records, _, _ = run_with(perform, jobs=[fabricate.trial(seed=4)])
    assert drivers(watcher) == [([4], "eager")]
    assert watcher.surveyed == watcher.reasons == []
    assert [(record.status, record.message) for record in records] == [
        ("killed", "the trial's process ended with exit status 3")
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "its first steps took longer than 5 s"),
        (
            ProcessExpired("Abnormal termination", code=-signal.SIGSEGV),
            "in its first steps, the trial's process ended by signal SIGSEGV",
        ),
    ],
)
def test_a_variant_whose_first_steps_come_to_no_end_trains_one_by_one(run_with, error, reason):
    def survey(trial):
        raise error

    watcher, _, _, _ = run_with(all_well, survey=survey)
    assert drivers(watcher) == [([0], "eager"), ([1], "eager"), ([2], "eager")]
    assert f"not vectorised: {reason}" in watcher.groups[0][0].driver.reason


def test_parted_seeds_keep_their_graph_and_devices_are_shared(run_with):
    settings = Settings(device="cuda", per_device=2)
    watcher, _, _, processes = run_with(refusing, settings=settings, gpus={"cuda:0": 2**34})
    assert drivers(watcher) == [
        ([0, 1, 2], "vectorised+graph"), ([0], "graph"), ([1], "graph"), ([2], "graph"),
    ]  # fmt: skip
    assert {task.device for tasks in watcher.groups for task in tasks} == {"cuda:0"}
    assert processes.sizes[-1] == 1  # one group to begin with


@pytest.mark.parametrize(("wish", "groups"), [("eager", 3), ("auto", 1)])
def test_the_driver_that_was_asked_for_is_taken(run_with, wish, groups):
    watcher, _, _, _ = run_with(all_well, settings=Settings(device="cpu", workers=1, driver=wish))
    assert len(watcher.groups) == groups
    assert watcher.surveyed == ([] if wish == "eager" else [1])


@pytest.mark.parametrize(("shares", "told"), [((0.9, 0.5, 0.6), [0.6]), ((0.9, 0.85, 0.2), [])])
def test_a_busy_machine_is_told_of_by_the_share_of_a_core_that_most_trials_got(run_with, shares, told):
    def perform(tasks):
        for task, share in zip(tasks, shares, strict=True):
            commit(task, processor_share=share)
        return ""

    assert run_with(perform)[0].shares == told
    jobs = [fabricate.trial(seed=seed) for seed in (5, 6, 7)]
    on_gpu = run_with(perform, jobs, Settings(device="cuda"), gpus={"cuda:0": 2**34})
    assert on_gpu[0].shares == []


def test_what_seeds_took_together_is_remembered_by_each_ones_share(run_with):
    def perform(tasks):
        time.sleep(0.3)
        return all_well(tasks)

    run_with(perform)
    assert 0.1 <= history.estimate([fabricate.trial(seed=9)]) < 0.2


def test_what_a_run_left_that_was_killed_at_its_very_end_is_removed_by_the_next_which_has_nothing_to_do(tmp_path):
    suite, results = write_suite(tmp_path / "tiny.toml", losses=["hinge"], seeds=1), tmp_path / "results"
    assert ganbench("run", suite, "--results", results, "--device", "cpu").status == 0
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with Leases(results) as leases:
        owner = replace(read_owner(results / "runners" / f"{leases.runner}.json"), runner="dead", pid=ended.pid)
    key = next(Store(results).attempts()).key
    (results / "runners").mkdir()
    for path in (results / "runners" / "dead.json", results / "runs" / key / "claim.1"):
        path.write_text(json.dumps(vars(owner)))
    write_groups(results, [Assignment(Driver(), (key,))])
    (results / "checkpoints").mkdir()
    (results / "checkpoints" / "ab.safetensors").write_bytes(b"torn")
    said = ganbench("run", suite, "--results", results, "--device", "cpu")
    assert said.status == 0
    assert "4 of 4 are done already" in said.out
    assert not any((results / name).exists() for name in ("runners", "groups.json", "checkpoints"))
    assert list(results.glob("runs/*/claim.*")) == []
