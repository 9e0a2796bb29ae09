"""What a contract may state, by kind and key, whatever it is about."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from ganbench.terms import Kind

DRIVERS = ("eager", "vectorised", "graph")
"""The ways in which a trial's steps are carried out, as a contract names them."""


@dataclass(frozen=True)
class Rule:
    """What may be stated: in words, as a test of one item, and the lengths that a tuple of such items may have.

    An item may stand `alone` too, without a tuple around it.
    """

    expected: str
    fits: Callable[[Any], bool]
    lengths: Container[int] = ()
    alone: bool = True

    def allows(self, stated: Any, *, names: bool = False) -> bool:
        """Whether that may be stated; with `names`, also as a parameter's name in braces."""
        if names and parameter_in(stated):
            return True
        if isinstance(stated, tuple | list):
            others = [item for item in stated if not (names and parameter_in(item))]
            return len(stated) in self.lengths and all(map(self.fits, others))
        return self.alone and self.fits(stated)


def integer(lowest: int) -> Callable[[Any], bool]:
    """The test of an integer, which a bool is not, of at least `lowest`."""
    return lambda value: type(value) is int and value >= lowest


def nonblank(value: Any) -> bool:
    """Whether that is text, and not blank."""
    return isinstance(value, str) and bool(value.strip())


def one_of(*words: str) -> Callable[[Any], bool]:
    """The test of one of these words."""
    return lambda value: isinstance(value, str) and value in words


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _settings(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


_FLAG = Rule("True or False", _flag)
_WORDS = Rule("text", lambda value: isinstance(value, str))
_LOGITS = Rule("a kind of logits, as 'scalar'", nonblank)
_COUNT = Rule("an integer of at least 0", integer(0))
_POSITIVE = Rule("an integer of at least 1", integer(1))
_SUITED = Rule("'points', 'images' or a tuple of both", one_of("points", "images"), lengths=(1, 2))
_DRIVERS = Rule("'eager', 'vectorised', 'graph' or a tuple of them", one_of(*DRIVERS), lengths=range(1, 4))
_WHEN = Rule("True, False or a mapping of parameters to values", lambda value: _flag(value) or _settings(value))
_HEADS = Rule(
    "a mapping of heads to True or to the parameters under which there is one",
    lambda value: _settings(value) and all(_WHEN.fits(condition) for condition in value.values()),
)
_NAMES = Rule("a word or a tuple of words", nonblank, lengths=range(1, 100))
_CODES = Rule("two integers (categories, continuous) of at least 0", integer(0), lengths=(2,), alone=False)
_NETWORK = {
    "driver": _DRIVERS,
    "data": _SUITED,
    "power_of_two": _FLAG,
    "min_resolution": _POSITIVE,
    "labels": _WHEN,
    "classes": _WHEN,
}
_OBJECTIVE = {
    "driver": _DRIVERS,
    "data": _SUITED,
    "logits": _LOGITS,
    "independent": _FLAG,
    "heads": _NAMES,
    "labels": _FLAG,
    "codes": _CODES,
}
_MIXED = {"mixes_batch": _FLAG}

KEYS: dict[Kind, dict[str, dict[str, Rule]]] = {
    "generator": {"needs": _NETWORK, "gives": {"codes": _CODES}},
    "discriminator": {
        "needs": _NETWORK,
        "gives": {
            "logits": _LOGITS,
            "mixes_batch": _WHEN,
            "independent": Rule("a mapping of parameters to values", _settings),
            "outputs": _POSITIVE,
            "heads": _HEADS,
            "codes": _CODES,
        },
    },
    "loss": {"needs": _OBJECTIVE, "gives": _MIXED},
    "penalty": {"needs": _OBJECTIVE, "gives": _MIXED},
    "augmentation": {"needs": {"driver": _DRIVERS, "data": _SUITED, "logits": _LOGITS}, "gives": {}},
    "method": {
        "needs": {"driver": _DRIVERS, "data": _SUITED, "logits": _LOGITS, "heads": _NAMES, "encoder": _FLAG},
        "gives": {"alone": _FLAG},
    },
    "dataset": {
        "needs": {},
        "gives": {
            "data": Rule("'points' or 'images'", one_of("points", "images")),
            "shape": Rule("positive integers (D,) or (C, H, W)", integer(1), lengths=(1, 3), alone=False),
            "classes": _COUNT,
            "vocabulary": _WORDS,
            "modes": _COUNT,
            "density": _FLAG,
            "splits": Rule("two integers (train, heldout) of at least 0", integer(0), lengths=(2,), alone=False),
            "splits_vary": _FLAG,
            "extractor": _WORDS,
            "samples": _POSITIVE,
            "licence": _WORDS,
            "source": _WORDS,
        },
    },
    "metric": {
        "needs": {
            "data": _SUITED,
            "modes": _FLAG,
            "density": _FLAG,
            "features": Rule("True, False or 'images'", lambda value: _flag(value) or one_of("images")(value)),
            "classes": _FLAG,
            "logits": _FLAG,
            "labels": _FLAG,
            "training": _FLAG,
        },
        "gives": {},
    },
    "extractor": {
        "needs": {
            "channels": Rule("an integer of at least 1 or a tuple of them", integer(1), lengths=range(1, 100)),
            "labels": _FLAG,
        },
        "gives": {"classes": _COUNT, "vocabulary": _WORDS, "logits": _FLAG},
    },
    "executor": {"needs": {}, "gives": {}},
}
"""By kind, the keys that `needs` and `gives` may hold, and what under each. Documented in docs/components.md."""


def parameter_in(stated: Any) -> str:
    """`resolution` of `"{resolution}"`; empty for anything else."""
    braced = isinstance(stated, str) and stated.startswith("{") and stated.endswith("}")
    return stated[1:-1] if braced else ""
