"""Torchvision's data sets from small files in its layout."""

import pickle
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets
from torchvision_files import idx_bytes, write_cifar, write_grey, write_stl10, write_svhn

from ganbench.errors import DataError
from ganbench.folders import CACHE_VARIABLE
from ganbench.protocols import Places
from ganbench_torchvision import data as module
from ganbench_torchvision import files
from ganbench_torchvision.data import cifar10, cifar100, fashion_mnist, kmnist, mnist, stacked_mnist, stl10, svhn

GREY = [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST"), (kmnist, "KMNIST")]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(self):
        raise AssertionError("a download that nobody asked for")

    for dataset in (datasets.MNIST, datasets.CIFAR10, datasets.SVHN, datasets.STL10):
        monkeypatch.setattr(dataset, "download", refuse)


# MNIST and those in its format


@pytest.mark.parametrize(("load", "folder"), GREY)
def test_training_images_train_and_test_images_are_held_out(tmp_path, load, folder):
    raw = write_grey(tmp_path, folder)
    data = load(Places(data_root=tmp_path), resolution=28)
    assert (data.train.shape, data.heldout.shape) == ((6, 1, 28, 28), (4, 1, 28, 28))
    assert bytes(data.train.flatten().tolist()) == (raw / "train-images-idx3-ubyte").read_bytes()[16:]
    assert bytes(data.heldout.flatten().tolist()) == (raw / "t10k-images-idx3-ubyte").read_bytes()[16:]
    assert (data.train_labels.tolist(), data.heldout_labels.tolist()) == ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3])
    assert (data.train.dtype, data.train_labels.dtype) == (torch.uint8, torch.int64)
    assert f"torchvision {folder}, 6 training and 4 held-out images, SHA-256 " in data.origin


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
    for _, folder in GREY:
        write_grey(tmp_path, folder)
    places = Places(data_root=tmp_path)
    assert mnist(places).class_names == tuple("0123456789")
    assert fashion_mnist(places).class_names[9] == "Ankle boot"
    assert kmnist(places).class_names == ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def test_other_files_are_other_data_even_after_the_first_were_prepared(tmp_path):
    raw = write_grey(tmp_path)
    before = mnist(Places(data_root=tmp_path))
    (raw / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((6, 28, 28))))
    after = mnist(Places(data_root=tmp_path))
    assert after.origin != before.origin
    assert (before.train.sum() > 0, after.train.sum()) == (True, 0)


def test_the_same_files_in_two_places_are_prepared_once(tmp_path, monkeypatch):
    write_grey(tmp_path / "here")
    write_grey(tmp_path / "there")
    here = mnist(Places(data_root=tmp_path / "here"))
    monkeypatch.setattr(module, "read_image_file", lambda _: pytest.fail("read twice"))
    there = mnist(Places(data_root=tmp_path / "there"))
    assert torch.equal(here.train, there.train)
    assert (here.origin, here.class_names) == (there.origin, there.class_names)


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
def test_a_truncated_file_is_named_even_after_the_whole_one_was_prepared(tmp_path, file):
    path = write_grey(tmp_path) / file
    mnist(Places(data_root=tmp_path))
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
    with pytest.raises(DataError, match="MNIST/raw: the training files hold 6 images and 5 labels"):
        mnist(Places(data_root=tmp_path))


def test_a_download_lands_in_the_data_root_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "download", lambda self: write_grey(files.Path(self.root)))
    data = mnist(Places(data_root=tmp_path / "new", download=True))
    assert len(data.train) == 6
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["MNIST"]
    assert len(mnist(Places(data_root=tmp_path / "new")).train) == 6


def test_a_download_keeps_the_files_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "download", lambda self: write_grey(files.Path(self.root)))
    own = idx_bytes(np.array([7, 7, 7, 7, 7, 7]))
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(own)
    assert mnist(Places(data_root=tmp_path, download=True)).train_labels.tolist() == [7] * 6


@pytest.mark.parametrize(
    "failure", [URLError("no route"), RuntimeError("Error downloading\nTried a, got b"), OSError("x"), KeyError("y")]
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


# Stacked MNIST


def test_stacked_images_are_three_digits_and_their_label_reads_them(tmp_path, monkeypatch):
    write_grey(tmp_path)
    monkeypatch.setattr(module, "STACKED_TRAIN", 500)
    monkeypatch.setattr(module, "STACKED_HELDOUT", 200)
    digits = mnist(Places(data_root=tmp_path), resolution=28)
    data = stacked_mnist(Places(data_root=tmp_path), resolution=28)
    assert (data.train.shape, data.heldout.shape) == ((500, 3, 28, 28), (200, 3, 28, 28))
    for images, labels, source in (
        (data.train, data.train_labels, digits.train),
        (data.heldout, data.heldout_labels, digits.heldout),
    ):
        parts = torch.stack([labels // 100, labels // 10 % 10, labels % 10], dim=1)  # sample n of digits has label n
        assert torch.equal(images, source[:, 0][parts])
        assert [sorted(set(column.tolist())) for column in parts.T] == [list(range(len(source)))] * 3
    assert data.class_names[42] == "042"
    assert digits.origin in data.origin


# CIFAR


@pytest.mark.parametrize(("load", "classes", "count"), [(cifar10, 10, 10), (cifar100, 100, 2)])
def test_colour_images_keep_their_channels_and_their_rows(tmp_path, monkeypatch, load, classes, count):
    write_cifar(tmp_path, monkeypatch, classes)
    data = load(Places(data_root=tmp_path))
    assert (data.train.shape, data.heldout.shape) == ((count, 3, 32, 32), (2, 3, 32, 32))
    assert data.train[0, :, 5, 5].tolist() == [10, 11, 10]
    assert data.train[0, 2, 0].tolist() == [10] * 31 + [201]
    assert data.heldout[0, 0, 0, 0] == 60
    assert data.train_labels.tolist() == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9][:count]
    assert (len(data.class_names), data.class_names[3]) == (classes, "class 3")


def test_missing_colour_images_are_named_with_both_ways_to_get_them(tmp_path):
    with pytest.raises(DataError, match=r"cifar10: data_batch_1 not found in .*--data-root DIR.*or pass --download"):
        cifar10(Places(data_root=tmp_path))


@pytest.mark.parametrize(("load", "classes", "file"), [(cifar10, 10, "data_batch_3"), (cifar100, 100, "meta")])
def test_a_pickle_that_is_not_the_published_one_is_never_loaded(tmp_path, monkeypatch, load, classes, file):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    path = write_cifar(tmp_path, monkeypatch, classes) / file
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=f"{file}: its MD5 sum is not that of the published file"):
        load(Places(data_root=tmp_path))


# SVHN and STL-10


def test_house_numbers_have_their_axes_in_order_and_ten_means_zero(tmp_path, monkeypatch):
    write_svhn(tmp_path, monkeypatch)
    data = svhn(Places(data_root=tmp_path))
    assert (data.train.shape, data.heldout.shape) == ((5, 3, 32, 32), (3, 3, 32, 32))
    assert data.train[4, :, 7, 19].tolist() == [4, 7, 19]
    assert data.heldout[2, :, 31, 0].tolist() == [102, 31, 0]
    assert data.train_labels.tolist() == [0, 9, 8, 7, 6]
    assert data.class_names == tuple("0123456789")


def test_missing_house_numbers_belong_into_the_data_root_itself(tmp_path):
    with pytest.raises(DataError, match=r"where DIR holds train_32x32.mat, test_32x32.mat, or pass --download"):
        svhn(Places(data_root=tmp_path))


@pytest.mark.parametrize("file", ["train_32x32.mat", "test_32x32.mat"])
def test_a_truncated_mat_file_is_named(tmp_path, monkeypatch, file):
    path = write_svhn(tmp_path, monkeypatch) / file
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=f"{file}: its MD5 sum is not that of the published file. Replace the file"):
        svhn(Places(data_root=tmp_path))


def test_stl10_images_stand_upright_and_labels_count_from_zero(tmp_path, monkeypatch):
    write_stl10(tmp_path, monkeypatch)
    data = stl10(Places(data_root=tmp_path), resolution=96)
    assert (data.train.shape, data.heldout.shape) == ((4, 3, 96, 96), (3, 3, 96, 96))
    assert data.train[3, :, 7, 90].tolist() == [3, 7, 90]
    assert data.heldout[1, :, 90, 7].tolist() == [101, 90, 7]
    assert data.train_labels.tolist() == [0, 1, 2, 3]
    assert data.class_names[0] == "airplane"


@pytest.mark.parametrize("resolution", [32, 48, 64])
def test_stl10_images_shrink_with_antialiasing(tmp_path, monkeypatch, resolution):
    write_stl10(tmp_path, monkeypatch)
    image = stl10(Places(data_root=tmp_path), resolution=resolution).train[2]
    assert (image[0] == 2).all()
    centres = (np.arange(resolution) + 0.5) * 96 / resolution - 0.5  # a ramp stays a ramp, away from the borders
    assert np.abs(image[1, :, 5].numpy() - centres)[2:-2].max() <= 0.51


@pytest.mark.parametrize("file", ["train_X.bin", "test_y.bin"])
def test_a_truncated_bin_file_is_named(tmp_path, monkeypatch, file):
    path = write_stl10(tmp_path, monkeypatch) / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"{file}: its MD5 sum is not that of the published file"):
        stl10(Places(data_root=tmp_path))
