from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ganbench.contracts import check_contract
from ganbench.hookspecs import API_VERSION, HOOKS
from ganbench.signatures import parameters_of
from ganbench.terms import KINDS, Component

PACKAGES = [
    "ganbench_augmentations",
    "ganbench_autoencoder",
    "ganbench_biggan",
    "ganbench_dcgan",
    "ganbench_losses",
    "ganbench_methods",
    "ganbench_mlp",
    "ganbench_penalties",
    "ganbench_r3gan",
    "ganbench_sngan",
    "ganbench_stylegan2",
]
NETWORKS = ("generator", "discriminator")


def offers(package: str) -> list[tuple[str, Component]]:
    module = importlib.import_module(package)
    return [(kind, component) for kind in KINDS for component in getattr(module, HOOKS[kind], tuple)()]


OFFERS = [
    pytest.param(kind, component, id=f"{kind} {component.name}")
    for package in PACKAGES
    for kind, component in offers(package)
]


def target_of(component: Component) -> object:
    module, attribute = component.target.split(":")
    return getattr(importlib.import_module(module), attribute)


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
def test_every_offer_is_a_component_of_the_package_that_can_be_imported(package):
    found = offers(package)
    assert found
    for _, component in found:
        assert component.target.startswith(f"{package}.")
        assert callable(target_of(component))
        assert component.summary
        assert "\n" not in component.summary
        assert component.paper.startswith("arXiv:")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_plugin_of_the_zoo_imports_no_other_and_shares_code_through_the_layers_alone(package):
    allowed = {package, "ganbench_layers"}
    for path in Path(importlib.util.find_spec(package).origin).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            tops = {name.split(".")[0] for name in names}
            assert {top for top in tops if top.startswith("ganbench_")} <= allowed, path


@pytest.mark.parametrize(("kind", "component"), OFFERS)
def test_contracts_state_only_what_the_core_knows(kind, component):
    check_contract(kind, component)
    alone = kind == "loss" or (kind == "method" and component.gives.get("alone", False))
    assert (component.recipe is not None) == alone


@pytest.mark.parametrize(("kind", "component"), OFFERS)
def test_a_docstring_has_every_section_in_order_and_explains_every_parameter(kind, component):
    text = inspect.getdoc(target_of(component))
    parameters = [parameter.name for parameter in parameters_of(component.target, kind)]
    sections = re.findall(r"^([A-Z]\w+):", text, re.MULTILINE)
    first = "Layers" if kind in NETWORKS else "Formula"
    assert sections == [first, "Shapes", "Paper", "Recipe", "Traps", *(["Parameters"] if parameters else [])]
    assert all(f"`{name}`" in text.partition("Parameters:")[2] for name in parameters)
    assert component.paper.removeprefix("arXiv:") in text


@pytest.mark.parametrize(("kind", "component"), OFFERS)
def test_networks_are_offered_for_square_images_or_for_points_too(kind, component):
    if kind in NETWORKS and component.name not in ("mlp", "maxout"):
        assert component.needs["power_of_two"] is True
        assert component.needs["min_resolution"] == 8
        assert component.needs["data"] in ("images", ("points", "images"))


@pytest.mark.parametrize("package", PACKAGES)
def test_plugins_state_the_version_of_the_interface_that_they_are_written_for(package):
    assert importlib.import_module(package).GANBENCH_API == API_VERSION
