"""The one place where a seed becomes random generators: independent streams by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

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
    """torch's global generators, seeded for the block and put back after it: for code that takes no generator.

    Weight initialisation and dropout in `torch.nn` are such code. Those of the CPU and of `device` are put back; no
    other GPU is woken up.
    """
    device = torch.device(device)
    with torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda"):
        torch.manual_seed(stream_seed(seed, name))
        yield
