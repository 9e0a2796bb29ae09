from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import ganbench_metrics
from ganbench.rules import KEYS

COMPONENTS = list(ganbench_metrics.ganbench_metrics())


def test_the_offer_is_complete():
    assert [component.name for component in COMPONENTS] == [
        "frechet",
        "frechet-infinity",
        "kernel",
        "inception-score",
        "precision-recall",
        "density-coverage",
        "modes",
        "sliced-wasserstein",
        "rbf-mmd",
        "log-likelihood",
        "classes",
        "bins",
        "detectability",
        "memorisation",
        "conditional-accuracy",
    ]


def test_the_offer_can_be_asked_for_again_when_the_metrics_are_imported():
    importlib.import_module("ganbench_metrics.points")
    assert list(ganbench_metrics.ganbench_metrics()) == COMPONENTS


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_each_target_can_be_built_and_its_needs_are_known(component):
    module, attribute = component.target.split(":")
    assert callable(getattr(importlib.import_module(module), attribute)())
    assert set(component.needs) <= set(KEYS["metric"]["needs"])


def test_registration_imports_no_torch():
    code = "import sys, ganbench_metrics; list(ganbench_metrics.ganbench_metrics()); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
