"""Instance noise: real and fake samples are blurred alike until they overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from ganbench.penalties import at_least_one, nonnegative

if TYPE_CHECKING:
    from torch import Tensor

    from ganbench.protocols import Remembered


class InstanceNoise:
    """Instance noise: Gaussian noise on all that the discriminator sees, which fades out.

    Formula: D(x + σ_t · e), e ~ N(0, I), σ_t = deviation · max(0, 1 − t / steps) after t discriminator steps.
    Shapes: samples (N, ...), images or points, to the same; every number of every sample has noise of its own.
    Paper: arXiv:1610.04490; arXiv:1701.04862, §3.
    Recipe: a deviation of 0.1 for images in [−1, 1], fading to 0; for points, about the width of a mode.
    Traps: the noise is on real and on fake, in both players' turns: on real alone, the generator learns to be noisy. A
    noise that stays makes the generator's best distribution that of the data all the same, but hides what is finer
    than it.
    Parameters: `deviation` is σ at first; `steps` is the number of discriminator steps over which it falls to 0.
    """

    remembers: Mapping[str, float] = {"steps": 0.0}

    def __init__(self, deviation: float = 0.1, steps: int = 10_000) -> None:
        self.deviation = nonnegative("instance-noise", "deviation", deviation)
        self.steps = at_least_one("instance-noise", "steps", steps)

    def __call__(self, samples: Tensor, rng: torch.Generator, memory: Remembered) -> Tensor:
        """x + σ_t · e: (N, ...)."""
        noise = torch.randn(samples.shape, generator=rng, dtype=samples.dtype, device=samples.device)
        return samples + self.deviation * (1 - memory["steps"] / self.steps).clamp(min=0.0) * noise

    def adapt(self, real_logits: Tensor, memory: Remembered) -> None:
        """Count the discriminator's steps."""
        memory["steps"] = memory["steps"] + 1
