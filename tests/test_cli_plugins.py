from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ganbench.cli_plugins import plugins_app
from ganbench.errors import ChoiceError, GanbenchError

FAULTY = Path(__file__).parent / "faulty_parts.py"


def invoked(*arguments):
    return CliRunner().invoke(plugins_app, [str(argument) for argument in arguments], env={"COLUMNS": "160"})


def test_check_prints_a_row_for_each_component_and_check_and_ends_well_where_all_is():
    result = invoked("check", "loss:hinge")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["loss", "'hinge'", "documented", "pass"] in rows
    assert ["per-sample", "pass"] in rows
    assert "passed" in result.stdout


def test_check_ends_with_status_1_and_says_all_of_a_failure():
    result = invoked("check", "loss:averaged-loss", "--plugin", FAULTY)
    assert result.exit_code == 1
    assert "loss 'averaged-loss', check 'terms'" in result.stdout
    for word in ("at:", "expected:", "found:", "mend:", "faulty_parts.py:"):
        assert word in result.stdout


def test_check_in_json_has_the_same_facts():
    result = invoked("check", "loss:averaged-loss", "--plugin", FAULTY, "--format", "json")
    rows = {row["check"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert rows["registration"]["verdict"] == "skipped"
    terms = rows["terms"]
    assert (terms["kind"], terms["component"], terms["verdict"]) == ("loss", "averaged-loss", "fail")
    assert terms["file"].endswith("faulty_parts.py")
    assert FAULTY.read_text().splitlines()[terms["line"] - 1].endswith(".mean()}")
    assert "expected a tensor of shape (8,)" in terms["found"]
    assert terms["expected"]
    assert terms["mend"]
    assert rows["trains"]["verdict"] == "skipped"
    assert rows["trains"]["reason"]


def test_what_is_not_there_is_a_request_that_cannot_be_met():
    assert isinstance(invoked("check", "hinges").exception, ChoiceError)
    assert isinstance(invoked("check", "./nowhere").exception, GanbenchError)
    assert isinstance(invoked("show", "hinges").exception, ChoiceError)


def test_show_prints_the_docstring_without_importing_torch():
    result = invoked("show", "hinge")
    assert result.exit_code == 0
    assert "arXiv:1705.02894" in result.stdout


def test_show_in_json_lists_each_kind_of_that_name():
    assert {row["kind"] for row in json.loads(invoked("show", "mlp", "--format", "json").stdout)} == {
        "generator", "discriminator",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["loss", "penalty", "generator"])
def test_what_new_writes_passes_check(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(tmp_path)
    written = invoked("new", kind, f"fresh-{kind}", "--dir", "fresh")
    assert written.exit_code == 0, written.output
    assert "fresh/pyproject.toml" in written.stdout
    result = invoked("check", "./fresh")
    assert result.exit_code == 0, result.stdout
