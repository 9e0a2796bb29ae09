"""What `ganbench cache list` and `verify` print of entries."""

from __future__ import annotations

import pytest
import torch
from commands import ganbench

from ganbench import cache
from ganbench.stock import stock_rows

HASH = "0123456789abcdef" * 4

IDENTITIES = {
    "data": {"data": "folder", "sha256": HASH, "version": 1, "resolution": 8, "crop": "stretch", "key": ""},
    "features": {"dataset": "digits of 1", "extractor": "digits of 1", "samples": [HASH], "torch": "2.11"},
    "statistics": {"dataset": "ring8 of 1", "features": None, "statistic": "nearest/1", "torch": "2.11"},
    "classifiers": {
        "version": 1,
        "architecture": {"resolution": 28, "features": 64, "classes": 10, "channels": 1},
        "recipe": {"epochs": 12, "shear": 0},
        "data": HASH,
    },
}

SUBJECTS = {
    "data": "folder(crop=stretch, resolution=8)",
    "features": "digits of 1, extractor digits of 1",
    "statistics": "ring8 of 1, nearest/1",
    "classifiers": "trained on 0123456789ab…, resolution=28, channels=1, classes=10, epochs=12",
}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GANBENCH_CACHE_DIR", str(tmp_path))


def put(kind):
    cache.recall(kind, IDENTITIES[kind], lambda: {"x": torch.arange(100)})
    return next(entry for entry in cache.entries() if entry.kind == kind)


@pytest.mark.parametrize("kind", cache.CACHE_KINDS)
def test_every_kind_says_what_it_was_computed_from(kind):
    put(kind)
    (row,) = stock_rows()
    assert (row["kind"], row["status"], row["reason"]) == (kind, "ok", "")
    assert row["subject"] == SUBJECTS[kind]


def test_a_damaged_entry_has_a_short_status_and_its_reason_last():
    entry = put("features")
    entry.path.write_bytes(entry.path.read_bytes()[:-8] + bytes(8))
    assert stock_rows()[0]["status"] == "ok"
    (row,) = stock_rows(verify=True)
    assert row["status"] == "damaged"
    assert row["reason"].startswith("its tensors have SHA-256 ")
    assert list(row)[-1] == "reason"
    result = ganbench("cache", "verify")
    assert result.status == 2
    assert result.out.splitlines()[0].split() == ["status", "kind", "size", "written", "file", "subject", "reason"]


def test_an_entry_without_a_header_leaves_the_others_readable():
    put("features").path.write_bytes(b"\xff" * 100)
    put("data")
    result = ganbench("cache", "list")
    (line,) = [line for line in result.out.splitlines() if line.startswith("ok ")]
    assert "folder(" in line
    (row,) = [row for row in stock_rows() if row["status"] == "damaged"]
    assert row["reason"].startswith("its header cannot be read")
