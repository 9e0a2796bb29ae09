"""Benchmarks of training: the engine beside plain loops on a processor, and beside its slower self on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from ganbench.accounting import Clock, clock_for
from ganbench.baselines import Step, Work, tuned, tutorial
from ganbench.building import build_engine, build_group
from ganbench.choices import resolve
from ganbench.drivers import MOST_TOGETHER, Driver
from ganbench.players import arranged
from ganbench.plugins import Registry
from ganbench.protocols import Data, Places
from ganbench.stepping import Stepper
from ganbench.stopwatch import Benchmark, Sides, timed
from ganbench.terms import Budget, Choice, Evaluation, Training, Trial, Value, Variant
from ganbench.training import Meter, train
from ganbench.workshop import Workshop, open_workshop

STEPS = 32
"""Steps in a turn: as many as between two looks for divergence."""

SAMPLES = 4096


@dataclass(frozen=True)
class Setup:
    """What is trained: two networks of one name, on random points or on images of one channel, `side` pixels wide."""

    network: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    side: int = 0
    batch_size: int = 64
    latent_dim: int = 64
    ema_half_life_kimg: float | None = 10.0
    reuse_fakes: bool = False

    def data(self) -> Data:
        """The same samples each time: normal points in the plane, or images of noise."""
        rng = torch.Generator().manual_seed(self.side)
        if not self.side:
            real = torch.randn(2 * SAMPLES, 2, generator=rng)
        else:
            real = torch.randint(
                0, 256, (2 * SAMPLES, 1, self.side, self.side), dtype=torch.uint8, generator=rng
            )  # (N, 1, H, W)
        return Data(train=real[:SAMPLES], heldout=real[SAMPLES:])

    def trial(self, registry: Registry, seed: int = 0) -> Trial:
        """One seed's trial, of steps alone: its budget and its evaluation are never looked at."""
        written = Choice(self.network).with_parameters(**self.parameters)
        variant = Variant(
            resolve(registry, "generator", written),
            resolve(registry, "discriminator", written),
            resolve(registry, "loss", Choice("nonsaturating")),
        )
        training = Training(self.batch_size, self.latent_dim, self.ema_half_life_kimg, reuse_fakes=self.reuse_fakes)
        return Trial(Choice("random"), variant, seed, Budget(steps=1), training, Evaluation((1.0,), (), 1))

    def engine(self, workshop: Workshop, seeds: int, driver: Driver) -> Stepper:
        """One seed, or several together."""
        trials = [self.trial(workshop.registry, seed) for seed in range(seeds)]
        if driver.vectorised:
            return build_group(workshop, trials, self.data(), driver)
        return build_engine(workshop, trials[0], self.data(), driver)

    def work(self, workshop: Workshop) -> Work:
        """The same for a plain loop, its networks as they are written."""
        variant, data = self.trial(workshop.registry).variant, self.data()
        shape = tuple(data.train.shape[1:])
        generator = workshop.make("generator", variant.generator, self.latent_dim, shape).to(workshop.device)
        discriminator = workshop.make("discriminator", variant.discriminator, shape).to(workshop.device)
        return Work(generator, discriminator, data.train, self.batch_size, self.latent_dim)


def toys(width: int, depth: int = 2) -> Setup:
    """Points in the plane, as small suites have them."""
    return Setup("mlp", {"width": width, "depth": depth}, batch_size=128, latent_dim=2)


def dcgan(side: int, width: int = 32) -> Setup:
    """Images of `side` × `side` pixels."""
    return Setup("dcgan", {"width": width}, side=side)


def on_processor(registry: Registry) -> list[Benchmark]:
    """A trial's steps beside a tutorial's loop, and the engine's beside the tuned loop."""
    beside = [
        _beside_tutorial(registry, f"toys-{width}{ending}", toys(width, depth), 16, target)
        for width, target in ((64, 5.0), (128, 2.2))
        for depth, ending in ((2, ""), (3, "-deep"))
    ]
    beside.append(_beside_tutorial(registry, "toys-64-many", toys(64), MOST_TOGETHER, 5.0))
    beside += [
        _beside_tutorial(registry, f"dcgan-{side}", dcgan(side), 1, target) for side, target in ((8, 2.2), (32, 1.25))
    ]
    bare = [("toys-64", toys(64)), ("dcgan-8", dcgan(8)), ("dcgan-32", dcgan(32))]
    return [*beside, *(_around_tuned(registry, f"overhead-{name}", setup) for name, setup in bare)]


def _beside_tutorial(registry: Registry, name: str, setup: Setup, seeds: int, target: float) -> Benchmark:
    @contextmanager
    def opened() -> Iterator[Sides]:
        workshop = open_workshop(registry, Places())
        same_game = replace(setup, reuse_fakes=True)  # as tutorials do
        engine = same_game.engine(workshop, seeds, Driver("vectorised" if seeds > 1 else "eager"))
        plain = tutorial(setup.work(workshop))
        clock = partial(clock_for, workshop.device)
        yield Sides(timed(_as_in_a_trial(engine, clock), clock, STEPS * seeds), timed(_repeated(plain), clock, STEPS))

    together = f"a trial's steps, {seeds} seeds together" if seeds > 1 else "a trial's steps"
    loop = "a tutorial's loop, pictures by PIL" if setup.side else "a tutorial's loop"
    return Benchmark(name, _what(setup), together, loop, "step of a seed", "processor", "speed-up", target, opened)


def _around_tuned(registry: Registry, name: str, setup: Setup) -> Benchmark:
    @contextmanager
    def opened() -> Iterator[Sides]:
        workshop = open_workshop(registry, Places())
        engine = replace(setup, ema_half_life_kimg=None).engine(workshop, 1, Driver())
        engine.watched = False
        work = setup.work(workshop)
        shape = tuple(work.real.shape[1:])
        bare = replace(
            work,
            generator=arranged(work.generator, shape, (setup.latent_dim,)),
            discriminator=arranged(work.discriminator, shape, shape),
        )
        clock = partial(clock_for, workshop.device)
        yield Sides(timed(_repeated(engine.step), clock, STEPS), timed(_repeated(tuned(bare)), clock, STEPS))

    ours, bare = "the engine, without statistics and average", "the bare tuned loop"
    return Benchmark(name, _what(setup), ours, bare, "step", "processor", "overhead", 0.03, opened)


def on_gpu(registry: Registry, device: str) -> list[Benchmark]:
    """The faster drivers beside the step that is carried out operation by operation."""
    setups = {
        "toys-64": (toys(64), 16),
        "toys-128": (toys(128), 16),
        "dcgan-32": (dcgan(32), 8),
        "dcgan-64-wide": (dcgan(64, width=128), 4),
    }
    found = [_beside_tutorial_on_gpu(registry, device, f"{name}-plain", setup) for name, (setup, _) in setups.items()]
    for name, (setup, seeds) in setups.items():
        found += [
            _beside_eager(registry, device, f"{name}-graph", setup, 1, Driver("graph")),
            _beside_eager(registry, device, f"{name}-together", setup, seeds, Driver("vectorised")),
            _beside_eager(registry, device, f"{name}-together-graph", setup, seeds, Driver("vectorised+graph")),
        ]
    return found


def _beside_eager(registry: Registry, device: str, name: str, setup: Setup, seeds: int, driver: Driver) -> Benchmark:
    @contextmanager
    def opened() -> Iterator[Sides]:
        workshop = open_workshop(registry, Places(), device)
        clock = partial(clock_for, workshop.device)
        engines = setup.engine(workshop, seeds, driver), setup.engine(workshop, 1, Driver())
        ours, eager = (_as_in_a_trial(engine, clock) for engine in engines)
        yield Sides(timed(ours, clock, STEPS * seeds), timed(eager, clock, STEPS))

    how = f"{driver.name}, {seeds} seeds" if seeds > 1 else driver.name
    return Benchmark(name, _what(setup), how, "eager", "step of a seed", "CUDA events", "speed-up", None, opened)


def _beside_tutorial_on_gpu(registry: Registry, device: str, name: str, setup: Setup) -> Benchmark:
    @contextmanager
    def opened() -> Iterator[Sides]:
        workshop = open_workshop(registry, Places(), device)
        clock = partial(clock_for, workshop.device)
        ours = _as_in_a_trial(setup.engine(workshop, 1, Driver("graph")), clock)
        plain = _repeated(tutorial(setup.work(workshop)))
        yield Sides(timed(ours, clock, STEPS), timed(plain, clock, STEPS))

    loop = "a tutorial's loop, pictures by PIL" if setup.side else "a tutorial's loop"
    return Benchmark(name, _what(setup), "graph", loop, "step", "CUDA events", "speed-up", None, opened)


def _what(setup: Setup) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in setup.parameters.items())
    data = f"{setup.side}² images" if setup.side else "points"
    return f"{setup.network}({parameters}) on {data}, batch {setup.batch_size}"


def _repeated(step: Step) -> Callable[[], None]:
    def steps() -> None:
        for _ in range(STEPS):
            step()

    return steps


def _as_in_a_trial(engine: Stepper, clock: Callable[[], Clock]) -> Callable[[], None]:
    """A turn of steps with all that surrounds them between two evaluation points: schedule, budget, checks, curves."""
    meter = Meter(clock(), 0)

    def steps() -> None:
        for _ in train(engine, Budget(steps=engine.steps + STEPS), (1.0,), meter, lambda _: None):
            pass

    return steps
