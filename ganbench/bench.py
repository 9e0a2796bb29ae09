"""How fast ganbench is on this machine, beside what people would write by hand: `ganbench bench`."""

from __future__ import annotations

from ganbench.bench_running import of_running
from ganbench.bench_training import on_gpu, on_processor
from ganbench.plugins import discover
from ganbench.stopwatch import Benchmark, Result, markdown, measure

__all__ = ["Benchmark", "Result", "benchmarks", "markdown", "measure"]


def benchmarks(device: str = "cpu") -> list[Benchmark]:
    """Every benchmark of a device. Those of a processor have targets; those of a GPU compare the drivers.

    Their components are those that come with ganbench and are installed: plugins in files take no part.
    """
    registry = discover()
    return [*on_processor(registry), *of_running(registry)] if device == "cpu" else on_gpu(registry, device)
