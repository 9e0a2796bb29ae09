from __future__ import annotations

import json
import os

import pytest

from ganbench.errors import ResultsError
from ganbench.portrait_files import (
    LONGEST_NAME,
    MOST_BYTES,
    MOST_CLASSES,
    MOST_SAMPLES,
    PORTRAIT,
    Classes,
    Neighbours,
    Points,
    Portrait,
    content_of,
    read_portrait,
)

WHOLE = Portrait(
    Classes(("zero", "<b>one</b>", "none"), (0.5, 0.5, 0.0), (0.25, 0.65, 0.1)),
    Points(((0.0, 1.0), (-1.5, 2.5)), ((1e30, -1e-30),)),
    Neighbours("Euclidean distance", 899, (0.0, 1.5), (2.0,)),
)


@pytest.fixture
def written(tmp_path):
    """A function that puts something where a portrait should be: bytes, or a whole one with one place changed."""

    def write(content=None, *place):
        data = json.loads(content_of(WHOLE))
        if place:
            *path, last = place
            inner = data
            for key in path:
                inner = inner[key]
            inner[last] = content
            content = json.dumps(data).encode()
        (tmp_path / PORTRAIT).write_bytes(content)
        return tmp_path

    return write


@pytest.mark.parametrize("portrait", [WHOLE, Portrait(), Portrait(points=WHOLE.points)])
def test_a_portrait_is_read_as_it_was_written(written, portrait):
    assert read_portrait(written(content_of(portrait))) == portrait


def test_the_file_has_the_keys_that_are_documented():
    data = json.loads(content_of(WHOLE))
    assert {name: sorted(part) for name, part in data.items()} == {
        "classes": ["data", "names", "samples"],
        "points": ["data", "samples"],
        "neighbours": ["distance", "heldout", "of", "samples"],
    }
    assert data["points"]["data"] == [[0.0, 1.0], [-1.5, 2.5]]
    assert json.loads(content_of(Portrait())) == {"classes": None, "points": None, "neighbours": None}


def test_there_is_none_in_results_of_older_versions(tmp_path):
    assert read_portrait(tmp_path) is None
    assert read_portrait(tmp_path / "nowhere") is None


def test_a_number_that_is_not_finite_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        content_of(Portrait(points=Points(((float("nan"), 0.0),), ())))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"classes": ' * 5000,
        b'{"points": {"data": [[NaN, 0]], "samples": []}}',
        b'{"points": {"data": [[1e999, 0]], "samples": []}}',
        b'{"points": {"data": [[' + b"9" * 5000 + b', 0]], "samples": []}}',
        b'{"classes": {"names": ["\\ud800"], "data": [1], "samples": [1]}}',
        b" " * (MOST_BYTES + 1),
    ],
    ids=lambda content: repr(content[:24]),
)
def test_whatever_is_no_portrait_is_refused_with_the_files_name(written, content):
    with pytest.raises(ResultsError, match=rf"{PORTRAIT}: "):
        read_portrait(written(content))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("zero", ("classes", "names")),
        ([], ("classes", "names")),
        ([1, 2, 3], ("classes", "names")),
        (["x" * (LONGEST_NAME + 1), "y", "z"], ("classes", "names")),
        (["x"] * (MOST_CLASSES + 1), ("classes", "names")),
        ([0.5, 0.5], ("classes", "data")),
        ([0.5, 0.4, 0.0], ("classes", "samples")),
        ([1.5, -0.5, 0.0], ("classes", "samples")),
        (["0.5", "0.5", "0"], ("classes", "data")),
        ([True, False, False], ("classes", "data")),
        ([[1.0]], ("points", "data")),
        ([[1.0, 2.0, 3.0]], ("points", "data")),
        ([[1.0, None]], ("points", "samples")),
        ([[0.0, 0.0]] * (MOST_SAMPLES + 1), ("points", "samples")),
        (None, ("points", "samples")),
        (0, ("neighbours", "of")),
        (1.5, ("neighbours", "of")),
        (10**30, ("neighbours", "of")),
        ([-1.0], ("neighbours", "samples")),
        ([0.0] * (MOST_SAMPLES + 1), ("neighbours", "heldout")),
        ({"a": 1}, ("neighbours", "heldout")),
        (["<script>"], ("neighbours", "heldout")),
        ("x" * (LONGEST_NAME + 1), ("neighbours", "distance")),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_out_of_place_is_named_by_its_place(written, value, place):
    with pytest.raises(ResultsError, match=rf"{PORTRAIT}: at '{'.'.join(place)}"):
        read_portrait(written(value, *place))


def test_more_keys_than_this_version_knows_are_passed_over(written):
    assert read_portrait(written({"of": "tomorrow"}, "faces")) == WHOLE


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / PORTRAIT)
    with pytest.raises(ResultsError, match="no regular file"):
        read_portrait(tmp_path)


def test_a_folder_or_a_link_that_leads_nowhere_is_no_portrait_either(tmp_path):
    (tmp_path / PORTRAIT).mkdir()
    with pytest.raises(ResultsError, match=PORTRAIT):
        read_portrait(tmp_path)
    (tmp_path / PORTRAIT).rmdir()
    (tmp_path / PORTRAIT).symlink_to(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match="cannot be read"):
        read_portrait(tmp_path)
