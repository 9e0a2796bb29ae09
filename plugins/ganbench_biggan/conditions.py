"""How latents and labels enter a generator: all at the bottom, as SAGAN's, or a part at every block, as BigGAN's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ganbench.errors import ChoiceError
from ganbench_biggan.parts import finished
from ganbench_layers.conditioning import ConditionalBatchNorm2d
from ganbench_layers.residual import Finish, Normalise


class Flat(nn.Module):
    """All latents enter at 4×4, and the label chooses scale and shift of each normalisation from a table of its own."""

    def __init__(self, latent_dim: int, blocks: int, classes: int) -> None:
        super().__init__()
        self.bottom = latent_dim
        self.blocks = blocks
        self.classes = classes

    def normalise(self, _finish: Finish) -> list[Normalise]:
        """Makers of each block's normalisations: plain ones where there are no classes."""
        plain: Normalise = nn.BatchNorm2d
        return [partial(ConditionalBatchNorm2d, conditions=self.classes) if self.classes else plain] * self.blocks

    def forward(self, latents: Tensor, labels: Tensor | None) -> tuple[Tensor, Sequence[Tensor | None]]:
        """What enters at 4×4, (N, Z), and the condition of each block: the labels."""
        return latents, [labels] * self.blocks


class Hierarchical(nn.Module):
    """The latents come in chunks: one enters at 4×4, and each block's normalisations depend linearly on one.

    With an `embedding` of labels they depend on that too, the same for all blocks (arXiv:1809.11096, §3, appendix B).
    """

    def __init__(self, latent_dim: int, blocks: int, embedding: nn.Embedding | None) -> None:
        super().__init__()
        self.sizes = chunk_sizes(latent_dim, blocks + 1)
        self.bottom = self.sizes[0]
        self.embedding = embedding

    def normalise(self, finish: Finish) -> list[Normalise]:
        """Makers of each block's normalisations, linear in (N, embedding + chunk)."""
        shared = 0 if self.embedding is None else self.embedding.embedding_dim
        return [partial(_linear_norm, conditions=shared + size, finish=finish) for size in self.sizes[1:]]

    def forward(self, latents: Tensor, labels: Tensor | None) -> tuple[Tensor, Sequence[Tensor | None]]:
        """What enters at 4×4, (N, bottom), and the condition of each block, (N, embedding + chunk)."""
        bottom, *chunks = torch.split(latents, self.sizes, dim=1)
        if self.embedding is None:
            return bottom, chunks
        embedded = self.embedding(labels)  # (N, embedding)
        return bottom, [torch.cat([embedded, chunk], dim=1) for chunk in chunks]


def chunk_sizes(latent_dim: int, chunks: int) -> list[int]:
    """`latent_dim` in `chunks` parts that differ by 1 at most, longer ones first. Raises ChoiceError if one is 0."""
    if latent_dim < chunks:
        raise ChoiceError(
            f"biggan: {latent_dim} latents for the {chunks} parts of the generator, expected at least {chunks}, "
            "or hierarchical=false"
        )
    short, longer = divmod(latent_dim, chunks)
    return [short + 1] * longer + [short] * (chunks - longer)


def _linear_norm(channels: int, conditions: int, finish: Finish) -> nn.Module:
    return finished(ConditionalBatchNorm2d(channels, conditions, embedded=True), finish)
