"""The page about extractors says of each what its component and its code say."""

import importlib
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ganbench.contracts import check_contract
from ganbench.protocols import Places
from ganbench.signatures import parameters_of
from ganbench_classifiers import extractors as classifiers
from ganbench_efficientnet import extractors as efficientnet
from ganbench_efficientnet import networks
from ganbench_fidelity import extractors as fidelity
from ganbench_inception import extractors as inception

PACKAGES = ("ganbench_classifiers", "ganbench_efficientnet", "ganbench_fidelity", "ganbench_inception")
PAGE = Path(__file__).parents[3] / "docs" / "extractors.md"
SHIPPED = {
    "digits": classifiers.digits,
    "mnist": classifiers.mnist,
    "stacked-digits": classifiers.stacked_digits,
    "stacked-mnist": classifiers.stacked_mnist,
}
HASHES = {
    "inception-v3-compat": inception.WEIGHTS.sha256,
    "clip-vit-b-32": fidelity.CLIP.sha256,
    "dinov2-vit-b-14": fidelity.DINOV2.sha256,
    "vgg16": fidelity.VGG16.sha256,
    "efficientnet-lite0": efficientnet.WEIGHTS_SHA256,
}


def components():
    return {
        component.name: component
        for package in PACKAGES
        for component in importlib.import_module(package).ganbench_extractors()
    }


def tables():
    """The rows of each table of the page, cells without backticks, heads left out."""
    found = re.findall(r"(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    cells = [[[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in t.splitlines()] for t in found]
    return [table[2:] for table in cells]


def told():
    return {row[0]: row[1:] for row in tables()[0]}


def test_the_page_names_every_extractor_and_no_other():
    assert told().keys() == components().keys()


def test_the_page_says_of_every_extractor_where_its_weights_come_from():
    named = [name for row in tables()[1] for name in re.findall(r"[\w-]+", row[0])]
    assert sorted(named) == sorted(components())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_classifiers_are_as_the_page_says(name):
    extractor = SHIPPED[name](Places())
    tag, dimension, layer, logits, sha256, resolution = told()[name]
    assert (tag, int(dimension), layer) == (extractor.tag, extractor.dimension, extractor.layer)
    assert int(logits) == components()[name].gives["classes"]
    assert extractor.weights_sha256.startswith(sha256)
    assert resolution == "×".join([str(extractor.module.architecture.resolution)] * 2)


@pytest.mark.parametrize("name", HASHES)
def test_published_weights_are_as_the_page_says(name):
    _, _, _, logits, sha256, _ = told()[name]
    assert HASHES[name].startswith(sha256)
    assert len(sha256) == 8
    assert (logits != "none") == components()[name].gives.get("logits", False)


def test_the_layers_of_published_weights_are_as_the_page_says():
    assert told()["inception-v3-compat"][1:4] == ["2048", inception.LAYER, "1008, ImageNet"]
    expected = [str(networks.WIDTH), efficientnet.FEATURES, f"{networks.CLASSES}, ImageNet"]
    assert told()["efficientnet-lite0"][1:4] == expected
    resolution = fidelity.DinoV2.INPUT_IMAGE_SIZE
    assert told()["dinov2-vit-b-14"][-1] == told()["vgg16"][-1] == f"{resolution}×{resolution}"
    assert inception.Inception.INPUT_IMAGE_SIZE == 299


def test_the_trained_classifiers_parameters_are_as_the_page_says():
    rows = {row[0]: row[1] for row in tables()[-1]}
    parameters = parameters_of(components()["classifier"].target, "extractor")
    assert rows == {parameter.name: str(parameter.default) for parameter in parameters}


def test_summaries_of_published_weights_say_how_to_obtain_them():
    for name in HASHES:
        summary = components()[name].summary
        assert "--download" in summary or "pip install" in summary, name
    for row in tables()[1][:4]:
        assert row[3].startswith("`--download") or row[3].startswith("--download")


def test_offering_extractors_imports_no_torch_and_no_numpy():
    calls = "; ".join(f"list({package}.ganbench_extractors())" for package in PACKAGES)
    code = f"import sys, {', '.join(PACKAGES)}; {calls}; print(sorted({{'torch', 'numpy'}} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_every_extractor_keeps_to_the_contract():
    for component in components().values():
        check_contract("extractor", component)
        assert component.summary


def test_every_extractor_can_be_imported_and_takes_no_other_parameters():
    for name, component in components().items():
        module, attribute = component.target.split(":")
        assert find_spec(module)
        assert callable(getattr(importlib.import_module(module), attribute))
        expected = ["epochs", "width"] if name == "classifier" else []
        assert [parameter.name for parameter in parameters_of(component.target, "extractor")] == expected
