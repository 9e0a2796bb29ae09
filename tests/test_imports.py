from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import fabricate

from ganbench.store import Store

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


COMMANDS = """
import sys
from ganbench import cli
for arguments in {commands!r}:
    sys.argv = ["ganbench", *arguments]
    try:
        cli.main()
    except SystemExit as stop:
        assert not stop.code, arguments
print("torch" in sys.modules)
"""


def test_a_trial_is_shown_and_plots_are_drawn_without_torch(tmp_path):
    job, outcome = fabricate.trial(), fabricate.Outcome(fabricate.image_scores(3.0))
    fabricate.whole_trial(Store(tmp_path / "results"), job, outcome)
    results, kinds = str(tmp_path / "results"), ("curves", "pareto", "heatmap")
    drawn = [["plot", results, str(tmp_path / f"{kind}.svg"), "--kind", kind] for kind in kinds]
    code = COMMANDS.format(commands=[["show", results, job.key], *drawn])
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "False"
    assert all((tmp_path / f"{kind}.svg").stat().st_size > 1000 for kind in kinds)
