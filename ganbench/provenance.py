"""Which code a result came from: the hash of each plugin's sources and of ganbench's own, and what git says of them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import ganbench
from ganbench.plugins import Offer

OWN = ("ganbench", "ganbench_layers")
"""The packages of ganbench's own that are no plugins: what all trials run on, and what its plugins share."""

GIT_SECONDS = 2.0
"""How long git may take before a result goes without what it says."""

COMMIT = re.compile(r"^# branch\.oid ([0-9a-f]{40,64})$", re.MULTILINE)


def origin_of(offer: Offer) -> dict[str, str]:
    """A plugin in a record's words: of a file its name only, for where it lies is nobody's business."""
    plugin = offer.plugin if offer.version else offer.owner
    return {"plugin": plugin, "owner": offer.owner, "version": offer.version, "sha256": source_hash(offer.module)}


@cache
def source_hash(module: str) -> str:
    """SHA-256 of the Python files of the package that `module` belongs to; a module by itself is its one file's.

    What is hashed of a package is each file's path in it and the hash of its content, in the order of the paths. Empty
    for code that does not lie in files of its own, as in an archive.
    """
    path = _outermost(module)
    if path is None or not path.is_file():
        return ""
    if path.name != "__init__.py":
        return _file_hash(path)
    return _hash_of((file.relative_to(path.parent).as_posix(), file) for file in path.parent.rglob("*.py"))


@cache
def own_hash() -> str:
    """The hash of ganbench's own code, plugins left out."""
    folders = [Path(str(import_module(name).__file__)).parent for name in OWN]
    return _hash_of(
        (f"{folder.name}/{file.relative_to(folder).as_posix()}", file)
        for folder in folders
        for file in folder.rglob("*.py")
    )


def git_states(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The commit of ganbench's checkout, where it runs from one, and of the repositories that plugin files lie in.

    `dirty` tells that the code, or the file, is not as it was committed.
    """
    found = {"ganbench": _own_state(), **{file.name: _state_of_file(file.resolve()) for file in files}}
    return {name: state for name, state in found.items() if state is not None}


@cache
def _own_state() -> dict[str, Any] | None:
    root = Path(ganbench.__file__).parents[1]
    return _git_state(root, "ganbench", "plugins") if (root / ".git").exists() else None


@cache
def _state_of_file(file: Path) -> dict[str, Any] | None:
    return _git_state(file.parent, file.name, ignored=True)


def _git_state(folder: Path, *paths: str, ignored: bool = False) -> dict[str, Any] | None:
    """What is checked out in `folder`, and whether anything at `paths` differs from it; None where git cannot say."""
    program = shutil.which("git")
    if program is None:
        return None
    plain = ("--no-optional-locks", "-c", "core.fsmonitor=false")  # neither wait for others, nor run their programs
    told = ("--porcelain=v2", "--branch", "--untracked-files=all", *(("--ignored",) if ignored else ()))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - git, with arguments of our own
            [program, *plain, "-C", str(folder), "status", *told, "--", *paths],
            check=True,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    commit = COMMIT.search(done.stdout)
    dirty = any(not line.startswith("#") for line in done.stdout.splitlines())
    return {"commit": commit[1], "dirty": dirty} if commit else None


def _outermost(module: str) -> Path | None:
    """The file of the outermost package that an imported module belongs to, those without a file passed over."""
    parts = module.split(".")
    names = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    files = (getattr(sys.modules.get(name), "__file__", None) for name in names)
    return next((Path(file) for file in files if file), None)


def _hash_of(files: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, file in sorted(files):
        digest.update(f"{name}\0{_file_hash(file)}\n".encode())
    return digest.hexdigest()


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
