"""StyleGAN2's discriminator (arXiv:1912.04958, §4.1; configuration F), for square images with a side of 8, 16, …"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from ganbench_layers.batch import MinibatchDeviation
from ganbench_layers.conditioning import Multiplied
from ganbench_layers.critic import Critic, Duties, Head
from ganbench_layers.shapes import BASE, check_sizes, widths_of
from ganbench_stylegan2.generator import Mapping
from ganbench_stylegan2.layers import Activation, EqualConvolution, EqualLinear, activated

MAPPING_LAYERS = 8

Conditioning = Literal["none", "projection", "auxiliary"]
Minibatch = Literal["deviation", "none"]


class StyleGAN2Discriminator(Critic):
    """StyleGAN2's discriminator, configuration F: residual blocks that halve, and the minibatch's deviation at 4×4.

    Layers: a 1×1 convolution of the image; at every resolution down to 8×8 a 3×3 convolution and one that blurs with
    (1, 3, 3, 1) and halves, beside a blurred and halved 1×1 convolution, their sum over √2; at 4×4 the standard
    deviation within groups of samples as one more channel, a 3×3 convolution and a linear layer to the features;
    LeakyReLU 0.2 · √2 after each but the halved 1×1; then a linear layer to the logit. Equalised learning rate.
    Shapes: images (N, C, H, W), with "projection" labels (N,) too, to logits (N,), or (N, E) with E = `outputs` > 1;
    `judge` gives features (N, F) beside them, and class logits (N, K) with "auxiliary".
    Paper: arXiv:1912.04958, §4.1 and table 1, row F; deviation of the minibatch: arXiv:1710.10196, §3; projection of
    the mapped label: as the code of arXiv:2006.06676; auxiliary classes: arXiv:1610.09585.
    Recipe: at 1024×1024 width=32, r1(gamma=10) every 16 steps, and Adam 2e-3 (0, .99), ε 1e-8; see the generator.
    Traps: as published, r1 differentiates the logits through the deviation, so that a sample's slope also holds what it
    does to the logits of its group. Penalties here ask for a sample's own slope, hence with one of them, and if it was
    not set by hand, `minibatch` becomes "none" and the network differs from the published one by one channel.
    The published groups are of samples that lie a quarter of the batch apart, and need a batch that is a multiple of 4.
    Parameters: `width` is the number of channels at the image's resolution; it doubles with every halving, up to
    `widest`; `minibatch` is "deviation", which mixes the batch, or "none"; `group` is how many samples share a
    deviation; `conditioning` is "none", "projection" (the label, mapped by 8 layers, times the output), or "auxiliary"
    (a second head that classifies); `outputs` is how many numbers the network gives a sample.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 32,
        widest: int = 512,
        minibatch: Minibatch = "deviation",
        group: int = 4,
        conditioning: Conditioning = "none",
        outputs: int = 1,
    ) -> None:
        widths = widths_of("stylegan2", shape, width, widest)  # from the image down to 4×4
        check_sizes("stylegan2", group=group)
        duties = Duties(classes=classes, outputs=outputs, conditioning=conditioning)
        duties.check("stylegan2")
        features, compared = widths[-1], minibatch == "deviation"
        layers = nn.Sequential(
            EqualConvolution(shape[0], widths[0], 1),
            Activation(),
            *[Block(*pair) for pair in pairwise(widths)],
            MinibatchDeviation(group) if compared else nn.Identity(),
            EqualConvolution(features + compared, features, 3),
            Activation(),
            nn.Flatten(),
            EqualLinear(features * BASE**2, features),
            Activation(),
        )
        super().__init__(duties, layers, _head(duties, features))


def _head(duties: Duties, features: int) -> Head:
    """A linear layer to the logits; with projection, to what a label, mapped, is multiplied with."""
    projected = duties.conditioning == "projection"
    final = EqualLinear(features, duties.outputs * (features if projected else 1))
    projection = Multiplied(MappedLabel(features, duties.classes), features**-0.5) if projected else None
    return Head(duties, final, features, projection=projection, linear=EqualLinear)


class MappedLabel(nn.Module):
    """Labels (N,) to (N, features), by a mapping network that sees nothing else."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.mapping = Mapping(0, features, MAPPING_LAYERS, classes)

    def forward(self, labels: Tensor) -> Tensor:
        """(N,) to (N, features)."""
        mapped: Tensor = self.mapping(None, labels)
        return mapped


class Block(nn.Module):
    """(N, inputs, H, W) to (N, outputs, H/2, W/2): two convolutions beside a linear path, their sum over √2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.keeping = EqualConvolution(inputs, inputs, 3)
        self.halving = EqualConvolution(inputs, outputs, 3, halving=True)
        self.skip = EqualConvolution(inputs, outputs, 1, bias=False, halving=True)

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/2, W/2)."""
        changed = activated(self.halving(activated(self.keeping(features))))
        halved: Tensor = self.skip(features)
        return (changed + halved) * math.sqrt(0.5)
