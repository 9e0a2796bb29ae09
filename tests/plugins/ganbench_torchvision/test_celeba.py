"""CelebA's faces from a few small files in torchvision's layout."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision_files import md5, write_celeba

from ganbench.errors import DataError
from ganbench.protocols import Places
from ganbench_torchvision import celeba as module
from ganbench_torchvision.celeba import celeba


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_faces_are_the_square_in_the_middle_and_only_the_authors_training_images_are_trained_on(
    tmp_path, monkeypatch, resolution
):
    write_celeba(tmp_path, monkeypatch)
    data = celeba(Places(data_root=tmp_path), resolution=resolution)
    assert data.train.shape == (3, 3, resolution, resolution)
    assert data.heldout.shape == (6, 3, resolution, resolution)
    # JPEG blurs the white frame by a few pixels into the square, hence the margin.
    inside = slice(resolution // 8, -resolution // 8)
    levels = data.train[:, :, inside].flatten(1).float().mean(1)
    torch.testing.assert_close(levels, torch.tensor([0.0, 60.0, 120.0]), atol=1.5, rtol=0)
    levels = data.heldout[:, :, inside].flatten(1).float().mean(1)
    torch.testing.assert_close(levels, torch.tensor([20.0, 40.0, 80.0, 100.0, 140.0, 160.0]), atol=1.5, rtol=0)
    assert data.train_labels is None
    assert data.class_names == ()
    assert "3 training and 6 held-out images" in data.origin


def test_missing_faces_are_named_with_both_ways_to_get_them(tmp_path):
    with pytest.raises(DataError) as caught:
        celeba(Places(data_root=tmp_path))
    assert "where DIR/celeba holds list_eval_partition.txt, img_align_celeba, or pass --download" in str(caught.value)


def test_a_picture_that_the_partition_lists_and_nobody_has_is_named(tmp_path, monkeypatch):
    folder = write_celeba(tmp_path, monkeypatch)
    (folder / "img_align_celeba" / "000004.jpg").unlink()
    with pytest.raises(DataError, match=r"000004.jpg: cannot be read \(No such file or directory\)"):
        celeba(Places(data_root=tmp_path))


def test_a_broken_picture_is_named(tmp_path, monkeypatch):
    path = write_celeba(tmp_path, monkeypatch) / "img_align_celeba" / "000005.jpg"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match=r"celeba: .*000005.jpg: not a whole picture"):
        celeba(Places(data_root=tmp_path))


@pytest.mark.parametrize("content", ["", "000000.jpg 3\n", "../000000.jpg 0\n", "000000.jpg\n"])
def test_a_partition_that_is_not_the_published_one_is_refused(tmp_path, monkeypatch, content):
    partition = write_celeba(tmp_path, monkeypatch) / "list_eval_partition.txt"
    partition.write_text(content)
    with pytest.raises(DataError, match=r"list_eval_partition.txt: its MD5 sum is not that of the published file"):
        celeba(Places(data_root=tmp_path))
    known = [("drive", md5(partition), partition.name)]
    monkeypatch.setattr(module.datasets.CelebA, "file_list", known)
    with pytest.raises(DataError, match="expected lines of a file's name and 0, 1 or 2"):
        celeba(Places(data_root=tmp_path))


def test_a_download_fetches_two_files_and_leaves_no_archive(tmp_path, monkeypatch):
    published = write_celeba(tmp_path / "published", monkeypatch)
    asked = []

    def from_drive(file_id, folder, name, _checksum):
        asked.append(file_id)
        folder.mkdir(parents=True, exist_ok=True)
        if name.endswith(".txt"):
            (folder / name).write_bytes((published / name).read_bytes())
            return
        with zipfile.ZipFile(folder / name, "w") as archive:
            for path in sorted((published / "img_align_celeba").iterdir()):
                archive.write(path, f"img_align_celeba/{path.name}")

    monkeypatch.setattr(module, "download_file_from_google_drive", from_drive)
    data = celeba(Places(data_root=tmp_path / "new", download=True))
    assert len(data.train) == 3
    assert asked == ["drive-zip", "drive-txt"]
    found = sorted(path.name for path in (tmp_path / "new" / "celeba").iterdir())
    assert found == ["img_align_celeba", "list_eval_partition.txt"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["celeba"]


def test_a_drive_that_refuses_ends_in_what_to_do_by_hand(tmp_path, monkeypatch):
    class Refused(Exception):
        pass

    def refuse(*_):
        raise Refused("Too many users have viewed or downloaded this file recently")

    monkeypatch.setattr(module, "download_file_from_google_drive", refuse)
    with pytest.raises(DataError) as caught:
        celeba(Places(data_root=tmp_path, download=True))
    message = str(caught.value)
    assert "Too many users" in message
    assert "img_align_celeba.zip of https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html into DIR/celeba" in message
    assert list(tmp_path.iterdir()) == []


def test_grey_jpegs_are_faces_too(tmp_path, monkeypatch):
    folder = write_celeba(tmp_path, monkeypatch) / "img_align_celeba"
    Image.fromarray(np.full((218, 178), 77, dtype=np.uint8)).save(folder / "000000.jpg")
    image = celeba(Places(data_root=tmp_path), resolution=32).train[0]
    assert ((image.int() - 77).abs() <= 1).all()
