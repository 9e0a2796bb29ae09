from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ganbench import cache
from ganbench.errors import DataError
from ganbench.folders import cache_folder
from ganbench.tensorfiles import digest

IDENTITY = {"dataset": "d", "count": 3}
MAPS = Path("/proc/self/maps")


class Counting:
    """Computes two tensors, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {
            "images": torch.arange(12, dtype=torch.uint8).reshape(3, 4),
            "mean": torch.tensor([0.5], dtype=torch.float64),
        }


def recall(compute, **changes):
    return cache.recall("features", {**IDENTITY, **changes}, compute)


def only_file():
    (entry,) = cache.entries()
    return entry.path


def test_what_was_computed_is_not_computed_again():
    compute = Counting()
    first, second = recall(compute), recall(compute)
    assert compute.calls == 1
    for name, tensor in compute().items():
        assert torch.equal(first[name], tensor)
        assert torch.equal(second[name], tensor)
        assert second[name].dtype == tensor.dtype


@pytest.mark.parametrize("changes", [{"count": 4}, {"dataset": "e"}, {"layer": "x"}])
def test_another_identity_is_another_entry(changes):
    compute = Counting()
    recall(compute)
    recall(compute, **changes)
    assert compute.calls == 2
    assert len(cache.entries()) == 2


def test_the_order_of_an_identity_does_not_matter():
    compute = Counting()
    cache.recall("data", {"a": 1, "b": 2}, compute)
    cache.recall("data", {"b": 2, "a": 1}, compute)
    assert compute.calls == 1


def test_kinds_are_kept_apart():
    compute = Counting()
    for kind in cache.CACHE_KINDS:
        cache.recall(kind, IDENTITY, compute)
    assert compute.calls == len(cache.CACHE_KINDS)
    assert sorted(entry.kind for entry in cache.entries()) == sorted(cache.CACHE_KINDS)


def flip(path, place=-1):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("not safetensors at all, and longer than eight bytes")


def foreign(path):
    save_file({"images": torch.zeros(2)}, path)


@pytest.mark.parametrize("spoil", [flip, cut, empty, text, foreign])
def test_a_damaged_entry_is_named_and_computed_again(spoil, caplog):
    compute = Counting()
    recall(compute)
    spoil(only_file())
    (entry,) = cache.entries()
    assert cache.damage(entry)
    with caplog.at_level(logging.WARNING):
        again = recall(compute)
    assert "computed again" in caplog.text
    assert compute.calls == 2
    assert torch.equal(again["images"], compute()["images"])
    assert cache.damage(cache.entries()[0]) == ""


def test_without_verifying_a_whole_file_is_trusted():
    compute = Counting()
    cache.recall("data", IDENTITY, compute)
    flip(only_file())
    cache.recall("data", IDENTITY, compute, verify=False)
    assert compute.calls == 1
    cache.recall("data", IDENTITY, compute)
    assert compute.calls == 2


def test_an_entry_says_what_it_was_computed_from():
    recall(Counting())
    (entry,) = cache.entries()
    assert (entry.kind, entry.identity, entry.problem) == ("features", IDENTITY, "")
    assert entry.size == entry.path.stat().st_size


def test_a_mapped_tensor_that_is_changed_does_not_change_the_entry():
    compute = Counting()
    recall(compute)
    recall(compute)["images"].zero_()
    assert torch.equal(recall(compute)["images"], compute()["images"])
    assert cache.damage(cache.entries()[0]) == ""


@pytest.mark.skipif(not MAPS.exists(), reason="needs /proc")
def test_a_large_entry_is_mapped_and_not_read():
    big = torch.zeros(64 * 2**20, dtype=torch.uint8)
    cache.recall("data", IDENTITY, lambda: {"images": big})
    found = cache.recall("data", IDENTITY, Counting(), verify=False)["images"]
    assert torch.equal(found, big)
    assert str(only_file()) in MAPS.read_text()


def test_an_error_while_computing_leaves_nothing_behind():
    def broken():
        raise OSError("no such picture")

    with pytest.raises(OSError, match="no such picture"):
        recall(broken)
    assert cache.entries() == []
    compute = Counting()
    recall(compute)
    assert compute.calls == 1


def test_where_nothing_can_be_written_the_result_is_given_all_the_same(monkeypatch, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("GANBENCH_CACHE_DIR", str(blocked))
    compute = Counting()
    with caplog.at_level(logging.WARNING):
        found = recall(compute)
    assert "the cache cannot be used" in caplog.text
    assert torch.equal(found["images"], compute()["images"])


FULL = """
import resource, signal, torch
from ganbench import cache
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
print(int(cache.recall("features", {"dataset": "d"}, lambda: {"images": torch.arange(1000)})["images"].sum()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_takes_no_more_costs_the_entry_and_not_the_result():
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["499500"]
    assert "not kept in the cache" in done.stderr
    assert cache.entries() == []


SLOW = """
import sys, time, torch
from ganbench import cache
def compute():
    print("computed")
    time.sleep(1)
    return {"images": torch.arange(12)}
print(int(cache.recall("features", {"dataset": "d"}, compute)["images"].sum()))
"""


def test_of_several_processes_one_computes():
    processes = [subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[0].split() for process in processes]
    assert sorted(told) == [["66"], ["computed", "66"]]


def test_clearing_deletes_entries_of_the_given_kinds_and_what_killed_writers_left():
    cache.recall("data", IDENTITY, Counting())
    recall(Counting())
    left = cache_folder() / "computed" / "features" / ".abc.123"
    left.write_bytes(b"half")
    count, size = cache.clear(["features"])
    assert (count, size > 0, left.exists()) == (1, True, False)
    assert [entry.kind for entry in cache.entries()] == ["data"]
    assert cache.clear()[0] == 1
    assert cache.clear() == (0, 0)


def test_an_entry_that_is_deleted_meanwhile_is_passed_over(monkeypatch):
    recall(Counting())
    monkeypatch.setattr(cache, "header_of", lambda path: path.unlink() or path.open())
    assert cache.entries() == []
    assert cache.clear() == (0, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete anything")
def test_what_cannot_be_deleted_is_named():
    recall(Counting())
    folder = only_file().parent
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(DataError, match="cannot be deleted"):
            cache.clear()
    finally:
        folder.chmod(stat.S_IRWXU)


def test_a_digest_tells_names_types_and_shapes_apart():
    plain = {"a": torch.zeros(4).numpy()}
    others = [
        {"b": torch.zeros(4).numpy()},
        {"a": torch.zeros(2, 2).numpy()},
        {"a": torch.zeros(4, dtype=torch.int32).numpy()},
        {"a": torch.tensor([0.0, 0.0, 0.0, 1.0]).numpy()},
        {"a": torch.zeros(0).numpy()},
    ]
    assert len({digest(arrays) for arrays in (plain, *others)}) == 6
    assert digest(plain) == digest({"a": torch.zeros(4).numpy()})


def test_the_header_is_json_that_anybody_can_read():
    recall(Counting())
    content = only_file().read_bytes()
    length = int.from_bytes(content[:8], "little")
    told = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["ganbench"])
    assert told["identity"] == IDENTITY
