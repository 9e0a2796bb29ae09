"""MNIST, Fashion-MNIST and CIFAR-10 from small files in torchvision's layout, written here."""

import hashlib
import pickle
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from ganbench.errors import DataError
from ganbench.folders import CACHE_VARIABLE
from ganbench.protocols import Places
from ganbench_torchvision import files, ganbench_datasets
from ganbench_torchvision.data import cifar10, fashion_mnist, mnist

COUNTS = {"train": 6, "t10k": 4}
GREY = [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST")]


def idx_bytes(values):
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return header + values.astype(np.uint8).tobytes()


def write_grey(root, folder="MNIST"):
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for seed, (part, count) in enumerate(COUNTS.items()):
        images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28))
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(count) % 10))
    return raw


def write_cifar(root, monkeypatch):
    """Batches of two images each, published as it were: torchvision is told their MD5 sums."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def put(name, content):
        raw = pickle.dumps(content)
        (folder / name).write_bytes(raw)
        return [name, hashlib.md5(raw, usedforsecurity=False).hexdigest()]

    def batch(index):
        pixels = np.full((2, 3, 32, 32), 10 * index, dtype=np.uint8)
        pixels[:, 1], pixels[:, 2, 0, 31] = 10 * index + 1, 200 + index
        return {"data": pixels.reshape(2, 3072), "labels": [index, 9]}

    train = [put(f"data_batch_{index}", batch(index)) for index in range(1, 6)]
    test = [put("test_batch", batch(6))]
    name, checksum = put("batches.meta", {"label_names": [f"class {index}" for index in range(10)]})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", train)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", test)
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": checksum})
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(self):
        raise AssertionError("a download that nobody asked for")

    monkeypatch.setattr(datasets.MNIST, "download", refuse)
    monkeypatch.setattr(datasets.CIFAR10, "download", refuse)


@pytest.mark.parametrize(("load", "folder"), GREY)
def test_training_images_train_and_test_images_are_held_out(tmp_path, load, folder):
    raw = write_grey(tmp_path, folder)
    data = load(Places(data_root=tmp_path), resolution=28)
    assert (data.train.shape, data.heldout.shape) == ((6, 1, 28, 28), (4, 1, 28, 28))
    assert bytes(data.train.flatten().tolist()) == (raw / "train-images-idx3-ubyte").read_bytes()[16:]
    assert bytes(data.heldout.flatten().tolist()) == (raw / "t10k-images-idx3-ubyte").read_bytes()[16:]
    assert (data.train_labels.tolist(), data.heldout_labels.tolist()) == ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3])
    assert (data.train.dtype, data.train_labels.dtype) == (torch.uint8, torch.int64)
    assert folder in data.origin
    assert "6 training and 4 test images" in data.origin


def test_the_default_is_32_pixels_framed_with_black(tmp_path):
    write_grey(tmp_path)
    framed = mnist(Places(data_root=tmp_path)).train
    plain = mnist(Places(data_root=tmp_path), resolution=28).train
    assert torch.equal(framed[:, :, 2:-2, 2:-2], plain)
    assert framed.long().sum() == plain.long().sum()


@pytest.mark.parametrize("resolution", [16, 64])
def test_other_resolutions_are_resized_from_the_framed_images(tmp_path, resolution):
    write_grey(tmp_path)
    data = mnist(Places(data_root=tmp_path), resolution=resolution)
    assert (data.train.shape, data.train.dtype) == ((6, 1, resolution, resolution), torch.uint8)
    framed = mnist(Places(data_root=tmp_path)).train[4, 0].numpy()
    pillow = np.asarray(Image.fromarray(framed).resize((resolution, resolution), Image.Resampling.BILINEAR))
    assert np.abs(data.train[4, 0].numpy().astype(int) - pillow.astype(int)).max() <= 1


def test_classes_have_the_names_that_people_know(tmp_path):
    write_grey(tmp_path, "MNIST")
    write_grey(tmp_path, "FashionMNIST")
    places = Places(data_root=tmp_path)
    assert mnist(places).class_names == tuple("0123456789")
    assert fashion_mnist(places).class_names[9] == "Ankle boot"


def test_the_origin_tells_other_files_apart(tmp_path):
    raw = write_grey(tmp_path)
    before = mnist(Places(data_root=tmp_path)).origin
    (raw / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((6, 28, 28))))
    assert mnist(Places(data_root=tmp_path)).origin != before


@pytest.mark.parametrize(("load", "folder"), GREY)
def test_missing_data_are_named_with_both_ways_to_get_them(tmp_path, load, folder):
    with pytest.raises(DataError) as caught:
        load(Places(data_root=tmp_path))
    message = str(caught.value)
    assert str(tmp_path / folder / "raw") in message
    assert f"--data-root DIR, where DIR/{folder}/raw holds train-images-idx3-ubyte, train-labels-idx1-ubyte" in message
    assert "--download" in message
    assert "\n" not in message


def test_without_a_data_root_the_users_cache_is_looked_in(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=r"data.MNIST.raw"):
        mnist(Places())
    write_grey(tmp_path / "data")
    assert len(mnist(Places()).train) == 6


def test_files_that_are_there_are_used_even_where_a_download_is_allowed(tmp_path):
    write_grey(tmp_path)
    assert len(mnist(Places(data_root=tmp_path, download=True)).train) == 6


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_truncated_file_is_named(tmp_path, file):
    path = write_grey(tmp_path) / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(DataError) as caught:
        mnist(Places(data_root=tmp_path))
    assert f"mnist: {path}: {len(whole) - 3} bytes, expected {len(whole)}" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08\x00 packed", b"\0\0\x08\x03" + bytes(12), b"\0\0\x08\x01\0\0"])
def test_a_file_that_is_no_idx_file_is_named(tmp_path, content):
    path = write_grey(tmp_path) / "train-labels-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte: .*Replace the file"):
        mnist(Places(data_root=tmp_path))


def test_images_without_their_labels_are_refused(tmp_path):
    raw = write_grey(tmp_path)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(5)))
    with pytest.raises(DataError, match="holds 6 images and 5 labels"):
        mnist(Places(data_root=tmp_path))


def test_a_download_lands_in_the_data_root_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "download", lambda self: write_grey(files.Path(self.root)))
    data = mnist(Places(data_root=tmp_path / "new", download=True))
    assert len(data.train) == 6
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["MNIST"]
    assert len(mnist(Places(data_root=tmp_path / "new")).train) == 6


@pytest.mark.parametrize(
    "failure", [URLError("no route"), RuntimeError("Error downloading\nTried a, got b"), OSError("x")]
)
def test_a_download_that_fails_says_what_to_do_without_a_network(tmp_path, monkeypatch, failure):
    def fail(self):
        raise failure

    monkeypatch.setattr(datasets.MNIST, "download", fail)
    with pytest.raises(DataError) as caught:
        mnist(Places(data_root=tmp_path, download=True))
    message = str(caught.value)
    assert "t10k-labels-idx1-ubyte.gz into DIR/MNIST/raw and pass --data-root DIR" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_colour_images_keep_their_channels_and_their_rows(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch)
    data = cifar10(Places(data_root=tmp_path))
    assert (data.train.shape, data.heldout.shape) == ((10, 3, 32, 32), (2, 3, 32, 32))
    assert data.train[2, :, 5, 5].tolist() == [20, 21, 20]
    assert data.train[2, 2, 0].tolist() == [20] * 31 + [202]
    assert data.heldout[0, 0, 0, 0] == 60
    assert data.train_labels.tolist() == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]
    assert data.class_names[3] == "class 3"


def test_missing_colour_images_are_named_with_both_ways_to_get_them(tmp_path):
    with pytest.raises(DataError, match=r"cifar10: data_batch_1 not found in .*--data-root DIR.*or pass --download"):
        cifar10(Places(data_root=tmp_path))


def test_a_pickle_that_is_not_the_published_one_is_never_loaded(tmp_path, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    path = write_cifar(tmp_path, monkeypatch) / "data_batch_3"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="data_batch_3: its MD5 sum is not that of the published file"):
        cifar10(Places(data_root=tmp_path))


def test_what_is_declared_is_what_is_loaded(tmp_path, monkeypatch):
    write_grey(tmp_path, "MNIST")
    write_grey(tmp_path, "FashionMNIST")
    write_cifar(tmp_path, monkeypatch)
    components = {component.name: component.gives for component in ganbench_datasets()}
    for name, load, extractor, samples in [
        ("mnist", mnist, "mnist", 5000),
        ("fashion-mnist", fashion_mnist, "inception", 5000),
        ("cifar10", cifar10, "inception", 10000),
    ]:
        data = load(Places(data_root=tmp_path))
        shape = tuple(32 if size == "{resolution}" else size for size in components[name]["shape"])
        assert shape == tuple(data.train.shape[1:])
        assert components[name]["classes"] == len(data.class_names)
        assert (components[name]["extractor"], components[name]["samples"]) == (extractor, samples)
