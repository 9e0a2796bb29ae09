from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from ganbench import ledger
from ganbench.ledger import Ledger, LedgerClock, measured_peak_flops

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
UUID = "0a1b2c3d-0000-1111-2222-333344445555"


class NVMLError(Exception):
    """What the library raises for all that it does not tell."""


class Nvml:
    """A stand-in for `pynvml`: one GPU, whose meter and load a test sets."""

    NVMLError = NVMLError

    def __init__(self):
        self.names = {f"GPU-{UUID}": "the GPU"}
        self.millijoules = 5_000_000
        self.percent = 0
        self.processes = [SimpleNamespace(pid=os.getpid())]
        self.refused = set()
        self.looks = 0

    def nvmlInit(self):
        self._ask("init")

    def nvmlDeviceGetHandleByUUID(self, name):
        if name not in self.names:
            raise NVMLError("Not Found")
        return self.names[name]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        assert handle in self.names.values()
        self._ask("energy")
        return self.millijoules

    def nvmlDeviceGetUtilizationRates(self, handle):
        assert handle in self.names.values()
        self._ask("load")
        self.looks += 1
        return SimpleNamespace(gpu=self.percent, memory=1)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        assert handle in self.names.values()
        self._ask("processes")
        return self.processes

    def _ask(self, what):
        if what in self.refused:
            raise NVMLError("Insufficient Permissions")


@pytest.fixture
def clocks(monkeypatch):
    """The times that a ledger sees: on the wall, of the processor, and what it waits by."""
    times = SimpleNamespace(wall=1000.0, processor=20.0)
    monkeypatch.setattr(ledger.time, "perf_counter", lambda: times.wall)
    monkeypatch.setattr(ledger.time, "monotonic", lambda: times.wall + 7)
    monkeypatch.setattr(ledger.time, "process_time", lambda: times.processor)
    return times


@pytest.fixture
def nvml(monkeypatch):
    """A GPU that NVML can read, and torch too."""
    fake = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid=UUID))
    return fake


def counted(kept, clocks, wall, processor):
    kept.resume()
    clocks.wall += wall
    clocks.processor += processor
    kept.pause()


# --- the processor


def test_the_share_of_the_processor_counts_between_resume_and_pause_and_adds_up(clocks):
    kept = Ledger(CPU)
    counted(kept, clocks, wall=4, processor=3)
    clocks.wall += 50
    clocks.processor += 40
    counted(kept, clocks, wall=6, processor=1)
    assert kept.costs() == {"processor_share": 0.4}


def test_nothing_is_told_before_anything_was_counted(clocks):
    assert Ledger(CPU).costs() == {}


def test_a_ledger_that_stands_may_be_paused_again(clocks):
    kept = Ledger(CPU)
    kept.pause()
    counted(kept, clocks, wall=4, processor=3)
    clocks.wall += 100
    kept.pause()
    assert kept.costs() == {"processor_share": 0.75}


def test_a_process_that_waits_has_a_small_share_and_one_that_works_a_large_one():
    waiting, working = Ledger(CPU), Ledger(CPU)
    waiting.resume()
    time.sleep(0.2)
    waiting.pause()
    working.resume()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    working.pause()
    shares = [kept.costs()["processor_share"] for kept in (waiting, working)]
    assert shares[0] < 0.1 < shares[1] < 1.1


# --- the GPU


def test_the_gpus_energy_is_in_joules_and_training_alone_is_charged(clocks, nvml):
    kept = Ledger(CUDA)
    kept.resume()
    nvml.millijoules += 30_000
    kept.pause()
    nvml.millijoules += 500_000
    kept.resume()
    nvml.millijoules += 12_500
    kept.pause()
    assert kept.costs()["energy_joules"] == 42.5


def test_energy_is_left_out_where_the_trial_is_told_not_to_be_alone(clocks, nvml):
    kept = Ledger(CUDA, alone=False)
    kept.resume()
    nvml.millijoules += 30_000
    kept.pause()
    assert "energy_joules" not in kept.costs()


@pytest.mark.parametrize("seen", ["before", "after"])
def test_energy_is_left_out_where_nvml_sees_another_process_once(clocks, nvml, seen):
    own, other = nvml.processes[0], SimpleNamespace(pid=-1)
    kept = Ledger(CUDA)
    for before, after in ([own], [own]), ([own, other], [own]) if seen == "before" else ([own], [other, own]):
        nvml.processes = before
        kept.resume()
        nvml.millijoules += 30_000
        nvml.processes = after
        kept.pause()
    assert "energy_joules" not in kept.costs()


def test_energy_that_was_told_in_part_is_left_out(clocks, nvml):
    kept = Ledger(CUDA)
    for refused in (set(), {"energy"}, set()):
        kept.resume()
        nvml.millijoules += 30_000
        nvml.refused = refused
        kept.pause()
        nvml.refused = set()
    assert "energy_joules" not in kept.costs()


def test_energy_does_not_need_to_know_of_other_processes(clocks, nvml):
    nvml.refused = {"processes"}
    kept = Ledger(CUDA)
    kept.resume()
    nvml.millijoules += 2000
    kept.pause()
    assert kept.costs()["energy_joules"] == 2.0


def test_the_load_is_the_mean_of_looks_a_second_apart(clocks, nvml):
    kept = Ledger(CUDA)
    nvml.percent = 100  # of an evaluation that has just ended
    kept.resume()
    kept.sample()
    for percent in (20, 70):
        nvml.percent = percent
        for _ in range(4):
            clocks.wall += 0.3
            kept.sample()
    assert nvml.looks == 2
    kept.pause()
    nvml.percent = 100
    clocks.wall += 5
    kept.sample()
    assert kept.costs()["gpu_utilisation"] == pytest.approx(0.45)


def test_a_part_of_a_gpu_is_found_by_its_own_name(clocks, nvml):
    nvml.names = {f"MIG-{UUID}": "a part"}
    kept = Ledger(CUDA)
    kept.resume()
    nvml.millijoules += 1000
    kept.pause()
    assert kept.costs()["energy_joules"] == 1.0


@pytest.mark.parametrize("refused", ["init", "energy", "load", "all", "the name", "the library", "torch"])
def test_what_nvml_does_not_tell_is_left_out_and_nothing_else(clocks, nvml, monkeypatch, refused):
    nvml.refused = {"energy", "load", "processes"} if refused == "all" else {refused}
    if refused == "the name":
        nvml.names = {}
    if refused == "the library":
        monkeypatch.setitem(sys.modules, "pynvml", None)
    if refused == "torch":
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace())
    kept = Ledger(CUDA)
    kept.resume()
    clocks.wall += 2
    clocks.processor += 1
    nvml.millijoules += 30_000
    kept.sample()
    kept.pause()
    told = {"energy": {"gpu_utilisation"}, "load": {"energy_joules"}}.get(refused, set())
    assert set(kept.costs()) == {"processor_share", *told}
    assert kept.costs()["processor_share"] == 0.5


def test_a_clock_with_a_ledger_tells_the_clocks_time_and_keeps_both(clocks, nvml):
    class Counting:
        calls = ()

        def resume(self):
            self.calls += ("resume",)

        def pause(self):
            self.calls += ("pause",)

        def seconds(self):
            return 12.5

    own, kept = Counting(), Ledger(CUDA)
    both = LedgerClock(own, kept)
    both.resume()
    clocks.wall += 2
    clocks.processor += 1
    nvml.percent = 30
    assert both.seconds() == 12.5
    both.pause()
    assert own.calls == ("resume", "pause")
    assert kept.costs() == {"processor_share": 0.5, "gpu_utilisation": 0.3}


@pytest.mark.gpu
def test_a_true_gpu_tells_its_load_or_nothing(cuda):
    kept = Ledger(cuda)
    matrix = torch.full((4096, 4096), 0.5, device=cuda)
    kept.resume()
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        for _ in range(20):
            torch.mm(matrix, matrix)
        torch.cuda.synchronize(cuda)
        kept.sample()
    kept.pause()
    costs = kept.costs()
    assert 0 < costs["processor_share"] <= 1.2
    assert 0.3 < costs.get("gpu_utilisation", 1.0) <= 1
    assert 10 < costs.get("energy_joules", 100.0) < 10_000


# --- the peak


@pytest.fixture
def products(monkeypatch, clocks):
    """Matrix products that take the times of a list, and the threads that each was given."""
    asked = SimpleNamespace(seconds=[], sides=[], threads=[])

    def mm(left, right, out):
        asked.sides.append((*left.shape, *right.shape))
        asked.threads.append(torch.get_num_threads())
        taken = asked.seconds.pop(0)
        clocks.wall += taken
        clocks.processor += taken

    monkeypatch.setattr(ledger.torch, "mm", mm)
    return asked


def test_the_peak_is_that_of_the_best_product_after_the_first(products):
    side = ledger.PEAK_SIDES["cpu"]
    products.seconds = [0.001, 0.1, 0.05, 0.15, 0.01]
    assert measured_peak_flops(CPU) == pytest.approx(2 * side**3 / 0.05)
    assert set(products.sides) == {(side,) * 4}
    assert products.seconds == [0.01]


def test_a_slow_device_is_asked_for_one_product(products):
    products.seconds = [30.0, 20.0]
    assert measured_peak_flops(CPU) == pytest.approx(2 * ledger.PEAK_SIDES["cpu"] ** 3 / 20)


def test_the_peak_is_one_threads_and_the_number_of_threads_is_put_back(products):
    products.seconds = [0.1] * 9
    torch.set_num_threads(2)
    try:
        measured_peak_flops(CPU)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert set(products.threads) == {1}


def test_the_peak_of_this_processor_is_a_likely_one_and_soon_found():
    started = time.perf_counter()
    assert 1e8 < measured_peak_flops(CPU) < 1e13
    assert time.perf_counter() - started < 5


@pytest.mark.gpu
def test_a_gpus_peak_is_beyond_a_processors(cuda):
    assert measured_peak_flops(cuda) > measured_peak_flops(CPU)
