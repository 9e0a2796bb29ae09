from __future__ import annotations

import re
from pathlib import Path

import pytest

from ganbench.bench import benchmarks

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_no_two_benchmarks_share_a_name(device):
    names = [mark.name for mark in benchmarks(device)]
    assert len(names) > 5
    assert len(set(names)) == len(names)


def test_every_benchmark_of_a_processor_but_one_has_a_target_and_none_of_a_gpu_has():
    assert [mark.name for mark in benchmarks("cpu") if mark.target is None] == ["first-step"]
    assert all(mark.target is None for mark in benchmarks("cuda:0"))


def test_only_what_is_a_number_of_seconds_has_no_baseline():
    for mark in benchmarks("cpu"):
        assert bool(mark.baseline) is (mark.figure != "seconds"), mark.name


def test_the_page_has_a_row_for_every_benchmark():
    marked = re.search(r"<!-- begin: ganbench bench [^\n]+ -->\n(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL)
    rows = [line.split("|")[1].strip() for line in marked[1].splitlines() if line.startswith("|")]
    assert rows[2:] == [mark.name for mark in benchmarks("cpu")], "run `python docs/generate.py performance`"
