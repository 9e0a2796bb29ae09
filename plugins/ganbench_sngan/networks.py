"""SNGAN's residual players (arXiv:1802.05957, appendix B.4), for square images with a side of 8, 16, 32, …"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from ganbench_layers.conditioning import ConditionalBatchNorm2d
from ganbench_layers.critic import Critic, Duties
from ganbench_layers.latents import needs_classes
from ganbench_layers.layout import CriticTable, GeneratorTable, critic_stages, generator_channels
from ganbench_layers.residual import CriticBlock, GeneratorBlock, Normalise, Pooled, finished_head, to_image, to_maps
from ganbench_layers.shapes import check_sizes, side_of
from ganbench_layers.spectral import spectral

GENERATOR: GeneratorTable = {
    8: (4, 4),
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (16, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
CRITIC: CriticTable = {
    8: ((2, 2, 2, 2), 1),
    16: ((2, 2, 2, 2), 2),
    32: ((2, 2, 2, 2), 2),
    64: ((1, 2, 4, 8, 16), 5),
    128: ((1, 2, 4, 8, 16, 16), 5),
    256: ((1, 2, 4, 8, 8, 16, 16), 6),
}

Norm = Literal["spectral", "layer", "none"]
Conditioning = Literal["none", "projection", "auxiliary"]


class SNGANGenerator(nn.Module):
    """Residual blocks with BatchNorm, from 4×4 up to the image, as in SNGAN.

    Layers: linear to 4×4; a block for each doubling (BatchNorm, ReLU, nearest-neighbour doubling, 3×3 convolution,
    BatchNorm, ReLU, 3×3 convolution, beside a 1×1 convolution); BatchNorm, ReLU, 3×3 convolution, tanh. Channels in
    multiples of `width`, from 4×4 on: 4, 4, 4, 4 at 32×32, and 4 throughout at 8×8 and 16×16; 16, 8, 4, 2, 1 at 64×64;
    16, 16, 8, 4, 2, 1 at 128×128; 16, 16, 8, 8, 4, 2, 1 at 256×256, and one more 1 for each doubling beyond.

    Shapes: latents (N, Z), and labels (N,) where `conditional`, to images (N, C, H, W) in [−1, 1].
    Paper: arXiv:1802.05957, appendix B.4, for 32×32 and 128×128; arXiv:1802.05637 for the conditional one; its authors'
    code for 64×64 and 256×256. Their layout for 48×48, no power of two, is not offered.
    Recipe: `width` 64 gives the published 256 channels at 32×32, and 1024 to 64 from 64×64 on. Hinge loss; Adam 2e-4
    (0, 0.9) and 5 critic steps a generator step; 128 latents. Glorot uniform weights, √2 times as large inside blocks.
    Traps: maps are doubled by nearest neighbours, as the authors did; a well-known re-implementation interpolates
    linearly. The last BatchNorm knows no classes, conditional or not.
    Parameters: `width` is the unit of the channels above; `conditional` makes every BatchNorm of a block
    class-conditional (arXiv:1610.07629).
    """

    def __init__(
        self,
        latent_dim: int,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 64,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        check_sizes("sngan", width=width)
        channels = generator_channels(GENERATOR, side_of("sngan", shape), width)
        normalise: Normalise = nn.BatchNorm2d
        if conditional:
            conditions = needs_classes("sngan", "conditional", classes)
            normalise = partial(ConditionalBatchNorm2d, conditions=conditions)
        self.project = to_maps(latent_dim, channels[0], _initialised)
        self.blocks = nn.ModuleList(
            GeneratorBlock(before, after, normalise, _initialised) for before, after in pairwise(channels)
        )
        self.image = to_image(channels[-1], shape[0], _initialised)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, Z), and (N,) where conditional, to (N, C, H, W)."""
        maps = self.project(latents)  # (N, channels, 4, 4)
        for block in self.blocks:
            maps = block(maps, labels)
        images: Tensor = self.image(maps)
        return images


class SNGANDiscriminator(Critic):
    """Residual blocks with spectral normalisation, from the image to a sum over all pixels, as in SNGAN.

    Layers: blocks (ReLU, 3×3 convolution, ReLU, 3×3 convolution, mean of 2×2 pixels where the block halves, beside a
    1×1 convolution; the first without its first ReLU); ReLU, sum over pixels, linear. Channels in multiples of `width`:
    2, 2, 2, 2 up to 32×32, of which the first two blocks halve (at 8×8 the first); 1, 2, 4, 8, 16 at 64×64, where all
    halve; 1, 2, 4, 8, 16, 16 at 128×128 and 1, 2, 4, 8, 8, 16, 16 at 256×256, all but the last of which halve; beyond,
    one more 1 in front for each halving.

    Shapes: images (N, C, H, W), and labels (N,) for a projection, to logits (N,), or (N, E) with E > 1 outputs; heads
    `features` (N, F) and, with auxiliary conditioning, `classes` (N, K).
    Paper: arXiv:1802.05957, §2.1 and appendix B.4; arXiv:1802.05637, §3, for the projection; arXiv:1704.00028, §4, for
    a critic with LayerNorm; arXiv:2109.02235, §3, for normalisation of the gradient; the authors' code for 64×64 and
    256×256.
    Recipe: `width` 64 gives the published 128 channels at 32×32, and 64 to 1024 from 64×64 on. Hinge loss, Adam 2e-4
    (0, 0.9). With wgan-gp, `norm` layer or none and Adam 1e-4 (0, 0.9).
    Traps: pixels are summed, not averaged as in WGAN-GP's code, so that logits grow with the last map. The power
    iteration moves on with each call in training mode, and stands still in evaluation mode. A convolution's norm is
    that of its kernel as a matrix (outputs × the rest), as published, and not that of the linear map.
    Parameters: `width` is the unit of the channels above; `norm` is "spectral", for every layer and embedding, "layer",
    over all channels and pixels of a sample before each ReLU but those of the first block, or "none"; `conditioning` is
    "none", "projection", which adds ⟨e(y), features⟩, or "auxiliary", which adds a head for classes; `outputs` is how
    many numbers are given for a sample, as by an encoder or a vector critic; `gradient_normalised` gives
    f / (‖∇f‖ + |f|), with `norm` none as in arXiv:2109.02235, or layer.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int = 0,
        *,
        width: int = 64,
        norm: Norm = "spectral",
        conditioning: Conditioning = "none",
        outputs: int = 1,
        gradient_normalised: bool = False,
    ) -> None:
        check_sizes("sngan", width=width)
        side_of("sngan", shape)
        duties = Duties(
            classes=classes, outputs=outputs, conditioning=conditioning, gradient_normalised=gradient_normalised
        )
        duties.check("sngan", norm)
        stages = critic_stages(CRITIC, shape, width, wide=False)
        normalise: Normalise = partial(nn.GroupNorm, 1) if norm == "layer" else nn.Identity
        finish = _normalised if norm == "spectral" else _initialised
        layers = nn.Sequential(*(CriticBlock(stage, normalise, finish) for stage in stages), Pooled())
        super().__init__(duties, layers, finished_head(duties, stages[-1].outputs, finish))


def _initialised(layer: nn.Module, gain: float = 1) -> nn.Module:
    """The layer with Glorot uniform weights, `gain` times as large, and without a bias to start with."""
    nn.init.xavier_uniform_(layer.get_parameter("weight"), gain)
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.get_parameter("bias"))
    return layer


def _normalised(layer: nn.Module, gain: float = 1) -> nn.Module:
    return spectral(_initialised(layer, gain))
