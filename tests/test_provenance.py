from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small import ODD, performed, trial

import ganbench
from ganbench import provenance
from ganbench.plugins import discover
from ganbench.provenance import git_states, origin_of, own_hash, source_hash

PLUGIN = """
from ganbench import Component, hookimpl

@hookimpl
def ganbench_losses():
    yield Component("mine", ":Mine", summary="Mine")
"""


@pytest.fixture(autouse=True)
def nothing_remembered():
    """What is remembered for a process's life is found out anew by each test."""
    for remembered in (provenance.source_hash, provenance._own_state, provenance._state_of_file):
        remembered.cache_clear()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def offers_of(path: Path):
    return [offer for offer in discover([path]).offers if offer.owner == path.name]


def test_a_plugin_file_has_the_hash_that_any_tool_gives(as_installed, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    (offer,) = offers_of(path)
    expected = {"plugin": "mine.py", "owner": "mine.py", "version": "", "sha256": sha256(path.read_bytes())}
    assert origin_of(offer) == expected


def test_a_package_has_the_hash_of_its_python_files_in_the_order_of_their_paths(tmp_path, monkeypatch, as_installed):
    package = tmp_path / "of_two"
    (package / "inner").mkdir(parents=True)
    files = {"__init__.py": b"import of_two.inner.late", "inner/__init__.py": b"", "inner/late.py": b"1"}
    for name, content in files.items():
        (package / name).write_bytes(content)
    (package / "weights.bin").write_bytes(b"not looked at")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("of_two")
    expected = sha256("".join(f"{name}\0{sha256(content)}\n" for name, content in sorted(files.items())).encode())
    assert source_hash("of_two") == source_hash("of_two.inner.late") == expected


def test_the_hash_of_a_package_tells_changed_files_from_moved_ones(tmp_path, monkeypatch, as_installed):
    package = tmp_path / "changing"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("1")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("changing")
    hashes = [source_hash("changing")]
    for change in (lambda: (package / "one.py").write_text("2"), lambda: (package / "one.py").rename(package / "2.py")):
        change()
        source_hash.cache_clear()
        hashes.append(source_hash("changing"))
    assert len(set(hashes)) == 3


def test_code_that_lies_in_no_file_has_no_hash():
    assert source_hash("sys") == ""
    assert source_hash("a_module_that_was_never_imported") == ""


def test_every_shipped_plugin_has_a_hash_of_its_own():
    shipped = {offer.plugin: origin_of(offer)["sha256"] for offer in discover().offers if offer.owner == "ganbench"}
    assert all(len(code) == 64 for code in shipped.values())
    assert len(set(shipped.values())) == len(shipped)
    assert own_hash() not in shipped.values()


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.invalid")
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def committed(tmp_path):
    """A plugin file that is committed in a repository of its own."""
    if shutil.which("git") is None:  # the states of a repository are git's own; without it there is none to tell of
        pytest.skip("needs git")
    git(tmp_path, "init")
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    git(tmp_path, "add", "mine.py")
    git(tmp_path, "commit", "-m", "one")
    return path


def test_a_committed_file_is_told_with_its_commit_and_whether_it_was_changed(committed):
    commit = git(committed.parent, "rev-parse", "HEAD")
    (committed.parent / "another.py").write_text("which is none of its business")
    assert git_states([committed])["mine.py"] == {"commit": commit, "dirty": False}
    committed.write_text(f"{PLUGIN}\n# changed")
    provenance._state_of_file.cache_clear()
    assert git_states([committed])["mine.py"] == {"commit": commit, "dirty": True}


@pytest.mark.parametrize("ignored", [False, True])
def test_a_file_that_is_in_no_commit_counts_as_changed(committed, ignored):
    other = committed.parent / "other.py"
    other.write_text(PLUGIN)
    if ignored:
        (committed.parent / ".gitignore").write_text("other.py")
    assert git_states([other])["other.py"]["dirty"] is True


def test_the_variables_that_point_git_elsewhere_are_not_heeded(committed, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert "mine.py" in git_states([committed])


def test_a_file_in_no_repository_is_not_told_of(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    assert "mine.py" not in git_states([tmp_path / "mine.py"])


def test_without_git_nothing_is_told(committed, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_states([committed]) == {}


def test_git_that_takes_too_long_is_not_waited_for(committed, monkeypatch):
    monkeypatch.setattr(provenance, "GIT_SECONDS", 1e-9)
    assert git_states([committed]) == {}


def test_an_installed_ganbench_is_not_told_of_by_the_repository_around_it(committed, monkeypatch):
    package = committed.parent / "environment" / "ganbench"
    package.mkdir(parents=True)
    monkeypatch.setattr(ganbench, "__file__", str(package / "__init__.py"))
    assert git_states([]) == {}


def test_an_attempt_tells_of_the_plugins_that_it_used_and_of_no_other(tmp_path):
    plugins = performed(trial(loss="noisy"), tmp_path).environment()["plugins"]
    assert [item["plugin"] for item in plugins] == ["metrics", "mlp", "odd.py", "points"]
    odd = next(item for item in plugins if item["plugin"] == "odd.py")
    assert odd == {"plugin": "odd.py", "owner": "odd.py", "version": "", "sha256": sha256(ODD.read_bytes())}
    (version,) = {item["version"] for item in plugins if item["owner"] == "ganbench"}
    assert version == ganbench.__version__


def test_no_record_says_where_a_plugin_file_lies(tmp_path):
    environment = (performed(trial(loss="noisy"), tmp_path).path / "environment.json").read_text()
    assert str(ODD.parent) not in environment
    assert sys.prefix not in environment


def test_git_is_asked_about_the_plugin_files_that_were_used_only(tmp_path):
    used, unused = (performed(trial(**made), tmp_path).environment()["git"] for made in ({"loss": "noisy"}, {}))
    assert set(used) - set(unused) <= {"odd.py"}
    assert "odd.py" not in unused
