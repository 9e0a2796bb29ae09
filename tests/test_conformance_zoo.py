"""The shipped zoo under the kit that it ships with: every component × every check, with each parameter corner."""

from __future__ import annotations

import functools

import pytest

from ganbench.conformance.checking import CHECKS, Checker, check_plugin
from ganbench.conformance.grounds import prepare
from ganbench.conformance.selection import select
from ganbench.testing import items, judge


@functools.cache
def zoo():
    return select("ganbench")


@functools.cache
def checker():
    return Checker(prepare(zoo().registry))


@pytest.mark.parametrize("checked", items(select("ganbench")))
def test_the_zoo_conforms(checked):
    if isinstance(checked, str):
        judge(check_plugin(checked, zoo().plugins[checked], zoo().offers))
    else:
        judge(checker().check(*checked))


def test_every_component_that_is_installed_is_checked():
    checked = {(offer.kind, offer.component.name) for offer in zoo().offers}
    assert checked == {
        (offer.kind, offer.component.name) for offer in zoo().registry.offers if offer.owner == "ganbench"
    }
    assert {kind for kind, _ in checked} <= CHECKS.keys()
