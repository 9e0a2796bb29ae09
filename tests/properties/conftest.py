"""How many examples a property is tried on: few, and the same ones every time; 10,000 with GANBENCH_SOAK=1."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

SOAK = os.environ.get("GANBENCH_SOAK") == "1"

settings.register_profile("short", max_examples=60, deadline=None, derandomize=True, database=None)
settings.register_profile("soak", max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))


def pytest_collection_modifyitems(items):
    """A soak takes as long as it takes."""
    if SOAK:
        for item in items:
            item.add_marker(pytest.mark.timeout(0))
