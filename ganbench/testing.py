"""The conformance kit as tests of a plugin's own, for pytest.

    from ganbench.testing import conformance

    test_conformance = conformance("my_gans")

collects one test for each check of each component that the plugin offers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from ganbench.conformance.checking import CHECKS, REGISTRATION, Check, Checker, check_plugin
from ganbench.conformance.findings import Finding
from ganbench.conformance.grounds import prepare
from ganbench.conformance.selection import Selection, select
from ganbench.plugins import Offer
from ganbench.protocols import Places


def conformance(subject: str | Path, *, places: Places = Places()) -> Callable[..., None]:
    """A test, to be given a name that begins with `test_`: one item for each component × check.

    `subject` is what `ganbench plugins check` takes: a component's, a plugin's, a module's or a distribution's name, or
    a path, as of `Path(__file__).parent.parent`. `places` says where data and weights lie, for components that need
    any. A check that cannot be made here is a skipped item, with the reason. Raises GanbenchError where there is no
    such plugin, or it does not load.
    """
    selection = select(subject)

    @functools.cache
    def checker() -> Checker:
        return Checker(prepare(selection.registry, places))

    @pytest.mark.parametrize("checked", items(selection))
    def test_conformance(checked: str | tuple[Offer, Check]) -> None:
        if isinstance(checked, str):
            judge(check_plugin(checked, selection.plugins[checked], selection.offers))
        else:
            judge(checker().check(*checked))

    return test_conformance


def items(selection: Selection) -> list[object]:
    """What pytest is to go through: plugins by name, then each component with each of its checks."""
    plugins = [pytest.param(plugin, id=f"plugin-{Path(plugin).stem}-{REGISTRATION}") for plugin in selection.plugins]
    pairs = [(offer, check) for offer in selection.offers for check in CHECKS[offer.kind]]
    named = [pytest.param(pair, id=f"{pair[0].kind}-{pair[0].component.name}-{pair[1].name}") for pair in pairs]
    return [*plugins, *named]


def judge(finding: Finding) -> None:
    """Nothing for a check that passed; else the test fails, or is skipped, in the finding's words."""
    if finding.verdict == "skipped":  # what this machine, or the contract, leaves nothing to check of: it says which
        pytest.skip(finding.reason)
    if finding.verdict == "fail":
        pytest.fail(finding.message(), pytrace=False)
