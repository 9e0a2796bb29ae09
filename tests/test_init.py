"""The names that `import ganbench` offers, and that it loads none of them before they are asked for."""

import subprocess
import sys

import pytest

import ganbench
from ganbench import tables, terms


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_importing_ganbench_loads_neither_torch_nor_pandas_nor_pluggy():
    assert run("import sys, ganbench; print(*{'torch', 'pandas', 'pluggy'} & set(sys.modules))") == []


def test_what_a_plugin_registers_with_comes_without_torch_and_pandas():
    code = "import sys; from ganbench import Component, Optimiser, Recipe, hookimpl; print({!r} in sys.modules)"
    assert run(code.format("torch")) == ["False"]
    assert run(code.format("pandas")) == ["False"]


def test_every_public_name_is_the_one_of_its_own_module():
    assert ganbench.load_results is tables.load_results
    assert ganbench.load_curves is tables.load_curves
    assert ganbench.Component is terms.Component
    assert [name for name in ganbench.__all__ if not hasattr(ganbench, name)] == []


def test_the_names_can_be_listed_before_they_are_imported():
    assert "load_curves" in run("import ganbench; print(*dir(ganbench))")


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'load_result'"):
        ganbench.load_result  # noqa: B018
