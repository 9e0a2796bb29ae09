"""Imported once by the fork server, so that every trial starts with torch loaded and its first-use work done.

Nothing here may ask for a GPU, run a backward pass or take an optimiser's step, which ask for one too: on a machine
that has a GPU, torch then refuses to work in the processes that are forked.
"""

from __future__ import annotations

import contextlib
import importlib
import signal

MODULES = (
    "pandas", "pyarrow.parquet", "scipy.linalg", "sklearn.datasets", "torchvision", "torch_fidelity", "ganbench.trial",
    "ganbench.survey", "PIL.PngImagePlugin", "pyarrow.pandas_compat",
)  # fmt: skip
"""What trials need sooner or later. One that does not load is left for the trials that need it to complain of."""


def warm_up() -> None:
    """The modules, an optimiser and one FLOP count, whose first use imports a good second's worth more.

    And what all records say of the software, which takes a moment to find out.
    """
    for name in MODULES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    import torch

    from ganbench.accounting import count_flops
    from ganbench.environment import software

    network = torch.nn.Linear(2, 2)
    torch.optim.Adam(network.parameters(), fused=True)
    with torch.no_grad():
        count_flops(lambda: network(torch.zeros(1, 2)))
    software()


for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # an interruption is the runner's to act upon, not each process's
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
warm_up()
