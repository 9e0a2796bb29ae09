"""Data sets and extractors: what their packages offer can be read without torch, and imported when it is needed."""

import importlib
import subprocess
import sys

import pytest

from ganbench.choices import resolve
from ganbench.contracts import Part, metric_mismatch
from ganbench.hookspecs import API_VERSION, HOOKS
from ganbench.plugins import discover
from ganbench.rules import KEYS
from ganbench.terms import Choice

PACKAGES = [
    ("ganbench_classifiers", "extractor", ["digits", "stacked-digits", "mnist", "stacked-mnist", "classifier"]),
    ("ganbench_digits", "dataset", ["digits", "stacked-digits"]),
    ("ganbench_efficientnet", "extractor", ["efficientnet-lite0"]),
    ("ganbench_fidelity", "extractor", ["clip-vit-b-32", "dinov2-vit-b-14", "vgg16"]),
    ("ganbench_files", "dataset", ["folder", "npz", "tar"]),
    ("ganbench_inception", "extractor", ["inception-v3-compat"]),
    ("ganbench_points", "dataset", ["ring8", "grid25", "spiral", "two-scales", "rare-modes"]),
    (
        "ganbench_torchvision",
        "dataset",
        ["mnist", "stacked-mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "svhn", "stl10", "celeba"],
    ),
]


def test_offering_data_sets_and_extractors_imports_no_torch_and_no_numpy():
    calls = "; ".join(f"list({package}.{HOOKS[kind]}())" for package, kind, _ in PACKAGES)
    imports = ", ".join(package for package, _, _ in PACKAGES)
    code = f"import sys, {imports}; {calls}; print(sorted({{'torch', 'numpy', 'sklearn'}} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize(("package", "kind", "names"), PACKAGES)
def test_each_offer_keeps_to_the_contract_and_can_be_imported(package, kind, names):
    module = importlib.import_module(package)
    components = list(getattr(module, HOOKS[kind])())
    assert module.GANBENCH_API == API_VERSION
    assert [component.name for component in components] == names
    for component in components:
        assert set(component.needs) <= set(KEYS[kind]["needs"])
        assert set(component.gives) <= set(KEYS[kind]["gives"])
        target, attribute = component.target.split(":")
        assert callable(getattr(importlib.import_module(target), attribute))
        assert component.summary


@pytest.mark.parametrize("name", ["digits", "stacked-digits", "mnist", "stacked-mnist"])
def test_the_classes_of_digits_are_known_to_their_own_extractor(name):
    registry = discover()
    dataset = Part(registry.find("dataset", Choice(name)).component, resolve(registry, "dataset", Choice(name)))
    extractor = Part(registry.find("extractor", Choice(dataset.give("extractor"))).component, Choice("its"))
    for metric in ("classes", "conditional-accuracy"):
        part = Part(registry.find("metric", Choice(metric)).component, Choice(metric))
        assert metric_mismatch(part, dataset, extractor) is None


@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist", "cifar10", "svhn", "stl10"])
def test_the_classes_of_other_images_are_not_taken_for_digits(name):
    registry = discover()
    dataset = Part(registry.find("dataset", Choice(name)).component, resolve(registry, "dataset", Choice(name)))
    extractor = Part(registry.find("extractor", Choice("mnist")).component, Choice("mnist"))
    classes = Part(registry.find("metric", Choice("classes")).component, Choice("classes"))
    assert "knows the classes" in metric_mismatch(classes, dataset, extractor)
