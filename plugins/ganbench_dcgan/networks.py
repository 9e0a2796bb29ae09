"""DCGAN's players (arXiv:1511.06434, §3 and figure 1), for square images with a side of 8, 16, 32, …"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from ganbench.errors import ChoiceError

BASE = 4  # pixels: the side of the smallest feature map
LEAK = 0.2
INITIAL_DEVIATION = 0.02

Norm = Literal["batch", "layer", "none"]


class DCGANGenerator(nn.Module):
    """Latents (N, Z) to images (N, C, H, W) in [−1, 1].

    `width` is the number of channels at half the image's resolution; it doubles with every halving, down to 4×4.
    """

    def __init__(self, latent_dim: int, shape: tuple[int, ...], *, width: int = 32) -> None:
        super().__init__()
        widths = _widths(shape, width)[::-1]  # from 4×4 to half the resolution
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, widths[0] * BASE**2, bias=False),
            nn.Unflatten(1, (widths[0], BASE, BASE)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for inputs, outputs in pairwise(widths):
            layers += [_doubling(inputs, outputs, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, _doubling(widths[-1], shape[0], bias=True), nn.Tanh())
        self.apply(_initialise)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, Z) to (N, C, H, W)."""
        images: Tensor = self.layers(latents)
        return images


class DCGANDiscriminator(nn.Module):
    """Images (N, C, H, W) to logits (N,).

    `width` is the number of channels at half the image's resolution; it doubles with every halving, down to 4×4. `norm`
    follows every convolution but the first and the last: "batch" as published; "layer", over all channels and pixels of
    a sample (arXiv:1704.00028, §4), and "none" leave the samples of a batch independent.
    """

    def __init__(self, shape: tuple[int, ...], *, width: int = 32, norm: Norm = "batch") -> None:
        super().__init__()
        widths = _widths(shape, width)  # from half the resolution to 4×4
        layers: list[nn.Module] = [_halving(shape[0], widths[0], bias=True), nn.LeakyReLU(LEAK)]
        for inputs, outputs in pairwise(widths):
            layers += [
                _halving(inputs, outputs, bias=norm == "none"),
                *_normalisation(norm, outputs),
                nn.LeakyReLU(LEAK),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel_size=BASE))
        self.apply(_initialise)

    def forward(self, samples: Tensor) -> Tensor:
        """(N, C, H, W) to (N,), high for real."""
        logits: Tensor = self.layers(samples)  # (N, 1, 1, 1)
        return logits.flatten()


def _widths(shape: tuple[int, ...], width: int) -> list[int]:
    """The channels of each feature map, from half the image's resolution down to 4×4."""
    side = shape[-1]
    if len(shape) != 3 or shape[1] != side or side < 2 * BASE or side.bit_count() != 1:
        raise ChoiceError(f"dcgan: samples of shape {shape}, expected square images with a side of 8, 16, 32, …")
    if width < 1:
        raise ChoiceError(f"dcgan: width is {width}, expected 1 or more")
    halvings = (side // BASE).bit_length() - 1
    return [width * 2**level for level in range(halvings)]


def _doubling(inputs: int, outputs: int, *, bias: bool) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=2, padding=1, bias=bias)


def _halving(inputs: int, outputs: int, *, bias: bool) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1, bias=bias)


def _normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    layers: dict[Norm, list[nn.Module]] = {
        "batch": [nn.BatchNorm2d(channels)],
        "layer": [nn.GroupNorm(1, channels)],
        "none": [],
    }
    return layers[norm]


def _initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02²), as published; biases 0; normalisations keep scale 1 and shift 0."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=INITIAL_DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
