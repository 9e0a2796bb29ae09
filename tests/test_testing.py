from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

TESTS = "from ganbench.testing import conformance\n\ntest_conformance = conformance({!r})\n"


def pytest_on(folder, subject, *options):
    """What pytest says of an author's test module of two lines, run as an author runs it."""
    (folder / "test_conformance.py").write_text(TESTS.format(str(subject)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfs", *options, "test_conformance.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_an_author_gets_one_test_for_each_component_and_check(tmp_path):
    ended = pytest_on(tmp_path, "loss:hinge", "--collect-only")
    items = [line.partition("::")[2] for line in ended.stdout.splitlines() if "::" in line]
    assert items[:3] == [
        "test_conformance[plugin-losses-registration]",
        "test_conformance[loss-hinge-documented]",
        "test_conformance[loss-hinge-terms]",
    ]
    assert "test_conformance[loss-hinge-trains]" in items


def test_a_sound_component_passes_and_what_cannot_be_checked_is_skipped_with_the_reason(tmp_path):
    ended = pytest_on(tmp_path, "loss:hinge")
    assert ended.returncode == 0, ended.stdout
    assert "passed" in ended.stdout


def test_a_fault_fails_its_own_test_with_the_line_and_how_to_mend_it(tmp_path):
    ended = pytest_on(tmp_path, HERE / "faulty_parts.py", "-k", "reading-loss")
    assert ended.returncode == 1
    assert "FAILED test_conformance.py::test_conformance[loss-reading-loss-host]" in ended.stdout
    assert "`item` reads a tensor's value on the host" in ended.stdout
    assert "faulty_parts.py:" in ended.stdout
    assert "mend:" in ended.stdout
    assert "Traceback" not in ended.stdout


def test_a_plugin_that_is_not_there_is_one_clear_error(tmp_path):
    ended = pytest_on(tmp_path, "no_such_gans")
    assert ended.returncode == 2
    assert "no component or plugin named 'no_such_gans'" in ended.stdout


def test_the_kit_needs_pytest_only_where_it_is_imported():
    program = "import sys, ganbench.cli, ganbench.conformance.checking; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
