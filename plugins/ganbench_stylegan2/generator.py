"""StyleGAN2's generator (arXiv:1912.04958, §2 and 4; configuration F), for square images with a side of 8, 16, 32, …"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ganbench.errors import ChoiceError
from ganbench_layers.conditioning import LabelEmbedding
from ganbench_layers.latents import needs_classes
from ganbench_layers.resampling import Doubled
from ganbench_layers.shapes import BASE, check_sizes, widths_of
from ganbench_stylegan2.layers import EqualLinear, ModulatedConvolution, Noise, activated, unit

MAPPING_RATE = 0.01  # times the learning rate of all else (arXiv:1812.04948, appendix C)


class StyleGAN2Generator(nn.Module):
    """StyleGAN2's generator, configuration F: a latent becomes a style, and the style scales every convolution's input.

    Layers: the latent at unit mean square; `mapping_layers` linear layers with LeakyReLU 0.2, at a hundredth of the
    learning rate, to a style of `style_dim` numbers. From a learned 4×4 constant: one modulated 3×3 convolution at 4×4,
    then two at each doubled resolution, the first of them doubling and blurring with (1, 3, 3, 1); after each, noise of
    learned strength, a bias and LeakyReLU 0.2 · √2. At every resolution a modulated 1×1 convolution without
    demodulation gives an image; the image is their sum, each doubled up to the last, and tanh.
    Shapes: latents (N, Z), with `conditional` labels (N,) too, to images (N, C, H, W) in [−1, 1], H = W = 8, 16, …
    Paper: arXiv:1912.04958, §2.2 (modulation), §4 (no growing), §4.1 (skip outputs) and table 1, row F;
    mapping, noise and mixing are arXiv:1812.04948, §2–3; equalised learning rate is arXiv:1710.10196, §4.1;
    conditional: as the code of arXiv:2006.06676.
    Recipe: at 1024×1024, width=32, style_dim=512 and mixing=0.9, with 512 latents, the nonsaturating loss, r1(gamma=10)
    lazily every 16 steps, path length regularisation, and Adam 2e-3 (0, .99), ε 1e-8; a moving average with a half-life
    of 10,000 images. At 256×256 width=64 is half of F (30 M parameters become 25 M), as arXiv:2006.06676 has it. The
    defaults here are for a laptop and 32×32.
    Traps: every weight is N(0, 1) and scaled in use, so that learning rates of other networks, as 2e-4, are ten times
    too low. The published sum of images is not squashed, and clamped where it becomes pixels; tanh keeps it in [−1, 1].
    In training the noise, and the second latents of `mixing`, come from torch's global random numbers, so that seeds
    are not trained as one. Path length regularisation is not part of the network.
    Parameters: `width` is the number of channels at the image's resolution; it doubles with every halving, up to
    `widest`; `style_dim` is the size of a style; `mapping_layers` the depth of the mapping; `mixing` the share of
    images in training whose layers beyond a random one take the style of a second latent (0.9 as published for faces,
    0 for CIFAR-10 in arXiv:2006.06676); `conditional` gives the mapping the label, embedded, beside the latent.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 32,
        widest: int = 512,
        style_dim: int = 128,
        mapping_layers: int = 8,
        mixing: float = 0.0,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        widths = widths_of("stylegan2", shape, width, widest)[::-1]  # from 4×4 up
        check_sizes("stylegan2", style_dim=style_dim, mapping_layers=mapping_layers)
        if not 0 <= mixing <= 1:
            raise ChoiceError(f"stylegan2: mixing is {mixing}, expected a share from 0 to 1")
        labelled = needs_classes("stylegan2", "conditional", classes) if conditional else 0
        self.mapping = Mapping(latent_dim, style_dim, mapping_layers, labelled)
        self.synthesis = Synthesis(shape[0], widths, style_dim)
        self.mixing = mixing

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, Z) and, where conditional, labels (N,) to (N, C, H, W)."""
        styles = self.mapping(latents, labels)[:, None].expand(-1, self.synthesis.layers, -1)  # (N, L, S)
        if self.training and self.mixing > 0:
            styles = self._mixed(styles, self.mapping(torch.randn_like(latents), labels))
        return torch.tanh(self.synthesis(styles))

    def _mixed(self, styles: Tensor, others: Tensor) -> Tensor:
        """Styles (N, L, S) with `others` (N, S) from a random layer on, in a random share of the samples."""
        count, layers, _ = styles.shape
        first = torch.randint(1, layers, (count, 1), device=styles.device)
        chosen = torch.rand(count, 1, device=styles.device) < self.mixing
        swapped = chosen & (torch.arange(layers, device=styles.device) >= first)  # (N, L)
        return torch.where(swapped[:, :, None], others[:, None], styles)


class Mapping(nn.Module):
    """Latents (N, Z) and labels (N,) to styles (N, S). Without latents, Z = 0, labels alone are mapped."""

    def __init__(self, latent_dim: int, style_dim: int, layers: int, classes: int = 0) -> None:
        super().__init__()
        self.embedding = LabelEmbedding(EqualLinear(classes, style_dim), classes) if classes else None
        sizes = [latent_dim + (style_dim if classes else 0), *[style_dim] * layers]
        self.layers = nn.ModuleList(EqualLinear(*pair, rate=MAPPING_RATE) for pair in pairwise(sizes))

    def forward(self, latents: Tensor | None, labels: Tensor | None) -> Tensor:
        """(N, Z) or None, and (N,) or None, to (N, S)."""
        parts = [] if latents is None else [unit(latents)]
        if self.embedding is not None:
            parts.append(unit(self.embedding(labels)))
        styles = torch.cat(parts, dim=1)
        for layer in self.layers:
            styles = activated(layer(styles))
        return styles


class Synthesis(nn.Module):
    """Styles (N, L, S), one for each of its L layers, to images (N, C, H, W)."""

    def __init__(self, channels: int, widths: list[int], style_dim: int) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, widths[0], BASE, BASE))
        self.first = StyledLayer(widths[0], widths[0], style_dim, BASE)
        self.first_image = ImageLayer(widths[0], channels, style_dim)
        self.stages = nn.ModuleList(
            Stage(inputs, outputs, channels, style_dim, side=BASE * 2**level)
            for level, (inputs, outputs) in enumerate(pairwise(widths), start=1)
        )
        self.layers = 2 * len(widths)  # convolutions, and the last image's; the others share the next layer's style

    def forward(self, styles: Tensor) -> Tensor:
        """(N, L, S) to (N, C, H, W)."""
        features = self.first(self.constant.expand(len(styles), -1, -1, -1), styles[:, 0])
        images: Tensor = self.first_image(features, styles[:, 1])
        for level, stage in enumerate(self.stages):
            features, images = stage(features, images, styles[:, 2 * level + 1 : 2 * level + 4])
        return images


class Stage(nn.Module):
    """One resolution, twice the last one: two convolutions, and what they add to the image."""

    def __init__(self, inputs: int, outputs: int, channels: int, style_dim: int, side: int) -> None:
        super().__init__()
        self.doubling = StyledLayer(inputs, outputs, style_dim, side, doubling=True)
        self.refining = StyledLayer(outputs, outputs, style_dim, side)
        self.image = ImageLayer(outputs, channels, style_dim)
        self.doubled = Doubled()

    def forward(self, features: Tensor, images: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs, H, W), (N, C, H, W) and (N, 3, S) to (N, outputs, 2H, 2W) and (N, C, 2H, 2W)."""
        features = self.refining(self.doubling(features, styles[:, 0]), styles[:, 1])
        return features, self.doubled(images) + self.image(features, styles[:, 2])


class StyledLayer(nn.Module):
    """A modulated 3×3 convolution, noise, bias and activation."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, side: int, *, doubling: bool = False) -> None:
        super().__init__()
        self.convolution = ModulatedConvolution(inputs, outputs, style_dim, 3, doubling=doubling)
        self.noise = Noise(side)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, features: Tensor, styles: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, S) to (N, outputs, side, side)."""
        return activated(self.noise(self.convolution(features, styles)) + self.bias)


class ImageLayer(nn.Module):
    """A modulated 1×1 convolution to the image's channels, without demodulation, and a bias."""

    def __init__(self, inputs: int, channels: int, style_dim: int) -> None:
        super().__init__()
        self.convolution = ModulatedConvolution(inputs, channels, style_dim, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, features: Tensor, styles: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, S) to (N, C, H, W)."""
        images: Tensor = self.convolution(features, styles) + self.bias
        return images
