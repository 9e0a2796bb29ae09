"""A distribution that was written for an author: complete, installable, and as clean as ganbench itself."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from distributions import write_metadata

from ganbench.errors import ChoiceError, GanbenchError
from ganbench.plan import plan
from ganbench.plugins import discover
from ganbench.scaffold import FILES, Naming, default_folder, write_plugin
from ganbench.signatures import parameters_of
from ganbench.suite import read_suite
from ganbench.terms import KINDS

ROOT = Path(__file__).parent.parent


def project_of(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def put_on_path(kind, name, folder):
    """Write a distribution and leave beside it what an installer would."""
    write_plugin(kind, name, folder)
    project = project_of(folder)
    write_metadata(folder, project["name"], project["version"], project["entry-points"]["ganbench"])
    return folder


@pytest.fixture(scope="module")
def one_of_each(tmp_path_factory):
    """A distribution for each kind, by kind."""
    folder = tmp_path_factory.mktemp("distributions")
    return {kind: put_on_path(kind, f"made-{kind}", folder / kind) for kind in KINDS}


@pytest.fixture
def installed(one_of_each, monkeypatch, as_installed):
    """The same, as if all had been installed."""
    for folder in one_of_each.values():
        monkeypatch.syspath_prepend(folder)
    yield one_of_each
    for name in [name for name in sys.modules if name.startswith("ganbench_made_")]:
        del sys.modules[name]


def run(*command, folder, environment=None):
    """Run a command in a folder; what it printed is shown where it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def with_path(folders):
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), "PYTHONDONTWRITEBYTECODE": "1"}


# Names


@pytest.mark.parametrize(
    ("kind", "name", "distribution", "target"),
    [
        ("loss", "sphere", "ganbench-sphere", "ganbench_sphere.loss:SphereLoss"),
        ("loss", "RealnessGAN", "ganbench-realnessgan", "ganbench_realnessgan.loss:RealnessGANLoss"),
        ("penalty", "My_own.r1", "ganbench-my-own-r1", "ganbench_my_own_r1.penalty:MyOwnR1Penalty"),
        ("generator", "3d-net", "ganbench-3d-net", "ganbench_3d_net.generator:Generator3dNet"),
        ("dataset", "none", "ganbench-none", "ganbench_none.dataset:load"),
        ("extractor", "eye--2_", "ganbench-eye-2", "ganbench_eye_2.extractor:load"),
    ],
)
def test_every_name_that_a_component_may_have_becomes_names_that_python_and_installers_accept(
    kind, name, distribution, target, tmp_path, monkeypatch, as_installed
):
    naming = Naming(kind, name)
    assert naming.distribution == distribution == str(default_folder(name))
    assert f"{naming.package}.{kind}:{naming.attribute}" == target
    monkeypatch.syspath_prepend(put_on_path(kind, name, tmp_path))
    (offer,) = [offer for offer in discover().offers if offer.owner == distribution]
    assert (offer.kind, offer.component.name, offer.component.target) == (kind, name, target)
    assert parameters_of(target, kind)


@pytest.mark.parametrize("name", ["", "-x", "a b", "ä", "x/../y", "owner:name"])
def test_a_name_that_no_component_may_have_is_refused_and_nothing_is_written(name, tmp_path):
    with pytest.raises(ChoiceError, match="a name has letters, digits"):
        write_plugin("loss", name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_taken_is_refused_for_that_kind_only(tmp_path):
    with pytest.raises(ChoiceError, match=r"loss 'hinge': the name is taken by ganbench, .* 'ganbench:hinge'"):
        write_plugin("loss", "hinge", tmp_path / "loss")
    assert write_plugin("penalty", "hinge", tmp_path / "penalty")


def test_a_package_that_is_there_is_not_put_in_the_shade(tmp_path):
    with pytest.raises(ChoiceError, match="its package would be ganbench_losses, which is there"):
        write_plugin("metric", "losses", tmp_path / "new")


# Files


def test_all_files_are_written_and_told(tmp_path):
    written = write_plugin("loss", "sphere", tmp_path / "a" / "b")
    found = {path for path in (tmp_path / "a" / "b").rglob("*") if path.is_file()}
    assert set(written) == found
    assert len(written) == len(FILES)
    assert (tmp_path / "a" / "b" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(GanbenchError, match=r"is not empty, and nothing is overwritten\. Pass --dir DIR"):
        write_plugin("loss", "sphere", tmp_path)
    with pytest.raises(GanbenchError, match="is a file, expected a new or an empty folder"):
        write_plugin("loss", "sphere", tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_written_is_a_request_that_cannot_be_met(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GanbenchError, match=r"cannot be written .*Pass --dir DIR"):
        write_plugin("loss", "sphere", tmp_path / "file" / "below")


def test_no_template_is_left_without_a_use():
    skeletons = ROOT / "ganbench" / "skeletons"
    used = {template.format(kind=kind) for template in FILES.values() for kind in KINDS} | {"try.toml.j2"}
    assert used == {str(path.relative_to(skeletons)) for path in skeletons.rglob("*") if path.is_file()}


# What is in them


@pytest.mark.parametrize("kind", KINDS)
def test_the_component_is_offered_without_torch_with_parameters_and_a_suite_that_uses_it(kind, installed):
    registry = discover()
    assert not registry.broken
    assert not registry.warnings
    (offer,) = [offer for offer in registry.offers if offer.owner == f"ganbench-made-{kind}"]
    assert (offer.kind, offer.component.name, offer.version) == (kind, f"made-{kind}", "0.1.0")
    assert all(not item.required for item in parameters_of(offer.component.target, kind))
    assert len(parameters_of(offer.component.target, kind)) == 1
    made = plan(read_suite(str(installed[kind] / "try.toml")), registry)
    assert made.trials
    assert not made.skipped
    used = {choice.name for trial in made.trials for _, choice in trial.variant.parts}
    used |= {trial.dataset.name for trial in made.trials}
    used |= {metric.name for trial in made.trials for metric in trial.evaluation.metrics}
    used |= {trial.evaluation.extractor.name for trial in made.trials if trial.evaluation.extractor}
    assert (f"made-{kind}" in used) == (kind != "executor")


def test_the_answers_known_by_hand_are_right(one_of_each):
    folders = list(one_of_each.values())
    tests = [folder / "tests" / f"test_{kind}.py" for kind, folder in one_of_each.items()]
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error")
    run(sys.executable, "-m", "pytest", *options, *tests, folder=folders[0], environment=with_path(folders))


def settings_of_ruff():
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    return "--select", ",".join(lint["select"]), "--ignore", ",".join(lint["ignore"])


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed here")
@pytest.mark.parametrize("name", ["x", "a-name-of-24-characters"])
def test_ruff_has_nothing_to_say_whatever_the_length_of_the_name(name, tmp_path):
    for kind in KINDS:
        folder = tmp_path / kind
        write_plugin(kind, name, folder)
        package = Naming(kind, name).package
        for arguments in (["check", "."], ["check", *settings_of_ruff(), package], ["format", "--check", "."]):
            run(sys.executable, "-m", "ruff", *arguments, "--no-cache", folder=folder)


@pytest.mark.slow
def test_mypy_has_nothing_to_say_with_the_settings_of_ganbench(one_of_each):
    packages = [folder / Naming(kind, f"made-{kind}").package for kind, folder in one_of_each.items()]
    run(sys.executable, "-m", "mypy", *packages, folder=ROOT)  # its cache there knows torch already


# Use

MIXED = """
name = "mixed"
datasets = ["made-dataset", "digits"]
seeds = 1
metrics = ["made-metric", "frechet"]
[[variants]]
generator = "made-generator"
discriminator = "mlp(width=16)"
loss = "hinge"
[[variants]]
generator = "mlp(width=16)"
discriminator = "made-discriminator"
loss = "made-loss + made-penalty + made-augmentation"
[[variants]]
generator = "mlp(width=16)"
discriminator = "mlp(width=16)"
loss = "made-loss + made-method"
[budget]
steps = 20
[evaluation]
points = 1
samples = 200
extractor = "made-extractor"
"""


@pytest.mark.slow
def test_one_of_each_kind_trains_and_measures_beside_the_shipped_ones(one_of_each, tmp_path):
    (tmp_path / "mixed.toml").write_text(MIXED)
    environment = with_path(one_of_each.values())
    command = [sys.executable, "-m", "ganbench", "run", "mixed.toml", "--executor", "made-executor"]
    assert "failed" not in run(*command, folder=tmp_path, environment=environment)
    journal = (tmp_path / "journal.txt").read_text()
    assert journal.count(" ended\n") == len(journal.splitlines()) == 6 + 5  # trials, and references of two data sets
    table = run(
        sys.executable, "-m", "ganbench", "table", "results/mixed", "--format", "csv", "--where", "kind=trial",
        folder=tmp_path, environment=environment,
    )  # fmt: skip
    assert table.count(",ok,") == 6
    assert "mean_gap_made_metric" in table
    assert "fcd_made_extractor_4" in table or "fid_made_extractor_4" in table


@pytest.mark.slow
def test_the_kit_passes_one_of_each_kind(one_of_each):
    folders = list(one_of_each.values())
    tests = [folder / "tests" / "test_conformance.py" for folder in folders]
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib")
    run(sys.executable, "-m", "pytest", *options, *tests, folder=folders[0], environment=with_path(folders))


@pytest.fixture
def python(tmp_path):
    """The Python of a new environment that sees what this one has installed: nothing has to be fetched."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    scripts = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    (packages,) = (tmp_path / "venv").rglob("site-packages")
    parent = sysconfig.get_paths()["purelib"]
    (packages / "parent.pth").write_text(f"import site; site.addsitedir({parent!r})\n")
    return scripts / "python"


def commands(page):
    """What a page shows behind a dollar sign."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


WITHOUT_NETWORK = {"pip": ["--no-build-isolation", "--no-deps", "--no-index"]}
"""What is added to a command so that it fetches nothing."""


@pytest.mark.slow
def test_every_command_of_the_readme_does_what_it_says(python, tmp_path):
    folder = tmp_path / "new"
    write_plugin("loss", "readme-loss", folder)
    told = {}
    for command in commands(folder / "README.md"):
        program, *arguments = shlex.split(command)
        module = ["-m", "ganbench"] if program == "ganbench" else []
        extra = [flag for name in arguments[:2] for flag in WITHOUT_NETWORK.get(name, [])]
        told[command] = run(python, *module, *arguments, *extra, folder=folder)
    assert any(command.startswith("python -m pip install -e .") for command in told)
    assert "readme-loss" in told["ganbench leaderboard results/try-readme-loss"]
    assert "readme-loss" in told["ganbench plugins list --kind loss"]
