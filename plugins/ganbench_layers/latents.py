"""What a generator reads: latents, InfoGAN's codes in the place of some of them, and labels if it is conditional."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganbench.errors import ChoiceError
from ganbench_layers.codes import coded
from ganbench_layers.conditioning import one_hot


class GeneratorInput(nn.Module):
    """Latents (N, Z), and labels (N,) if there are `classes`, to what the first layer gets: (N, `features`).

    Paper: labels are appended as one-hot (arXiv:1411.1784, §3.2); codes are arXiv:1606.03657's, §7.2.
    Raises ChoiceError, which begins with `who`, where the latents are too few for the codes.
    """

    def __init__(
        self, who: str, latent_dim: int, *, classes: int = 0, categories: int = 0, continuous: int = 0
    ) -> None:
        super().__init__()
        check_codes(who, categories, continuous)
        if categories + continuous > latent_dim:
            raise ChoiceError(
                f"{who}: categories is {categories} and continuous is {continuous}, "
                f"expected no more codes than the {latent_dim} latents that they are read from"
            )
        self.classes, self.categories, self.continuous = classes, categories, continuous
        self.features = latent_dim + classes

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, Z), and (N,) where it is conditional, to (N, features)."""
        if self.categories or self.continuous:
            latents = coded(latents, self.categories, self.continuous)
        if not self.classes:
            return latents
        assert labels is not None
        return torch.cat([latents, one_hot(labels, self.classes, latents.dtype)], dim=1)


def check_codes(who: str, categories: int, continuous: int) -> None:
    """Nothing, if there can be so many codes; else a ChoiceError that begins with `who`."""
    if categories < 0 or continuous < 0 or categories == 1:
        raise ChoiceError(
            f"{who}: categories is {categories} and continuous is {continuous}, "
            "expected 0 or more, and not a single category"
        )


def needs_classes(who: str, parameter: str, classes: int) -> int:
    """`classes`, if there are any; else a ChoiceError that says which `parameter` of `who` needs them."""
    if classes < 1:
        raise ChoiceError(f"{who}: {parameter} needs data with classes, got {classes} classes")
    return classes
