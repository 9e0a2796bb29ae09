"""P-values of several tests, corrected for how many there are."""

from __future__ import annotations

from typing import Any

import numpy as np

Reals = np.ndarray[Any, np.dtype[np.float64]]


def holm(p: Reals) -> Reals:
    """The p-values adjusted by Holm's step-down rule, in the order of `p`: (N,) → (N,).

    Rejecting where an adjusted value is at most 0.05 keeps the chance of even one false rejection at 0.05 or below,
    however the tests depend on each other. NaN stands for a test that was not made: it stays NaN and does not count.
    Raises ValueError for a value outside [0, 1].
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979) 65-70.
    """
    given = np.asarray(p, dtype=np.float64)
    if given.ndim != 1:
        raise ValueError(f"p-values come as a row of numbers, got the shape {given.shape}")
    known = given[~np.isnan(given)]
    if ((known < 0) | (known > 1)).any():
        raise ValueError(f"a p-value lies between 0 and 1, got {known[(known < 0) | (known > 1)][0]}")
    order = np.argsort(known, kind="stable")
    left = np.arange(len(known), 0, -1)  # tests that are not yet rejected, at each step
    stepped = np.minimum(1.0, np.maximum.accumulate(left * known[order]))
    sorted_back = np.empty_like(known)
    sorted_back[order] = stepped
    adjusted = np.full_like(given, np.nan)
    adjusted[~np.isnan(given)] = sorted_back
    return adjusted
