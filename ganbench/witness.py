"""The critic as a loss and its penalties call it: it counts no pass twice, and remembers what it said."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType

import torch
from torch import Tensor

from ganbench.players import Players
from ganbench.stacking import NotTogether
from ganbench.terms import Precision

Network = Callable[[Tensor], Tensor]
Lift = Callable[..., Tensor]
"""Calls a function with tensors: of one seed, or, from inside vmap, with those of all seeds."""

Terms = dict[str, Tensor]

Heads = Callable[[Tensor], Terms]
"""Samples to the logits and the other heads of a critic."""


def at_once(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """The lift of one seed: there is nothing to leave."""
    return function(*tensors)


Phase = Callable[[str], AbstractContextManager[object]]

_NOTHING = nullcontext()


def no_phase(name: str) -> AbstractContextManager[object]:
    """Nothing, for steps that nobody measures."""
    return _NOTHING


class Witness:
    """The critic as a loss calls it, which remembers what it said of the real and of the fake batch.

    What it was `asked` for, it remembers too; what is `ready`, it does not compute. Asked about one of them again in a
    turn, it says the same: a penalty sees what the loss saw, whatever an augmentation drew.

    A penalty at one of the batches that are `shared` differentiates the pass that the loss made there, and makes none
    of its own: the same value, where a logit depends on its own sample alone and a pass leaves no trace.
    """

    def __init__(
        self,
        logits: Network,
        real: Tensor,
        fake: Tensor,
        lift: Lift,
        *,
        shared: Collection[str],
        phase: Phase = no_phase,
        ready: Mapping[str, Tensor] = MappingProxyType({}),
        heads: Heads | None = None,
    ) -> None:
        self.asked: list[str] = []
        self._judge = logits
        self._heads = heads
        self._verdicts: dict[str, Terms] = {}
        self._said: dict[str, Tensor] = {}
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
        tracked = torch.is_grad_enabled()
        if name in self._said and tracked:
            return self._said[name]
        if name in self._ready:
            logits = self._prepared(name)
        elif name in self._shared and tracked:
            logits = self._lift(lambda given: self._tracked(name, given), samples)
        else:
            logits = self._lift(self._judge, samples)
        self._logits[name] = logits.detach()
        if tracked:
            self._said[name] = logits
        return logits

    def judge(self, samples: Tensor) -> Terms:
        """The logits of packed samples and each head, by name; of the real and of the fake batch, found once."""
        if self._heads is None:
            raise NotTogether("its objective asks the critic for more than its logits")
        name = self._name_of(samples)
        if name is None:
            return self._heads(samples)
        if name not in self._verdicts or not torch.is_grad_enabled():
            inputs = samples.detach().requires_grad_() if name in self._shared else samples
            verdict = self._heads(inputs)
            self._logits[name] = verdict["logits"].detach()
            if not torch.is_grad_enabled():
                return verdict
            self._verdicts[name] = verdict
            self._said[name] = verdict["logits"]
            if name in self._shared:
                self._passes[name] = inputs, verdict["logits"]
        return self._verdicts[name]

    def logits_of(self, name: str) -> Tensor | None:
        """What was said of the `real` or the `fake` batch, without its graph; None if nobody asked."""
        return self._logits.get(name)

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
        have. Empty for a loss that shows the critic neither batch as it is, and for a critic that gives vectors.
        """
        if len(self._logits) < 2:
            return {}
        real, fake = self._logits["real"], self._logits["fake"]
        if real.dim() > 1:
            return {}
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
    """Those of the batches at which a step asked for slopes: only there, a pass is worth preparing for them.

    The first step decides. A lazy penalty asks then, and not in the next ones; its pass stays shared.
    """
    return frozenset(name for name in shared if f"{name} slopes" in asked)
