"""Folders of pictures, and the one function that reads them, .npz and tar."""

import hashlib
import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from picture_files import channels_first, encoded, noise, put_pictures, put_tar

from ganbench.errors import DataError
from ganbench.imagefiles import combined, existing, picture_names, read_images, read_points


def test_a_folder_is_its_pictures_in_the_order_of_their_names(tmp_path):
    images = put_pictures(tmp_path)
    found = read_images(tmp_path)
    assert np.array_equal(found.images.numpy(), channels_first(images))
    assert found.names[:2] == ("00.png", "01.png")
    assert (found.labels, found.class_names) == (None, ())


def test_names_are_ordered_by_their_bytes_and_found_in_folders_below(tmp_path):
    for name in (
        "b/2.png",
        "B/1.PNG",
        "a.png",
        "é.png",
        "b/10.png",
        "c/d/e.jpeg",
        "z1.png",
        "z2.png",
        "z3.png",
        "~.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(encoded(noise(4, 4)))
    expected = ["B/1.PNG", "a.png", "b/10.png", "b/2.png", "c/d/e.jpeg", "z1.png", "z2.png", "z3.png", "~.png", "é.png"]
    assert list(picture_names(tmp_path)) == expected


def test_the_first_folder_is_the_class(tmp_path):
    put_pictures(tmp_path / "dog" / "small", 4)
    put_pictures(tmp_path / "cat", 7)
    found = read_images(tmp_path)
    assert found.class_names == ("cat", "dog")
    assert found.labels.tolist() == [0] * 7 + [1] * 4
    put_pictures(tmp_path, 1)
    assert read_images(tmp_path).labels is None


def test_hidden_files_and_other_kinds_are_passed_over(tmp_path):
    put_pictures(tmp_path)
    (tmp_path / "._00.png").write_bytes(b"a Macintosh was here")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.png").write_bytes(b"broken")
    (tmp_path / "readme.txt").write_text("hello")
    os.mkfifo(tmp_path / "pipe.png")
    assert len(read_images(tmp_path).names) == 12


def test_the_hash_is_of_contents_and_names_and_not_of_the_place(tmp_path):
    put_pictures(tmp_path / "here")
    put_pictures(tmp_path / "there")
    here = read_images(tmp_path / "here").sha256
    assert here == read_images(tmp_path / "there").sha256
    (tmp_path / "there" / "11.png").rename(tmp_path / "there" / "12.png")
    assert here != read_images(tmp_path / "there").sha256
    (tmp_path / "here" / "11.png").write_bytes(encoded(noise(8, 8, 3, seed=9)))
    assert here != read_images(tmp_path / "here").sha256


def test_the_hash_of_several_files_is_that_of_sha256sums_lines():
    lines = f"{'a' * 64}  x\n{'b' * 64}  y/z\n"
    assert combined(["x", "y/z"], ["a" * 64, "b" * 64]) == hashlib.sha256(lines.encode()).hexdigest()


def test_folder_npz_and_tar_hold_the_same_images(tmp_path):
    images = put_pictures(tmp_path / "folder")
    np.savez(tmp_path / "a.npz", images)
    np.save(tmp_path / "a.npy", images)
    members = [(f"{index:02}.png", encoded(image)) for index, image in enumerate(images)]
    for name in ("a.tar", "a.tgz", "a.tar.gz"):
        put_tar(tmp_path / name, members, "w:gz" if name.endswith("gz") else "w")
    for form in ({}, {"resolution": 5, "crop": "stretch", "channels": 3}):
        expected = read_images(tmp_path / "folder", **form).images
        for name in ("a.npz", "a.npy", "a.tar", "a.tgz", "a.tar.gz"):
            assert torch.equal(read_images(tmp_path / name, **form).images, expected), name


def test_too_few_pictures_are_counted(tmp_path):
    put_pictures(tmp_path, 3)
    with pytest.raises(DataError, match=rf"^{tmp_path}: 3 images, expected at least 10 that end in \.bmp, "):
        read_images(tmp_path)


def test_where_nothing_is_a_picture_what_there_is_is_counted(tmp_path):
    for name in ("a.txt", "b.txt", "c.npz", "d"):
        (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"no images, .*Other files there: 2 \.txt, 1 \.npz, 1 no extension"):
        read_images(tmp_path)


def test_one_broken_picture_is_named(tmp_path):
    put_pictures(tmp_path)
    (tmp_path / "05.png").write_bytes(b"")
    with pytest.raises(DataError, match=rf"^{tmp_path}/05\.png: "):
        read_images(tmp_path)


def test_one_picture_of_another_size_is_named(tmp_path):
    put_pictures(tmp_path)
    (tmp_path / "05.png").write_bytes(encoded(noise(8, 9, 3)))
    with pytest.raises(DataError, match=r"05\.png: 9×8 pixels, expected 8×8"):
        read_images(tmp_path)


def test_one_coloured_picture_among_grey_ones_is_named(tmp_path):
    put_pictures(tmp_path, shape=(8, 8))
    (tmp_path / "05.png").write_bytes(encoded(noise(8, 8, 3)))
    with pytest.raises(DataError, match=r"05\.png: in colour, expected grey"):
        read_images(tmp_path)


def test_a_folder_that_holds_a_link_to_itself_is_refused(tmp_path):
    put_pictures(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "again").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"again: a link to a folder that it lies in. Remove the link"):
        read_images(tmp_path)


def test_links_to_pictures_and_to_other_folders_are_followed(tmp_path):
    images = put_pictures(tmp_path / "elsewhere")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "elsewhere")
    assert np.array_equal(read_images(tmp_path / "here").images.numpy(), channels_first(images))


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    put_pictures(tmp_path / "folder")
    (tmp_path / "folder" / "05a.png").symlink_to("gone.png")
    with pytest.raises(DataError, match=r"05a\.png: cannot be read \(No such file or directory\)"):
        read_images(tmp_path / "folder")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match="loop: a link that leads nowhere"):
        read_images(tmp_path / "loop")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    put_pictures(tmp_path)

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(DataError, match=rf"^{tmp_path}: cannot be read \(Permission denied\)"):
        read_images(tmp_path)


def test_a_path_that_is_not_there_is_answered_with_the_nearest_that_is(tmp_path, monkeypatch):
    put_pictures(tmp_path / "pictures")
    with pytest.raises(DataError, match=f"Did you mean '{tmp_path}/pictures'"):
        existing(tmp_path / "pictrues" / "deep" / "x.npz")
    with pytest.raises(DataError, match=f"The nearest folder is '{tmp_path}'"):
        existing(tmp_path / "0")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^picture: no such file or folder. Did you mean 'pictures'"):
        existing(type(tmp_path)("picture"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert existing(type(tmp_path)("~/pictures")) == tmp_path / "pictures"
    with pytest.raises(DataError, match=r"^~nobody-is-called-this/x: there is no such user"):
        existing(type(tmp_path)("~nobody-is-called-this/x"))


def test_a_file_of_another_kind_is_refused_with_the_kinds_there_are(tmp_path):
    (tmp_path / "images.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"neither a folder nor a file that ends in one of \.npz, \.npy, \.tar"):
        read_images(tmp_path / "images.zip")


def test_names_that_are_no_text_can_be_printed(tmp_path):
    put_pictures(tmp_path)
    broken = os.fsencode(tmp_path) + b"/\xff.png"
    with open(broken, "wb"):  # noqa: PTH123  # pathlib has no bytes
        pass
    with pytest.raises(DataError) as caught:
        read_images(tmp_path)
    assert "\\xff.png" in str(caught.value).encode().decode()


def test_points_are_read_as_they_are(tmp_path):
    points = np.random.default_rng(0).normal(size=(20, 2))
    np.save(tmp_path / "points.npy", points)
    np.savez(tmp_path / "a.npz", points=points.astype(np.float32), other=np.zeros(3))
    for name in ("points.npy", "a.npz"):
        found = read_points(tmp_path / name)
        assert (found.dtype, found.shape) == (torch.float32, (20, 2))
        np.testing.assert_allclose(found.numpy(), points, rtol=1e-6)


def test_points_come_in_numpys_files_only(tmp_path):
    put_pictures(tmp_path / "folder")
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(DataError, match=rf"^{tmp_path}/folder: a folder; points come as an \.npz or \.npy$"):
        read_points(tmp_path / "folder")
    with pytest.raises(DataError, match=rf"^{tmp_path}/a\.csv: .*points come as an \.npz or \.npy$"):
        read_points(tmp_path / "a.csv")


@given(st.permutations(range(4)))
def test_the_hash_of_files_depends_on_their_order(order):
    names, digests = list("wxyz"), ["1", "2", "3", "4"]
    same = list(order) == [0, 1, 2, 3]
    moved = combined([names[index] for index in order], [digests[index] for index in order])
    assert (moved == combined(names, digests)) == same


@pytest.mark.timeout(20)
def test_a_pipe_among_pictures_is_passed_over_and_not_waited_for(tmp_path):
    put_pictures(tmp_path / "pictures")
    os.mkfifo(tmp_path / "pictures" / "pipe.png")
    (tmp_path / "pictures" / "link.png").symlink_to("pipe.png")
    assert len(read_images(tmp_path / "pictures").images) == 12


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["pipe.npz", "pipe.tar", "pipe"])
def test_a_pipe_in_the_place_of_data_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name}: neither a folder nor a file, but a pipe or a device"):
        read_images(tmp_path / name)
