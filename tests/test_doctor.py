from __future__ import annotations

import socket

import pytest
from commands import ganbench

from ganbench import __version__, doctor
from ganbench.doctor import examine
from ganbench.plugins import discover
from ganbench.protocols import Places

SICK = """
from ganbench import Component, hookimpl


@hookimpl
def ganbench_datasets():
    yield Component("sick", ":load", summary="Raises what it likes", gives={"data": "points", "shape": (2,)})
    yield Component("choosy", ":choose", summary="Needs to be told", gives={"data": "points", "shape": (2,)})
    yield Component("gone", ":absent", summary="Is not there", gives={"data": "points", "shape": (2,)})


def load(places):
    raise ZeroDivisionError("no reason")


def choose(places, what: str):
    raise AssertionError("called without being told what")
"""


@pytest.fixture
def offline(monkeypatch):
    """No connection can be made."""

    def refuse(*arguments):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def statuses(rows):
    return {row["subject"]: row["status"] for row in rows}


def test_what_is_installed_is_ok_what_is_not_here_is_missing_and_the_network_is_not_asked(tmp_path, offline):
    rows = examine(discover(), Places(tmp_path))
    found = statuses(rows)
    assert {tuple(row) for row in rows} == {("subject", "status", "detail")}
    assert next(row["detail"] for row in rows if row["subject"] == "ganbench").startswith(__version__)
    for subject in (
        "torch",
        "cpu",
        "plugins",
        "dataset ring8",
        "dataset digits",
        "extractor digits",
        "extractor classifier",
        "cache",
    ):
        assert found[subject] == "ok"
    missing = {row["subject"]: row["detail"] for row in rows if row["status"] == "missing"}
    for subject in ("dataset mnist", "dataset cifar10"):
        assert str(tmp_path) in missing[subject]
        assert "--download" in missing[subject]
    assert "fails" not in found.values()


def test_what_a_plugin_does_wrong_fails_and_is_told_with_its_owner(tmp_path, offline, monkeypatch):
    monkeypatch.setattr(doctor, "_software", list)
    (tmp_path / "sick.py").write_text(SICK)
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found")
    rows = examine(discover([tmp_path / "sick.py", tmp_path / "broken.py"]), Places(tmp_path))
    details = {row["subject"]: row["detail"] for row in rows}
    found = statuses(rows)
    assert found["dataset sick"] == found["dataset gone"] == found[f"plugin {tmp_path / 'broken.py'}"] == "fails"
    assert details["dataset sick"].endswith("sick.py raised ZeroDivisionError: no reason")
    assert "'absent'" in details["dataset gone"]
    assert "No module named 'nowhere_to_be_found'" in details[f"plugin {tmp_path / 'broken.py'}"]
    assert found["dataset choosy"] == "missing"
    assert "what" in details["dataset choosy"]
    assert found["dataset ring8"] == "ok"


def test_a_package_that_is_not_installed_fails(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("pluggy", "nowhere-to-be-found"))
    assert statuses(doctor._software())["nowhere-to-be-found"] == "fails"


def test_the_command_has_status_0_where_nothing_fails_and_1_where_something_does(tmp_path, offline):
    well = ganbench("doctor", "--data-root", tmp_path, "--format", "json")
    assert (well.status, well.err) == (0, "")
    assert list(well.rows[0]) == ["subject", "status", "detail"]
    (tmp_path / "broken.py").write_text("1 / 0")
    ill = ganbench("doctor", "--data-root", tmp_path, "--plugin", tmp_path / "broken.py")
    assert ill.status == 1
    assert "ZeroDivisionError: division by zero" in " ".join(ill.out.split())
