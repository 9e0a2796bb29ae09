"""Imported once by the fork server, so that every trial starts with torch loaded and its first-use work done.

Nothing here may ask for a GPU, run a backward pass or take an optimiser's step, which ask for one too: on a machine
that has a GPU, torch then refuses to work in the processes that are forked.
"""

from __future__ import annotations

import pandas as pd  # noqa: F401 - loaded for the processes to come
import pyarrow.parquet  # noqa: F401
import scipy.linalg  # noqa: F401
import sklearn.datasets  # noqa: F401
import torch
import torch_fidelity  # noqa: F401
import torchvision  # noqa: F401

import ganbench.trial  # noqa: F401


def warm_up() -> None:
    """An optimiser and one FLOP count: their first use imports a good second's worth of modules."""
    from ganbench.accounting import count_flops

    network = torch.nn.Linear(2, 2)
    torch.optim.Adam(network.parameters(), fused=True)
    with torch.no_grad():
        count_flops(lambda: network(torch.zeros(1, 2)))


warm_up()
