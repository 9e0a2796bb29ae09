from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from commands import PATIENT, ganbench, patient, waiting_process, write_suite
from PIL import Image

from ganbench import history
from ganbench.errors import DataError
from ganbench.plan import plan
from ganbench.plugins import discover
from ganbench.protocols import Places
from ganbench.runner import Settings, present_origins, run, to_do
from ganbench.store import LOG, TRIAL, Store
from ganbench.suite import read_suite, suite_from

PLUGINS = (PATIENT, Path(__file__).parent / "odd.py")


class Watcher:
    """A view that notes what it is shown, and does something to the run while it waits."""

    def __init__(self, tick=lambda: None):
        self.started_tasks, self.ended, self._tick, self.most, self.prepared = [], [], tick, 0, []

    def preparing(self, job):
        self.prepared.append((str(job.dataset), len(self.started_tasks)))

    def started(self, task):
        self.started_tasks.append(task)
        self.most = max(self.most, len(self.started_tasks) - len(self.ended))

    def finished(self, task, record):
        self.ended.append((task, record))

    def tick(self, running):
        assert {task.job.key for task in running} == {t.job.key for t in self.started_tasks} - {
            t.job.key for t, _ in self.ended
        }
        self._tick()


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
