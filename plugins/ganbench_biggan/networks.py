"""BigGAN's and SAGAN's players (arXiv:1809.11096, arXiv:1805.08318), for images with a side of 8, 16, 32, …"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from ganbench_biggan.conditions import Flat, Hierarchical
from ganbench_biggan.parts import attentions, finisher, initialised
from ganbench_layers.critic import Critic, Duties
from ganbench_layers.latents import needs_classes
from ganbench_layers.layout import CriticTable, GeneratorTable, critic_stages, generator_channels
from ganbench_layers.residual import CriticBlock, GeneratorBlock, Pooled, finished_head, to_image, to_maps
from ganbench_layers.shapes import BASE, check_sizes, side_of

GENERATOR: GeneratorTable = {
    8: (4, 4),
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
CRITIC: CriticTable = {
    8: ((4, 4, 4, 4), 1),
    16: ((4, 4, 4, 4), 2),
    32: ((4, 4, 4, 4), 2),
    64: ((1, 2, 4, 8, 16), 4),
    128: ((1, 2, 4, 8, 16, 16), 5),
    256: ((1, 2, 4, 8, 8, 16, 16), 6),
}

Initialisation = Literal["orthogonal", "normal", "xavier"]
Conditioning = Literal["none", "projection", "auxiliary"]


class BigGANGenerator(nn.Module):
    """Residual blocks with class-conditional BatchNorm, latents for each block and self-attention, as in BigGAN.

    Layers: linear to 4×4; a block for each doubling (BatchNorm, ReLU, nearest-neighbour doubling, 3×3 convolution,
    BatchNorm, ReLU, 3×3 convolution, beside a 1×1 convolution), one of which self-attention follows; BatchNorm, ReLU,
    3×3 convolution, tanh. All weights are spectrally normalised, but for embeddings and tables of classes. Channels in
    multiples of `width`, from 4×4 on: 4 up to 32×32; 16, 16, 8, 4, 2 at 64×64; 16, 16, 8, 4, 2, 1 at 128×128;
    16, 16, 8, 8, 4, 2, 1 at 256×256, and one more 1 for each doubling beyond.

    Shapes: latents (N, Z), and labels (N,) where `conditional`, to images (N, C, H, W) in [−1, 1].
    Paper: arXiv:1809.11096, §3 and appendix B; arXiv:1805.08318, §3 and §4, for SAGAN; layouts below 128×128 from the
    code of BigGAN's first author.
    Recipe: BigGAN at 128×128 has `width` 96, 120 latents, and Adam 5e-5 (0, 0.999) beside 2e-4 for the critic, which
    moves twice a step, in batches of 2048; at 32×32 its author's code has `width` 64, all latents at 4×4, no attention.
    SAGAN has `hierarchical` false, `attention` 32, `initialisation` xavier, 128 latents, Adam 1e-4 (0, 0.9) beside 4e-4
    for the critic. Both train on the hinge loss. The default `width`, 64, is that of SAGAN and of the smaller BigGANs.
    Traps: every latent is used; well-known code drops those that do not divide into equal chunks, while here chunks
    differ by 1 at most. The last BatchNorm knows neither class nor latents. In evaluation mode stored statistics are
    used, where the paper computes fresh ones.
    Parameters: `width` is the unit of the channels above; `conditional` lets labels choose each BatchNorm's scale and
    shift; `hierarchical` gives each block a chunk of the latents, on which its scales and shifts depend linearly, and
    on an embedding of the label, shared by all blocks (false: all latents enter at 4×4, and each BatchNorm has a table
    of classes); `embedding` is the size of the shared embedding; `attention` is the side of the map that attends to
    itself, or the largest below it, and 0 for none; `initialisation` is "orthogonal" as BigGAN's, "normal" for
    N(0, 0.02²), or "xavier" as SAGAN's.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 64,
        conditional: bool = True,
        hierarchical: bool = True,
        embedding: int = 128,
        attention: int = 64,
        initialisation: Initialisation = "orthogonal",
    ) -> None:
        super().__init__()
        check_sizes("biggan", width=width, embedding=embedding)
        channels = generator_channels(GENERATOR, side_of("biggan", shape), width)
        known = needs_classes("biggan", "conditional", classes) if conditional else 0
        finish, blocks = finisher(initialisation), len(channels) - 1
        shared = initialised(nn.Embedding(known, embedding), initialisation) if known and hierarchical else None
        self.conditions = Hierarchical(latent_dim, blocks, shared) if hierarchical else Flat(latent_dim, blocks, known)
        self.project = to_maps(self.conditions.bottom, channels[0], finish)
        self.blocks = nn.ModuleList(
            GeneratorBlock(before, after, normalise, finish)
            for (before, after), normalise in zip(pairwise(channels), self.conditions.normalise(finish), strict=True)
        )
        sides = [BASE * 2**number for number in range(1, len(channels))]
        self.attentions = attentions(sides, channels[1:], attention, finish)
        self.image = to_image(channels[-1], shape[0], finish)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, Z), and (N,) where conditional, to (N, C, H, W)."""
        bottom, conditions = self.conditions(latents, labels)
        maps = self.project(bottom)  # (N, channels, 4, 4)
        for block, attend, condition in zip(self.blocks, self.attentions, conditions, strict=True):
            maps = attend(block(maps, condition))
        images: Tensor = self.image(maps)
        return images


class BigGANDiscriminator(Critic):
    """Wide residual blocks with spectral normalisation, self-attention and a projection of the class, as in BigGAN.

    Layers: blocks (ReLU, 3×3 convolution, ReLU, 3×3 convolution, mean of 2×2 pixels where the block halves, beside a
    1×1 convolution; the first without its first ReLU), with self-attention after one of them; ReLU, sum over pixels,
    linear. All weights and embeddings are spectrally normalised. Channels in multiples of `width`: 4, 4, 4, 4 up to
    32×32, of which the first two blocks halve (at 8×8 the first); 1, 2, 4, 8, 16 at 64×64, 1, 2, 4, 8, 16, 16 at
    128×128, 1, 2, 4, 8, 8, 16, 16 at 256×256, all but the last of which halve; beyond, one more 1 in front for each
    halving.

    Shapes: images (N, C, H, W), and labels (N,) for a projection, to logits (N,), or (N, E) with E > 1 outputs; heads
    `features` (N, F) and, with auxiliary conditioning, `classes` (N, K).
    Paper: arXiv:1809.11096, appendix B; arXiv:1805.08318, §3; arXiv:1802.05637, §3, for the projection.
    Recipe: BigGAN at 128×128 has `width` 96, hinge loss and Adam 2e-4 (0, 0.999), with two steps for the generator's
    one; SAGAN has `attention` 32 and `initialisation` xavier, with Adam 4e-4 (0, 0.9).
    Traps: a block widens with its first convolution, where SNGAN's does with the second. Its input is rectified for the
    convolutions only: rectified in place, as in some code, it would be so for the shortcut too.
    Parameters: `width` is the unit of the channels above; `conditioning` is "projection", which adds ⟨e(y), features⟩,
    "auxiliary", which adds a head for classes, or "none"; `attention` is the side of the map that attends to itself, or
    the largest below it, and 0 for none; `initialisation` is "orthogonal" as BigGAN's, "normal" for N(0, 0.02²), or
    "xavier" as SAGAN's; `outputs` is how many numbers are given for a sample, as by an encoder or a vector critic.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 64,
        conditioning: Conditioning = "projection",
        attention: int = 64,
        initialisation: Initialisation = "orthogonal",
        outputs: int = 1,
    ) -> None:
        check_sizes("biggan", width=width)
        side = side_of("biggan", shape)
        duties = Duties(classes=classes, outputs=outputs, conditioning=conditioning)
        duties.check("biggan")
        finish = finisher(initialisation)
        stages = critic_stages(CRITIC, shape, width, wide=True)
        blocks = [CriticBlock(stage, nn.Identity, finish) for stage in stages]
        halvings = [sum(stage.halves for stage in stages[: number + 1]) for number in range(len(stages))]
        sides = [side // 2**halving for halving in halvings]
        attending = attentions(sides, [stage.outputs for stage in stages], attention, finish)
        layers = nn.Sequential(*(layer for pair in zip(blocks, attending, strict=True) for layer in pair), Pooled())
        super().__init__(duties, layers, finished_head(duties, stages[-1].outputs, finish))
