from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from pebble import ProcessExpired

from ganbench.errors import GanbenchError
from ganbench.executors import ONE_THREAD, LocalProcesses, default_workers, device_slots, loss_of


class Machine:
    """Stands in for the processes of a machine with so many GPUs."""

    def __init__(self, gpus):
        self._gpus = gpus

    def cuda_devices(self):
        return [f"cuda:{number}" for number in range(self._gpus)]


@pytest.mark.parametrize(
    ("device", "gpus", "slots"),
    [
        ("cpu", 2, ["cpu", "cpu", "cpu"]),
        ("auto", 0, ["cpu", "cpu", "cpu"]),
        ("auto", 2, ["cuda:0", "cuda:1"]),
        ("cuda", 2, ["cuda:0", "cuda:1"]),
        ("cuda:1", 2, ["cuda:1"]),
    ],
)
def test_a_gpu_has_one_trial_at_a_time_and_a_processor_as_many_as_there_are_workers(device, gpus, slots):
    assert device_slots(Machine(gpus), device, workers=3) == slots


@pytest.mark.parametrize(("device", "gpus", "found"), [("cuda", 0, "cpu"), ("cuda:2", 2, "cpu, cuda:0, cuda:1")])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device, gpus, found):
    with pytest.raises(GanbenchError, match=rf"--device {device}: not on this machine. Found: {found}$"):
        device_slots(Machine(gpus), device, workers=1)


def expired(code):
    return ProcessExpired("Abnormal termination", code=code)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (expired(-signal.SIGKILL), "killed", "the trial's process ended by signal SIGKILL"),
        (expired(-250), "killed", "the trial's process ended by signal 250"),
        (expired(3), "killed", "the trial's process ended with exit status 3"),
        (OSError("disk full"), "error", "OSError: disk full"),
        (None, "error", "the trial's process left no record"),
    ],
)
def test_a_process_that_left_no_record_has_one_written_for_it(error, status, message):
    assert loss_of(error) == (status, message)


def test_there_is_a_worker_for_each_core_that_may_be_used():
    assert 1 <= default_workers() <= os.cpu_count()


def test_the_processes_that_are_to_come_have_one_thread(monkeypatch):
    for variable in ONE_THREAD:
        monkeypatch.setenv(variable, "7")
    with LocalProcesses(1):
        assert {variable: os.environ[variable] for variable in ONE_THREAD} == dict(ONE_THREAD)


WARM = """
import torch
asked = []
def refuse(name):
    return lambda *arguments, **options: asked.append(name) or 0
torch._C._cuda_getDeviceCount = refuse("for the number of GPUs")
torch.cuda.is_available = refuse("for a GPU")
torch.autograd._engine_run_backward = refuse("for a backward pass")
import ganbench.warm, sys
print(asked, "torch._dynamo" in sys.modules, "ganbench.trial" in sys.modules)
"""


def test_the_fork_server_asks_for_no_gpu_and_starts_no_autograd_thread_for_its_children_could_not():
    said = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, check=True).stdout
    assert said == "[] True True\n"
