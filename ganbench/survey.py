"""A few steps of a trial before it is scheduled: what they cost, and which faster drivers give the same numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ganbench.accounting import clock_for, count_flops, forget_peak_memory, peak_memory_bytes
from ganbench.building import build_engine, build_group
from ganbench.compatibility import Combination, refused_drivers
from ganbench.contracts import Part
from ganbench.drivers import Driver, Findings
from ganbench.objective import Objective
from ganbench.plugins import Registry
from ganbench.protocols import Data, Game, Places
from ganbench.seeding import global_stream
from ganbench.stacking import NotTogether
from ganbench.stepping import Stepper
from ganbench.terms import Faster, Kind, Trial
from ganbench.training import Engine
from ganbench.workshop import Workshop, load_data, open_workshop

STEPS = 3
GRAPH_STEPS = 8
"""Steps that a graph is tried for: a few are carried out as they come before one is recorded."""

MOST_FLOPS = {"cpu": 6e8, "cuda": 2e10}
"""Operations of one seed's step from which arithmetic, and no longer the cost of starting it, takes the time."""

TOLERANCES = {"float32": (1e-3, 1e-2), "tf32": (1e-2, 1e-1), "bf16": (1e-1, 3e-1)}
"""How far apart, relatively, statistics of the first step may be, and those after it, where optimisers may have made
much of a little: rounding is some tens of times less in bfloat16, and some thousand times in float32."""

Seen = tuple[list[dict[str, float]], list[dict[str, float]]]
"""Statistics of the first step, and of those after it, one a seed."""


def survey(trial: Trial, registry: Registry, places: Places, device: str) -> Findings:
    """What the first steps of `trial` show. A trial that fails in them is refused nothing but speed."""
    try:
        workshop = open_workshop(registry, places, device, trial.training.precision)
        return _survey(trial, workshop, load_data(workshop, trial.dataset))
    except Exception as error:  # noqa: BLE001 - the trial will fail likewise, and leave its own record
        why = f"its first steps failed ({type(error).__name__})"
        return Findings(refusals={"vectorised": why, "graph": why})


def _survey(trial: Trial, workshop: Workshop, data: Data) -> Findings:
    flops = count_flops(build_engine(workshop, trial, data).step)
    forget_peak_memory(workshop.device)
    with global_stream(trial.seed, "training", workshop.device):
        engine = build_engine(workshop, trial, data)
        seconds = min(_timed_steps(engine, workshop.device))
        peak = peak_memory_bytes(workshop.device)
    refusals: dict[Faster, str] = dict(refused_drivers(_combination(trial, workshop.registry)))
    if trial.variant.method is not None:
        refusals = {"vectorised": "its method has a step of its own", "graph": "its method has a step of its own"}
    if "vectorised" not in refusals:
        why = _no_gain(engine, flops, workshop.device) or _traces(workshop, trial, data)
        why = why or _otherwise_together(workshop, trial, data)
        refusals |= {"vectorised": why} if why else {}
    if "graph" not in refusals and workshop.device.type == "cuda":
        why = _looks_at_the_step(workshop, trial, data) or _otherwise_captured(workshop, trial, data)
        refusals |= {"graph": why} if why else {}
    return Findings(flops, seconds, peak, refusals)


def _combination(trial: Trial, registry: Registry) -> Combination:
    def parts(*kinds: Kind) -> list[Part]:
        chosen = (("dataset", trial.dataset), *trial.variant.parts)
        return [Part(registry.find(kind, choice).component, choice) for kind, choice in chosen if kind in kinds]

    (dataset,), (generator,), (discriminator,) = parts("dataset"), parts("generator"), parts("discriminator")
    augmentation, method = (next(iter(parts(kind)), None) for kind in ("augmentation", "method"))
    return Combination(dataset, generator, discriminator, tuple(parts("loss", "penalty")), augmentation, method)


def _engine(workshop: Workshop, trial: Trial, data: Data) -> Engine:
    """The engine of a trial without a method."""
    engine = build_engine(workshop, trial, data)
    assert isinstance(engine, Engine)  # the trials of methods are not asked about
    return engine


def _timed_steps(engine: Stepper, device: torch.device) -> Iterator[float]:
    for _ in range(STEPS):
        clock = clock_for(device)
        clock.resume()
        engine.step()
        clock.pause()
        yield clock.seconds()


def _no_gain(engine: Stepper, flops: int, device: torch.device) -> str:
    """Why seeds would not train faster together, "" if they would."""
    players = engine.players[0]
    modules = [*players.generator.modules(), *players.discriminator.modules()]
    if device.type == "cpu" and any(isinstance(module, _ConvNd) for module in modules):
        return "convolutions gain nothing by it on a processor"
    most = MOST_FLOPS[device.type]
    return f"{flops:.1e} operations a step keep the device busy with one seed" if flops > most else ""


def _traces(workshop: Workshop, trial: Trial, data: Data) -> str:
    """What a step leaves behind that seeds would share, or takes from what they share; "" if there is nothing."""
    with global_stream(trial.seed, "training", workshop.device):
        engine = _engine(workshop, trial, data)
        parts = [engine.objective.loss, *engine.objective.penalties, engine.objective.augmentation]
        players = engine.players[0]
        modules = [*players.generator.modules(), *players.discriminator.modules()]
        before, held = [attributes(part) for part in parts], [_settings(module) for module in modules]
        state, elsewhere = _random_state(workshop.device), (random.getstate(), repr(np.random.get_state()))  # noqa: NPY002
        engine.step()
        if any(not torch.equal(*pair) for pair in zip(state, _random_state(workshop.device), strict=True)):
            return "something in it draws from torch's global random numbers"
        if elsewhere != (random.getstate(), repr(np.random.get_state())):  # noqa: NPY002 - that is the one to watch
            return "something in it draws from the global random numbers of Python or NumPy"
        if before != [attributes(part) for part in parts]:
            return "its objective remembers something from step to step"
        if held != [_settings(module) for module in modules]:
            return "one of its networks remembers something from step to step, outside of its buffers"
    return ""


def _settings(module: nn.Module) -> dict[str, str]:
    """What a module holds beside tensors and parts that torch knows of."""
    known = vars(nn.Module()).keys() - {"training"}
    return {name: text for name, text in attributes(module).items() if name not in known}


def attributes(part: object) -> dict[str, str]:
    """What an object holds, so that it can be seen whether it remembers something from call to call."""
    return {
        name: f"{id(value)} {getattr(value, '_version', '')} {value!r}"
        for name, value in getattr(part, "__dict__", {}).items()
    }


def _random_state(device: torch.device) -> list[Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _otherwise_together(workshop: Workshop, trial: Trial, data: Data) -> str:
    """How two seeds together differ from each alone, or what keeps them apart; "" if nothing does."""
    pair = [trial, replace(trial, seed=trial.seed + 1)]
    alone = [_statistics(build_engine(workshop, seed, data), STEPS, seed, workshop.device) for seed in pair]
    expected = [one[0][0] for one in alone], [one[1][0] for one in alone]
    try:
        found = _statistics(build_group(workshop, pair, data, Driver("vectorised")), STEPS, trial, workshop.device)
    except Exception as error:  # noqa: BLE001 - anything may go wrong in a plugin that is not made for it
        return _told(error)
    return "" if _agree(expected, found, trial) else "seeds together gave other numbers than each alone"


def _otherwise_captured(workshop: Workshop, trial: Trial, data: Data) -> str:
    """How a step that is replayed differs from one that is not, or what keeps it from being recorded."""
    expected = _statistics(build_engine(workshop, trial, data), GRAPH_STEPS, trial, workshop.device)
    try:
        captured = build_engine(workshop, trial, data, Driver("graph"))
        found = _statistics(captured, GRAPH_STEPS, trial, workshop.device)
    except Exception as error:  # noqa: BLE001 - anything may go wrong in a plugin that is not made for it
        return _told(error)
    return "" if _agree(expected, found, trial) else "a recorded step gave other numbers than one that is carried out"


def _statistics(engine: Stepper, steps: int, trial: Trial, device: torch.device) -> Seen:
    with global_stream(trial.seed, "training", device):
        engine.step()
        first = engine.statistics()
        for _ in range(steps - 1):
            engine.step()
        return first, engine.statistics()


def _agree(expected: Seen, found: Seen, trial: Trial) -> bool:
    """Whether the statistics are the same but for rounding."""
    return all(
        _same(own, other, tolerance)
        for tolerance, ours, others in zip(TOLERANCES[trial.training.precision], expected, found, strict=True)
        for own, other in zip(ours, others, strict=True)
    )


def _same(own: Mapping[str, float], other: Mapping[str, float], tolerance: float) -> bool:
    """Accuracy does not count: it jumps where two logits are nearly one."""
    scale = max(map(abs, own.values()), default=0.0)
    return own.keys() == other.keys() and all(
        math.isclose(own[name], other[name], rel_tol=tolerance, abs_tol=tolerance * scale / 10)
        for name in own
        if name != "discriminator/accuracy"
    )


def _looks_at_the_step(workshop: Workshop, trial: Trial, data: Data) -> str:
    """Whether the objective asks which step it is, which a recorded step cannot answer; "" if not."""
    engine = _engine(workshop, trial, data)
    looked: list[str] = []

    class Told(Game):
        """A game that tells when its step is asked for."""

        def __getattribute__(self, name: str) -> object:
            looked.append(name)
            return super().__getattribute__(name)

    @dataclass(frozen=True)
    class Shown(Objective):
        """Hands the objective such games."""

        def discriminator(self, game: Game) -> dict[str, Tensor]:
            return super().discriminator(Told(**vars(game)))

        def generator(self, game: Game) -> dict[str, Tensor]:
            return super().generator(Told(**vars(game)))

    engine.objective = Shown(**vars(engine.objective))
    engine.step()
    return "its objective asks for the number of the step" if "step" in looked else ""


def _told(error: Exception) -> str:
    known = error.__cause__ if isinstance(error.__cause__, NotTogether) else error  # raised through a plugin's code
    line = str(known).strip().partition("\n")[0]
    return f"{type(error).__name__}: {line}" if line and not isinstance(known, NotTogether) else line
