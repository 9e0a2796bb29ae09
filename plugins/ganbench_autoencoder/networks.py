"""BEGAN's players (arXiv:1703.10717, §3.5 and figure 1): an autoencoder as the critic, its decoder as the generator."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from ganbench_layers.shapes import check_sizes, side_of

BASE = 8  # pixels: the side of the smallest feature map


class Autoencoder(nn.Module):
    """A critic that reconstructs its input, and whose logit is minus the mean error: high for what it knows, as real.

    Layers: for images, BEGAN's: convolutions 3×3 with ELU, `depth` at each resolution; the encoder halves the side by
    stride 2 down to 8×8, with `width` channels at the image's resolution, twice as many at half of it, three times at a
    quarter; linear layers without activation lead to the code and back; the decoder has `width` channels throughout and
    doubles the side by repeating pixels; a convolution without activation gives the image. For points, `depth` linear
    layers of `width` units with ELU on either side of the code.
    Shapes: samples (N, *shape) to logits (N,), at most 0. Head: features (N, code), what the encoder gives.
    Paper: arXiv:1703.10717, §3.1, eq. 1, and §3.5; arXiv:1609.03126, §2.3, for an autoencoder as an energy.
    Recipe: BEGAN has `error` absolute, `width` and `code` 64 or 128, Adam 1e-4; EBGAN has `error` squared.
    Traps: the error is the mean over a sample's numbers, not their sum or its root, so that EBGAN's margin and BEGAN's
    k mean the same at every resolution. For points of few dimensions, a code of more lets it reconstruct anything.
    Parameters: `width`, `depth` and `code` as above; `error` is "absolute" (|x − x̂|) or "squared" ((x − x̂)²).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int = 32,
        depth: int = 2,
        code: int = 64,
        error: Literal["absolute", "squared"] = "absolute",
    ) -> None:
        super().__init__()
        image = len(shape) != 1
        if image:
            side_of("autoencoder", shape)
        check_sizes("autoencoder", width=width, depth=depth, code=code)
        self.squared = error == "squared"
        self.encoder = _image_encoder(shape, width, depth, code) if image else _point_encoder(shape, width, depth, code)
        self.decoder = _image_decoder(code, shape, width, depth) if image else _point_decoder(code, shape, width, depth)

    def forward(self, samples: Tensor) -> Tensor:
        """(N, *shape) to (N,), high for what is reconstructed well."""
        return self.judge(samples)["logits"]

    def judge(self, samples: Tensor) -> dict[str, Tensor]:
        """Logits (N,) and features (N, code)."""
        features: Tensor = self.encoder(samples)
        differences = (samples - self.decoder(features)).flatten(1)
        errors = differences.square() if self.squared else differences.abs()
        return {"logits": -errors.mean(dim=1), "features": features}


class BEGANGenerator(nn.Module):
    """The decoder of BEGAN's critic, with weights of its own.

    Layers: a linear layer to 8×8 with `width` channels; at each resolution `depth` convolutions 3×3 with ELU; the side
    doubles by repeating pixels; a convolution and tanh give the image.
    Shapes: latents (N, Z) to images (N, C, H, W) in [−1, 1].
    Paper: arXiv:1703.10717, §3.5 and figure 1.
    Recipe: the critic's `width`, and as many latents as its code has numbers; Adam 1e-4.
    Traps: latents here are normal, the paper's are uniform in [−1, 1]; tanh, which the paper's decoder lacks, keeps
    images within the data's range.
    Parameters: `width` and `depth` as above.
    """

    def __init__(self, latent_dim: int, shape: tuple[int, ...], *, width: int = 32, depth: int = 2) -> None:
        super().__init__()
        side_of("began", shape)
        check_sizes("began", width=width, depth=depth)
        self.layers = nn.Sequential(*_image_decoder(latent_dim, shape, width, depth), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        """(N, Z) to (N, C, H, W)."""
        images: Tensor = self.layers(latents)
        return images


def _image_encoder(shape: tuple[int, ...], width: int, depth: int, code: int) -> nn.Sequential:
    """(N, C, H, W) to (N, code)."""
    widths = [width * level for level in range(1, _levels(shape) + 1)]
    layers = [_convolution(shape[0], width), nn.ELU(), *_convolutions(width, depth)]
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1), nn.ELU(), *_convolutions(after, depth)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * BASE**2, code))


def _image_decoder(code: int, shape: tuple[int, ...], width: int, depth: int) -> nn.Sequential:
    """(N, code) to (N, C, H, W)."""
    layers = [nn.Linear(code, width * BASE**2), nn.Unflatten(1, (width, BASE, BASE)), *_convolutions(width, depth)]
    for _ in range(_levels(shape) - 1):
        layers += [nn.Upsample(scale_factor=2, mode="nearest"), *_convolutions(width, depth)]
    return nn.Sequential(*layers, _convolution(width, shape[0]))


def _point_encoder(shape: tuple[int, ...], width: int, depth: int, code: int) -> nn.Sequential:
    """(N, D) to (N, code)."""
    return nn.Sequential(*_linears(shape[0], width, depth), nn.Linear(width, code))


def _point_decoder(code: int, shape: tuple[int, ...], width: int, depth: int) -> nn.Sequential:
    """(N, code) to (N, D)."""
    return nn.Sequential(*_linears(code, width, depth), nn.Linear(width, shape[0]))


def _linears(inputs: int, width: int, depth: int) -> list[nn.Module]:
    return [layer for size in (inputs, *[width] * (depth - 1)) for layer in (nn.Linear(size, width), nn.ELU())]


def _convolutions(channels: int, depth: int) -> list[nn.Module]:
    return [layer for _ in range(depth) for layer in (_convolution(channels, channels), nn.ELU())]


def _convolution(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


def _levels(shape: tuple[int, ...]) -> int:
    """How many resolutions there are, from the image's down to 8×8."""
    return (shape[-1] // BASE).bit_length()
