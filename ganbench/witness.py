"""The critic as a loss and its penalties call it: it counts no pass twice, and remembers what it said."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType

import torch
from torch import Tensor

from ganbench.players import Players
from ganbench.terms import Precision

Network = Callable[[Tensor], Tensor]
Lift = Callable[..., Tensor]
"""Calls a function with tensors: of one seed, or, from inside vmap, with those of all seeds."""

Terms = dict[str, Tensor]

Phase = Callable[[str], AbstractContextManager[object]]

_NOTHING = nullcontext()


def no_phase(name: str) -> AbstractContextManager[object]:
    """Nothing, for steps that nobody measures."""
    return _NOTHING


class Witness:
    """The critic as a loss calls it, which remembers what it said of the real and of the fake batch.

    What it was `asked` for, it remembers too; what is `ready`, it does not compute.

    A penalty at one of the batches that are `shared` differentiates the pass that the loss made there, and makes none
    of its own: the same value, where a logit depends on its own sample alone and a pass leaves no trace.
    """

    def __init__(
        self,
        judge: Network,
        real: Tensor,
        fake: Tensor,
        lift: Lift,
        *,
        shared: Collection[str],
        phase: Phase = no_phase,
        ready: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        self.asked: list[str] = []
        self._judge = judge
        self._phase = phase
        self._lift = lift
        self._shared = shared
        self._ready = ready
        self._known = {"real": real, "fake": fake}
        self._logits: dict[str, Tensor] = {}
        self._passes: dict[str, tuple[Tensor, Tensor]] = {}

    def __call__(self, samples: Tensor) -> Tensor:
        """Logits (N,) of packed samples."""
        name = self._name_of(samples)
        if name is None:
            return self._lift(self._judge, samples)
        self.asked.append(name)
        if name in self._ready:
            logits = self._prepared(name)
        elif name in self._shared and torch.is_grad_enabled():
            logits = self._lift(lambda given: self._tracked(name, given), samples)
        else:
            logits = self._lift(self._judge, samples)
        self._logits[name] = logits.detach()
        return logits

    def slopes(self, samples: Tensor) -> Tensor:
        """The gradient of each sample's logit with respect to that sample, (N, …), differentiable in the weights."""
        name = self._name_of(samples)
        if name is not None:
            self.asked.append(f"{name} slopes")
        if f"{name} slopes" in self._ready:
            return self._prepared(f"{name} slopes")
        known = name if name in self._passes else None
        return self._lift(lambda given: self._slopes(known, given), samples)

    def summary(self) -> Terms:
        """Mean logits, and the share of pairs in which the real sample has the higher logit: ½ is chance.

        Pairs, because a threshold means nothing to a critic whose logits may have any offset, as a Wasserstein critic's
        have. Empty for a loss that shows the critic neither batch as it is.
        """
        if len(self._logits) < 2:
            return {}
        real, fake = self._logits["real"], self._logits["fake"]
        right = (real > fake).float() + (real == fake).float() / 2
        return {"logit/real": real.mean(), "logit/fake": fake.mean(), "discriminator/accuracy": right.mean()}

    def _name_of(self, samples: Tensor) -> str | None:
        return next((name for name, batch in self._known.items() if batch is samples), None)

    def _prepared(self, asked: str) -> Tensor:
        """What was computed beforehand, with its graph only where a pass would have one now."""
        return self._ready[asked] if torch.is_grad_enabled() else self._ready[asked].detach()

    def _tracked(self, name: str, given: Tensor) -> Tensor:
        inputs = given.detach().requires_grad_()
        logits = self._judge(inputs)
        self._passes[name] = inputs, logits
        return logits

    def _slopes(self, known: str | None, given: Tensor) -> Tensor:
        with self._phase("penalty"):
            inputs, logits = self._passes[known] if known else self._precisely(given)
            (slopes,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
            return slopes

    def _precisely(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """A pass of its own, in float32 also where the rest is in bfloat16."""
        inputs = given.detach().requires_grad_()
        with torch.autocast(given.device.type, enabled=False):
            return inputs, self._judge(inputs)


def sharable(players: Players, precision: Precision) -> frozenset[str]:
    """The batches at which a loss and its penalties may share a pass of the discriminator.

    None where a pass changes what the next one sees, in a buffer, or where penalties need one in another precision.
    """
    alone = next(players.discriminator.buffers(), None) is None and precision != "bf16"
    return frozenset(("real", "fake")) if alone else frozenset()


def still_shared(shared: Collection[str], asked: Collection[str]) -> frozenset[str]:
    """Those of the batches at which the last step asked for slopes: only there, a pass is worth preparing for them."""
    return frozenset(name for name in shared if f"{name} slopes" in asked)
