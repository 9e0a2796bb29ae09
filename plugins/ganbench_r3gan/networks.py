"""R3GAN's players (arXiv:2501.05441, §3, configuration E), for square images with a side of 8, 16, 32, …"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ganbench.errors import ChoiceError
from ganbench_layers.conditioning import LabelEmbedding, Multiplied
from ganbench_layers.critic import Critic, Duties, Head
from ganbench_layers.latents import needs_classes
from ganbench_layers.shapes import check_sizes, widths_of
from ganbench_r3gan.layers import GenerativeBasis, ResidualBlock, convolution, downwards, linear, to_point, upwards

Conditioning = Literal["none", "projection", "auxiliary"]


class R3GANGenerator(nn.Module):
    """R3GAN's generator, configuration E: a plain residual network of grouped convolutions, and nothing else.

    Layers: a learned 4×4 image for each channel, times a linear function of the latent; at each resolution `blocks`
    residual blocks: 1×1 convolution to `expansion` times the channels, 3×3 convolution in groups of `group_width`
    channels, 1×1 convolution back, with bias and LeakyReLU 0.2 before the second and third; between resolutions a 1×1
    convolution where channels change, then doubling with the filter (1, 3, 3, 1); last a 1×1 convolution and tanh.
    Shapes: latents (N, Z), with `conditional` labels (N,) too, to images (N, C, H, W) in [−1, 1], H = W = 8, 16, …
    Paper: arXiv:2501.05441, §3, configuration E; initialisation: arXiv:1901.09321, §3; label: as the paper's code.
    Recipe: 64 latents; CIFAR-10: width=768; FFHQ 64×64: width=384; FFHQ 256×256: width=96; widest=768 for all of
    them, 20 to 23 M parameters; ImageNet: width=1536, widest=1536, group_width=32. The relativistic loss with r1 and r2
    at every step, Adam (0, .9 to .99) with 2e-4 falling to 5e-5, a moving average. The defaults here are for a laptop.
    Traps: every block starts as the identity, for its last convolution is zero: at first nothing but the basis and
    the 1×1 convolutions learn. The published image is not squashed, and clamped where it becomes pixels; tanh keeps it
    in [−1, 1]. As in the paper's code, a label's embedding starts with a variance of 1/K, not 1.
    Parameters: `width` is the number of channels at the image's resolution; it doubles with every halving, up to
    `widest`; `blocks` is how many residual blocks a resolution has; `expansion` how many times wider a block is inside;
    `group_width` how many of the channels inside a group of the 3×3 convolution sees; `conditional` puts an embedding
    of the label, as long as the latent, beside the latent.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 32,
        widest: int = 768,
        blocks: int = 2,
        expansion: int = 2,
        group_width: int = 16,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        widths = widths_of("r3gan", shape, width, widest)[::-1]  # from 4×4 up
        _check_blocks(widths, blocks, expansion, group_width)
        known = needs_classes("r3gan", "conditional", classes) if conditional else 0
        self.embedding = LabelEmbedding(linear(known, latent_dim), known) if conditional else None
        self.basis = GenerativeBasis(latent_dim * (2 if conditional else 1), widths[0])
        total = blocks * len(widths)
        layers: list[nn.Module] = _residual(widths[0], blocks, expansion, group_width, total)
        for inputs, outputs in pairwise(widths):
            layers += [upwards(inputs, outputs), *_residual(outputs, blocks, expansion, group_width, total)]
        self.layers = nn.Sequential(*layers, convolution(widths[-1], shape[0], 1))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, Z) and, where conditional, labels (N,) to (N, C, H, W)."""
        if self.embedding is not None:
            latents = torch.cat([latents, self.embedding(labels)], dim=1)  # (N, 2 Z)
        return torch.tanh(self.layers(self.basis(latents)))


class R3GANDiscriminator(Critic):
    """R3GAN's discriminator, configuration E: its generator mirrored.

    Layers: a 1×1 convolution of the image; at each resolution `blocks` residual blocks as in the generator, then
    halving with the filter (1, 3, 3, 1) and a 1×1 convolution where channels change; at 4×4 a depthwise 4×4 convolution
    to the features and a linear layer to the logit.
    Shapes: images (N, C, H, W), with "projection" labels (N,) too, to logits (N,), or (N, E) with E = `outputs` > 1;
    `judge` gives features (N, F) beside them, and class logits (N, K) with "auxiliary".
    Paper: arXiv:2501.05441, §3, configuration E; initialisation: arXiv:1901.09321, §3; projection: as the paper's code;
    auxiliary classes: arXiv:1610.09585.
    Recipe: as the generator's, with the same `width` and `widest`; about as many parameters.
    Traps: nothing mixes the batch, so that r1 and r2 are a sample's own as they stand. With "projection" the logit is
    the output times the label's embedding and nothing else: there is no term that knows no label.
    Parameters: `width` is the number of channels at the image's resolution; it doubles with every halving, up to
    `widest`; `blocks` is how many residual blocks a resolution has; `expansion` how many times wider a block is inside;
    `group_width` how many of the channels inside a group of the 3×3 convolution sees; `conditioning` is "none",
    "projection", or "auxiliary" (a second head that classifies); `outputs` is how many numbers the network gives a
    sample.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 32,
        widest: int = 768,
        blocks: int = 2,
        expansion: int = 2,
        group_width: int = 16,
        conditioning: Conditioning = "none",
        outputs: int = 1,
    ) -> None:
        widths = widths_of("r3gan", shape, width, widest)  # from the image down to 4×4
        _check_blocks(widths, blocks, expansion, group_width)
        duties = Duties(classes=classes, outputs=outputs, conditioning=conditioning)
        duties.check("r3gan")
        total = blocks * len(widths)
        layers: list[nn.Module] = [convolution(shape[0], widths[0], 1)]
        for inputs, following in pairwise(widths):
            layers += [*_residual(inputs, blocks, expansion, group_width, total), downwards(inputs, following)]
        layers += _residual(widths[-1], blocks, expansion, group_width, total)
        layers += [to_point(widths[-1]), nn.Flatten()]
        super().__init__(duties, nn.Sequential(*layers), _head(duties, widths[-1]))


def _head(duties: Duties, features: int) -> Head:
    """A linear layer to the logits; with projection, to what a label's embedding is multiplied with."""
    if duties.conditioning != "projection":
        return Head(duties, linear(features, duties.outputs), features, linear=linear)
    final = linear(features, duties.outputs * features)
    embedding = LabelEmbedding(linear(duties.classes, features, gain=features**-0.5), duties.classes)
    return Head(duties, final, features, projection=Multiplied(embedding), linear=linear)


def _residual(channels: int, blocks: int, expansion: int, group_width: int, total: int) -> list[nn.Module]:
    return [ResidualBlock(channels, expansion, group_width, total) for _ in range(blocks)]


def _check_blocks(widths: list[int], blocks: int, expansion: int, group_width: int) -> None:
    check_sizes("r3gan", blocks=blocks, expansion=expansion, group_width=group_width)
    for channels in widths:
        if channels * expansion % group_width:
            raise ChoiceError(
                f"r3gan: {channels} channels times expansion {expansion} are no multiple of group_width {group_width}"
            )
