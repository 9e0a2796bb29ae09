"""What this machine has, and what would fail on it: asked before a long run rather than after."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import torch

from ganbench.choices import resolve
from ganbench.environment import PACKAGES, cuda_devices, describe_environment, device_name, package_version
from ganbench.errors import GanbenchError, PluginError
from ganbench.executors import default_workers
from ganbench.folders import cache_folder
from ganbench.plugins import Registry
from ganbench.protocols import Places
from ganbench.terms import Choice
from ganbench.workshop import Workshop, load_data

Row = dict[str, str]


def examine(registry: Registry, places: Places) -> list[Row]:
    """One row a finding: what was looked at, its status (ok, missing, warning or fails), and what to say of it."""
    return [*_software(), *_devices(), *_plugins(registry), *_data(registry, places), *_cache()]


def _row(subject: str, status: str, detail: str) -> Row:
    return {"subject": subject, "status": status, "detail": detail}


def _software() -> Iterator[Row]:
    environment = describe_environment(torch.device("cpu"))
    yield _row(
        "ganbench", "ok", f"{environment['ganbench']} on Python {environment['python']}, {environment['platform']}"
    )
    for name in PACKAGES:
        version = package_version(name)
        yield _row(name, "fails" if version == "not installed" else "ok", version)


def _devices() -> Iterator[Row]:
    yield _row("cpu", "ok", f"{device_name(torch.device('cpu'))}, {default_workers()} trials at a time")
    if not torch.cuda.is_available():
        yield _row("cuda", "missing", "no GPU that torch can use; trials run on the processor")
    for device in map(torch.device, cuda_devices()):
        memory = torch.cuda.get_device_properties(device).total_memory / 2**30
        yield _row(str(device), "ok", f"{device_name(device)}, {memory:.0f} GiB")


def _plugins(registry: Registry) -> Iterator[Row]:
    names = sorted({offer.plugin for offer in registry.offers})
    yield _row("plugins", "ok", f"{len(names)} with {len(registry.offers)} components: {', '.join(names)}")
    for broken in registry.broken:
        yield _row(f"plugin {broken.plugin}", "fails", str(broken))
    for warning in registry.warnings:
        yield _row("plugins", "warning", warning)


def _data(registry: Registry, places: Places) -> Iterator[Row]:
    """Load every data set and extractor that needs no parameters, from what lies here: nothing is fetched."""
    workshop = Workshop(registry, places, torch.device("cpu"))
    for kind in ("dataset", "extractor"):
        for name in registry.names(kind):
            try:
                choice = resolve(registry, kind, Choice(name))
                if registry.find(kind, choice).component.needs.get("labels"):
                    yield _row(f"{kind} {name}", "ok", "trained on a data set's labels when it is first needed")
                    continue
                if kind == "dataset":
                    load_data(workshop, choice)
                else:
                    workshop.make(kind, choice, places)
            except PluginError as error:
                yield _row(f"{kind} {name}", "fails", str(error))
            except GanbenchError as error:
                yield _row(f"{kind} {name}", "missing", str(error))
            else:
                yield _row(f"{kind} {name}", "ok", "")


def _cache() -> Iterator[Row]:
    cache = cache_folder()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 2**30
    yield _row("cache", "ok", f"{cache}, {free:.0f} GiB free")
