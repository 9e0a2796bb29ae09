from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from ganbench.hookspecs import API_VERSION, HOOKS
from ganbench.rules import KEYS
from ganbench.terms import KINDS, Component

PACKAGES = ["ganbench_dcgan", "ganbench_losses", "ganbench_mlp", "ganbench_penalties"]


def offers(package: str) -> list[tuple[str, Component]]:
    module = importlib.import_module(package)
    return [(kind, component) for kind in KINDS for component in getattr(module, HOOKS[kind], tuple)()]


@pytest.mark.parametrize("package", PACKAGES)
def test_registration_imports_no_torch_and_no_numpy(package):
    collect = (
        f"import sys, {package} as package\n"
        "offered = [list(getattr(package, name)()) for name in dir(package) if name.startswith('ganbench_')]\n"
        "assert any(offered)\n"
        "print(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", collect], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_offer_is_a_component_that_can_be_imported_and_read(package):
    found = offers(package)
    assert found
    for _, component in found:
        module, attribute = component.target.split(":")
        assert module.startswith(f"{package}.")
        assert callable(getattr(importlib.import_module(module), attribute))
        assert component.summary
        assert "\n" not in component.summary
        assert component.paper.startswith("arXiv:")


@pytest.mark.parametrize("package", PACKAGES)
def test_contracts_use_only_keys_that_the_core_knows(package):
    for kind, component in offers(package):
        assert set(component.needs) <= set(KEYS[kind]["needs"])
        assert set(component.gives) <= set(KEYS[kind]["gives"])
        assert (component.recipe is not None) == (kind == "loss")


@pytest.mark.parametrize("package", PACKAGES)
def test_plugins_state_the_version_of_the_interface_that_they_are_written_for(package):
    assert importlib.import_module(package).GANBENCH_API == API_VERSION
