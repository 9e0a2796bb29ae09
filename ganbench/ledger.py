"""What training costs besides its budget: the share of the machine that it got and, on NVIDIA GPUs, energy and load."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from ganbench.accounting import Clock, clock_for
from ganbench.states import State

SAMPLE_SECONDS = 1.0
"""Seconds between two looks at a GPU's load: its driver averages over about as long."""

PEAK_SIDES = {"cpu": 768, "cuda": 4096}
"""The side of the matrices that show a device's peak: large enough to keep it busy."""

PEAK_SECONDS = 0.25


class Ledger:
    """Counts between `resume` and `pause`, while training runs and evaluation does not.

    What NVML (NVIDIA's management library) does not say, for want of a driver, of permission or of a meter, is left
    out. Energy is the whole GPU's, and so a trial's only where it is `alone` there and NVML sees no other process.
    """

    def __init__(self, device: torch.device, *, alone: bool = True) -> None:
        self._gpu = _Gpu(device) if device.type == "cuda" else None
        self._wall = self._processor = 0.0
        self._joules: float | None = 0.0 if alone else None
        self._began: tuple[float, float, float | None] | None = None
        self._loads: list[float] = []
        self._next_sample = 0.0

    def resume(self) -> None:
        """Start to count."""
        self._next_sample = time.monotonic() + SAMPLE_SECONDS  # until then, a load would be that of what was before
        self._began = time.perf_counter(), time.process_time(), self._meter()

    def pause(self) -> None:
        """Stop counting."""
        if self._began is None:
            return
        wall, processor, joules = self._began
        self._began = None
        self._wall += time.perf_counter() - wall
        self._processor += time.process_time() - processor
        now = self._meter()
        known = now is not None and joules is not None and self._joules is not None
        self._joules = self._joules + now - joules if known else None  # type: ignore[operator]

    def _meter(self) -> float | None:
        """Joules on the GPU's meter; None where they are not to be had, or would be another's as well."""
        if self._gpu is None or self._joules is None or self._gpu.shared():
            return None
        return self._gpu.joules()

    def sample(self) -> None:
        """Look at the GPU's load, if the last look is a while ago. Never waits for the GPU."""
        if self._gpu is None or self._began is None or time.monotonic() < self._next_sample:
            return
        self._next_sample = time.monotonic() + SAMPLE_SECONDS
        load = self._gpu.load()
        if load is not None:
            self._loads.append(load)

    def costs(self) -> dict[str, float]:
        """`processor_share`: seconds of processor for each second on the wall; 1 is a core to itself.

        With a GPU that NVML can read, `gpu_utilisation` from 0 to 1, whoever's work it was, unless training was never
        looked at for as long as a load takes to show; and `energy_joules` where nothing else was on the GPU.
        """
        costs = {"processor_share": self._processor / self._wall} if self._wall else {}
        if self._loads:
            costs["gpu_utilisation"] = sum(self._loads) / len(self._loads)
        if self._joules:
            costs["energy_joules"] = self._joules
        return costs

    def state(self) -> State:
        """What was counted so far; not while it counts."""
        return {"wall": self._wall, "processor": self._processor, "joules": self._joules, "loads": list(self._loads)}

    def restore(self, state: State) -> None:
        """Go on from there."""
        self._wall, self._processor = state["wall"], state["processor"]
        known = self._joules is not None and state["joules"] is not None
        self._joules = state["joules"] if known else None
        self._loads = list(state["loads"])


class LedgerClock:
    """A clock that keeps a ledger too: both run while training does."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    def resume(self) -> None:
        """Start to charge."""
        self._ledger.resume()
        self._clock.resume()

    def pause(self) -> None:
        """Stop charging, after all work that was given to the device."""
        self._clock.pause()
        self._ledger.pause()

    def seconds(self) -> float:
        """What is charged so far. Looks at a GPU's load now and then."""
        self._ledger.sample()
        return self._clock.seconds()

    def start_at(self, seconds: float) -> None:
        """Have so much charged already."""
        self._clock.start_at(seconds)


class _Gpu:
    """One GPU as NVML knows it; None for whatever it does not tell."""

    def __init__(self, device: torch.device) -> None:
        self._nvml: Any = None
        self._handle: Any = None
        with suppress(Exception):  # no driver, no permission, another maker: then there is nothing to tell
            import pynvml

            pynvml.nvmlInit()
            self._handle = _handle(pynvml, str(torch.cuda.get_device_properties(device).uuid))
            self._nvml = pynvml

    def joules(self) -> float | None:
        """What the GPU has used since its driver was loaded."""
        return self._told(lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1000)

    def load(self) -> float | None:
        """The share of the last moment in which the GPU was at work, from 0 to 1."""
        return self._told(lambda: self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100)

    def shared(self) -> bool:
        """Whether another process is known to be on the GPU. Inside of a container, NVML may know of none."""
        processes = self._told(lambda: len(self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)))
        return processes is not None and processes > 1

    def _told(self, ask: Callable[[], float]) -> float | None:
        if self._nvml is None:
            return None
        with suppress(self._nvml.NVMLError):
            return ask()
        return None


def _handle(nvml: Any, uuid: str) -> Any:
    """NVML's handle of a GPU, or of a part of one (MIG). Its numbers would not do: torch counts visible GPUs only."""
    with suppress(nvml.NVMLError):
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    return nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")


def measured_peak_flops(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second in products of large square matrices, the best of several: a bound that
    training can be held against. On a processor, of one thread; on a GPU, rounded as this process rounds (TF32).
    """
    side = PEAK_SIDES[device.type]
    left = torch.full((side, side), 0.5, device=device, dtype=dtype)
    out = torch.empty_like(left)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.mm(left, left, out=out)  # libraries set themselves up
        end, best = time.perf_counter() + PEAK_SECONDS, float("inf")
        while best == float("inf") or time.perf_counter() < end:
            best = min(best, _seconds_of(lambda: torch.mm(left, left, out=out), device))
    finally:
        torch.set_num_threads(threads)
    return 2 * side**3 / best


def _seconds_of(work: Callable[[], object], device: torch.device) -> float:
    clock = clock_for(device)
    clock.resume()
    work()
    clock.pause()
    return clock.seconds()
