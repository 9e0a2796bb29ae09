from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from fabricate import trial
from pebble import ProcessExpired

from ganbench import supervision
from ganbench.events import EventLog
from ganbench.protocols import Places
from ganbench.store import Store
from ganbench.supervision import Supervisor, Watched, end_group, limit_memory, lost
from ganbench.tasks import Lost, Task
from ganbench.terms import Limits, Spent


def expired(code):
    return ProcessExpired("Abnormal termination", code=code)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (expired(-signal.SIGKILL), "killed", "the trial's process ended by signal SIGKILL"),
        (expired(-250), "killed", "the trial's process ended by signal 250"),
        (expired(3), "killed", "the trial's process ended with exit status 3"),
        (TimeoutError(), "timeout", "the trial took longer than 7 s, its limit"),
    ],
)
def test_a_process_that_left_no_word_is_told_of(error, status, message):
    found = lost(error, 7.0)
    assert (found.status, found.message) == (status, message)


def test_what_says_more_than_that_a_process_is_gone_stays_as_it_is():
    error = OSError("of a plugin's")
    assert lost(error) is error


def test_a_process_that_the_system_ended_for_want_of_memory_is_told_of_as_that(monkeypatch, watched):
    kills = [3]
    monkeypatch.setattr(supervision, "_oom_kills", lambda: kills[0])
    one, _ = watched(Limits())
    assert one.loss(expired(-signal.SIGKILL)).status == "killed"
    kills[0] = 4
    assert one.loss(expired(-signal.SIGKILL)).status == "oom"
    assert one.loss(expired(-signal.SIGSEGV)).status == "killed"


@pytest.fixture
def sleeper():
    """A process that leads a group of its own, with a child in it."""
    code = (
        "import os, subprocess, sys, time\n"
        "os.setpgid(0, 0)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    process.child = int(process.stdout.readline())
    yield process
    end_group(process.pid, spare_leader=False)
    process.communicate()


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def watched(tmp_path):
    """A function that watches a process by an attempt of its own, and gives its log of events too."""

    def watch(limits, pid=None):
        attempt = Store(tmp_path).begin(trial())
        log = EventLog(attempt, trial().budget)
        one = Watched([Task(trial(), attempt, Places(), "cpu")], limits)
        if pid is not None:
            log.write("process", pid=pid)
        return one, log

    return watch


def test_a_group_is_ended_with_or_without_its_leader(sleeper):
    end_group(sleeper.pid, spare_leader=True)
    assert gone(sleeper.child)
    assert sleeper.poll() is None
    end_group(sleeper.pid, spare_leader=False)
    assert sleeper.wait(timeout=5) == -signal.SIGKILL


def test_nobodys_group_is_nobodys():
    end_group(None, spare_leader=False)


def test_a_process_that_shows_no_sign_of_life_is_ended_and_said_to_be_where_it_was(sleeper, watched):
    one, log = watched(Limits(silent_seconds=0.3), sleeper.pid)
    log.progress(Spent(steps=12))
    for _ in range(3):
        one.look()
        log.write("alive", doing="metric 'fid'")
        time.sleep(0.2)
    assert sleeper.poll() is None
    one.look()
    time.sleep(0.4)
    one.look()
    assert sleeper.wait(timeout=5) == -signal.SIGKILL
    loss = one.loss(expired(-signal.SIGKILL))
    assert (loss.status, loss.message) == ("timeout", "no sign of life for 0.3 s, its limit; it was at metric 'fid'")


def test_the_last_step_that_it_told_of_is_named(sleeper, watched):
    one, log = watched(Limits(silent_seconds=0.1), sleeper.pid)
    log.progress(Spent(steps=12))
    one.look()
    time.sleep(0.2)
    one.look()
    assert "it last told of step 12" in one.loss(expired(-9)).message


def test_a_job_that_waits_for_a_process_is_not_silent(watched):
    one, _ = watched(Limits(silent_seconds=0.0))
    one.look()
    assert one.loss(OSError("nothing was done to it")).args == ("nothing was done to it",)


def test_a_process_that_takes_too_long_is_ended(sleeper, watched):
    one, _ = watched(Limits(seconds=0.2), sleeper.pid)
    one.look()
    assert sleeper.poll() is None
    time.sleep(0.3)
    one.look()
    assert sleeper.wait(timeout=5) == -signal.SIGKILL
    assert one.loss(expired(-9)).message == "the trial took longer than 0.2 s, its limit"


def test_the_process_of_an_attempt_that_was_cut_short_is_not_taken_for_the_one_that_goes_on(sleeper, watched, tmp_path):
    _, log = watched(Limits(), sleeper.pid)
    attempt = next(Store(tmp_path).attempts())
    one = Watched([Task(trial(), attempt, Places(), "cpu")], Limits(memory_bytes=1))
    one.look()
    assert one.pid() is None
    assert sleeper.poll() is None
    log.write("process", pid=os.getpid())
    assert one.pid() == os.getpid()


def test_a_process_that_takes_too_much_memory_is_ended(sleeper, watched):
    one, _ = watched(Limits(memory_bytes=2**20), sleeper.pid)
    one.look()
    assert sleeper.wait(timeout=5) == -signal.SIGKILL
    assert gone(sleeper.child)
    loss = one.loss(expired(-signal.SIGKILL))
    assert loss.status == "oom"
    assert loss.message.endswith("MiB of memory, its limit is 1 MiB")


def test_within_its_limits_nothing_is_done_to_it(sleeper, watched):
    one, _ = watched(Limits(memory_bytes=2**40, silent_seconds=100), sleeper.pid)
    supervisor = Supervisor()
    try:
        each = supervisor.watch([Task(trial(), one._attempts[0], Places(), "cpu")], one.limits)
        time.sleep(0.6)
        supervisor.leave(each)
    finally:
        supervisor.end()
    assert sleeper.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds to this limit")
def test_beyond_its_own_limit_a_process_is_told_that_there_is_no_memory():
    code = (
        "from ganbench.supervision import limit_memory\n"
        "limit_memory(64 * 2**20)\n"
        "small = bytearray(16 * 2**20)\n"
        "try:\n"
        "    bytearray(256 * 2**20)\n"
        "except MemoryError:\n"
        "    print('no memory')\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "no memory\n"
    limit_memory(None)


def test_a_loss_can_be_handed_from_process_to_process():
    import pickle

    again = pickle.loads(pickle.dumps(Lost("oom", "too much")))
    assert (again.status, again.message) == ("oom", "too much")
