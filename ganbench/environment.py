"""The software and the machine that a result came from."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import ganbench
from ganbench.provenance import git_states, own_hash
from ganbench.terms import Precision

PACKAGES = (
    "torch", "torchvision", "torch-fidelity", "numpy", "scipy", "scikit-learn", "pillow", "safetensors", "pandas",
    "pyarrow", "pluggy",
)  # fmt: skip
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY")


def describe_environment(
    device: torch.device, precision: Precision = "float32", plugin_files: Sequence[Path] = ()
) -> dict[str, Any]:
    """Versions, operating system, device and threads, as JSON's own types; nothing names the machine or its user."""
    on_gpu = device.type == "cuda"
    return {
        **software(),
        "device": device_name(device),
        "device_kind": device.type,
        "cuda": torch.version.cuda if on_gpu else None,
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,  # type: ignore[no-untyped-call]
        "gpu_driver": _gpu_driver() if on_gpu else None,
        "precision": effective_precision(device, precision),
        "threads": torch.get_num_threads(),
        "thread_variables": {name: os.environ.get(name) for name in THREAD_VARIABLES},
        "cores": os.cpu_count(),
        "git": git_states(plugin_files),
    }


@cache
def software() -> dict[str, Any]:
    """What stays as it is while a process lives, and in those that are forked from it. Not to be changed."""
    git_states(())
    return {
        "ganbench": ganbench.__version__,
        "ganbench_sha256": own_hash(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "machine": platform.machine(),
        "processor": _processor_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def settle(device: torch.device, precision: Precision = "float32") -> None:
    """Bring this process into the state that every trial runs in: one thread, its precision, its own GPU."""
    torch.set_num_threads(1)
    rounded = effective_precision(device, precision) == "tf32"
    torch.backends.cudnn.allow_tf32 = rounded
    torch.backends.cuda.matmul.allow_tf32 = rounded
    if device.type == "cuda":
        torch.cuda.set_device(device)


@contextmanager
def without_rounding() -> Iterator[None]:
    """No TF32 in the block: whatever a trial trains in, it is measured as references are."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def effective_precision(device: torch.device, precision: Precision) -> Precision:
    """What networks compute in where `precision` is asked for: TF32 needs an NVIDIA GPU of 2020 (Ampere) or later."""
    if precision != "tf32":
        return precision
    return "tf32" if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0) else "float32"


def package_version(name: str) -> str:
    """The installed version of a distribution, or `not installed`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def cuda_devices() -> list[str]:
    """The names that torch gives to this machine's GPUs: `cuda:0`, …"""
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def gpu_memory() -> dict[str, int]:
    """Each GPU's memory in bytes."""
    return {name: torch.cuda.get_device_properties(name).total_memory for name in cuda_devices()}


def device_name(device: torch.device) -> str:
    """The model of the GPU or of the processor, as its maker calls it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return _processor_name()


def _gpu_driver() -> str | None:
    """The version of NVIDIA's driver; None where it does not tell."""
    with suppress(Exception):  # no driver, no permission, another maker
        import pynvml

        pynvml.nvmlInit()
        told = pynvml.nvmlSystemGetDriverVersion()
        return told.decode() if isinstance(told, bytes) else str(told)
    return None


@cache
def _processor_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
