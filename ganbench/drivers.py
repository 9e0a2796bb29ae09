"""Which driver carries out a trial's steps, and how many seeds train together: decided before anything trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ganbench.terms import Faster, Trial

DriverName = Literal["eager", "vectorised", "graph", "vectorised+graph"]
Wish = Literal["auto", "eager", "vectorised", "graph"]
"""What a user may ask for: the fastest that the trial allows, or at most one of the faster ways."""

MOST_TOGETHER = 32
"""Seeds that train together. Of twice as many, the tensors outgrow a processor's cache, and each seed takes longer."""


@dataclass(frozen=True)
class Driver:
    """How a trial's steps are carried out, and why not in a faster way where one was refused."""

    name: DriverName = "eager"
    reason: str = ""

    @property
    def vectorised(self) -> bool:
        """Whether several seeds train together."""
        return self.name.startswith("vectorised")

    @property
    def captured(self) -> bool:
        """Whether the step is a CUDA graph."""
        return self.name.endswith("graph")


@dataclass(frozen=True)
class Findings:
    """What a few steps of a variant showed, seed by seed: the same for all of its seeds.

    `refusals` says for each faster driver that cannot take it, or would not gain, why; what is absent can.
    """

    flops_per_step: int = 0
    step_seconds: float = 0.0
    peak_memory_bytes: int = 0
    refusals: Mapping[Faster, str] = field(default_factory=dict)


def choose(trial: Trial, findings: Findings, wish: Wish = "auto") -> Driver:
    """The fastest driver that the trial allows, no faster than was wished for.

    Where device time is the budget, seeds never share it: a trial is then never vectorised.
    """
    refusals: dict[Faster, str] = dict(findings.refusals)
    if trial.budget.device_seconds is not None:
        refusals["vectorised"] = "device time is the budget, which seeds do not share"
    together = wish in ("auto", "vectorised") and "vectorised" not in refusals
    captured = wish in ("auto", "graph") and "graph" not in refusals
    reasons = [f"not {way}: {why}" for way, why in refusals.items() if wish in ("auto", way)]
    if wish != "auto":
        reasons.append(f"asked for: {wish}")
    names: dict[tuple[bool, bool], DriverName] = {
        (False, False): "eager",
        (True, False): "vectorised",
        (False, True): "graph",
        (True, True): "vectorised+graph",
    }
    return Driver(names[together, captured], "; ".join(reasons))
