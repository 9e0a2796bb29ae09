"""What a trial spends and reports: clocks that run only while training does, FLOPs, memory, and running means."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

import psutil
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ganbench.states import State


class Clock(Protocol):
    """Seconds of device time between `resume` and `pause`, added up."""

    def resume(self) -> None:
        """Start to charge."""
        ...

    def pause(self) -> None:
        """Stop charging, after all work that was given to the device."""
        ...

    def seconds(self) -> float:
        """What is charged so far. While running, never waits for the device, and may then lag behind it."""
        ...

    def start_at(self, seconds: float) -> None:
        """Have so much charged already: what was spent before an interruption."""
        ...


class ProcessorClock:
    """Processor time of this process, all threads together: on a busy machine, steadier than time on the wall."""

    def __init__(self) -> None:
        self._charged = 0.0
        self._since: float | None = None

    def resume(self) -> None:
        """Start to charge."""
        self._since = time.process_time()

    def pause(self) -> None:
        """Stop charging."""
        self._charged = self.seconds()
        self._since = None

    def seconds(self) -> float:
        """What is charged so far."""
        return self._charged + (0.0 if self._since is None else time.process_time() - self._since)

    def start_at(self, seconds: float) -> None:
        """Have so much charged already."""
        self._charged = seconds


class CudaClock:
    """Time between CUDA events on the device's stream: what the GPU took, however far ahead the host has run."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._charged = 0.0
        self._start: torch.cuda.Event | None = None
        self._marker: torch.cuda.Event | None = None
        self._running = 0.0

    def resume(self) -> None:
        """Start to charge."""
        self._start, self._marker, self._running = self._recorded_event(), None, 0.0

    def pause(self) -> None:
        """Stop charging, after all work that was given to the device."""
        if self._start is None:
            return
        end = self._recorded_event()
        end.synchronize()
        self._charged += self._start.elapsed_time(end) / 1000
        self._start, self._running = None, 0.0

    def seconds(self) -> float:
        """What is charged so far, up to the last marker that the device has passed."""
        if self._start is not None and self._marker is not None and self._marker.query():  # type: ignore[no-untyped-call]
            self._running = self._start.elapsed_time(self._marker) / 1000
            self._marker = None
        if self._start is not None and self._marker is None:
            self._marker = self._recorded_event()
        return self._charged + self._running

    def start_at(self, seconds: float) -> None:
        """Have so much charged already."""
        self._charged = seconds

    def _recorded_event(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event


def clock_for(device: torch.device) -> Clock:
    """The clock that measures `device`."""
    return CudaClock(device) if device.type == "cuda" else ProcessorClock()


def count_flops(work: Callable[[], None]) -> int:
    """Floating-point operations of matrix products and convolutions in `work`, backward passes included.

    As `torch.utils.flop_counter` counts them: a multiplication and an addition are two, elementwise work is nothing.
    """
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _OneTotal()  # type: ignore[assignment]
    with counter:
        work()
    return int(counter.get_total_flops())


class _OneTotal:
    """Stands in for torch's tracker of modules, whose hooks fail when a penalty differentiates inside a step."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None:
        return

    def __exit__(self, *error: object) -> None:
        return


def forget_peak_memory(device: torch.device) -> None:
    """Start the peak anew, on a GPU: what evaluation takes is not training's. A processor's peak cannot be reset."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory that was in use: the allocator's on a GPU, the whole process's (torch included) on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS reports bytes, Linux KiB


class Tally:
    """Means over updates of what one player reports, kept on the device: nothing is read before `read`.

    Sums live in place, so that a CUDA graph can add to them. With `seeds`, each value has one entry a seed.
    """

    def __init__(self, device: torch.device, seeds: int | None = None) -> None:
        self._seeds = seeds
        self._sums: dict[tuple[str, ...], tuple[Tensor, Tensor]] = {}  # totals (names, …), and how many updates ()
        self._first_bad = torch.full(() if seeds is None else (seeds,), -1, device=device)

    def add(self, values: Mapping[str, Tensor], step: int | Tensor) -> None:
        """Take one update's values, and note `step` if one of them is the first that is not finite.

        Updates may differ in what they report, as those of a lazy penalty do.
        """
        names = tuple(values)
        row = torch.stack([value.detach().float() for value in values.values()])  # (names, …)
        known = self._sums.get(names)
        if known is None:
            known = self._sums[names] = torch.zeros_like(row), torch.zeros((), device=row.device)
        sums, updates = known
        sums.add_(row)
        updates.add_(1)
        # A sum is not finite where one of its parts is not, and to have summed is cheaper than to look at each part.
        fresh = row.sum(0).isfinite().logical_or_(self._first_bad >= 0)
        self._first_bad.copy_(torch.where(fresh, self._first_bad, step))

    def first_bad(self) -> list[int | None]:
        """For each seed, the step of the first value that was not finite. Reads the device."""
        return [None if step < 0 else step for step in self._first_bad.reshape(-1).tolist()]

    def read(self) -> list[dict[str, float]]:
        """For each seed, the mean of each name over the updates that reported it since the last call.

        Reads the device.
        """
        totals = [Counter[str]() for _ in range(self._seeds or 1)]
        counts: Counter[str] = Counter()
        for names, (sums, updates) in self._sums.items():
            for name, row in zip(names, sums.reshape(len(names), -1).tolist(), strict=True):
                counts[name] += int(updates)
                for total, value in zip(totals, row, strict=True):
                    total[name] += value
            sums.zero_()
            updates.zero_()
        return [{name: value / counts[name] for name, value in total.items() if counts[name]} for total in totals]

    def state(self) -> State:
        """The sums so far, by what was reported together, and what was seen to go wrong."""
        sums = [[list(names), total, updates] for names, (total, updates) in self._sums.items()]
        return {"sums": sums, "first_bad": self._first_bad}

    def restore(self, state: State) -> None:
        """Go on from there."""
        device = self._first_bad.device
        self._sums = {tuple(names): (total.to(device), updates.to(device)) for names, total, updates in state["sums"]}
        self._first_bad.copy_(state["first_bad"])
