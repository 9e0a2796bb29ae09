"""Distributions on the path, as an installer would have left them: what third parties bring, without building it."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

THIRD_PARTY = Path(__file__).parent / "third_party"


def write_metadata(folder, distribution, version, entry_points):
    """What an installer leaves behind, as far as discovery looks at it."""
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines = [f"{name} = {module}" for name, module in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[ganbench]", *lines, ""]))


def put_module(folder, distribution, module, source, entry_points=None, version="1.0"):
    """A distribution of one module, in a folder of its own."""
    folder = folder / distribution
    write_metadata(folder, distribution, version, entry_points or {module.replace("_", "-"): module})
    (folder / f"{module}.py").write_text(source)
    return folder


def put_third_party(folder, name):
    """A distribution under tests/third_party, in a folder of its own."""
    project = tomllib.loads((THIRD_PARTY / name / "pyproject.toml").read_text())["project"]
    folder, package = folder / name, name.replace("-", "_")
    write_metadata(folder, project["name"], project["version"], project["entry-points"]["ganbench"])
    shutil.copytree(THIRD_PARTY / name / package, folder / package)
    return folder
