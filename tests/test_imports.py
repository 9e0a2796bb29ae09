from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())

IMPORTS = """
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
    print(name, *sorted({{"torch", "torchvision", "torch_fidelity"}} & set(sys.modules)))
"""


def test_what_answers_at_once_and_every_plugin_s_registration_import_no_torch_even_indirectly():
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    answering = next(contract["source_modules"] for contract in contracts if contract["type"] == "forbidden")
    names = ["ganbench", *answering, *PROJECT["project"]["entry-points"]["ganbench"].values()]
    assert len(names) > 20
    code = IMPORTS.format(names=names)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == names
