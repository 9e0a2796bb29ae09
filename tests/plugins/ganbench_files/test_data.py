"""A user's own images: split by what they show, labelled where classes are asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import channels_first, encoded, noise, put_pictures, put_tar

from ganbench.errors import ChoiceError, DataError
from ganbench.protocols import Places
from ganbench_files.data import folder, npz, tar

PLACES = Places()


def contents(images):
    return [image.numpy().tobytes() for image in images]


def write(root, kind, images, labels=None):
    """The images as a folder, an .npz or a .tar; classes are called c0, c1, … in folders."""
    names = [f"{index:03}" for index in range(len(images))]
    if kind is folder:
        for index, name in enumerate(names):
            path = root / "images" / (f"c{labels[index]}" if labels is not None else "") / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(images[index]))
        return str(root / "images")
    if kind is npz:
        np.savez(root / "images.npz", images=images, **({} if labels is None else {"labels": labels}))
        return str(root / "images.npz")
    members = [(f"{name}.png", encoded(image)) for name, image in zip(names, images, strict=True)]
    classes = (
        [] if labels is None else [(f"{name}.cls", b"%d" % label) for name, label in zip(names, labels, strict=True)]
    )
    return str(put_tar(root / "images.tar", members + classes))


KINDS = pytest.mark.parametrize("load", [folder, npz, tar], ids=["folder", "npz", "tar"])


@KINDS
def test_the_two_splits_together_are_all_images_each_once_with_its_label(tmp_path, load):
    images, labels = noise(40, 8, 8, 3), np.arange(40) % 4
    data = load(PLACES, write(tmp_path, load, images, labels), 8, classes=4)
    found = sorted(
        zip(
            contents(torch.cat([data.train, data.heldout])),
            torch.cat([data.train_labels, data.heldout_labels]).tolist(),
            strict=True,
        )
    )
    expected = zip([image.tobytes() for image in channels_first(images)], labels.tolist(), strict=True)
    assert found == sorted(expected)
    assert (len(data.train), len(data.heldout)) == (20, 20)
    assert data.class_names == (("c0", "c1", "c2", "c3") if load is folder else ("0", "1", "2", "3"))
    assert data.train.dtype == torch.uint8
    assert data.train_labels.dtype == torch.int64


@KINDS
def test_the_split_is_the_same_however_the_images_are_kept(tmp_path, load):
    images = noise(40, 8, 8, 3)
    reference = folder(PLACES, write(tmp_path / "reference", folder, images), 8, heldout=0.3)
    (tmp_path / "other").mkdir()
    data = load(PLACES, write(tmp_path / "other", load, images[::-1].copy()), 8, heldout=0.3)
    assert torch.equal(data.heldout, reference.heldout)
    assert torch.equal(data.train, reference.train)


@settings(max_examples=20, deadline=None)
@given(st.integers(10, 60), st.floats(0.05, 0.9), st.integers(1, 12), st.integers(0, 99))
def test_equal_images_never_lie_on_both_sides(tmp_path_factory, count, heldout, distinct, seed):
    images = noise(distinct, 4, 4, seed=seed)[np.random.default_rng(seed).integers(0, distinct, count)]
    path = write(tmp_path_factory.mktemp("images"), npz, images)
    try:
        data = npz(PLACES, path, 4, channels=1, heldout=heldout)
    except DataError as error:
        assert "left to train on" in str(error)  # noqa: PT017  # some draws cannot be split
        return
    assert not set(contents(data.train)) & set(contents(data.heldout))
    assert len(data.train) + len(data.heldout) == count
    assert min(len(data.train), len(data.heldout)) >= 2
    assert len(data.heldout) >= round(heldout * count)


def test_the_split_is_at_random_and_not_by_name(tmp_path):
    images = np.arange(1000).repeat(16).reshape(1000, 4, 4) // 4  # brighter and brighter
    images[:, 0, 0] = np.arange(1000) % 4  # and each another one
    data = npz(PLACES, write(tmp_path, npz, images.astype(np.uint8)), 4, channels=1)
    means = [part.double().mean() for part in (data.train, data.heldout)]
    assert abs(means[0] - means[1]) < 20  # two halves in the order of the names would differ by 117


@KINDS
def test_all_may_be_held_out_to_measure_against(tmp_path, load):
    data = load(PLACES, write(tmp_path, load, noise(12, 8, 8, 3)), 8, heldout=1.0)
    assert data.train.shape == (0, 3, 8, 8)
    assert len(data.heldout) == 12
    assert data.train_labels is None


@KINDS
def test_the_origin_tells_kind_counts_and_content_and_no_path(tmp_path, load):
    path = write(tmp_path, load, noise(12, 8, 8, 3))
    origin = load(PLACES, path, 8, heldout=0.25).origin
    assert origin.startswith(f"{load.__name__} of 12 images, 3 held out, SHA-256 ")
    assert str(tmp_path) not in origin
    other = write(tmp_path, load, noise(12, 8, 8, 3, seed=1))
    assert load(PLACES, other, 8, heldout=0.25).origin != origin


def test_relative_paths_are_below_the_data_root_or_the_working_folder(tmp_path, monkeypatch):
    put_pictures(tmp_path / "root" / "mine")
    put_pictures(tmp_path / "here" / "mine", seed=1)
    monkeypatch.chdir(tmp_path / "here")
    below_root = folder(Places(data_root=tmp_path / "root"), "mine", 8)
    here = folder(PLACES, "mine", 8)
    assert not torch.equal(below_root.train, here.train)
    monkeypatch.setenv("HOME", str(tmp_path / "root"))
    assert torch.equal(folder(Places(data_root=tmp_path), "~/mine", 8).train, below_root.train)
    assert torch.equal(folder(Places(data_root=tmp_path), str(tmp_path / "here" / "mine"), 8).train, here.train)


def test_what_is_asked_of_the_pictures_is_done(tmp_path):
    put_pictures(tmp_path / "wide", shape=(8, 16, 3))
    places = Places(data_root=tmp_path)
    with pytest.raises(DataError, match=r"00\.png: 16×8 pixels, expected 4×4"):
        folder(places, "wide", 4)
    centre, stretch = (folder(places, "wide", 4, crop=crop, heldout=1.0).heldout for crop in ("centre", "stretch"))
    assert centre.shape == stretch.shape == (12, 3, 4, 4)
    assert not set(contents(centre)) & set(contents(stretch))
    put_pictures(tmp_path / "grey", shape=(8, 8))
    assert folder(places, "grey", 8, channels=1).train.shape == (6, 1, 8, 8)
    assert folder(places, "grey", 8).train.shape == (6, 3, 8, 8)
    with pytest.raises(DataError, match="in colour, expected grey"):
        folder(places, "wide", 4, channels=1, crop="centre")


def test_another_array_of_an_npz_is_other_data(tmp_path):
    np.savez(tmp_path / "a.npz", images=noise(12, 8, 8, 3), others=noise(12, 8, 8, 3, seed=1))
    path = str(tmp_path / "a.npz")
    assert not torch.equal(npz(PLACES, path, 8).train, npz(PLACES, path, 8, key="others").train)


@KINDS
def test_labels_are_left_out_where_no_classes_are_asked_for(tmp_path, load):
    data = load(PLACES, write(tmp_path, load, noise(12, 8, 8, 3), np.arange(12) % 2), 8)
    assert (data.train_labels, data.heldout_labels, data.class_names) == (None, None, ())


@KINDS
def test_more_classes_than_asked_for_are_refused(tmp_path, load):
    path = write(tmp_path, load, noise(12, 8, 8, 3), np.arange(12) % 4)
    with pytest.raises(DataError, match=rf"^{path}: 4 classes in .*, expected 3"):
        load(PLACES, path, 8, classes=3)


def test_fewer_folders_than_classes_are_refused_and_a_missing_number_is_not(tmp_path):
    images, labels = noise(12, 8, 8, 3), np.arange(12) % 4
    with pytest.raises(DataError, match="4 classes in folders of their own below it, expected 5"):
        folder(PLACES, write(tmp_path, folder, images, labels), 8, classes=5)
    assert npz(PLACES, write(tmp_path, npz, images, labels), 8, classes=5).class_names == tuple("01234")


@KINDS
def test_classes_that_are_asked_for_must_be_there(tmp_path, load):
    path = write(tmp_path, load, noise(12, 8, 8, 3))
    with pytest.raises(DataError, match=rf"^{path}: no classes, expected 2 in "):
        load(PLACES, path, 8, classes=2)


@pytest.mark.parametrize("wrong", [{"heldout": 0.0}, {"heldout": 1.1}, {"heldout": -0.5}, {"classes": -1}])
def test_what_cannot_be_asked_is_refused(tmp_path, wrong):
    path = write(tmp_path, npz, noise(12, 8, 8, 3))
    with pytest.raises(ChoiceError, match="expected resolution ≥ 1, 0 < heldout ≤ 1 and classes ≥ 0"):
        npz(PLACES, path, 8, **wrong)
    with pytest.raises(ChoiceError, match="resolution=0"):
        npz(PLACES, path, 0)


def test_images_that_are_all_equal_cannot_be_split(tmp_path):
    path = write(tmp_path, npz, noise(1, 8, 8, 3).repeat(12, axis=0))
    with pytest.raises(DataError, match=r"0 of 12 images left to train on.*or heldout=1\.0 to measure only"):
        npz(PLACES, path, 8)
    assert len(npz(PLACES, path, 8, heldout=1.0).heldout) == 12


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path):
    put_pictures(tmp_path / "pictures")
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.npz: a file, expected a folder; for files there are npz and tar"):
        folder(Places(data_root=tmp_path), "a.npz", 8)
    for load in (npz, tar):
        with pytest.raises(DataError, match="pictures: a folder, expected a file"):
            load(Places(data_root=tmp_path), "pictures", 8)


@KINDS
def test_a_path_that_is_not_there_is_answered_with_the_nearest(tmp_path, load):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match=f"Did you mean '{tmp_path}/pictures'"):
        load(Places(data_root=tmp_path), "picture", 8)
