"""WebDataset's tar archives: grouped by key, read in memory, and never cut short in silence."""

import io
import tarfile

import numpy as np
import pytest
from picture_files import channels_first, encoded, noise, put_tar

from ganbench.archives import read_tar
from ganbench.decoding import Form
from ganbench.errors import DataError

IMAGES = noise(12, 8, 8, 3)
PICTURES = [(f"{index:04}.png", encoded(image)) for index, image in enumerate(IMAGES)]
LABELLED = [
    member
    for index, (_, content) in enumerate(PICTURES)
    for member in ((f"a/{index:04}.png", content), (f"a/{index:04}.cls", f"{index % 3}\n".encode()))
]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_pictures_come_in_the_archives_order_with_their_classes(tmp_path, mode):
    found = read_tar(put_tar(tmp_path / "a.tar", LABELLED[::-1], mode), Form())
    assert np.array_equal(found.images.numpy(), channels_first(IMAGES)[::-1])
    assert found.labels.tolist() == [index % 3 for index in range(12)][::-1]
    assert found.names[0] == "a/0011"
    assert read_tar(put_tar(tmp_path / "b.tar", PICTURES, mode), Form()).labels is None


def test_a_key_ends_at_the_first_dot_and_its_first_picture_counts(tmp_path):
    members = [(f"{index}.left.png", content) for index, (_, content) in enumerate(PICTURES)]
    others = [(f"{index}.right.png", b"not even a picture") for index in range(12)]
    texts = [(f"{index}.json", b"{}") for index in range(12)]
    found = read_tar(put_tar(tmp_path / "a.tar", members + others + texts), Form())
    assert np.array_equal(found.images.numpy(), channels_first(IMAGES))
    assert found.names == tuple(str(index) for index in range(12))


def test_equal_names_in_other_folders_are_other_samples(tmp_path):
    members = [(f"{folder}/{name}", content) for folder in "ab" for name, content in PICTURES]
    assert len(read_tar(put_tar(tmp_path / "a.tar", members), Form()).images) == 24


def test_links_and_hidden_members_are_passed_over(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, content in [("._0000.png", b"junk"), *PICTURES]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert len(read_tar(path, Form()).images) == 12


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "a/../../x.png"])
def test_a_name_that_points_outside_is_refused(tmp_path, name):
    path = put_tar(tmp_path / "a.tar", [*PICTURES, (name, b"")])
    with pytest.raises(DataError, match=rf"its member '{name}' points outside it"):
        read_tar(path, Form())


@pytest.mark.parametrize("name", ["", ".", "./"])
def test_a_member_that_has_no_name_is_passed_over(tmp_path, name):
    assert len(read_tar(put_tar(tmp_path / "a.tar", [(name, b"junk"), *PICTURES]), Form()).images) == 12


def test_nothing_is_unpacked(tmp_path, monkeypatch):
    for method in ("extract", "extractall", "_extract_member"):
        monkeypatch.setattr(tarfile.TarFile, method, lambda *_: pytest.fail("unpacked"))
    read_tar(put_tar(tmp_path / "a.tar", PICTURES), Form())
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


@pytest.mark.parametrize("kept", [0, 100, 512, 1024, 3000, 5120, 12 * 1024, 12 * 1024 + 100])
def test_a_cut_archive_is_named_wherever_it_was_cut(tmp_path, kept):
    path = put_tar(tmp_path / "a.tar", PICTURES)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=rf"^{path}: not a whole tar archive \(") as caught:
        read_tar(path, Form())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
def test_a_cut_packed_archive_is_named(tmp_path, mode):
    path = put_tar(tmp_path / "a.tar", PICTURES, mode)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError, match="not a whole tar archive"):
        read_tar(path, Form())


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_packed_archive_with_a_flipped_byte_is_one_message(tmp_path, mode, share):
    path = put_tar(tmp_path / "a.tar", PICTURES, mode)
    content = bytearray(path.read_bytes())
    for place in range(8):
        content[int(share * len(content)) + place] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=str(path)) as caught:
        read_tar(path, Form())
    assert "\n" not in str(caught.value)


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    path = put_tar(tmp_path / "a.tar", PICTURES)
    content = bytearray(path.read_bytes())
    content[11 * 1024] ^= 255  # the name of the last member, each of which takes two blocks: the header and 300 bytes
    path.write_bytes(content)
    with pytest.raises(DataError, match="no end where one is expected, 11,264 bytes in"):
        read_tar(path, Form())


def test_one_broken_picture_is_named(tmp_path):
    path = put_tar(tmp_path / "a.tar", [*PICTURES, ("x.png", b"broken")])
    with pytest.raises(DataError, match=rf"^{path}: x\.png: none of BMP"):
        read_tar(path, Form())


def test_too_few_pictures_are_counted(tmp_path):
    path = put_tar(tmp_path / "a.tar", [*PICTURES[:3], ("0.txt", b""), ("1.txt", b"")])
    with pytest.raises(DataError, match=r"3 images, expected at least 10 .*Other files there: 2 \.txt"):
        read_tar(path, Form())


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (LABELLED[:-1], r"'a/0011' has no \.cls, 11 others have one"),
        ([*LABELLED[:-1], ("a/0011.cls", b"cat")], r"a/0011\.cls: expected a whole number from 0"),
        ([*LABELLED[:-1], ("a/0011.cls", b"-1")], r"a/0011\.cls: expected a whole number from 0"),
    ],
)
def test_classes_must_be_whole_numbers_and_complete(tmp_path, members, message):
    with pytest.raises(DataError, match=message):
        read_tar(put_tar(tmp_path / "a.tar", members), Form())
