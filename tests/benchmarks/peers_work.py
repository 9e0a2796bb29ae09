"""What peers.py gives to every loop: the networks, the images at rest, and a data loader with a stopwatch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from ganbench.datasets import as_input
from ganbench_dcgan.networks import DCGANDiscriminator, DCGANGenerator

BATCH = 64
LATENT_DIM = 64
IMAGES = 320 * BATCH  # more than any run takes, so that none sees the end of an epoch
LOOK_EVERY = 32  # steps between two looks for divergence, as in a trial
FOREVER = 10**9
ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}


@dataclass(frozen=True)
class Case:
    """The work that everybody does; `warm_up` and `batches` are real batches, before and under the stopwatch."""

    objective: str
    side: int
    width: int
    warm_up: int
    batches: int

    @property
    def critic_steps(self) -> int:
        return 5 if self.objective == "wgan-gp" else 1

    @property
    def norm(self) -> str:
        return "layer" if self.objective == "wgan-gp" else "batch"

    def __str__(self) -> str:
        return f"{self.objective} {self.side}², width {self.width}"

    def generator(self) -> nn.Module:
        """Latents (N, Z) to images."""
        return _in_place(DCGANGenerator(LATENT_DIM, self.shape, width=self.width))

    def discriminator(self) -> nn.Module:
        """Images to logits (N,)."""
        return _in_place(DCGANDiscriminator(self.shape, width=self.width, norm=self.norm))

    @property
    def shape(self) -> tuple[int, int, int]:
        return (1, self.side, self.side)

    def images(self) -> Tensor:
        rng = torch.Generator().manual_seed(self.side)
        return torch.randint(0, 256, (IMAGES, *self.shape), dtype=torch.uint8, generator=rng)


CASES = (
    Case("nonsaturating", 32, 32, warm_up=10, batches=40),
    Case("wgan-gp", 32, 32, warm_up=10, batches=40),
    Case("nonsaturating", 8, 16, warm_up=20, batches=240),
    Case("wgan-gp", 8, 16, warm_up=20, batches=240),
)


def _in_place(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.ReLU | nn.LeakyReLU):
            module.inplace = True
    return network


class Enough(Exception):
    """Raised into a peer's loop when as many batches as wanted are done."""


@dataclass(frozen=True)
class Reading:
    """The time, and the processor time of this process and of a loader's workers, in seconds."""

    wall: float
    processor: float

    @classmethod
    def now(cls, iterator: object = None) -> Reading:
        workers = sum(_processor_seconds(worker.pid) for worker in getattr(iterator, "_workers", ()))
        return cls(time.perf_counter(), time.process_time() + workers)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Measured:
    """A data loader that looks at the clock after `warm_up` batches and ends the loop when `batches` more are done."""

    def __init__(self, loader: Any, case: Case) -> None:
        self._loader: Any = loader
        self._case = case
        self._served = 0
        self.batch_size = BATCH
        self.start = self.end = Reading(0, 0)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        iterator = iter(self._loader)
        for batch in iterator:
            if self._served == self._case.warm_up:
                self.start = Reading.now(iterator)
            if self._served == self._case.warm_up + self._case.batches:
                self.end = Reading.now(iterator)
                raise Enough
            self._served += 1
            yield batch


class InMemory:
    """Batches of images that networks take as they are, in a new order each time."""

    def __init__(self, images: Tensor) -> None:
        self._images = as_input(images)
        self._labels = torch.zeros(len(images), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._images) // BATCH

    def __iter__(self) -> Iterator[list[Tensor]]:
        for chosen in torch.randperm(len(self._images)).split(BATCH):
            yield [self._images[chosen], self._labels[chosen]]


def piped(root: Path, workers: int) -> DataLoader:
    """The loader that the libraries' documentation builds, over MNIST's files."""
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    return DataLoader(datasets.MNIST(str(root), transform=steps), batch_size=BATCH, shuffle=True, num_workers=workers)


def write_mnist(root: Path, images: Tensor) -> None:
    """The images as torchvision's MNIST finds them under `root`, the test split included."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(_idx(images[:, 0]))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(_idx(torch.zeros(len(images), dtype=torch.uint8)))


def _idx(values: Tensor) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.numpy().tobytes()
