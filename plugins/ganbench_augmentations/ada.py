"""Adaptive discriminator augmentation: as much of it as keeps the discriminator from overfitting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch

from ganbench.errors import ChoiceError
from ganbench.penalties import at_least_one
from ganbench_layers.pixels import mirrored, normal, product, resampled, shifted, turned, uniform, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ganbench.protocols import Remembered

REACH = 1 / 8
"""How far an image is shifted, as a share of its size: at most in whole pixels, typically in fractions of them."""


class ADA:
    """Adaptive discriminator augmentation: each change comes with a probability that follows the overfitting.

    Formula: D(T(x)); each change of T happens with probability p, for each image. blit: mirrored (half the time),
    turned by quarters, shifted by up to ⅛ in whole pixels. geometry: scaled by 2^N(0, 0.2²), turned by any angle,
    stretched by 2^N(0, 0.2²) along any axis, shifted by N(0, ⅛²). color: brightness + N(0, 0.2²), contrast
    · 2^N(0, ½²), light and dark exchanged (half the time), hue turned by any angle, saturation · 2^N(0, 1). After every
    `every` discriminator steps p moves by ± every · N / (1000 · kimg), up where the mean of sign(D(real)) is above
    `target`, down where it is below, and stays within [0, 1].
    Shapes: images (N, C, H, W) to the same; every number drawn for each image. Square ones are turned by quarters,
    others by halves.
    Paper: arXiv:2006.06676, §3 and appendix B; the pipeline that it calls bgc.
    Recipe: target 0.6, every 4 steps, 500 kimg from 0 to 1, p 0 at first.
    Traps: blit and geometry as one bilinear resampling of the image itself, reflected at its border: the published code
    first doubles the resolution with a wavelet filter, and stops reflecting one image further out. Its filter costs
    more than a small network does; without it an image that shrinks is a little less smooth. p is bounded by 1, beyond
    which nothing more happens and only the way back grows. Grey images keep their hue and saturation; hue turns where
    there are three channels. A loss that leaves the logits an offset, as wgan, tells nothing by their sign: there, set
    target to none. N counts logits, which are fewer than the images where samples are packed.
    Parameters: `target` is the mean sign to hold, none for a fixed p; `p` is the probability at first; `every` is the
    number of discriminator steps from one move of p to the next; `kimg` is how many thousand images p takes from 0 to
    1; `pipeline` says which of blit, geometry and color, and in which order.
    """

    def __init__(
        self,
        target: float | None = 0.6,
        p: float = 0.0,
        every: int = 4,
        kimg: float = 500.0,
        pipeline: tuple[Literal["blit", "geometry", "color"], ...] = ("blit", "geometry", "color"),
    ) -> None:
        _expect("p", p, "0 to 1", fits=0 <= p <= 1)
        _expect("target", target, "-1 to 1, or none", fits=target is None or -1 <= target <= 1)
        _expect("kimg", kimg, "more than 0", fits=kimg > 0)
        _expect("pipeline", pipeline, f"one or more of {', '.join(PIPELINE)}", fits=bool(pipeline))
        self.target = target
        self.every = at_least_one("ada", "every", every)
        self.kimg = kimg
        self.pipeline = pipeline
        self.remembers: Mapping[str, float] = {"p": p, "signs": 0.0, "steps": 0.0}

    def __call__(self, samples: Tensor, rng: torch.Generator, memory: Remembered) -> Tensor:
        """T(x): (N, C, H, W)."""
        for name in self.pipeline:
            samples = PIPELINE[name](samples, memory["p"], rng)
        return samples

    def adapt(self, real_logits: Tensor, memory: Remembered) -> None:
        """Count the signs of the real logits (N,), and move p where `every` steps have been counted."""
        if self.target is None:
            return
        signs, steps = memory["signs"] + real_logits.sign().mean(), memory["steps"] + 1
        move = self.every * len(real_logits) / (1000 * self.kimg)
        due = steps >= self.every
        moved = memory["p"] + move * (signs / steps - self.target).sign()
        memory["p"] = torch.where(due, moved.clamp(0.0, 1.0), memory["p"])
        memory["signs"] = torch.where(due, 0.0, signs)
        memory["steps"] = torch.where(due, 0.0, steps)


def _expect(parameter: str, value: object, expected: str, *, fits: bool) -> None:
    if not fits:
        raise ChoiceError(f"ada: {parameter} is {value}, expected {expected}")


def _sometimes(change: Tensor, p: Tensor, rng: torch.Generator) -> Tensor:
    """Each image's change with probability `p`, else none, for changes whose 0 means none: (N, 1, 1, 1)."""
    chosen = torch.rand(change.shape, generator=rng, device=change.device) < p
    return torch.where(chosen, change, torch.zeros_like(change))


def _blit(images: Tensor, p: Tensor, rng: torch.Generator) -> Tensor:
    height, width = images.shape[2:]
    images = mirrored(images, _sometimes(whole_number(images, rng, 0, 1), p, rng) == 1)
    quarters = whole_number(images, rng, 0, 3) if height == width else 2 * whole_number(images, rng, 0, 1)
    images = turned(images, _sometimes(quarters, p, rng))
    down, right = uniform(images, rng, -REACH, REACH) * height, uniform(images, rng, -REACH, REACH) * width
    chosen = _sometimes(torch.ones_like(down), p, rng)
    return shifted(images, (chosen * down).round().long(), (chosen * right).round().long(), reflect=True)


def _geometry(images: Tensor, p: Tensor, rng: torch.Generator) -> Tensor:
    """All geometric changes as one map, from where a pixel is to where it was."""
    height, width = images.shape[2:]
    scale = (-0.2 * _sometimes(normal(images, rng), p, rng)).exp2()
    # Two turns, before and after the stretch: together as probable as one.
    turn = 1 - (1 - p).sqrt()
    before = _turn(_sometimes(uniform(images, rng, -math.pi, math.pi), turn, rng))
    stretch = _stretch((-0.2 * _sometimes(normal(images, rng), p, rng)).exp2())
    after = _turn(_sometimes(uniform(images, rng, -math.pi, math.pi), turn, rng))
    chosen = _sometimes(torch.ones_like(scale), p, rng)
    shift = REACH * chosen * torch.cat([width * normal(images, rng), height * normal(images, rng)], dim=1)
    matrix = scale.flatten(1).unsqueeze(1) * product(product(before, stretch), after)  # (N, 2, 2)
    return resampled(images, matrix, -product(matrix, shift.flatten(2)).squeeze(2))


def _turn(angle: Tensor) -> Tensor:
    """Rotations by angles (N, 1, 1, 1): (N, 2, 2)."""
    cosine, sine = angle.flatten().cos(), angle.flatten().sin()
    return torch.stack([cosine, -sine, sine, cosine], dim=1).reshape(-1, 2, 2)


def _stretch(factor: Tensor) -> Tensor:
    """Stretches by factors (N, 1, 1, 1) along x and their inverses along y: (N, 2, 2)."""
    return torch.diag_embed(torch.cat([factor.flatten(1), 1 / factor.flatten(1)], dim=1))


def _color(images: Tensor, p: Tensor, rng: torch.Generator) -> Tensor:
    images = images + 0.2 * _sometimes(normal(images, rng), p, rng)
    images = images * (0.5 * _sometimes(normal(images, rng), p, rng)).exp2()
    exchanged = _sometimes(whole_number(images, rng, 0, 1), p, rng)
    images = images - 2 * exchanged * images.mean(dim=1, keepdim=True)
    if images.shape[1] == 3:
        images = _hue(images, _sometimes(uniform(images, rng, -math.pi, math.pi), p, rng))
    saturation = _sometimes(normal(images, rng), p, rng).exp2()
    return images + (images - images.mean(dim=1, keepdim=True)) * (saturation - 1)


def _hue(images: Tensor, angle: Tensor) -> Tensor:
    """Colours (N, 3, H, W) turned about the axis of greys by angles (N, 1, 1, 1)."""
    grey = images.mean(dim=1, keepdim=True)
    sideways = (images.roll(1, dims=1) - images.roll(-1, dims=1)) / math.sqrt(3)  # axis × colour
    return images + (images - grey) * (angle.cos() - 1) + sideways * angle.sin()


PIPELINE: dict[str, Callable[[Tensor, Tensor, torch.Generator], Tensor]] = {
    "blit": _blit,
    "geometry": _geometry,
    "color": _color,
}
