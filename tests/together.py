"""Engines of the same trial in float64, one seed by one and several together, and what they have come to."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from small import registry

from ganbench.batches import Batches
from ganbench.building import build_objective
from ganbench.group import Together
from ganbench.networks import build_players
from ganbench.plan import plan
from ganbench.plugins import Registry, discover
from ganbench.protocols import Data, Places
from ganbench.solo import Solo
from ganbench.suite import suite_from
from ganbench.terms import Choice, Trial
from ganbench.training import Engine
from ganbench.workshop import Workshop, load_data, open_workshop

SEEDS = (0, 1, 2)


@functools.cache
def installed() -> Registry:
    """The components that users have, without those of odd.py."""
    return discover()


def objectives() -> list[str]:
    """Every loss alone, and every penalty beside a loss that leaves it in peace, where the plainest networks do."""
    added = [f"nonsaturating + {name}" for name in installed().names("penalty")]
    matrix = {"generator": ["mlp"], "discriminator": ["mlp"], "loss": [*installed().names("loss"), *added]}
    suite = {"name": "all", "datasets": ["ring8"], "seeds": 1, "matrix": matrix, "budget": {"steps": 1}}
    planned = plan(suite_from(suite, Path("all.toml")), installed()).trials
    heads = {offer.component.name for offer in installed().offers if offer.component.needs.get("heads")}
    return [
        made.variant.objective
        for made in planned
        if not heads.intersection(choice.name for _, choice in made.variant.objective_parts)
    ]


@functools.cache
def workshop() -> Workshop:
    return open_workshop(registry(), Places())


@functools.cache
def data_of(dataset: Choice) -> Data:
    return load_data(workshop(), dataset)


def engine_of(trial: Trial, seeds: Sequence[int], *, together: bool, dtype: torch.dtype = torch.float64) -> Engine:
    """An engine for these seeds of the trial, all of it in `dtype`."""
    data, training = data_of(trial.dataset), trial.training
    players = [build_players(workshop(), replace(trial, seed=seed), tuple(data.train.shape[1:])) for seed in seeds]
    for one in players:
        for network in (one.generator, one.discriminator, one.average):
            if network is not None:
                network.to(dtype)
    batches = Batches(
        data.train, data.train_labels, training.batch_size, seeds, together=together, flips=training.flips, dtype=dtype
    )
    cast = Together(players, seeds, training.precision) if together else Solo(players[0], seeds[0], training.precision)
    return Engine(cast, build_objective(workshop(), trial), batches, training)


def both(trial: Trial, steps: int = 5, dtype: torch.dtype = torch.float64) -> tuple[Engine, list[Engine]]:
    """The seeds together, and each alone, after some steps."""
    group = engine_of(trial, SEEDS, together=True, dtype=dtype)
    alone = [engine_of(trial, [seed], together=False, dtype=dtype) for seed in SEEDS]
    for trained in (group, *alone):
        for _ in range(steps):
            trained.step()
    return group, alone


def distance(group: Engine, alone: Sequence[Engine]) -> float:
    """The largest difference of a weight or a buffer between seeds that trained together and each alone."""
    return max(
        float((mine.double() - its.double()).abs().max())
        for place, one in enumerate(alone)
        for together, apart in zip(networks(group, place), networks(one, 0), strict=True)
        for mine, its in zip(together.state_dict().values(), apart.state_dict().values(), strict=True)
    )


def networks(engine: Engine, place: int) -> list[torch.nn.Module]:
    players = engine.players[place]
    every = (players.generator, players.discriminator, players.average)
    return [network for network in every if network is not None]


def farthest(group: Engine, alone: Sequence[Engine]) -> float:
    """The largest relative difference of a statistic. Reads them, so that the next ones begin anew."""
    pairs = list(zip(group.statistics(), (one.statistics()[0] for one in alone), strict=True))
    assert all(together.keys() == apart.keys() for together, apart in pairs)
    return max(
        abs(together[name] - value) / max(1.0, abs(value)) for together, apart in pairs for name, value in apart.items()
    )
