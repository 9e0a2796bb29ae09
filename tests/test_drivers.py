from __future__ import annotations

import sys
from subprocess import run

import pytest
from small import trial

from ganbench.drivers import Driver, Findings, choose

NOT_TOGETHER = {"vectorised": "it draws"}
NOT_CAPTURED = {"graph": "it looks"}


@pytest.mark.parametrize(
    ("name", "vectorised", "captured"),
    [
        ("eager", False, False),
        ("vectorised", True, False),
        ("graph", False, True),
        ("vectorised+graph", True, True),
    ],
)
def test_a_drivers_name_says_what_it_does(name, vectorised, captured):
    assert (Driver(name).vectorised, Driver(name).captured) == (vectorised, captured)


@pytest.mark.parametrize(
    ("refusals", "wish", "name"),
    [
        ({}, "auto", "vectorised+graph"),
        (NOT_CAPTURED, "auto", "vectorised"),
        (NOT_TOGETHER, "auto", "graph"),
        ({**NOT_TOGETHER, **NOT_CAPTURED}, "auto", "eager"),
        ({}, "eager", "eager"),
        ({}, "vectorised", "vectorised"),
        ({}, "graph", "graph"),
        (NOT_TOGETHER, "vectorised", "eager"),
        (NOT_CAPTURED, "graph", "eager"),
    ],
)
def test_the_fastest_driver_that_nothing_refuses_is_taken(refusals, wish, name):
    assert choose(trial(), Findings(refusals=refusals), wish).name == name


def test_the_reasons_are_those_of_what_was_wished_for():
    both = Findings(refusals={**NOT_TOGETHER, **NOT_CAPTURED})
    assert choose(trial(), both).reason == "not vectorised: it draws; not graph: it looks"
    assert choose(trial(), both, "graph").reason == "not graph: it looks; asked for: graph"
    assert choose(trial(), both, "eager").reason == "asked for: eager"
    assert choose(trial(), Findings()).reason == ""


def test_seeds_do_not_share_device_time_that_is_the_budget():
    driver = choose(trial(budget={"device_seconds": 1}), Findings(refusals=NOT_CAPTURED))
    assert driver.name == "eager"
    assert "not vectorised: device time is the budget, which seeds do not share" in driver.reason


def test_choosing_a_driver_needs_no_torch():
    code = "import sys, ganbench.drivers; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
