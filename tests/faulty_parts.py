"""A plugin file with components that each break one promise, for the conformance kit to find, and sound ones."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

from ganbench.errors import ChoiceError
from ganbench.hookspecs import hookimpl
from ganbench.protocols import Data, Turn
from ganbench.terms import Component, Measure, Score

ANY = {"data": ("points", "images")}


def offered(kind, names, **stated):
    """A component for each class or function whose name begins with one of the names and ends with the kind."""
    for name in names:
        target = f":{name}_{kind}" if kind == "points" else f":{name.capitalize()}{kind.capitalize()}"
        given = {
            side: {**contract, **CONTRACTS.get(f"{name}-{kind}", {}).get(side, {})} for side, contract in stated.items()
        }
        yield Component(f"{name}-{kind}", target, summary=f"A {kind} to be found {name}", **given)


CONTRACTS = {
    "apart-critic": {"gives": {"mixes_batch": True}},
    "headless-critic": {"gives": {"heads": {"features": True}}},
    "cornered-critic": {"gives": {"mixes_batch": {"norm": ("layer",)}}},
    "deaf-critic": {"needs": {"labels": True}},
    "apart-loss": {"gives": {"mixes_batch": True}},
    "misspelt-loss": {"needs": {"logits": "vectors"}},
    "beheaded-loss": {"needs": {"heads": ("feature",)}},
    "lonely-loss": {"needs": {"codes": (7, 7), "logits": "energy"}},
    "promising-loss": {"needs": {"driver": ("eager", "vectorised")}},
    "mislabelled-points": {"gives": {"classes": 3}},
}


@hookimpl
def ganbench_generators():
    names = (
        "sound",
        "misshapen",
        "unbounded",
        "unused",
        "drawing",
        "uneven",
        "reading",
        "forgetful",
        "leaking",
        "steep",
    )
    return list(offered("generator", names, needs=ANY))


@hookimpl
def ganbench_discriminators():
    names = (
        "sound",
        "column",
        "mixing",
        "apart",
        "writing",
        "headless",
        "once",
        "deaf",
        "cornered",
        "refusing",
        "lagging",
    )
    return list(offered("critic", names, needs=ANY, gives={"logits": "scalar", "mixes_batch": False}))


@hookimpl
def ganbench_losses():
    names = (
        "sound", "averaged", "raising", "reading", "drawing", "mixing", "apart", "writing", "overflowing", "detached",
        "keeping", "reversed", "misremembering", "promising", "halved", "column", "square", "silent", "nameless",
        "widening", "misspelt", "beheaded", "lonely", "stranded", "stranding", "counting", "placing", "hidden",
    )  # fmt: skip
    return list(offered("loss", names, needs={"logits": "scalar"}, gives={}))


@hookimpl
def ganbench_penalties():
    return list(offered("penalty", ("rooted", "idle"), needs={"logits": "scalar"}))


@hookimpl
def ganbench_augmentations():
    return list(
        offered(
            "augmentation", ("sound", "cropping", "rounding", "blending", "global", "counting", "writing", "lagging")
        )
    )


@hookimpl
def ganbench_methods():
    return list(offered("method", ("global", "vague"), gives={"alone": True}))


@hookimpl
def ganbench_datasets():
    points = {"data": "points", "shape": (2,)}
    return list(offered("points", ("sound", "overlapping", "restless", "mislabelled"), gives=points))


@hookimpl
def ganbench_metrics():
    for name in ("sound", "moody", "seeding", "undeclared"):
        measure = Measure(f"{name}_score", "lower", "A number.", "|x|", lowest=0.0)
        yield Component(f"{name}-metric", f":{name.capitalize()}Metric", summary="A metric", measures=(measure,))


@hookimpl
def ganbench_executors():
    return list(offered("executor", ("empty",)))


class SoundGenerator(nn.Module):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.layer = nn.Linear(latent_dim, math.prod(shape))

    def forward(self, latents):
        samples = self.layer(latents).unflatten(1, self.shape)
        return samples.tanh() if len(self.shape) == 3 else samples


class MisshapenGenerator(SoundGenerator):
    def forward(self, latents):
        return super().forward(latents).flatten(1)[:, :-1]


class UnboundedGenerator(SoundGenerator):
    def forward(self, latents):
        return 100 * self.layer(latents).unflatten(1, self.shape)


class UnusedGenerator(SoundGenerator):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__(latent_dim, shape)
        self.forgotten = nn.Parameter(torch.randn(3))


class DrawingGenerator(SoundGenerator):
    def forward(self, latents):
        return super().forward(latents + 0.1 * torch.randn_like(latents))  # line of the draw


class UnevenGenerator(SoundGenerator):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__(latent_dim, shape)
        with torch.no_grad():
            self.layer.weight.mul_(1 + 0.1 * torch.rand((), generator=ENTROPY))


ENTROPY = torch.Generator()


class ReadingGenerator(SoundGenerator):
    def forward(self, latents):
        samples = super().forward(latents)
        return samples / 2 if samples.mean() > 1000 else samples  # line of the read


class ForgetfulGenerator(SoundGenerator):
    def __init__(self, latent_dim: int, shape: tuple[int, ...]) -> None:
        super().__init__(latent_dim, shape)
        self.shift = torch.rand(())

    def forward(self, latents):
        return super().forward(latents + self.shift)


class LeakingGenerator(SoundGenerator):
    def forward(self, latents):
        return super().forward(latents - latents.mean(0))


class SteepGenerator(SoundGenerator):
    def forward(self, latents):
        samples = super().forward(latents)
        return samples + (0 * samples).sqrt()


class SoundCritic(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 8), nn.SiLU(), nn.Linear(8, 1))

    def forward(self, samples):
        return self.layers(samples).squeeze(1)


class ColumnCritic(SoundCritic):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)

    def forward(self, samples):
        return self.layers(samples)


class MixingCritic(SoundCritic):
    def forward(self, samples):
        return super().forward(samples) - 0.01 * samples.flatten(1).mean(1).mean(0)


class ApartCritic(SoundCritic):
    pass


class WritingCritic(SoundCritic):
    def forward(self, samples):
        samples.data.mul_(1)
        samples.detach().mul_(1)
        return super().forward(samples)


class HeadlessCritic(SoundCritic):
    pass


class Square(torch.autograd.Function):
    @staticmethod
    def forward(context, values):
        context.save_for_backward(values)
        return values.square()

    @staticmethod
    @once_differentiable
    def backward(context, slopes):
        return 2 * slopes * context.saved_tensors[0]


class LaggingCritic(SoundCritic):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.scale = torch.ones(1)

    def forward(self, samples):
        return super().forward(samples) * self.scale.to(samples.dtype)


class OnceCritic(SoundCritic):
    def forward(self, samples):
        return super().forward(Square.apply(samples))


class DeafCritic(SoundCritic):
    def __init__(self, shape: tuple[int, ...], classes: int = 0) -> None:
        super().__init__(shape)

    def forward(self, samples, labels):
        return super().forward(samples)


class CorneredCritic(SoundCritic):
    def __init__(
        self, shape: tuple[int, ...], *, norm: Literal["none", "layer", "batch"] = "none", width: int = 64
    ) -> None:
        super().__init__(shape)
        self.norm = norm

    def forward(self, samples):
        means = {"none": 0.0, "layer": samples.mean(), "batch": samples.flatten(1).mean(0).sum()}
        return super().forward(samples) + means[self.norm]


class RefusingCritic(SoundCritic):
    def __init__(self, shape: tuple[int, ...], *, first: bool = False, second: bool = False) -> None:
        super().__init__(shape)
        if first and not second:
            raise ChoiceError("refusing-critic: first needs second")


class SoundLoss:
    """The first loss.

    Formula: softplus(−r) + softplus(f), and softplus(−f).
    Shapes: (N,).
    Paper: arXiv:1406.2661, §3.
    Recipe: none.
    Traps: none.
    """

    def discriminator(self, game):
        return {"adversarial": softplus(-game.critic(game.real)) + softplus(game.critic(game.fake))}

    def generator(self, game):
        return {"adversarial": softplus(-game.critic(game.fake))}


class AveragedLoss(SoundLoss):
    def generator(self, game):
        return {"adversarial": softplus(-game.critic(game.fake)).mean()}


class ColumnLoss(SoundLoss):
    def generator(self, game):
        return {"adversarial": softplus(-game.critic(game.fake)).unsqueeze(1)}  # line of the return


class SquareLoss(SoundLoss):
    def generator(self, game):
        fake = softplus(-game.critic(game.fake))
        return {"adversarial": fake.unsqueeze(1) * fake}  # line of the return


class SilentLoss(SoundLoss):
    def generator(self, game):  # line of the method
        softplus(-game.critic(game.fake))


class NamelessLoss(SoundLoss):
    def generator(self, game):
        return softplus(-game.critic(game.fake))  # line of the return


class WideningLoss(SoundLoss):
    def generator(self, game):
        return {"adversarial": softplus(-game.critic(game.fake)).sum(1)}

    def discriminator(self, game):
        real, fake = game.critic(game.real).sum(1), game.critic(game.fake).sum(1)  # line of the error
        return {"adversarial": softplus(-real) + softplus(fake)}


class MisspeltLoss(SoundLoss):
    pass


class BeheadedLoss(SoundLoss):
    pass


class LonelyLoss(SoundLoss):
    pass


class StrandedLoss(SoundLoss):
    def generator(self, game):
        weights = torch.linspace(1, 1, len(game.fake))  # line of the tensor
        return {"adversarial": weights.to(game.fake.dtype) * softplus(-game.critic(game.fake))}


class StrandingLoss(SoundLoss):
    def generator(self, game):
        extra = torch.zeros(len(game.fake), dtype=game.fake.dtype)  # line of the tensor
        return {**super().generator(game), "extra": extra}


class CountingLoss(SoundLoss):
    def __init__(self) -> None:
        self.ones = torch.ones(1)

    def generator(self, game):
        return {"adversarial": self.ones.to(game.fake.dtype) * softplus(-game.critic(game.fake))}


class PlacingLoss(SoundLoss):
    """Every way of making tensors that goes with any device."""

    def generator(self, game):
        fake = game.critic(game.fake)
        half, margin = torch.tensor(0.5), torch.zeros((), dtype=fake.dtype)
        ones = torch.ones(len(fake), device=fake.device, dtype=fake.dtype)
        twos = torch.full((len(fake),), 2.0).to(fake) - fake.new_ones(len(fake))
        order = torch.arange(len(fake))
        return {"adversarial": (softplus(-fake) * ones * twos * (half + half).to(fake.dtype) + margin)[order]}


class RaisingLoss(SoundLoss):
    def generator(self, game):
        raise ValueError("out of ideas")  # line of the error


class ReadingLoss(SoundLoss):
    def generator(self, game):
        fake = game.critic(game.fake)
        return {"adversarial": softplus(-fake) * (1.0 if fake.mean().item() < 1000 else 0.5)}  # line of the read


class DrawingLoss(SoundLoss):
    def discriminator(self, game):
        noise = 0.1 * torch.randn_like(game.fake)  # line of the draw
        return {"adversarial": softplus(-game.critic(game.real)) + softplus(game.critic(game.fake + noise))}


class MixingLoss(SoundLoss):
    def discriminator(self, game):
        real, fake = game.critic(game.real), game.critic(game.fake)
        return {"adversarial": softplus(fake.mean() - real) + softplus(fake - real.mean())}


class ApartLoss(SoundLoss):
    pass


class WritingLoss(SoundLoss):
    def discriminator(self, game):
        game.real.add_(0)
        return super().discriminator(game)


class OverflowingLoss(SoundLoss):
    def discriminator(self, game):
        real, fake = torch.sigmoid(game.critic(game.real)), torch.sigmoid(game.critic(game.fake))
        return {"adversarial": -real.log() - (1 - fake).log()}


class DetachedLoss(SoundLoss):
    def generator(self, game):
        return {"adversarial": softplus(-game.critic(game.fake.detach())).detach()}


class KeepingLoss(SoundLoss):
    def __init__(self) -> None:
        self.mean = 0.0

    def discriminator(self, game):
        self.mean = 0.9 * self.mean + 0.1 * game.critic(game.real).detach().mean()
        return super().discriminator(game)


class ReversedLoss(SoundLoss):
    def discriminator(self, game):
        return {"adversarial": softplus(game.critic(game.real)) + softplus(-game.critic(game.fake))}


class MisrememberingLoss(SoundLoss):
    remembers = {"mean": 0.0}  # noqa: RUF012

    def discriminator(self, game):
        game.memory["average"] = game.critic(game.real).mean()
        return super().discriminator(game)


class PromisingLoss(SoundLoss):
    def discriminator(self, game):
        inputs = game.real.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(game.critic(inputs).sum(), inputs, create_graph=True)
        return {**super().discriminator(game), "slopes": slopes.flatten(1).square().sum(1)}


HIDDEN = {"before": 0.0}


class HiddenLoss(SoundLoss):
    """Remembers, from the second step on, where no checkpoint can look."""

    def discriminator(self, game):
        terms, before = super().discriminator(game), HIDDEN["before"]
        if game.step == 1:
            return terms
        HIDDEN["before"] = game.step
        return {name: term * (1 + before) for name, term in terms.items()}


class HalvedLoss:
    def discriminator(self, game):
        return SoundLoss().discriminator(game)


class RootedPenalty:
    def discriminator(self, game):
        inputs = game.real.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(game.critic(inputs).sum(), inputs, create_graph=True)
        return {"steepness": slopes.flatten(1).square().sum(1).sqrt()}


class IdlePenalty:
    pass


class SoundAugmentation:
    def __call__(self, samples, rng, memory):
        noise = torch.randn(samples.shape, generator=rng, dtype=samples.dtype, device=samples.device)
        return samples + 0.1 * noise


class CroppingAugmentation:
    def __call__(self, samples, rng, memory):
        return samples[..., 1:]


class RoundingAugmentation:
    def __call__(self, samples, rng, memory):
        return samples.round()


class BlendingAugmentation:
    def __call__(self, samples, rng, memory):
        return samples + samples.mean(0)


class GlobalAugmentation:
    def __call__(self, samples, rng, memory):
        return samples + torch.randn_like(samples)


class CountingAugmentation:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, samples, rng, memory):
        self.calls += 1
        return samples * 1.0


class WritingAugmentation:
    def __call__(self, samples, rng, memory):
        samples.detach().mul_(1)
        return samples * 1.0


class LaggingAugmentation:
    def __call__(self, samples, rng, memory):
        noise = torch.randn(samples.shape, generator=rng)  # line of the tensor
        return samples + noise.to(samples.dtype)


class GlobalMethod:
    def networks(self, make, latent_dim, shape):
        return {"discriminator": make(shape)}

    def turns(self):
        return (
            Turn("discriminator", ("discriminator",), "discriminator", self.judged),
            Turn("generator", ("generator",), "generator", self.made),
        )

    def judged(self, scene):
        noise = torch.randn_like(scene.real)
        fake = scene.networks["generator"](scene.latents).detach()
        judge = scene.networks["discriminator"]
        return {"adversarial": softplus(-judge(scene.real + noise)) + softplus(judge(fake))}

    def made(self, scene):
        return {"adversarial": softplus(-scene.networks["discriminator"](scene.networks["generator"](scene.latents)))}


class VagueMethod(GlobalMethod):
    def judged(self, scene):
        return {"adversarial": super().judged(scene)["adversarial"].mean()}


def sound_points(places):
    points = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    return Data(points[:40], points[40:])


def overlapping_points(places):
    points = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    return Data(points[:41], points[40:])


def restless_points(places):
    points = torch.randn(60, 2)
    return Data(points[:40], points[40:])


def mislabelled_points(places):
    return sound_points(places)


class SoundMetric:
    def __call__(self, evidence):
        return (Score("sound_score", float(evidence.fake.double().mean().abs()), "lower"),)


class MoodyMetric:
    calls = 0

    def __call__(self, evidence):
        self.calls += 1
        return (Score("moody_score", float(self.calls), "lower"),)


class SeedingMetric:
    def __call__(self, evidence):
        torch.manual_seed(len(evidence.fake))
        return (Score("seeding_score", 1.0, "lower"),)


class UndeclaredMetric:
    def __call__(self, evidence):
        return (Score("another_score", 1.0, "lower"),)


class EmptyExecutor:
    def __init__(self, workers: int) -> None:
        self.workers = workers
