"""The one place where a seed becomes random generators: independent streams by name."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def stream_seed(seed: int, name: str) -> int:
    """The 63-bit seed of the stream `name` of a trial's `seed`."""
    digest = hashlib.sha256(f"{name}/{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for one purpose of one trial, so that no purpose shifts another's numbers."""
    return torch.Generator(device).manual_seed(stream_seed(seed, name))


@contextmanager
def global_stream(seed: int, name: str, device: torch.device | str = "cpu") -> Iterator[None]:
    """The global generators of torch, NumPy and Python, seeded for the block and put back after it.

    For code that takes no generator: weight initialisation and dropout in `torch.nn`, and plugins. torch has one for
    the CPU and one for each GPU; only that of `device` is touched besides the CPU's.
    """
    device, own_seed = torch.device(device), stream_seed(seed, name)
    cuda = [device] if device.type == "cuda" else []
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - that is the one to put back
    with torch.random.fork_rng(cuda, device_type="cuda"):
        torch.default_generator.manual_seed(own_seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(own_seed)
        random.seed(own_seed)
        np.random.seed(own_seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
