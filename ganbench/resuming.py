"""What earlier runs have begun: which jobs were to share a process, so that they do so again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ganbench.assignments import GROUPS, Assignment, assignment_of, read_groups, write_groups
from ganbench.drivers import Driver, Wish
from ganbench.schedule import Group
from ganbench.store import Store
from ganbench.terms import Job, Trial


def begun_before(jobs: Sequence[Job], store: Store, wish: Wish, *, gpus: bool) -> tuple[Group, ...]:
    """The groups that were made for these jobs, as far as all that have no record are to be done now.

    Those that have one come along, for how the others are rounded depends on how many there are. What was made for
    another driver than is asked for now, or for GPUs where there are none, is not taken up.
    """
    by_key = {job.key: job for job in jobs if isinstance(job, Trial)}
    begun = [found for key in by_key if (attempt := store.unfinished(key)) and (found := assignment_of(attempt))]
    groups, taken = [], set[str]()
    for assignment in [*read_groups(store.path), *begun]:  # the former knows of those that were parted meanwhile
        wanted = [key for key in assignment.together if key in by_key]
        if not wanted or taken.intersection(assignment.together) or not _fits(assignment.driver, wish, gpus=gpus):
            continue
        members = [by_key.get(key) or _recorded(key, store) for key in assignment.together]
        whole = [member for member in members if member is not None]
        if len(whole) == len(members):
            groups.append(Group(tuple(whole), assignment.driver))
            taken.update(assignment.together)
    return tuple(groups)


def remember_groups(groups: Iterable[Group], store: Store, to_do: Collection[str] = ()) -> None:
    """Write down who is to train with whom, beside what was written down before and is not replaced by it.

    What is recorded is forgotten, unless it is `to_do` again.
    """
    new = [Assignment(group.driver, tuple(job.key for job in group.jobs)) for group in groups if _is_of_trials(group)]
    keys = {key for assignment in new for key in assignment.together}
    old = [assignment for assignment in read_groups(store.path) if not keys.intersection(assignment.together)]
    wanted = set(to_do)
    left = [one for one in (*old, *new) if wanted.intersection(one.together) or _has_open(one, store)]
    if left:
        write_groups(store.path, left)
    else:
        (store.path / GROUPS).unlink(missing_ok=True)


def _is_of_trials(group: Group) -> bool:
    return all(isinstance(job, Trial) for job in group.jobs)


def _has_open(assignment: Assignment, store: Store) -> bool:
    return any(store.latest(key) is None or store.unfinished(key) for key in assignment.together)


def _fits(driver: Driver, wish: Wish, *, gpus: bool) -> bool:
    asked_alike = wish == "auto" or f"asked for: {wish}" in driver.reason
    return asked_alike and (gpus or not driver.captured)


def _recorded(key: str, store: Store) -> Job | None:
    latest = store.latest(key)
    return latest.job() if latest else None
