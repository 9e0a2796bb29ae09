"""DCGAN's players (arXiv:1511.06434, §3 and figure 1), for square images with a side of 8, 16, 32, …"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from ganbench_layers.critic import Critic, Duties, map_head
from ganbench_layers.initial import start_normal
from ganbench_layers.latents import GeneratorInput, needs_classes
from ganbench_layers.shapes import BASE, check_sizes, halvings_of
from ganbench_layers.spectral import spectral_throughout

LEAK = 0.2
INITIAL_DEVIATION = 0.02

Norm = Literal["batch", "layer", "spectral", "none"]


class DCGANGenerator(nn.Module):
    """Transposed convolutions with BatchNorm and ReLU, from 4×4 up to the image, and tanh.

    Layers: a linear layer to 4×4, then transposed convolutions 4×4 of stride 2, each doubling the side; each but the
    last with BatchNorm, ReLU and no bias. `width` is the number of channels at half the image's resolution; it doubles
    with every halving, down to 4×4.
    Shapes: latents (N, Z), and labels (N,) if `conditional`, to images (N, C, H, W) in [−1, 1].
    Paper: arXiv:1511.06434, §3 and figure 1; arXiv:1411.1784, §3.2, for labels; arXiv:1606.03657, §7.2, for codes.
    Recipe: Adam 2e-4 with β₁ .5, batches of 128 (§4), with `width` 64 or 128 at 64×64; weights start as N(0, 0.02²).
    Traps: PyTorch's example has no bias in the image's layer, this has one a channel.
    Parameters: `width` as above; `conditional` appends labels as one-hot to the latents; `categories` and `continuous`
    say how many of the latents become InfoGAN's codes: a uniform category, and numbers in [−1, 1].
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 32,
        conditional: bool = False,
        categories: int = 0,
        continuous: int = 0,
    ) -> None:
        super().__init__()
        widths = _widths(shape, width)[::-1]  # from 4×4 to half the resolution
        known = needs_classes("dcgan", "conditional", classes) if conditional else 0
        self.entry = GeneratorInput("dcgan", latent_dim, classes=known, categories=categories, continuous=continuous)
        layers: list[nn.Module] = [
            nn.Linear(self.entry.features, widths[0] * BASE**2, bias=False),
            nn.Unflatten(1, (widths[0], BASE, BASE)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for inputs, outputs in pairwise(widths):
            layers += [_doubling(inputs, outputs, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, _doubling(widths[-1], shape[0], bias=True), nn.Tanh())
        start_normal(self, INITIAL_DEVIATION)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, Z), and labels (N,) if it is conditional, to (N, C, H, W)."""
        images: Tensor = self.layers(self.entry(latents, labels))
        return images


class DCGANDiscriminator(Critic):
    """Strided convolutions with LeakyReLU, from the image down to 4×4, and one over what is left.

    Layers: convolutions 4×4 of stride 2, each halving the side, with LeakyReLU of slope 0.2; then what `minibatch` says
    and a convolution over the 4×4 map. `width` is the number of channels at half the image's resolution; it doubles
    with every halving. `norm` follows every convolution but the first and the last.
    Shapes: images (N, C, H, W), and labels (N,) if `conditioning` is "concat" or "projection", to logits (N,), or
    (N, outputs) where `outputs` is more than 1. Heads: features (N, F), the 4×4 map in a row; code
    (N, categories + continuous); classes (N, K) if `conditioning` is "auxiliary".
    Paper: arXiv:1511.06434, §3; labels by arXiv:1411.1784 (concat), 1802.05637 (projection) or 1610.09585 (auxiliary);
    codes by 1606.03657; comparison within a batch by 1710.10196 or 1606.03498, §3.2; normalisation by 1704.00028, §4
    (layer), 1802.05957 (spectral) or 2109.02235 (of the gradient).
    Recipe: Adam 2e-4 with β₁ .5, batches of 128, `width` 64 at 64×64; weights start as N(0, 0.02²).
    Traps: "batch", as published, mixes the samples of a batch, so that no loss that takes gradients of single samples
    can use it; "layer" is over all channels and pixels of a sample.
    Parameters: `width` as above; `norm` is "batch", "layer", "spectral" (every weight) or "none"; `outputs` numbers a
    sample; `conditioning` says how labels enter, "concat" as planes of one-hot; `minibatch` is "deviation" (one more
    channel) or "discrimination" (100 more features), and mixes the batch; `gradient_normalised` gives f / (‖∇f‖ + |f|),
    with norm "layer" or "none"; `categories` and `continuous` are the codes to be recognised.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 32,
        norm: Norm = "batch",
        outputs: int = 1,
        conditioning: Literal["none", "concat", "projection", "auxiliary"] = "none",
        minibatch: Literal["none", "deviation", "discrimination"] = "none",
        gradient_normalised: bool = False,
        categories: int = 0,
        continuous: int = 0,
    ) -> None:
        widths = _widths(shape, width)  # from half the resolution to 4×4
        duties = Duties(
            classes=classes,
            outputs=outputs,
            conditioning=conditioning,
            minibatch=minibatch,
            gradient_normalised=gradient_normalised,
            categories=categories,
            continuous=continuous,
        )
        duties.check("dcgan", norm)
        layers: list[nn.Module] = [_halving(duties.widened(shape[0]), widths[0], bias=True), nn.LeakyReLU(LEAK)]
        for before, after in pairwise(widths):
            convolution = _halving(before, after, bias=norm in ("spectral", "none"))
            layers += [convolution, *_normalisation(norm, after), nn.LeakyReLU(LEAK)]
        super().__init__(duties, nn.Sequential(*layers), map_head(duties, widths[-1], BASE))
        start_normal(self, INITIAL_DEVIATION)
        if norm == "spectral":
            spectral_throughout(self)


def _widths(shape: tuple[int, ...], width: int) -> list[int]:
    """The channels of each feature map, from half the image's resolution down to 4×4."""
    check_sizes("dcgan", width=width)
    return [width * 2**level for level in range(halvings_of("dcgan", shape))]


def _doubling(inputs: int, outputs: int, *, bias: bool) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=2, padding=1, bias=bias)


def _halving(inputs: int, outputs: int, *, bias: bool) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1, bias=bias)


def _normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    layers: dict[Norm, list[nn.Module]] = {"batch": [nn.BatchNorm2d(channels)], "layer": [nn.GroupNorm(1, channels)]}
    return layers.get(norm, [])
