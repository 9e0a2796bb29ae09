"""Checks of losses and penalties: their terms sample by sample, gradients, random numbers, what they remember."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ganbench.conformance.devices import one_device
from ganbench.conformance.findings import Breach, NotChecked, given_by, plainly, told
from ganbench.conformance.games import COUNT, MEMORIES, PLAYERS, PlainCritic, Table, lay, loss_rng
from ganbench.conformance.stages import stage
from ganbench.conformance.subjects import Subject
from ganbench.conformance.terms_given import MEMORY, TERMS, mend_of, wants_vectors
from ganbench.conformance.watching import finite, no_global_draw, no_host_read, unchanged
from ganbench.contracts import holds
from ganbench.errors import PluginError
from ganbench.survey import attributes

CHANGED = 2
ROUNDING = 1e-9
"""How far terms of float64 may be apart, relative to the largest, and count as the same."""

LARGE = 40.0
"""A logit of a critic that is very sure: a logarithm of a sigmoid in float32 is not finite any more."""


def check_terms(subject: Subject) -> None:
    """Named terms of shape (N,), finite, one number a sample, for each player, in float32 and in float64."""
    for dtype in (torch.float32, torch.float64):
        table = lay(stage(subject), dtype)
        needed = PLAYERS if subject.kind == "loss" else ()
        missing = [player for player in needed if player not in table.moving]
        if missing or not table.moving:
            absent = " nor ".join(f"`{player}`" for player in missing or PLAYERS)
            raise Breach(
                f"there is no method {absent}",
                "both for a loss, one or both for a penalty: `discriminator(game)` and `generator(game)`",
                "write the method: it returns a mapping from names to tensors of shape (N,)",
            )
        for player in table.moving:
            with given_by(player):
                _check_terms(table, player)


def _check_terms(table: Table, player: str) -> None:
    try:
        terms, _ = table.terms(player, table.batch(0))
    except PluginError as error:
        breach = _broken(table, player, error)
        if breach is None:
            raise
        raise breach from error
    for name, term in terms.items():
        finite(f"the {player}'s term '{name}'", term)


def _broken(table: Table, player: str, error: PluginError) -> Breach | None:
    """What is wrong with the player's terms; None where the component's own code raised an error of another cause."""
    raised = error.__cause__ is not None
    if wants_vectors(table.stage.subject):
        mend = "it works with a discriminator of several outputs: state needs={'logits': 'vector'}"
        return Breach(told(error), "no error" if raised else TERMS, mend)
    return None if raised else Breach(str(error), TERMS, mend_of(table.given(player), COUNT))


def check_inputs(subject: Subject) -> None:
    """The game is left as it was: nobody writes to its tensors."""
    table = lay(stage(subject))
    for player in table.moving:
        batch = table.batch(0)
        game = table.game(player, batch, loss_rng())
        with unchanged(real=game.real, fake=game.fake, latents=game.latents, labels=game.labels):
            table.move(player, game)


def check_gradients(subject: Subject) -> None:
    """Finite gradients in the player's own weights: as built, where the critic is sure, and where it is flat."""
    for memory in MEMORIES:
        for which, prepare in _SITUATIONS.items():
            if which == "a sure critic" and subject.part.need("logits", "scalar") != "scalar":
                continue
            table = prepare(lay(stage(subject)))
            for player in table.moving:
                with given_by(player):
                    _check_gradients(table, player, which, memory)


def _check_gradients(table: Table, player: str, which: str, memory: float | None) -> None:
    terms, _ = table.terms(player, table.batch(0), memory)
    total = torch.stack([term.mean() for term in terms.values()]).sum()
    weights = dict(getattr(table.players, player).named_parameters())
    slopes: tuple[Tensor | None, ...] = (None,) * len(weights)
    if total.requires_grad:
        slopes = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
    if which == "a critic as built" and all(slope is None for slope in slopes):
        raise Breach(
            f"the {player}'s terms do not depend on the {player}'s weights",
            f"terms that the {player} can descend on",
            "do not detach the critic's or the generator's answers; put the term under the other player",
        )
    for name, term in terms.items():
        finite(f"the {player}'s term '{name}', for {which}", term)
    for name, slope in zip(weights, slopes, strict=True):
        if slope is not None:
            finite(f"the gradient of the {player}'s {name}, for {which}", slope)


def _as_built(table: Table) -> Table:
    return table


@torch.no_grad()
def _sure(table: Table) -> Table:
    """The critic's last layer raised until its logits are large."""
    critic = table.players.discriminator
    batch = table.batch(0)
    logits = table.players.logits(batch.real, batch.labels)
    scale = LARGE / float(logits.abs().max().clamp_min(1e-6))
    critic.register_forward_hook(lambda module, inputs, output: output * scale)
    return table


@torch.no_grad()
def _flat(table: Table) -> Table:
    for weight in table.players.discriminator.parameters():
        weight.zero_()
    return table


_SITUATIONS: dict[str, Callable[[Table], Table]] = {
    "a critic as built": _as_built,
    "a sure critic": _sure,
    "a critic that is flat": _flat,
}


def check_per_sample(subject: Subject) -> None:
    """Permuting the batch permutes the terms; changing a sample changes its own terms alone, unless declared."""
    table = lay(stage(subject), torch.float64)
    stated = holds(subject.part.give("mixes_batch"), subject.choice)
    mixed = ""
    for memory in MEMORIES:
        for player in table.moving:
            with given_by(player):
                _check_permuted(table, player, memory)
            found = _mixing(table, player, memory)
            if found and not stated:
                raise Breach(
                    found,
                    f"changing sample {CHANGED} to change term {CHANGED} only",
                    "no statistic over the batch; if the paper has one, state gives={'mixes_batch': True}",
                    method=player,
                )
            mixed = mixed or found
    if stated and not mixed and not table.objective.remembers:  # what is remembered may count only later
        raise Breach(
            "no sample's term depends on another sample",
            "mixing: the contract states `mixes_batch`",
            "drop `mixes_batch` from `gives`",
        )


def _check_permuted(table: Table, player: str, memory: float | None) -> None:
    batch, order = table.batch(0), torch.arange(COUNT - 1, -1, -1)
    terms, drawn = table.terms(player, batch, memory)
    if drawn:
        return  # each place has its own random number, which does not move with its sample
    permuted, _ = table.terms(player, batch.rearranged(order), memory)
    for name, term in terms.items():
        allowed = ROUNDING * float(term.detach().abs().max())
        if not torch.allclose(permuted[name], term[order], rtol=ROUNDING, atol=allowed):
            raise Breach(
                f"with the batch in reverse order, the {player}'s term '{name}' is not the same in reverse order",
                "term n to belong to sample n, wherever in the batch it stands",
                "do not use a sample's place in the batch, and do not sort or pair within it",
            )


def _mixing(table: Table, player: str, memory: float | None) -> str:
    """How one sample changes another's term, in words; "" if it does not."""
    batch, others = table.batch(0), torch.arange(COUNT) != CHANGED
    before, _ = table.terms(player, batch, memory)
    after, _ = table.terms(player, batch.exchanged(CHANGED, table.batch(1)), memory)
    for name, term in before.items():
        change = float((after[name] - term).detach().abs()[others].max())
        if change > ROUNDING * max(1e-3, float(term.detach().abs().max())):
            return f"changing sample {CHANGED} changes the {player}'s term '{name}' of others by up to {change:.2g}"
    return ""


@dataclass(frozen=True)
class _LeaningCritic(PlainCritic):
    """A critic whose logits of real and of fake samples can each be moved as a whole."""

    real: Tensor
    fake: Tensor
    lean: dict[str, Tensor]

    def __call__(self, samples: Tensor) -> Tensor:
        logits = super().__call__(samples)
        moved = [self.lean[name] for name in ("real", "fake") if getattr(self, name) is samples]
        return logits + moved[0] if moved else logits

    def judge(self, samples: Tensor) -> dict[str, Tensor]:
        """The logits and the heads."""
        return {**super().judge(samples), "logits": self(samples)}


def check_direction(subject: Subject) -> None:
    """High logits mean real: the discriminator raises them at real and lowers them at fake, the generator raises."""
    if subject.part.need("logits") != "scalar":
        raise NotChecked("only of losses that need scalar logits is the direction known")
    table = lay(stage(subject))
    wanted = {("discriminator", "real"): -1, ("discriminator", "fake"): 1, ("generator", "fake"): -1}
    for (player, side), sign in wanted.items():
        slope = _lean(table, player, side)
        if slope is not None and slope * sign < 0:
            way = "raises" if slope < 0 else "lowers"
            raise Breach(
                f"the {player} {way} the logits of {side} samples",
                "high logits to mean real: the discriminator raises them at real and lowers them at fake samples, "
                "the generator raises them at fake ones",
                "turn the sign of the term, or exchange real and fake",
                method=player,
            )


def _lean(table: Table, player: str, side: str) -> float | None:
    """How the player's objective changes as all logits of that side rise; None where they do not count."""
    game = table.game(player, table.batch(0), loss_rng())
    lean = {name: torch.zeros((), requires_grad=True) for name in ("real", "fake")}
    assert isinstance(game.critic, PlainCritic)  # that is what `game` gives
    critic = _LeaningCritic(game.critic.players, game.critic.labels, game.real, game.fake, lean)
    terms = table.move(player, replace(game, critic=critic))
    total = torch.stack([term.mean() for term in terms.values()]).sum()
    if not total.requires_grad:
        return None
    slope: Tensor | None = torch.autograd.grad(total, [lean[side]], allow_unused=True)[0]
    return None if slope is None else float(slope)


def check_random(subject: Subject) -> None:
    """The same `rng`, the same bits; nothing drawn from global random numbers."""
    table = lay(stage(subject))
    for player in table.moving:
        game = table.game(player, table.batch(0), loss_rng())
        with no_global_draw():
            table.move(player, game)
        (first, _), (second, _) = (table.terms(player, table.batch(0)) for _ in range(2))
        for name, term in first.items():
            if not torch.equal(term, second[name]):
                raise Breach(
                    f"the same game with the same `rng` gives other numbers for the {player}'s term '{name}'",
                    "the same bits",
                    "draw from `game.rng` alone, and keep nothing from call to call",
                )


def check_memory(subject: Subject) -> None:
    """Nothing kept on the object itself; what is remembered is stated, and is a scalar."""
    table = lay(stage(subject))
    part = table.objective.loss
    before = attributes(part)
    for player in table.moving:
        with plainly(*MEMORY):
            table.terms(player, table.batch(0))
    changed = [name for name, value in attributes(part).items() if before.get(name) != value]
    if changed:
        raise Breach(
            f"its attribute `{changed[0]}` changes from call to call",
            "an object that stays as it was built: seeds may share it",
            "state `remembers = {'mean': 0.0}`, and read and assign `game.memory['mean']`",
        )


def check_host(subject: Subject) -> None:
    """No host reads in the terms and in their gradients."""
    table = lay(stage(subject))
    for player in table.moving:
        game = table.game(player, table.batch(0), loss_rng())
        with no_host_read():
            terms = table.move(player, game)
            total = torch.stack([term.mean() for term in terms.values()]).sum()
            if total.requires_grad:
                total.backward()  # type: ignore[no-untyped-call]


def check_device(subject: Subject) -> None:
    """All that is computed with lies on the game's device, as far as can be told without a GPU."""
    table = lay(stage(subject))
    for player in table.moving:
        game = table.game(player, table.batch(0), loss_rng())
        with given_by(player), one_device(subject.file, table.objective.loss) as watched:
            watched.expect_here(**table.move(player, game))
