"""Contracts in words: what a component needs and gives, a phrase for each key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ganbench.contracts import several
from ganbench.rules import parameter_in
from ganbench.terms import Kind

WORDS: Mapping[str, Mapping[str, str]] = {
    "needs": {
        "driver": "the driver {any}",
        "data": "{any}",
        "power_of_two": "square images whose side is a power of two",
        "min_resolution": "images of at least {first}×{first}",
        "labels": "labels",
        "classes": "data with classes, and their number",
        "logits": "{any} logits",
        "independent": "a discriminator that does not mix the batch",
        "heads": "a discriminator with the heads {all}",
        "codes": "networks with {first} categories and {second} continuous codes",
        "encoder": "a discriminator that can serve as an encoder",
        "modes": "known modes",
        "density": "a known density",
        "features": "features",
        "training": "features of the training split",
        "channels": "images with {any} channels",
    },
    "gives": {
        "data": "{any}",
        "shape": "samples of {by}",
        "classes": "{any} classes",
        "vocabulary": "classes that are {any}",
        "modes": "{any} known modes",
        "density": "a known density",
        "splits": "{first} samples to train on and {second} held out",
        "splits_vary": "other splits where its files hold others",
        "extractor": "features by {any}, unless a suite names another extractor",
        "samples": "{any} samples to compare, unless a suite says how many",
        "licence": "the licence {any}",
        "source": "its source: {any}",
        "logits": "{any} logits",
        "mixes_batch": "what depends on the other samples of a batch",
        "independent": "independent samples where a loss needs them, by {all}",
        "outputs": "vector logits where {any} is more than 1, so that it can serve as an encoder",
        "heads": "the heads {all}",
        "codes": "{first} categories and {second} continuous codes",
        "alone": "an objective of its own, without a loss",
    },
}
"""A contract in words. What is stated may be several things: `{any}` joins them by *or*, `{all}` by *and*."""

OF_MEASURING: Mapping[str, str] = {
    "classes": "an extractor that tells the data's classes",
    "logits": "class logits",
    "labels": "data with classes",
}
"""What some words mean where a metric or an extractor says them."""


def in_words(kind: Kind, side: str, contract: Mapping[str, Any]) -> list[str]:
    """One side of a contract, a phrase for each key; what is not so is left out."""
    phrases = []
    for key, stated in contract.items():
        words = WORDS[side][key]
        if side == "needs" and kind in ("metric", "extractor"):
            words = OF_MEASURING.get(key, words)
        if stated is False and key == "mixes_batch":
            phrases.append("logits of each sample alone")
        elif stated not in (False, None, 0, ""):
            phrases.append(_phrase(key, words, stated))
    return phrases


def _phrase(key: str, words: str, stated: Any) -> str:
    if isinstance(stated, Mapping) and "{" not in words:
        return f"{words}, where {' or '.join(_items(stated))}"
    items = list(_heads(stated) if key == "heads" else _items(stated))
    joined = {"any": " or ".join(items), "all": " and ".join(items), "by": " × ".join(items)}
    return words.format(first=items[0], second=items[-1], **joined)


def _heads(stated: Any) -> Iterator[str]:
    """`features`, or `classes where conditioning=auxiliary`."""
    for head in stated if isinstance(stated, Mapping) else several(stated):
        condition = stated[head] if isinstance(stated, Mapping) else True
        where = f" where {' or '.join(_items(condition))}" if isinstance(condition, Mapping) else ""
        yield f"{head}{where}"


def _items(stated: Any) -> Iterator[str]:
    """Each thing that is stated: `norm=batch` of a mapping, a parameter's name in backticks, 10,000."""
    if isinstance(stated, Mapping):
        yield from (f"{key}={value}" for key, values in stated.items() for value in several(values))
        return
    for item in several(stated):
        parameter = parameter_in(item)
        yield f"`{parameter}`" if parameter else f"{item:,}" if type(item) is int else str(item)
