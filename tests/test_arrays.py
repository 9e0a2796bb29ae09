"""NumPy's files: every layout that is meant, and one clear message for each that is not."""

import io
import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from picture_files import channels_first, noise

from ganbench.arrays import read_arrays, read_points_of
from ganbench.decoding import Form
from ganbench.errors import DataError

IMAGES = noise(12, 8, 8, 3)


def put(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (IMAGES, channels_first(IMAGES)),
        (IMAGES.transpose(0, 3, 1, 2), channels_first(IMAGES)),
        (IMAGES[..., 0], IMAGES[:, None, :, :, 0]),
        (IMAGES[..., :1], IMAGES[:, None, :, :, 0]),
        (IMAGES[:, None, :, :, 1], IMAGES[:, None, :, :, 1]),
    ],
)
def test_channels_may_be_first_or_last_or_left_out(tmp_path, array, expected):
    found = read_arrays(put(tmp_path / "a.npz", images=array), Form())
    assert np.array_equal(found.images.numpy(), expected)
    assert (found.images.dtype, found.labels, found.names[11]) == (torch.uint8, None, "11")


def test_a_compressed_file_is_read_too_and_its_hash_is_the_files(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", IMAGES)
    put(tmp_path / "b.npz", arr_0=IMAGES)
    packed, plain = (read_arrays(tmp_path / name, Form()) for name in ("a.npz", "b.npz"))
    assert torch.equal(packed.images, plain.images)
    assert packed.sha256 != plain.sha256


def test_the_array_is_images_or_arr_0_or_the_one_that_is_named(tmp_path):
    other = noise(12, 8, 8, 3, seed=1)
    path = put(tmp_path / "a.npz", arr_0=IMAGES, extra=other)
    assert np.array_equal(read_arrays(path, Form()).images.numpy(), channels_first(IMAGES))
    assert np.array_equal(read_arrays(path, Form(), "extra").images.numpy(), channels_first(other))
    only = put(tmp_path / "b.npz", samples=other, labels=np.zeros(12, int))
    assert np.array_equal(read_arrays(only, Form()).images.numpy(), channels_first(other))


def test_other_arrays_are_not_even_read(tmp_path):
    path = put(tmp_path / "a.npz", images=IMAGES, people=np.array([{}, None], dtype=object))
    assert len(read_arrays(path, Form()).images) == 12


def test_labels_are_the_classes(tmp_path):
    labels = np.arange(12) % 5
    found = read_arrays(put(tmp_path / "a.npz", images=IMAGES, labels=labels.astype(np.uint8)), Form())
    assert found.labels.tolist() == labels.tolist()
    assert found.labels.dtype == torch.int64


def test_a_resolution_resizes_each_image_as_a_picture(tmp_path):
    path = put(tmp_path / "a.npz", images=noise(12, 9, 16, 3))
    assert read_arrays(path, Form(4, 3, "centre")).images.shape == (12, 3, 4, 4)
    with pytest.raises(DataError, match=r"a\.npz: images\[0\]: 16×9 pixels, expected 4×4"):
        read_arrays(path, Form(4, 3))


def test_a_resolution_that_no_memory_holds_is_refused_with_the_file(tmp_path):
    with pytest.raises(DataError, match=rf"^{tmp_path}/a\.npz: images: 12 images at resolution 100,000,000 need"):
        read_arrays(put(tmp_path / "a.npz", images=IMAGES), Form(10**8, 3, "stretch"))


BAD = {
    "NaN": (np.where(IMAGES > 250, np.nan, IMAGES), "numbers that are not finite, expected uint8 from 0 to 255"),
    "0 to 1": (IMAGES / 255, r"from 0 to 1, expected uint8.*Save \(x \* 255\)\.round\(\)\.clip\(0, 255\)"),
    "-1 to 1": (IMAGES / 127.5 - 1, r"from -1 to 1, expected uint8.*Save \(\(x \+ 1\) \* 127\.5\)\.round\(\)"),
    "0 to 255": (IMAGES.astype(float), r"float64 .* from 0 to 255, expected uint8.*Save x\.round\(\)"),
    "integers": (IMAGES.astype(np.int64), r"int64 of shape \(12, 8, 8, 3\) from 0 to 255, expected uint8"),
    "text": (np.array(["cat"] * 12), "expected uint8 from 0 to 255"),
    "objects": (np.array([{}, 1], dtype=object), "Python objects .*never unpickled"),
    "two channels": (IMAGES[..., :2], r"uint8 of shape \(12, 8, 8, 2\), expected \(N, H, W\), \(N, H, W, C\) or"),
    "RGBA": (np.zeros((12, 8, 8, 4), np.uint8), "with 1 or 3 channels"),
    "one image": (IMAGES[0, 0], "expected \\(N, H, W\\)"),
    "a number": (np.uint8(3), "expected \\(N, H, W\\)"),
    "3 images": (IMAGES[:3], "3 images, expected at least 10"),
    "no images": (IMAGES[:0], "0 images, expected at least 10"),
    "not square": (IMAGES[:, :5], "8×5 pixels, expected a square. State a resolution"),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_array_that_is_not_images_is_refused_with_what_to_do(tmp_path, kind):
    array, message = BAD[kind]
    path = put(tmp_path / "a.npz", arr_0=array)
    with pytest.raises(DataError, match=rf"^{path}: .*{message}") as caught:
        read_arrays(path, Form())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("labels", [np.arange(11), np.arange(12.0), -np.arange(12), np.zeros((12, 2), int)])
def test_labels_must_be_one_whole_number_an_image(tmp_path, labels):
    path = put(tmp_path / "a.npz", images=IMAGES, labels=labels)
    with pytest.raises(DataError, match=r"labels: .*expected 12 whole numbers from 0"):
        read_arrays(path, Form())


def test_several_arrays_need_a_key(tmp_path):
    path = put(tmp_path / "a.npz", real=IMAGES, fake=IMAGES)
    with pytest.raises(DataError, match=r"several arrays. Say which with key=real. Known: fake, real"):
        read_arrays(path, Form())
    with pytest.raises(DataError, match=r"no array is called 'faek'. Did you mean 'fake'"):
        read_arrays(path, Form(), "faek")
    with pytest.raises(DataError, match="no array that could be meant"):
        read_arrays(put(tmp_path / "b.npz", labels=np.arange(3)), Form())


def header(text):
    """An .npy that begins with that text where its form should stand."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(40)


def damaged():
    file = io.BytesIO()
    np.savez(file, IMAGES)
    whole = file.getvalue()
    flipped = bytearray(whole)
    flipped[400] ^= 255
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1  # so the table of contents says; the local header too
    encrypted[6] |= 1
    return {
        "cut.npz": whole[:-100],
        "cut early.npz": whole[:100],
        "empty.npz": b"",
        "flipped.npz": bytes(flipped),
        "text.npz": b"hello",
        "pickle.npz": pickle.dumps({"a": 1}),
        "header.npy": header("{'descr': '|u1', 'fortran_order': False, 'shape': (10), 2, 2), }"),
        "nul.npy": header("{'descr': '|u1'\0"),
        "type.npy": header("{'descr': '(,)u1', 'fortran_order': False, 'shape': (10, 2, 2), }"),
        "no order.npy": header("{'descr': {}, 'fortran_order': 3, 'shape': 'x', }"),
        "encrypted.npz": bytes(encrypted),
        "cut.npy": whole[80:2000],
    }


@pytest.mark.parametrize("name", damaged())
def test_a_damaged_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(damaged()[name])
    with pytest.raises(DataError, match=rf"^{tmp_path}/{name}: not ") as caught:
        read_arrays(tmp_path / name, Form())
    assert "\n" not in str(caught.value)


def test_a_member_that_is_no_array_is_named(tmp_path):
    with zipfile.ZipFile(put(tmp_path / "a.npz", images=IMAGES), "a") as archive:
        archive.writestr("labels.npy", b"not an array")
    with pytest.raises(DataError, match=r"a\.npz: labels: not an array"):
        read_arrays(tmp_path / "a.npz", Form())


def test_an_archive_that_unpacks_to_more_than_memory_holds_is_refused_before_it_is(tmp_path, monkeypatch):
    path = put(tmp_path / "a.npz", images=IMAGES)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=50))
    with pytest.raises(DataError, match=r"images: .* once unpacked, this machine has 50 bytes of memory"):
        read_arrays(path, Form())


def test_no_pickle_is_ever_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    np.save(tmp_path / "a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Bomb()))
    for name in ("a.npy", "b.npy"):
        with pytest.raises(DataError, match="never unpickled"):
            read_arrays(tmp_path / name, Form())


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((20, 2), int), "expected points: floating numbers of shape"),
        (np.zeros(20), "expected points: floating numbers of shape"),
        (np.full((20, 2), np.inf), "not all numbers are finite"),
        (np.full((20, 2), 1e300), "not all numbers are finite as float32"),
        (np.zeros((3, 2)), "3 points, expected at least 10"),
    ],
)
def test_points_that_are_none_are_refused(tmp_path, points, message):
    np.save(tmp_path / "a.npy", points)
    with pytest.raises(DataError, match=rf"^{tmp_path}/a.npy: .*{message}"):
        read_points_of(tmp_path / "a.npy")
