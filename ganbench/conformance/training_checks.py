"""Checks that let a component train: a ring of points or made-up pictures, seeds together, and on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganbench.batches import Batches
from ganbench.building import build_engine, build_objective
from ganbench.casts import Cast
from ganbench.compatibility import refused_drivers
from ganbench.conformance.findings import Breach, NotChecked
from ganbench.conformance.stages import Stage, stage
from ganbench.conformance.subjects import Subject
from ganbench.contracts import several
from ganbench.group import Together
from ganbench.networks import build_players
from ganbench.seeding import global_stream
from ganbench.solo import Solo
from ganbench.stacking import NotTogether
from ganbench.stepping import Diverged, Stepper
from ganbench.training import Engine

SECONDS = 1.0
STEPS = 200
"""How long a component trains with its defaults, whichever ends first; at least `FEW` steps."""

FEW = 3
"""Steps that it trains with each other value of a parameter, and on a GPU."""

SEEDS = (0, 1)
TOGETHER_STEPS = 3
ROUNDING = 1e-8
"""How far apart weights in float64 may be, of a seed that trained alone and of the same in company."""


def check_trains(subject: Subject) -> None:
    """It trains for about a second without diverging, and weights of both players move."""
    staged = stage(subject)
    engine = build_engine(subject.ground.workshop, staged.trial, staged.data)
    before = _weights(engine)
    until = time.monotonic() + (0 if subject.corner else SECONDS)
    _train(engine, lambda steps: steps < FEW or (time.monotonic() < until and steps < STEPS), staged)
    for player, weights in _weights(engine).items():
        if all(torch.equal(*pair) for pair in zip(before[player], weights, strict=True)):
            raise Breach(
                f"no weight of the {player} moved, with {staged.trial.variant} on {staged.trial.dataset}",
                "players that learn",
                "let the terms depend on the player's weights",
            )


def _weights(engine: Stepper) -> dict[str, list[Tensor]]:
    """Copies of the weights of each player as they are now."""
    players = engine.players[0]
    networks = {"generator": players.generator, "discriminator": players.discriminator}
    return {name: [weight.detach().clone() for weight in each.parameters()] for name, each in networks.items()}


def _train(engine: Stepper, goes_on: Callable[[int], bool], staged: Stage) -> None:
    with global_stream(0, "training"):
        try:
            while goes_on(engine.steps):
                engine.step()
            engine.check()
        except Diverged as diverged:
            raise Breach(
                f"{diverged}, with {staged.trial.variant} on {staged.trial.dataset}",
                "numbers that stay finite",
                "look at its formula where logits are large and where gradients vanish; state a gentler recipe",
            ) from diverged


def check_together(subject: Subject) -> None:
    """Two seeds together come to what each comes to alone, in float64; or the contract or the survey says why not."""
    promised = "vectorised" in several(subject.part.need("driver", ()))
    staged = stage(subject)
    refused = refused_drivers(staged.combination).get("vectorised", "")
    if refused:
        raise NotChecked(refused)
    try:
        apart = _distance(staged)
    except Exception as error:
        if promised:
            raise
        raise NotChecked(f"seeds do not train together: {_told(error)}") from error
    if apart <= ROUNDING:
        return
    text = f"after {TOGETHER_STEPS} steps weights of seeds that trained together are {apart:.1e} from those alone"
    if promised:
        raise Breach(text, "the same but for rounding: the contract lists the driver 'vectorised'", "drop it there")
    raise NotChecked(f"seeds do not train together: {text}")


def _told(error: Exception) -> str:
    error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    line = str(error).strip().partition("\n")[0]
    return line if isinstance(error, NotTogether) else f"{type(error).__name__}: {line}"


def _distance(staged: Stage) -> float:
    """The largest difference of a weight or a buffer between seeds that trained together and each alone."""
    group = engine_of(staged, SEEDS)
    alone = [engine_of(staged, [seed]) for seed in SEEDS]
    for engine in (group, *alone):
        with global_stream(0, "training"):
            for _ in range(TOGETHER_STEPS):
                engine.step()
    return max(
        float((mine.double() - its.double()).abs().max())
        for place, one in enumerate(alone)
        for name in ("generator", "discriminator")
        for mine, its in zip(
            getattr(group.players[place], name).state_dict().values(),
            getattr(one.players[0], name).state_dict().values(),
            strict=True,
        )
        if mine.numel()
    )


def engine_of(staged: Stage, seeds: Sequence[int]) -> Engine:
    """An engine in float64 for these seeds of the stage's trial, together where they are several."""
    workshop, trial, data = staged.subject.ground.workshop, staged.trial, staged.data
    shape, together = tuple(data.train.shape[1:]), len(seeds) > 1
    players = [build_players(workshop, replace(trial, seed=seed), shape) for seed in seeds]
    for one in players:
        for network in (one.generator, one.discriminator):
            network.double()
    objective = build_objective(workshop, trial)
    if objective is None:
        raise NotTogether("its method has a step of its own")
    cast: Cast = Together(players, seeds) if together else Solo(players[0], seeds[0])
    size = trial.training.batch_size
    batches = Batches(data.train, data.train_labels, size, seeds, together=together, dtype=torch.float64)
    return Engine(cast, objective, batches, trial.training)


def check_cuda(subject: Subject) -> None:
    """It trains on a GPU as on the processor."""
    if not torch.cuda.is_available():
        raise NotChecked("there is no CUDA device here")
    staged = stage(subject)
    workshop = replace(subject.ground.workshop, device=torch.device("cuda:0"))
    _train(build_engine(workshop, staged.trial, staged.data), lambda steps: steps < FEW, staged)
