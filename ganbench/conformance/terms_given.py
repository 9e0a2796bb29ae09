"""How to mend what an objective gives in the place of its terms: one piece of advice for each cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ganbench.conformance.games import lay
from ganbench.conformance.stages import find_stage
from ganbench.conformance.subjects import Subject

TERMS = "a mapping from names to terms of shape (N,): one number for each sample"

MEMORY = (
    "in memory, the names that `remembers` states, each a tensor of shape ()",
    "state the name and its first value in `remembers`; assign a mean over the batch, not the batch",
)
"""What is expected of what an objective remembers, and how to mend it."""


def mend_of(given: object, count: int) -> str:
    """What to do about terms that are not a mapping of names to tensors (count,)."""
    if given is None:
        return "return the terms: `return {'adversarial': …}`"
    if isinstance(given, Tensor):
        return "name the term: `return {'adversarial': tensor}`"
    if not isinstance(given, Mapping):
        return "return a mapping from names to tensors: `return {'adversarial': tensor}`"
    odd = [(name, term) for name, term in given.items() if getattr(term, "shape", None) != (count,)]
    if not given:
        return "return at least one term; one that is 0 for now is `torch.zeros_like(game.critic(game.fake))`"
    return _mend_of_term(*odd[0], count) if odd else MEMORY[1]


def _mend_of_term(name: object, term: object, count: int) -> str:
    if not isinstance(term, Tensor):
        return f"let '{name}' stay a tensor: no `.item()`, no `float(…)`, no list"
    if term.ndim == 0:
        return "do not average: return one number a sample; the core averages, once all terms are there"
    if tuple(term.shape) == (count, 1):
        return f"`squeeze(1)` for '{name}': a column broadcasts with a row to a square"
    if term.ndim > 1 and len(term) == count:
        return f"sum '{name}' over the other axes: `.flatten(1).sum(1)`"
    return f"one number for each of the {count} samples, in the batch's order: nothing joined, nothing left out"


def wants_vectors(subject: Subject) -> bool:
    """Whether an objective whose contract does not ask for vectors gives sound terms with a critic that gives them."""
    if subject.part.need("logits", "scalar") != "scalar":
        return False
    component = replace(subject.component, needs={**subject.component.needs, "logits": "vector"})
    wide = replace(subject, offer=replace(subject.offer, component=component))
    try:
        table = lay(find_stage(wide))
        for player in table.moving:
            table.terms(player, table.batch(0))
    except Exception:  # noqa: BLE001 - then that was not the cause, whatever it says
        return False
    return True
