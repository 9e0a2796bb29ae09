"""Steps of training: the engine beside the loop of a tutorial, and beside the same work with nothing around it.

    pytest tests/benchmarks --benchmark-only --benchmark-group-by=group

prints each group with the ratio to its fastest in brackets. Ratios of one run hold on a busy machine; seconds do not.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ganbench.datasets import as_input
from ganbench.objective import Objective
from ganbench.players import Players
from ganbench.seeding import stream
from ganbench.terms import Training
from ganbench.training import Batches, Engine
from ganbench_dcgan.networks import DCGANDiscriminator, DCGANGenerator
from ganbench_losses.adversarial import NonSaturating
from ganbench_mlp.networks import MLPDiscriminator, MLPGenerator

STEPS = 20
LATENT_DIM = 16


def networks(kind: str) -> tuple[nn.Module, nn.Module, torch.Tensor, int]:
    """A generator, a discriminator, real data at rest and the batch size."""
    if kind == "points":
        real = torch.randn(10_000, 2)
        return MLPGenerator(LATENT_DIM, (2,), width=64), MLPDiscriminator((2,), width=64), real, 128
    real = torch.randint(0, 256, (2_000, 1, 16, 16), dtype=torch.uint8)
    return DCGANGenerator(LATENT_DIM, (1, 16, 16)), DCGANDiscriminator((1, 16, 16)), real, 64


def engine(kind: str) -> Callable[[], None]:
    """ganbench's own step, statistics and all."""
    generator, discriminator, real, batch_size = networks(kind)
    training = Training(batch_size=batch_size, latent_dim=LATENT_DIM)
    players = Players(generator, discriminator, None, tuple(real.shape[1:]))
    work = Engine(players, Objective(NonSaturating()), Batches(real, None, batch_size, stream(0, "data")), training, 0)
    return work.step


def tuned(kind: str) -> Callable[[], None]:
    """The same arithmetic, data in memory and optimisers fused, and nothing measured."""
    generator, discriminator, real, batch_size = networks(kind)
    generator_optimiser = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    discriminator_optimiser = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)

    def step() -> None:
        batch = as_input(real[torch.randint(len(real), (batch_size,))])
        with torch.no_grad():
            fake = generator(torch.randn(batch_size, LATENT_DIM))
        loss = F.softplus(-discriminator(batch)).mean() + F.softplus(discriminator(fake)).mean()
        discriminator_optimiser.zero_grad()
        loss.backward()
        discriminator_optimiser.step()
        loss = F.softplus(-discriminator(generator(torch.randn(batch_size, LATENT_DIM)))).mean()
        generator_optimiser.zero_grad()
        torch.autograd.backward(loss, inputs=list(generator.parameters()))
        generator_optimiser.step()

    return step


def tutorial(kind: str) -> Callable[[], None]:
    """As tutorials write it: a data loader, binary cross-entropy, three backward passes, losses read at every step."""
    generator, discriminator, real, batch_size = networks(kind)
    loader = DataLoader(TensorDataset(as_input(real)), batch_size, shuffle=True, drop_last=True)
    batches = iter(loader)
    generator_optimiser = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    discriminator_optimiser = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch_size), torch.zeros(batch_size)

    def step() -> None:
        nonlocal batches
        found = next(batches, None)
        if found is None:
            batches = iter(loader)
            found = next(batches)
        discriminator.zero_grad()
        real_loss = criterion(discriminator(found[0]), ones)
        real_loss.backward()
        fake = generator(torch.randn(batch_size, LATENT_DIM))
        fake_loss = criterion(discriminator(fake.detach()), zeros)
        fake_loss.backward()
        discriminator_optimiser.step()
        generator.zero_grad()
        generator_loss = criterion(discriminator(fake), ones)
        generator_loss.backward()
        generator_optimiser.step()
        real_loss.item(), fake_loss.item(), generator_loss.item()

    return step


@pytest.mark.parametrize("loop", [engine, tuned, tutorial], ids=["engine", "tuned", "tutorial"])
@pytest.mark.parametrize("kind", ["points", "images"])
def test_a_step_of_training(benchmark, kind: str, loop: Callable[[str], Callable[[], None]]) -> None:
    benchmark.group = f"{STEPS} steps on {kind}"
    step = loop(kind)

    def steps() -> None:
        for _ in range(STEPS):
            step()

    benchmark.pedantic(steps, rounds=15, warmup_rounds=2)
