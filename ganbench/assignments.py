"""Who trains with whom, and how: written down before anything starts, so that what is cut short goes on alike.

How seeds that train together are rounded depends on how many they are. So a group stays as it was first made, however
much of the suite is done when a run is started again.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from ganbench.disk import write_atomically
from ganbench.drivers import Driver, DriverName
from ganbench.errors import ResultsError
from ganbench.parsing import read_facts
from ganbench.store import TASK, Attempt

GROUPS = "groups.json"


@dataclass(frozen=True)
class Assignment:
    """The driver, and the keys of the jobs that share a process, in order. `id` tells one attempt from all others."""

    driver: Driver = Driver()
    together: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex, compare=False)

    def write(self, attempt: Attempt) -> None:
        """Put it into the attempt's folder."""
        attempt.write_json(TASK, {"id": self.id, **_facts(self)})


def assignment_of(attempt: Attempt) -> Assignment | None:
    """What was written down of an attempt; None where nothing was, or nothing that can be gone by."""
    with contextlib.suppress(ResultsError):
        facts = attempt.task()
        found, identity = _assignment(facts), facts.get("id")
        if found is not None and isinstance(identity, str) and attempt.key in found.together:
            return Assignment(found.driver, found.together, identity)
    return None


def read_groups(results: Path) -> list[Assignment]:
    """The groups that were made for what was to do; none where nothing is left of them."""
    with contextlib.suppress(ResultsError):
        listed = read_facts(results / GROUPS).get("groups")
        found = [_assignment(facts) for facts in listed if isinstance(facts, dict)] if isinstance(listed, list) else []
        return [assignment for assignment in found if assignment is not None]
    return []


def write_groups(results: Path, groups: Iterable[Assignment]) -> None:
    """Write them down. Raises StorageError."""
    data = {"groups": [_facts(group) for group in groups]}
    write_atomically(results / GROUPS, json.dumps(data, indent=1).encode())


def _facts(assignment: Assignment) -> dict[str, Any]:
    driver = assignment.driver
    return {"driver": driver.name, "driver_reason": driver.reason, "together": list(assignment.together)}


def _assignment(facts: Mapping[str, Any]) -> Assignment | None:
    names: dict[object, DriverName] = {name: name for name in get_args(DriverName)}
    name, together = names.get(str(facts.get("driver"))), facts.get("together")
    if name is None or not isinstance(together, list) or not together:
        return None
    if not all(isinstance(key, str) for key in together):
        return None
    return Assignment(Driver(name, str(facts.get("driver_reason", ""))), tuple(together))
