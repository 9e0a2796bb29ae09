"""The tutorial, from its first command to its last, as a reader would go through it."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ganbench.scaffold import write_plugin

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"
TEXT = PAGE.read_text(encoding="utf-8")
PACKAGE = "ganbench-alpha/ganbench_alpha"

WITHOUT_NETWORK = ["--no-build-isolation", "--no-deps", "--no-index"]
"""What is added where something is installed, so that nothing is fetched."""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def steps():
    """Each command with what the page shows below it."""
    parts = [part for block in blocks("console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(part.splitlines()[0], part.splitlines()[1:]) for part in parts]


def write_files(folder):
    """Save every block that begins with the name of a file."""
    for block in (*blocks("python"), *blocks("toml")):
        if named := re.match(r"# (\S+\.\w+)\n", block):
            (folder / named[1]).write_text(block, encoding="utf-8")


def by_hand(folder):
    """What the page tells the reader to do between two commands: the class, its Component, and its test."""
    file = (folder / "alpha.py").read_text(encoding="utf-8")
    imports, _, rest = file.partition("GANBENCH_API")
    unused = r"^(# alpha.py|from collections.abc import Iterable\n|from ganbench import .*)\n"
    used = re.sub(unused, "", imports, flags=re.MULTILINE)
    (folder / PACKAGE / "loss.py").write_text(used + "\n" + rest[rest.index("class AlphaLoss") :], encoding="utf-8")
    registration = folder / PACKAGE / "__init__.py"
    text = registration.read_text(encoding="utf-8")
    component = re.compile(r"^    yield Component\(.*?^    \)$", re.DOTALL | re.MULTILINE)
    own = component.search(file)[0].replace('":AlphaLoss"', '"ganbench_alpha.loss:AlphaLoss"')
    registration.write_text(text.replace(component.search(text)[0], own), encoding="utf-8")
    (test,) = blocks("py")
    (folder / "ganbench-alpha" / "tests" / "test_loss.py").write_text(test, encoding="utf-8")


@pytest.fixture
def python(tmp_path):
    """The Python of a new environment that sees what this one has installed: nothing has to be fetched."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (packages,) = (tmp_path / "venv").rglob("site-packages")
    (packages / "parent.pth").write_text(f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n")
    return tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def run(python, command, folder):
    program, *arguments = shlex.split(command)
    assert program in ("ganbench", "python"), command
    module = ["-m", "ganbench"] if program == "ganbench" else []
    extra = WITHOUT_NETWORK if arguments[:3] == ["-m", "pip", "install"] else []
    done = subprocess.run(
        [python, *module, *arguments, *extra],
        cwd=folder, env={**os.environ, "COLUMNS": "120"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def package(tmp_path):
    """The package as the reader leaves it, in a folder that it fills alone."""
    write_files(tmp_path)
    write_plugin("loss", "alpha", tmp_path / "ganbench-alpha")
    by_hand(tmp_path)
    return tmp_path / "ganbench-alpha"


def lint(command, folder):
    program, *arguments = shlex.split(command)
    if importlib.util.find_spec(program) is None:  # tox installs both; a contributor's environment need not have them
        pytest.skip(f"{program} is not installed here")
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    "command", ["ruff check .", "ruff format --check .", pytest.param("mypy", marks=pytest.mark.slow)]
)
def test_the_code_of_the_page_passes_the_linters_that_the_package_runs(command, package):
    assert f"      - run: {command}\n" in (package / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    lint(command, package)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_does_what_it_says_command_by_command(python, tmp_path):
    desk = tmp_path / "desk"
    desk.mkdir()
    write_files(desk)
    printed = {}
    for command, shown in steps():
        printed[command] = told = run(python, command, desk)
        lines = {line.rstrip() for line in told.splitlines()}
        for line in shown:
            assert line.rstrip() in lines, f"$ {command}\n'{line}' is not printed:\n{told}"
        if command.startswith("ganbench plugins new"):
            by_hand(desk)
    check_board(printed["ganbench leaderboard results/alpha"])
    listed = printed["ganbench plugins list --kind loss"]
    assert re.search(r"^alpha +loss +ganbench-alpha +0\.1\.0 +ok", listed, re.MULTILINE)


def check_board(printed):
    """The page's board has the rows and columns of the one that was printed, with numbers of its own."""
    (shown,) = blocks("text")
    head, *rows = [re.split(r"\s{2,}", line.strip()) for line in shown.splitlines()]
    lines = [re.split(r"\s{2,}", line.strip()) for line in printed.splitlines()]
    assert head in lines
    names = {cell for row in rows for cell in row if re.search("[a-z]{3}", cell)}
    assert names == {"real data", "perfect sampler", "nonsaturating", "hinge", "alpha", "alpha(alpha=0.5)", "noise"}
    for name in names:
        assert any(name in line for line in lines), name
