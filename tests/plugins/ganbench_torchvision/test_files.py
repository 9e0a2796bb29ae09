"""Files of a data set: found, checked, fetched whole."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from ganbench.errors import DataError
from ganbench.protocols import Data, Places
from ganbench_torchvision.files import Source, check, load, locate, published_as


def source(damage=lambda _: "", fetch=lambda _: None, folder="set"):
    return Source("demo", folder, ("a.bin", "b.bin"), ("http://demo.invalid/a.bin",), damage, fetch)


def put(root, folder="set", **contents):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (root / folder / f"{name}.bin").write_bytes(content)


def bytes_of(folder):
    content = b"".join((folder / name).read_bytes() for name in ("a.bin", "b.bin"))
    images = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(-1, 1, 1, 1)
    return Data(images[:1], images[1:], origin="demo")


def test_data_are_read_once_for_the_same_content_and_again_for_another(tmp_path):
    put(tmp_path, a=b"\1", b=b"\2\3")
    reads = []

    def read(folder):
        reads.append(folder)
        return bytes_of(folder)

    places = Places(data_root=tmp_path)
    first, again = load(source(), places, read), load(source(), places, read)
    assert torch.equal(first.heldout, again.heldout)
    assert reads == [tmp_path / "set"]
    load(source(), places, read, {"resolution": 2})
    put(tmp_path, b=b"\2\4")
    assert load(source(), places, read).heldout.flatten().tolist() == [2, 4]
    assert len(reads) == 3


def test_damage_is_found_before_anything_is_read(tmp_path):
    put(tmp_path, a=b"\1", b=b"\2")
    broken = source(damage=lambda path: "upside down" if path.name == "b.bin" else "")
    with pytest.raises(DataError, match=r"demo: .*b.bin: upside down. Replace the file, or delete it and pass"):
        load(broken, Places(data_root=tmp_path), lambda _: pytest.fail("read"))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    def damage(path):
        raise PermissionError(13, "Permission denied")

    with pytest.raises(DataError, match=r"a.bin: cannot be read \(Permission denied\)"):
        check(source(damage=damage), tmp_path)


def test_a_download_that_brings_too_little_is_not_taken_for_all(tmp_path):
    with pytest.raises(DataError, match=r"demo: the download to .* failed .*No such file"):
        locate(source(fetch=lambda root: put(root, a=b"\1")), Places(data_root=tmp_path, download=True))
    assert not (tmp_path / "set" / "b.bin").exists()


def test_two_that_want_the_same_download_it_once(tmp_path):
    fetches = []

    def fetch(root):
        fetches.append(root)
        time.sleep(0.3)
        put(root, a=b"\1", b=b"\2")

    places = Places(data_root=tmp_path, download=True)
    with ThreadPoolExecutor(2) as pool:
        roots = list(pool.map(lambda _: locate(source(fetch=fetch), places), range(2)))
    assert roots == [tmp_path, tmp_path]
    assert len(fetches) == 1


def test_a_file_is_what_its_published_sum_says(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    (tmp_path / "y").write_bytes(b"abd")
    damage = published_as({"x": "900150983cd24fb0d6963f7d28e17f72", "y": "900150983cd24fb0d6963f7d28e17f72"})
    assert damage(tmp_path / "x") == ""  # MD5 of abc, RFC 1321, A.5
    assert "MD5" in damage(tmp_path / "y")
