"""What variants are made of, as factors whose effects can be told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

NOTHING = "none"
"""The level of a penalty where nothing is added to the loss."""
USUAL = "as usual"
"""The level of training where no setting differs of those that vary."""
JOINT = " + "

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Columns = Mapping[str, np.ndarray[Any, Any]]

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)
_DEPTHS = {"(": 1, "[": 1, ")": -1, "]": -1}


@dataclass(frozen=True)
class Factors:
    """The factors of variants, the level of each variant in each, and which of the variants take part.

    Each factor has two levels or more. A factor that is several parts taken as one has a name joined by ` + `.
    """

    columns: Columns
    used: Mask


def split_objective(text: str) -> tuple[str, str]:
    """The loss and what is added to it: `hinge + r1(gamma=0.1) + ada` gives `hinge` and `r1(gamma=0.1) + ada`."""
    loss, *added = split_outside(text, JOINT)
    return loss, JOINT.join(added) or NOTHING


def split_outside(text: str, separator: str) -> list[str]:
    """`text` split at each `separator` that stands outside brackets and quotes."""
    found, start, depth = [], 0, 0
    for token in _TOKENS.finditer(text):
        depth = max(0, depth + _DEPTHS.get(token[0], 0))
        if depth == 0 and start <= token.start() and text.startswith(separator, token.start()):
            found.append(text[start : token.start()])
            start = token.start() + len(separator)
    return [*found, text[start:]]


def factors_of(variants: pd.DataFrame, finished: Mask) -> Factors:
    """The factors of `variants`, which have the columns of a board, as far as those that have `finished` tell them.

    A part that does not vary is no factor. Two parts whose levels do not mix cannot be told apart. If more than half of
    the variants mix two levels or more of both, the others take no part; else the two parts are taken as one factor.
    """
    parts = _parts(variants)
    columns, used = _varying(parts, finished), finished
    while apart := [pair for pair in combinations(columns, 2) if _components(columns, used, pair).any()]:
        mixing = [mask for pair in apart if (mask := _mixing(columns, used, pair)).any()]
        if mixing:
            columns, used = _varying(parts, mixing[0]), mixing[0]
        else:
            columns = _varying(_taken_as_one(columns, *apart[0]), used)
    return Factors(columns, used)


def _parts(variants: pd.DataFrame) -> Columns:
    """The level of each variant in each part."""
    objectives = [split_objective(text) for text in variants["loss"]]
    return {
        "generator": variants["generator"].to_numpy(object),
        "discriminator": variants["discriminator"].to_numpy(object),
        "loss": np.array([loss for loss, _ in objectives], dtype=object),
        "penalty": np.array([added for _, added in objectives], dtype=object),
        "training": np.array(_training(variants), dtype=object),
    }


def _training(variants: pd.DataFrame) -> list[str]:
    """The training settings that were varied: those in which trials of equal parts differ.

    Other settings differ from variant to variant because losses bring their own; they belong to the loss.
    """
    settings = [dict(_settings(text)) for text in variants["training"]]
    names = dict.fromkeys(name for told in settings for name in told)
    groups = variants.groupby("variant").indices.values()
    varied = [name for name in names if any(len({settings[i].get(name) for i in rows}) > 1 for rows in groups)]
    return [", ".join(f"{name}={told[name]}" for name in varied if name in told) or USUAL for told in settings]


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for setting in filter(None, split_outside(text, ", ")):
        name, _, value = setting.partition("=")
        yield name, value


def _varying(columns: Columns, used: Mask) -> Columns:
    return {name: column for name, column in columns.items() if len(set(column[used])) > 1}


def _components(columns: Columns, used: Mask, pair: tuple[str, str]) -> np.ndarray[Any, Any]:
    """Of each used variant, the number of the set of levels that mix with each other; all 0 if all do."""
    first, second = (pd.factorize(columns[name][used])[0] for name in pair)
    count = int(first.max()) + 1
    size = count + int(second.max()) + 1
    graph = sparse.coo_array((np.ones(len(first)), (first, count + second)), shape=(size, size))
    _, numbers = sparse.csgraph.connected_components(graph, directed=False)
    return np.asarray(numbers)[first]


def _mixing(columns: Columns, used: Mask, pair: tuple[str, str]) -> Mask:
    """The variants to go on with where most mix several levels of both factors; none where they do not."""
    numbers = _components(columns, used, pair)
    largest = np.zeros(len(used), bool)
    largest[np.flatnonzero(used)[numbers == np.bincount(numbers).argmax()]] = True
    several = all(len(set(columns[name][largest])) > 1 for name in pair)
    return largest if several and 2 * largest.sum() > used.sum() else np.zeros(len(used), bool)


def _taken_as_one(columns: Columns, first: str, second: str) -> Columns:
    """`columns` with two factors joined, in the place of the first."""
    pairs = zip(columns[first], columns[second], strict=True)
    levels = np.array([_level(one, other, second) for one, other in pairs], dtype=object)
    return {
        f"{first}{JOINT}{second}" if name == first else name: levels if name == first else column
        for name, column in columns.items()
        if name != second
    }


def _level(one: str, other: str, second: str) -> str:
    if second == "penalty":
        return one if other == NOTHING else f"{one}{JOINT}{other}"
    return one if one == other else f"{one} / {other}"
