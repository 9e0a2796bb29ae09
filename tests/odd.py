"""A plugin file with components that do what well-behaved ones do not, or that show what others hide."""

from __future__ import annotations

import os
import time

import numpy as np
import torch
from torch import nn

from ganbench.hookspecs import hookimpl
from ganbench.protocols import Data
from ganbench.terms import Component, Measure, Score


@hookimpl
def ganbench_generators():
    yield Component("dropout", ":Dropout", summary="Draws from torch's global generator in training")
    yield Component("torn", ":Torn", summary="Gives infinities in evaluation, and in evaluation only")
    yield Component("wide", ":Wide", summary="Gives samples of one coordinate too many")
    yield Component("function", ":function", summary="Is no module")
    yield Component("weightless", ":Weightless", summary="Has no weights")
    yield Component("fading", ":Fading", summary="Keeps a mean of its samples by putting a new buffer in place")
    yield Component("ageing", ":Ageing", summary="Counts its calls in an attribute")
    yield Component("uneven", ":Uneven", summary="Draws an attribute when it is built")
    yield Component("greedy", ":Greedy", summary="Runs out of memory")
    yield Component("shade", ":Shade", summary="Pictures as bright as their label", needs={"labels": True})


@hookimpl
def ganbench_discriminators():
    yield Component("steep", ":Steep", summary="A linear critic to be run by itself", needs={"driver": "eager"})
    yield Component("matrix", ":Matrix", summary="Gives logits of shape (N, 1)")


@hookimpl
def ganbench_losses():
    yield Component("nan-at", ":NanAt", summary="Turns NaN at a step")
    yield Component("raising", ":Raising", summary="Raises at a step")
    yield Component("nan-for", ":NanFor", summary="Turns NaN for some of the seeds")
    yield Component("noisy", ":Noisy", summary="Draws from torch's global generator")
    yield Component("numpy-noisy", ":NumpyNoisy", summary="Draws from NumPy's global generator")
    yield Component("remembering", ":Remembering", summary="Keeps a mean from step to step")
    yield Component("by-hand", ":ByHand", summary="Differentiates the critic itself")
    yield Component("tossing", ":Tossing", summary="Draws by a tensor's values")
    yield Component("counting", ":Counting", summary="Asks for the number of the step")
    yield Component("alone", ":NanAt", summary="Wants to be run by itself", needs={"driver": "eager"})
    yield Component("ungraphed", ":NanAt", summary="Cannot be recorded", needs={"driver": ("eager", "vectorised")})
    yield Component("scalar", ":Scalar", summary="Averages over the batch itself")


@hookimpl
def ganbench_metrics():
    drawn = Measure(
        "drawn", "higher", "A number that torch's global generator gives.", "rand()", lowest=0.0, highest=1.0
    )
    yield Component("drawing", ":Drawing", summary="Draws from torch's global generator", measures=(drawn,))
    heard = Measure("heard", "higher", "Pictures that are as bright as the label that was asked for.", "k/N")
    yield Component("heard", ":Heard", summary="Knows what shade was asked for", measures=(heard,))


@hookimpl
def ganbench_datasets():
    points = {"data": "points", "shape": (2,), "samples": 10}
    yield Component("listed", ":listed", summary="Gives a list", gives=points)
    yield Component("misshapen", ":misshapen", summary="Gives points in space for points in a plane", gives=points)
    yield Component("double", ":double", summary="Gives float64", gives=points)
    yield Component("half-empty", ":half_empty", summary="Holds nothing out", gives=points)
    yield Component("untrainable", ":untrainable", summary="Holds everything out", gives=points)


class Dropout(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(latent_dim, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, *shape))

    def forward(self, latents):
        return self.layers(latents)


class Torn(Dropout):
    def forward(self, latents):
        samples = super().forward(latents)
        return samples if self.training else samples / 0


class Fading(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = nn.Linear(latent_dim, *shape)
        self.register_buffer("mean", torch.zeros(shape))

    def forward(self, latents):
        samples = self.layer(latents)
        self.mean = 0.9 * self.mean + 0.1 * samples.detach().mean(0)
        return samples - self.mean


class Ageing(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(latent_dim, *shape), 0

    def forward(self, latents):
        self.calls += 1
        return self.layer(latents) * (1 + 0.0001 * self.calls)


class Uneven(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(latent_dim, *shape), 1 + 0.0001 * float(torch.rand(()))

    def forward(self, latents):
        return self.layer(latents) * self.scale


class Wide(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = nn.Linear(latent_dim, shape[0] + 1)

    def forward(self, latents):
        return self.layer(latents)


def function(latent_dim: int, shape: tuple[int, ...]):
    return lambda latents: latents


class Weightless(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()


class Greedy(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        torch.empty(2**60)


class Shade(nn.Module):
    """Even pictures of ten shades from black to white, one for each label, whatever the latents and the weight."""

    def __init__(self, latent_dim: int, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.weight, self.shape, self.classes = nn.Parameter(torch.zeros(())), shape, classes

    def forward(self, latents, labels):
        shades = 2 * labels.to(latents) / (self.classes - 1) - 1 + 0 * self.weight * latents[:, 0]
        return shades.reshape(-1, *[1] * len(self.shape)).expand(-1, *self.shape)


class Matrix(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = nn.Linear(shape[0], 1)

    def forward(self, samples):
        return self.layer(samples)


class Steep(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = nn.Linear(shape[0], 1)

    def forward(self, samples):
        return self.layer(samples).squeeze(1)


class NanAt:
    def __init__(self, step: int = 1, player: str = "discriminator") -> None:
        self.step, self.player = step, player

    def discriminator(self, game):
        return {"adversarial": self._spoilt("discriminator", game, game.critic(game.fake) - game.critic(game.real))}

    def generator(self, game):
        return {"adversarial": self._spoilt("generator", game, -game.critic(game.fake))}

    def _spoilt(self, player, game, term):
        return term * float("nan") if (player, game.step) == (self.player, self.step) else term


class Raising(NanAt):
    def __init__(self, step: int = 1) -> None:
        super().__init__(step)

    def generator(self, game):
        if game.step == self.step:
            raise ValueError("out of ideas\nand of words")
        return super().generator(game)


class Scalar(NanAt):
    def __init__(self) -> None:
        super().__init__(-1)

    def discriminator(self, game):
        return {"adversarial": (game.critic(game.fake) - game.critic(game.real)).mean()}


class NanFor(NanAt):
    """Turns NaN in the second step wherever the first latent of the batch is positive."""

    def __init__(self) -> None:
        super().__init__(-1)

    def generator(self, game):
        term = -game.critic(game.fake)
        spoilt = (game.latents[0, 0] > 0) & (game.step == 2)
        return {"adversarial": torch.where(spoilt, float("nan"), term)}


class Noisy(NanAt):
    def discriminator(self, game):
        time.sleep(float(os.environ.get("ODD_PAUSE", "0")))  # a trial that is to run out of time must take some
        noise = 0.001 * torch.randn_like(game.fake)
        return {"adversarial": game.critic(game.fake + noise) - game.critic(game.real)}


class NumpyNoisy(NanAt):
    def discriminator(self, game):
        scale = 1 + 0.001 * np.random.rand()  # noqa: NPY002
        return {"adversarial": game.critic(game.fake) - scale * game.critic(game.real)}


class Remembering(NanAt):
    def __init__(self) -> None:
        super().__init__(-1)
        self.mean = 0.0

    def discriminator(self, game):
        real = game.critic(game.real)
        self.mean = 0.9 * self.mean + 0.1 * real.detach().mean()
        return {"adversarial": game.critic(game.fake) - real + 0 * self.mean}


class ByHand(NanAt):
    def discriminator(self, game):
        inputs = game.real.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(game.critic(inputs).sum(), inputs, create_graph=True)
        return {"adversarial": game.critic(game.fake) - game.critic(game.real), "slopes": slopes.square().sum(1)}


class Tossing(NanAt):
    def discriminator(self, game):
        coins = torch.bernoulli(torch.full((len(game.real),), 0.5), generator=game.rng)
        return {"adversarial": game.critic(game.fake) - coins * game.critic(game.real)}


class Counting(NanAt):
    def discriminator(self, game):
        return {"adversarial": (game.critic(game.fake) - game.critic(game.real)) / game.step}


class Drawing:
    def __call__(self, evidence):
        torch.manual_seed(12345)
        return (Score("drawn", float(torch.rand(())), "higher", n_fake=len(evidence.fake)),)


class Heard:
    def __call__(self, evidence):
        if evidence.fake_labels is None:
            return (Score("heard", None, "higher", n_fake=len(evidence.fake)),)
        asked = evidence.fake_labels * 255 / 9
        share = float(((evidence.fake.flatten(1).float().mean(1) - asked).abs() < 1).float().mean())
        return (Score("heard", share, "higher", n_fake=len(evidence.fake)),)


def listed(places):
    return [1, 2, 3]


def misshapen(places):
    return Data(torch.zeros(20, 3), torch.zeros(20, 3))


def double(places):
    return Data(torch.zeros(20, 2), torch.zeros(20, 2, dtype=torch.float64))


def untrainable(places):
    return Data(torch.zeros(0, 2), torch.ones(20, 2))


def half_empty(places):
    return Data(torch.zeros(20, 2), torch.zeros(0, 2))
