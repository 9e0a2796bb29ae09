"""What tests of reliability compare with."""

from __future__ import annotations

import pytest
from trouble import EIGHT, Command, outcome, residue


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """A suite, and what comes of it when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    suite = folder / "eight.toml"
    suite.write_text(EIGHT)
    results = folder / "eight"
    Command(suite, results).finish()
    assert residue(results) == []
    return suite, outcome(results)
