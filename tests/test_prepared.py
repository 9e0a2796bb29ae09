"""Prepared once: by content, in whatever process, and never from a stale or damaged cache."""

import json
import multiprocessing
import os

import pytest
import torch
from picture_files import encoded, noise, put_pictures
from preparing import fingerprint_of_folder

from ganbench import prepared as module
from ganbench.cache import entries
from ganbench.errors import DataError
from ganbench.folders import cache_folder
from ganbench.prepared import digests_of, forget_digests, prepared
from ganbench.protocols import Data, Places
from ganbench_files import data as files

PLACES = Places()
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1


def images(count, seed=0):
    return torch.from_numpy(noise(count, 3, 4, 4, seed=seed))


def whole():
    return Data(
        images(3), images(2, 1), torch.tensor([4, 5, 6]), torch.tensor([7, 8]), ("a", "é\udcff"), origin="from x"
    )


def test_what_was_prepared_comes_back_whole_and_is_not_made_again():
    calls = []

    def compute():
        calls.append(1)
        return whole()

    for found in (prepared("demo", ABC, {"resolution": 4}, compute) for _ in range(2)):
        expected = whole()
        for name in ("train", "heldout", "train_labels", "heldout_labels"):
            assert torch.equal(getattr(found, name), getattr(expected, name))
            assert getattr(found, name).dtype == getattr(expected, name).dtype
        assert (found.class_names, found.origin) == (expected.class_names, expected.origin)
    assert calls == [1]


def test_an_empty_split_and_no_labels_come_back_as_they_were():
    for _ in range(2):
        found = prepared("demo", ABC, {}, lambda: Data(images(2)[:0], images(2)))
        assert found.train.shape == (0, 3, 4, 4)
        assert (found.train_labels, found.heldout_labels, found.class_names) == (None, None, ())


def test_other_content_parameters_names_and_versions_are_prepared_apart(monkeypatch):
    def made(value, *identity):
        data = Data(torch.full((1, 1, 2, 2), value, dtype=torch.uint8), images(1))
        return prepared(*identity, lambda: data).train.flatten()[0]

    assert made(1, "demo", ABC, {"resolution": 2}) == 1
    assert made(2, "demo", ABC, {"resolution": 3}) == 2
    assert made(3, "demo", "0" * 64, {"resolution": 2}) == 3
    assert made(4, "other", ABC, {"resolution": 2}) == 4
    assert made(5, "demo", ABC, {"resolution": 2}) == 1
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert made(6, "demo", ABC, {"resolution": 2}) == 6


def test_a_damaged_entry_is_made_again():
    prepared("demo", ABC, {}, whole)
    (entry,) = entries()
    content = bytearray(entry.path.read_bytes())
    content[-20] ^= 255
    entry.path.write_bytes(content)
    assert torch.equal(prepared("demo", ABC, {}, whole).train, whole().train)


def test_changing_what_is_mapped_changes_no_file():
    prepared("demo", ABC, {}, whole).train.fill_(9)
    assert torch.equal(prepared("demo", ABC, {}, lambda: pytest.fail("made again")).train, whole().train)


def test_the_hash_of_a_file_is_its_sha256_and_it_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"")
    assert digests_of(tmp_path, ["b", "a"])[1] == ABC
    monkeypatch.setattr(module.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert digests_of(tmp_path, ["a"]) == [ABC]


@pytest.mark.parametrize("change", ["size", "time", "nothing but content", "replaced"])
def test_a_file_that_changed_is_hashed_again(tmp_path, change):
    (tmp_path / "a").write_bytes(b"abc")
    before, status = digests_of(tmp_path, ["a"]), (tmp_path / "a").stat()
    path = tmp_path / ("b" if change == "replaced" else "a")
    path.write_bytes(b"abcd" if change == "size" else b"abd")
    os.utime(path, ns=(1, 1) if change == "time" else (status.st_atime_ns, status.st_mtime_ns))
    path.replace(tmp_path / "a")
    assert digests_of(tmp_path, ["a"]) != before


def test_what_was_remembered_can_be_forgotten(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    digests_of(tmp_path, ["a"])
    memo().write_text(memo().read_text().replace(ABC, "0" * 64))
    assert digests_of(tmp_path, ["a"]) == ["0" * 64]
    forget_digests(tmp_path)
    forget_digests(tmp_path)
    assert digests_of(tmp_path, ["a"]) == [ABC]


def memo():
    (path,) = (cache_folder() / "hashes").glob("*.json")
    return path


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]"]
    + [f'{{"files": {files}}}' for files in ("3", '{"a": [1]}', '{"a": [3, 1, 1, "x", 5]}', '{"a": [3, 1, 1, 1, ""]}')],
)
def test_a_damaged_memo_is_ignored_and_mended(tmp_path, content):
    (tmp_path / "a").write_bytes(b"abc")
    digests_of(tmp_path, ["a"])
    memo().write_text(content)
    assert digests_of(tmp_path, ["a"]) == [ABC]
    assert json.loads(memo().read_text())["files"]["a"][-1] == ABC
    assert [path.name for path in memo().parent.iterdir()] == [memo().name]


def test_where_nothing_can_be_remembered_files_are_hashed_all_the_same(tmp_path, monkeypatch, caplog):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "not-a-folder").write_text("")
    monkeypatch.setenv("GANBENCH_CACHE_DIR", str(tmp_path / "not-a-folder"))
    assert digests_of(tmp_path, ["a"]) == [ABC]
    assert "hashes of files are not remembered" in caplog.text


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=rf"^{tmp_path}/a: cannot be read \(No such file or directory\)"):
        digests_of(tmp_path, ["a"])


def test_two_processes_that_prepare_at_the_same_time_get_the_same_and_decode_once(tmp_path):
    put_pictures(tmp_path / "pictures", 40)
    (tmp_path / "gate").mkdir()
    arguments = [(str(tmp_path / "pictures"), str(tmp_path / "cache"), str(tmp_path / "gate"))] * 2
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(fingerprint_of_folder, arguments, chunksize=1)
    assert first == second
    assert len(list((tmp_path / "gate").glob("decoded-*"))) == 1


def test_pictures_are_decoded_once_for_every_share_that_is_held_out(tmp_path, monkeypatch):
    put_pictures(tmp_path / "pictures", 20)
    places = Places(data_root=tmp_path)
    half = files.folder(places, "pictures", 8)
    monkeypatch.setattr(files, "read_folder", lambda *_: pytest.fail("decoded again"))
    quarter = files.folder(places, "pictures", 8, heldout=0.25)
    assert torch.equal(half.heldout[:5], quarter.heldout)
    (tmp_path / "pictures" / "03.png").write_bytes(encoded(noise(8, 8, 3, seed=5)))
    with pytest.raises(pytest.fail.Exception):
        files.folder(places, "pictures", 8)


def test_a_source_that_changes_while_it_is_read_is_refused_and_read_anew_next_time(tmp_path):
    put_pictures(tmp_path, 12)
    (digest,) = digests_of(tmp_path, ["03.png"])
    memo().write_text(memo().read_text().replace(digest, "0" * 64))  # as if the file had changed, and nothing told so
    with pytest.raises(DataError, match=r"changed while it was read. Try again"):
        files.folder(PLACES, str(tmp_path), 8)
    assert len(files.folder(PLACES, str(tmp_path), 8).train) == 6
