"""What discriminators have in common: layers that look at a sample, and a head that says several things about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from ganbench.errors import ChoiceError
from ganbench_layers.batch import MinibatchDeviation, MinibatchDiscrimination
from ganbench_layers.conditioning import Added, with_labels
from ganbench_layers.gradient import gradient_normalised
from ganbench_layers.latents import check_codes, needs_classes
from ganbench_layers.shapes import check_sizes

Conditioning = Literal["none", "concat", "projection", "auxiliary"]
Minibatch = Literal["none", "deviation", "discrimination"]

Linear = Callable[[int, int], nn.Module]
"""Makes a layer of so many inputs and outputs."""


@dataclass(frozen=True)
class Duties:
    """What a critic is to say of a sample, and of what. Each field is what discriminators call a parameter."""

    classes: int = 0
    outputs: int = 1
    conditioning: Conditioning = "none"
    minibatch: Minibatch = "none"
    gradient_normalised: bool = False
    categories: int = 0
    continuous: int = 0

    def check(self, who: str, norm: str = "none") -> None:
        """Nothing, if a critic with such a `norm` can do all that; else a ChoiceError that begins with `who`."""
        check_codes(who, self.categories, self.continuous)
        if self.conditioning != "none":
            needs_classes(who, f"conditioning={self.conditioning}", self.classes)
        check_sizes(who, outputs=self.outputs)
        suited = self.outputs == 1 and self.minibatch == "none" and norm in ("none", "layer")
        if self.gradient_normalised and not suited:
            needed = "outputs=1, minibatch=none, norm=none or layer"
            got = f"outputs={self.outputs}, minibatch={self.minibatch}, norm={norm}"
            raise ChoiceError(f"{who}: gradient_normalised needs {needed}; got {got}")

    def widened(self, channels: int) -> int:
        """How many channels a first layer gets that sees `channels` of a sample: more where labels are appended."""
        return channels + (self.classes if self.conditioning == "concat" else 0)


class Head(nn.Module):
    """The last layer of a critic, and beside it what else is read from the `features` numbers before it.

    `final` maps what is hidden to logits, (N, outputs, …), and `projection`, if there is one, brings in the labels: it
    gets what `final` says, features (N, F) and labels (N,). `linear` makes what tells classes and codes.
    """

    def __init__(
        self,
        duties: Duties,
        final: nn.Module,
        features: int,
        *,
        projection: nn.Module | None = None,
        linear: Linear = nn.Linear,
    ) -> None:
        super().__init__()
        self.final, self.projection = final, projection
        self.classes = linear(features, duties.classes) if duties.conditioning == "auxiliary" else None
        codes = duties.categories + duties.continuous
        self.code = linear(features, codes) if codes else None

    def forward(self, hidden: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, F, …), and labels (N,) for a projection, to logits (N,) or (N, outputs)."""
        logits: Tensor = self.final(hidden).flatten(1)  # (N, outputs)
        if self.projection is not None:
            logits = self.projection(logits, hidden.flatten(1), labels)
        return logits.squeeze(1)

    def beside(self, hidden: Tensor) -> dict[str, Tensor]:
        """What else there is to say: features (N, F), the code's (N, codes), class logits (N, K) if there are any."""
        features = hidden.flatten(1)
        code = features[:, :0] if self.code is None else self.code(features)
        classes = {} if self.classes is None else {"classes": self.classes(features)}
        return {"features": features, "code": code, **classes}


class Critic(nn.Module):
    """Samples (N, *shape) to logits (N,) or (N, outputs), high for real, and to whatever else `duties` ask for.

    `layers` map samples to what is hidden, (N, F) or (N, C, h, w); `head` takes it from there. Where `conditioning` is
    "concat" or "projection", a critic is called with labels (N,) too. One that is `flat` gets samples (N, D) only.
    """

    flat = False

    def __init__(self, duties: Duties, layers: nn.Module, head: Head) -> None:
        super().__init__()
        self.duties, self.layers, self.head = duties, layers, head

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples (N, *shape), and labels (N,) if it is conditional, to logits (N,) or (N, outputs)."""
        if self.duties.gradient_normalised:
            return self.judge(samples, labels)["logits"]
        logits: Tensor = self.head(self._hidden(samples, labels), labels)
        return logits

    def judge(self, samples: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Logits as `forward` gives them, features (N, F), code (N, codes), and classes (N, K) if it is auxiliary."""

        def look(inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            hidden = self._hidden(inputs, labels)
            return self.head(hidden, labels), self.head.beside(hidden)

        logits, others = gradient_normalised(look, samples) if self.duties.gradient_normalised else look(samples)
        return {"logits": logits, **others}

    def _hidden(self, samples: Tensor, labels: Tensor | None) -> Tensor:
        if self.duties.conditioning == "concat":
            assert labels is not None
            samples = with_labels(samples.flatten(1) if self.flat else samples, labels, self.duties.classes)
        hidden: Tensor = self.layers(samples)
        return hidden


def vector_head(duties: Duties, features: int) -> Head:
    """The head on (N, features): a linear layer, after what compares the samples of a batch."""
    final = _compared(duties, features, lambda added: nn.Linear(features + added, duties.outputs))
    return Head(duties, final, features, projection=added_projection(duties, features))


def map_head(duties: Duties, channels: int, side: int) -> Head:
    """The head on maps (N, channels, side, side): a convolution over the whole, after what compares the samples.

    Minibatch discrimination knows vectors only, so that a linear layer follows it.
    """
    features = channels * side**2
    if duties.minibatch == "discrimination":
        linear = vector_head(duties, features)
        linear.final = nn.Sequential(nn.Flatten(), linear.final)
        return linear
    final = _compared(duties, features, lambda added: nn.Conv2d(channels + added, duties.outputs, side))
    return Head(duties, final, features, projection=added_projection(duties, features))


def added_projection(
    duties: Duties, features: int, finish: Callable[[nn.Module], nn.Module] = lambda embedding: embedding
) -> nn.Module | None:
    """What adds a projection of the label to each logit, its embeddings finished so, where the duties ask for that."""
    return Added(features, duties.classes, duties.outputs, finish) if duties.conditioning == "projection" else None


def _compared(duties: Duties, features: int, last: Callable[[int], nn.Module]) -> nn.Module:
    """The last layer, made for what is added to the features, after the layer that adds it."""
    if duties.minibatch == "none":
        return last(0)
    comparing = MinibatchDeviation() if duties.minibatch == "deviation" else MinibatchDiscrimination(features)
    return nn.Sequential(comparing, last(comparing.added))
