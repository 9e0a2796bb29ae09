"""Plain training loops to be compared with: as tutorials write them, and the same work with nothing around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from ganbench.datasets import as_input
from ganbench.players import wants_channels_last

LEARNING_RATE = 2e-4
BETAS = (0.5, 0.999)

Step = Callable[[], None]


@dataclass(frozen=True)
class Work:
    """What a loop trains: two networks on one device, on `real` samples at rest, (N, D) or (N, C, H, W)."""

    generator: nn.Module
    discriminator: nn.Module
    real: Tensor
    batch_size: int
    latent_dim: int

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.generator.parameters()).device


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images with a label, as torchvision's MNIST gives them to pytorch/examples: by way of PIL, one at a time.

    They are of the size that is wanted, so that there is nothing to resize.
    """

    def __init__(self, real: Tensor) -> None:
        self._images = real.cpu()
        halves = [0.5] * real.shape[1]
        steps = [transforms.Resize(real.shape[-1]), transforms.ToTensor(), transforms.Normalize(halves, halves)]
        self._transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(_picture(self._images[index])), 0


def _picture(image: Tensor) -> Image.Image:
    """A PIL image of (C, H, W) uint8."""
    return Image.fromarray(image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).contiguous().numpy())


def tutorial(work: Work) -> Step:
    """A step as the DCGAN of pytorch/examples has it, and the tutorials that go back to it.

    A data loader without processes of its own, binary cross-entropy, three backward passes, and five numbers read at
    every step, to be printed. The generator learns from the fakes that the discriminator has seen, so that it computes
    once a step and not twice.
    """
    batches = _endless(_loader(work))
    generator, discriminator, device = work.generator, work.discriminator, work.device
    generator_optimiser = torch.optim.Adam(generator.parameters(), lr=LEARNING_RATE, betas=BETAS)
    discriminator_optimiser = torch.optim.Adam(discriminator.parameters(), lr=LEARNING_RATE, betas=BETAS)
    criterion = nn.BCEWithLogitsLoss()

    def backward(samples: Tensor, target: float) -> tuple[Tensor, float]:
        logits = discriminator(samples)
        loss: Tensor = criterion(logits, torch.full((len(samples),), target, device=device))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss, logits.mean().item()

    def step() -> None:
        real = next(batches).to(device)
        discriminator.zero_grad()
        real_loss, _ = backward(real, 1.0)
        fake = generator(torch.randn(len(real), work.latent_dim, device=device))
        fake_loss, _ = backward(fake.detach(), 0.0)
        discriminator_optimiser.step()
        generator.zero_grad()
        generator_loss, _ = backward(fake, 1.0)
        generator_optimiser.step()
        (real_loss + fake_loss).item(), generator_loss.item()

    return step


def _loader(work: Work) -> DataLoader[Any]:
    """Of pictures for images, of tensors for points."""
    real: Dataset[Any] = Pictures(work.real) if work.real.ndim == 4 else TensorDataset(work.real.cpu())
    return DataLoader(real, work.batch_size, shuffle=True, drop_last=True)


def _endless(loader: DataLoader[Any]) -> Iterator[Tensor]:
    while True:
        for batch in loader:
            yield batch[0]


def tuned(work: Work) -> Step:
    """A step of the non-saturating GAN (arXiv:1406.2661, §3), with all that is known to make it fast, and no more.

    Data in memory, fused optimisers, gradients only where they are needed, nothing measured, nothing read. The
    arithmetic is that of a trial: two passes of the discriminator, other fakes for either player.
    """
    generator, discriminator, device = work.generator, work.discriminator, work.device
    real = work.real.to(device)
    layout = torch.channels_last if wants_channels_last(tuple(real.shape[1:])) else torch.contiguous_format
    generator_optimiser = torch.optim.Adam(generator.parameters(), lr=LEARNING_RATE, betas=BETAS, fused=True)
    discriminator_optimiser = torch.optim.Adam(discriminator.parameters(), lr=LEARNING_RATE, betas=BETAS, fused=True)
    generator_weights, discriminator_weights = list(generator.parameters()), list(discriminator.parameters())

    def latents() -> Tensor:
        return torch.randn(work.batch_size, work.latent_dim, device=device)

    def step() -> None:
        chosen = torch.randint(len(real), (work.batch_size,), device=device)
        batch = as_input(real[chosen]).contiguous(memory_format=layout)
        with torch.no_grad():
            fake = generator(latents())
        loss = (F.softplus(-discriminator(batch)) + F.softplus(discriminator(fake))).mean()
        discriminator_optimiser.zero_grad()
        torch.autograd.backward(loss, inputs=discriminator_weights)
        discriminator_optimiser.step()
        loss = F.softplus(-discriminator(generator(latents()))).mean()
        generator_optimiser.zero_grad()
        torch.autograd.backward(loss, inputs=generator_weights)
        generator_optimiser.step()

    return step
