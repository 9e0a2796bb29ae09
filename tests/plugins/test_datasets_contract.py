"""Every image data set that can be loaded here, from files made here if it needs any, keeps what its contract says."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision_files
from picture_files import encoded, noise, put_tar

from ganbench.contracts import Part, check_contract, check_part, shape_of
from ganbench.datasets import fingerprint
from ganbench.protocols import Places
from ganbench.signatures import parameters_of
from ganbench.terms import Choice

PACKAGES = ("ganbench_digits", "ganbench_torchvision", "ganbench_files")
COMPONENTS = {
    component.name: component
    for package in PACKAGES
    for component in importlib.import_module(package).ganbench_datasets()
}
OWN = ("folder", "npz", "tar")
CASES = [(name, {}) for name in COMPONENTS if name not in OWN]
CASES += [("mnist", {"resolution": 16}), ("stl10", {"resolution": 32}), ("celeba", {"resolution": 32})]
CASES += [
    (name, {"path": name, "resolution": 8, "classes": 3, **more})
    for name in OWN
    for more in ({}, {"channels": 1, "heldout": 0.3}, {"resolution": 4, "crop": "centre"}, {"heldout": 1.0})
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Small files of every kind."""
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("MNIST", "FashionMNIST", "KMNIST"):
            torchvision_files.write_grey(root, folder)
        for classes in (10, 100):
            torchvision_files.write_cifar(root, patch, classes)
        for write in (torchvision_files.write_svhn, torchvision_files.write_stl10, torchvision_files.write_celeba):
            write(root, patch)
        patch.setattr("ganbench_torchvision.data.STACKED_TRAIN", 90)
        patch.setattr("ganbench_torchvision.data.STACKED_HELDOUT", 60)
        write_own(root)
        yield root


def write_own(root: Path) -> None:
    """Thirty grey pictures in three classes, some of them twice, in each of the three kinds of a user's own."""
    images = noise(30, 8, 8)
    images[25:] = images[:5]
    labels = np.arange(30) % 5 % 3
    members = []
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = root / "folder" / f"class {label}" / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(image))
        members += [(f"{index:02}.png", encoded(image)), (f"{index:02}.cls", b"%d" % label)]
    np.savez(root / "npz", images=images, labels=labels)
    (root / "npz.npz").rename(root / "npz")
    put_tar(root / "tar", members)


def part_of(name, parameters):
    component = COMPONENTS[name]
    defaults = {item.name: item.default for item in parameters_of(component.target, "dataset") if not item.required}
    return Part(component, Choice(name, tuple(sorted({**defaults, **parameters}.items()))))


def load(name, parameters, root):
    module, attribute = COMPONENTS[name].target.split(":")
    return getattr(importlib.import_module(module), attribute)(Places(data_root=root), **parameters)


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_contract_can_be_read(name):
    check_contract("dataset", COMPONENTS[name])
    needed = {"path": "x", "resolution": 8} if name in OWN else {}
    check_part("dataset", part_of(name, needed))


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=str)
def test_shapes_types_and_classes_are_those_of_the_contract(name, parameters, root):
    part, data = part_of(name, parameters), load(name, parameters, root)
    shape = shape_of(part.component, part.choice)
    for images, labels in ((data.train, data.train_labels), (data.heldout, data.heldout_labels)):
        assert (images.dtype, tuple(images.shape[1:])) == (torch.uint8, shape)
        classes = part.give("classes")
        if not classes:
            assert labels is None
            continue
        assert (labels.dtype, labels.shape) == (torch.int64, (len(images),))
        assert ((labels >= 0) & (labels < classes)).all()
        assert len(data.class_names) == classes
    assert len(data.heldout)
    assert len(data.train) or parameters.get("heldout") == 1.0
    assert data.origin


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=str)
def test_the_splits_share_no_image(name, parameters, root):
    data = load(name, parameters, root)
    train, heldout = ({image.numpy().tobytes() for image in part} for part in (data.train, data.heldout))
    assert not train & heldout


def test_loading_again_and_in_another_process_gives_the_same(root, tmp_path, monkeypatch):
    fingerprints = [fingerprint(load(name, {"path": name, "resolution": 8}, root).heldout) for name in OWN]
    assert fingerprints == [fingerprint(load(name, {"path": name, "resolution": 8}, root).heldout) for name in OWN]
    monkeypatch.setenv("GANBENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONHASHSEED", "12")
    code = (
        "import sys; from pathlib import Path; from ganbench.datasets import fingerprint;"
        "from ganbench.protocols import Places; from ganbench_files import data; places = Places(Path(sys.argv[1]));"
        "print(*(fingerprint(getattr(data, name)(places, name, 8).heldout) for name in sys.argv[2:]))"
    )
    command = [sys.executable, "-c", code, str(root), *OWN]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == fingerprints
