"""Whether a plugin registers without importing torch: asked of a fresh interpreter, once a plugin."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganbench.conformance.findings import Breach

SECONDS = 60.0

_PROGRAM = """
import importlib, json, sys, traceback
from importlib.machinery import PathFinder
from pathlib import Path
from ganbench.loader import collect, import_file

class Watch:
    found = []
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "torch" and not cls.found:
            frames = traceback.extract_stack()
            own = [frame for frame in frames if frame.filename != "<string>" and "importlib" not in frame.filename]
            cls.found = [own[-1].filename, own[-1].lineno]
        return None

plugin, folders = json.loads(sys.argv[1])
sys.path[:0] = folders
sys.meta_path.insert(0, Watch)
collect(import_file(Path(plugin)) if plugin.endswith(".py") else importlib.import_module(plugin))
print(json.dumps(Watch.found))
"""


@dataclass(frozen=True)
class Plugin:
    """A plugin as a fresh interpreter finds it: a module's name or a file, and folders to look for modules in."""

    module: str
    folders: tuple[str, ...] = ()


def check_registration(plugin: Plugin) -> None:
    """Nothing, if the plugin is imported and its components collected without torch. Raises Breach otherwise."""
    command = [sys.executable, "-c", _PROGRAM, json.dumps([plugin.module, [*plugin.folders, *sys.path]])]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    if ended.returncode:
        raise Breach(
            _last_line(ended.stderr.splitlines()),
            "a module that can be imported, and whose hooks give components",
            "`ganbench plugins list` names the cause",
        )
    found: list[str | int] = json.loads(ended.stdout.splitlines()[-1])
    if found:
        file, line = Path(str(found[0])), int(found[1])
        raise TorchAtRegistration(file, line)


class TorchAtRegistration(Breach):
    """A plugin imports torch to register; `file` and `line` say where it is imported."""

    def __init__(self, file: Path, line: int) -> None:
        super().__init__(
            f"torch is imported at {file.name}, line {line}, while the plugin registers",
            "registration without torch: listing components must be quick",
            "name targets as 'module:attribute', and import torch in those modules only",
            line,
        )
        self.file = file


def _last_line(lines: Sequence[str]) -> str:
    return lines[-1] if lines else "the interpreter ended without a word"
