from __future__ import annotations

import os
import subprocess
import sys

import pytest
from fabricate import trial

import ganbench.trial
from ganbench import executors
from ganbench.errors import GanbenchError
from ganbench.executors import ONE_THREAD, LocalProcesses, chosen_gpus, default_workers
from ganbench.protocols import Places
from ganbench.store import LOG, Store
from ganbench.tasks import Task

GIB = 2**30


class Machine:
    """Stands in for the processes of a machine with so many GPUs."""

    def __init__(self, gpus):
        self._gpus = gpus

    def gpus(self):
        return {f"cuda:{number}": (number + 1) * GIB for number in range(self._gpus)}


@pytest.mark.parametrize(
    ("device", "gpus", "chosen"),
    [
        ("cpu", 2, {}),
        ("auto", 0, {}),
        ("auto", 2, {"cuda:0": GIB, "cuda:1": 2 * GIB}),
        ("cuda", 2, {"cuda:0": GIB, "cuda:1": 2 * GIB}),
        ("cuda:1", 2, {"cuda:1": 2 * GIB}),
    ],
)
def test_the_gpus_that_are_meant_are_found_with_their_memory(device, gpus, chosen):
    assert chosen_gpus(Machine(gpus), device) == chosen


@pytest.mark.parametrize(("device", "gpus", "found"), [("cuda", 0, "cpu"), ("cuda:2", 2, "cpu, cuda:0, cuda:1")])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device, gpus, found):
    with pytest.raises(GanbenchError, match=rf"--device {device}: not on this machine. Found: {found}$"):
        chosen_gpus(Machine(gpus), device)


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


SERVERS = """
import os
from ganbench.executors import LocalProcesses
def main():
    servers = []
    for _ in range(2):
        with LocalProcesses(1) as executor:
            servers.append(executor._pool.schedule(os.getppid).result())
    print(len(set(servers)), servers[0] != os.getpid())
if __name__ == "__main__":
    main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no fork server elsewhere")
def test_one_fork_server_serves_all_pools_of_a_run(tmp_path):
    (tmp_path / "servers.py").write_text(SERVERS)
    arguments = [sys.executable, tmp_path / "servers.py"]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout == "1 True\n"


@pytest.mark.parametrize("printed", ["a warning\n", ""])
def test_what_seeds_print_together_is_kept_with_the_first_and_why_they_were_parted_is_told(
    printed, tmp_path, monkeypatch
):
    tasks = [Task(job, Store(tmp_path).begin(job), Places(), "cpu") for job in (trial(seed=0), trial(seed=1))]
    given, log = [], tasks[0].attempt.path / LOG
    monkeypatch.setattr(executors, "_set_out", lambda: None)
    monkeypatch.setattr(executors, "_print_to", lambda path: path.write_text(printed))
    monkeypatch.setattr(ganbench.trial, "perform", lambda tasks: given.append(tasks) or "no batching rule")
    assert executors._perform(tasks) == "no batching rule"
    assert given == [tasks]
    assert (log.read_text() if log.exists() else "") == printed
    assert log.exists() == bool(printed)
