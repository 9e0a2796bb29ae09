from __future__ import annotations

import importlib

import pytest
import torch

import ganbench_augmentations

OFFERED = {component.name: component for component in ganbench_augmentations.ganbench_augmentations()}


def target(component):
    module, attribute = component.target.split(":")
    return getattr(importlib.import_module(module), attribute)


def test_the_augmentations_of_the_zoo_are_offered():
    assert list(OFFERED) == ["diffaugment", "ada", "instance-noise"]


@pytest.mark.parametrize("component", OFFERED.values(), ids=OFFERED.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_augmentation_keeps_shape_and_precision(component, dtype):
    augmentation = target(component)()
    memory = {name: torch.tensor(value) for name, value in getattr(augmentation, "remembers", {}).items()}
    images = torch.zeros(4, 3, 8, 8, dtype=dtype)
    result = augmentation(images, torch.Generator().manual_seed(0), memory)
    assert result.shape == images.shape
    assert result.dtype == dtype
