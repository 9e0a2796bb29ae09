"""Imported once by the fork server, so that every trial starts with torch loaded and its first-use work done.

Nothing here may touch CUDA: a process that has cannot be forked.
"""

from __future__ import annotations

import pandas as pd  # noqa: F401 - loaded for the processes to come
import pyarrow.parquet  # noqa: F401
import scipy.linalg  # noqa: F401
import torch
import torch_fidelity  # noqa: F401
import torchvision  # noqa: F401

import ganbench.trial  # noqa: F401


def warm_up() -> None:
    """One Adam step and one FLOP count: their first use imports a good second's worth of modules."""
    from ganbench.accounting import count_flops

    network = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    count_flops(lambda: network(torch.zeros(1, 2)).sum().backward())
    optimiser.step()


warm_up()
