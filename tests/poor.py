"""A plugin file of data and generators that have too little in them: a point, a picture, a class, a few samples."""

from __future__ import annotations

import torch
from torch import nn

from ganbench.hookspecs import hookimpl
from ganbench.protocols import Data
from ganbench.terms import Component

PICTURE = (1, 8, 8)
NAMES = tuple("0123456789")


@hookimpl
def ganbench_datasets():
    points = {"data": "points", "shape": (2,), "samples": 100}
    images = {"data": "images", "shape": PICTURE, "classes": 10, "samples": 100, "extractor": "digits"}
    images |= {"vocabulary": "handwritten digits"}
    yield Component("one-point", ":one_point", summary="Equal points", gives=points)
    yield Component("line", ":line", summary="Points on a line", gives=points)
    yield Component("five-points", ":five_points", summary="Fewer points than a batch", gives=points)
    yield Component("single-point", ":single_point", summary="One point to train on and one held out", gives=points)
    yield Component("black", ":black", summary="Black pictures", gives=images)
    yield Component("grey", ":grey", summary="Equal grey pictures of every class", gives=images)
    yield Component("one-class", ":one_class", summary="Noisy pictures of a single class", gives=images)
    yield Component("dozen", ":dozen", summary="Fewer pictures than their features have numbers", gives=images)
    yield Component("pair", ":pair", summary="Two pictures to train on and two held out", gives=images)


@hookimpl
def ganbench_generators():
    yield Component("constant", ":Constant", summary="Gives the same sample whatever the latents")
    yield Component("exploding", ":Exploding", summary="Gives ever larger samples")
    yield Component("told", ":Told", summary="Is told classes and gives the same sample", needs={"labels": True})


class Constant(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.sample = nn.Parameter(torch.zeros(shape))

    def forward(self, latents):
        return self.sample.expand(len(latents), *self.sample.shape).clamp(-1, 1)


class Told(Constant):
    def __init__(self, latent_dim: int, shape: tuple[int, ...], classes: int) -> None:
        super().__init__(latent_dim, shape)

    def forward(self, latents, labels):
        return super().forward(latents)


class Exploding(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...], size: float = 1e30) -> None:
        super().__init__()
        self.layer, self.size = nn.Linear(latent_dim, *shape), size

    def forward(self, latents):
        return self.layer(latents) * self.size


def _points(train, heldout=None):
    return Data(train, train.clone() if heldout is None else heldout)


def one_point(places):
    return _points(torch.full((200, 2), 0.5))


def line(places):
    return _points(torch.linspace(-1, 1, 200).unsqueeze(1).repeat(1, 2))


def five_points(places):
    return _points(torch.arange(10.0).reshape(5, 2))


def single_point(places):
    return _points(torch.zeros(1, 2), torch.ones(1, 2))


def _images(images, labels):
    count = len(images)
    return Data(images[: count // 2], images[count // 2 :], labels[: count // 2], labels[count // 2 :], NAMES)


def _noise(count):
    return torch.randint(0, 256, (count, *PICTURE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def black(places):
    return _images(torch.zeros(400, *PICTURE, dtype=torch.uint8), torch.arange(400) % 10)


def grey(places):
    return _images(torch.full((400, *PICTURE), 128, dtype=torch.uint8), torch.arange(400) % 10)


def one_class(places):
    return _images(_noise(400), torch.full((400,), 3))


def dozen(places):
    return _images(_noise(24), torch.arange(24) % 10)


def pair(places):
    return _images(_noise(4), torch.arange(4))
