from __future__ import annotations

import json

import pytest
from fabricate import Outcome, commit, trial

from ganbench.assignments import GROUPS, Assignment, assignment_of, read_groups, write_groups
from ganbench.drivers import Driver
from ganbench.resuming import begun_before, remember_groups
from ganbench.schedule import Group
from ganbench.store import TASK, Store

TOGETHER = Driver("vectorised", "not graph: no GPU")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def seeds(*numbers):
    return [trial(seed=number) for number in numbers]


def keys(jobs):
    return tuple(job.key for job in jobs)


def test_an_assignment_is_read_as_it_was_written(store):
    attempt = store.begin(trial())
    assert assignment_of(attempt) is None
    written = Assignment(TOGETHER, (attempt.key, "cd"))
    written.write(attempt)
    found = assignment_of(attempt)
    assert found == written
    assert found.id == written.id
    assert Assignment(TOGETHER, (attempt.key, "cd")).id != written.id


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"id": 3, "driver": "eager", "together": ["ab"]}',
        '{"id": "x", "driver": "steam", "together": []}',
    ],
)
def test_what_cannot_be_gone_by_is_as_if_nothing_were_written(store, content):
    attempt = store.begin(trial())
    (attempt.path / TASK).write_text(content)
    assert assignment_of(attempt) is None
    store.path.joinpath(GROUPS).write_text(content)
    assert read_groups(store.path) == []


def test_an_assignment_of_other_jobs_is_not_this_attempts(store):
    attempt = store.begin(trial())
    Assignment(TOGETHER, ("cd",)).write(attempt)
    assert assignment_of(attempt) is None


def test_groups_are_read_as_they_were_written(store):
    store.path.mkdir()
    written = [Assignment(TOGETHER, ("ab", "cd")), Assignment(Driver(), ("ef",))]
    write_groups(store.path, written)
    assert read_groups(store.path) == written


def test_seeds_that_were_to_train_together_do_so_again_however_many_have_their_record(store):
    jobs = seeds(0, 1, 2)
    store.path.mkdir()
    remember_groups([Group(tuple(jobs), TOGETHER)], store)
    commit(store, jobs[0], Outcome())
    (group,) = begun_before(jobs[1:], store, "auto", gpus=False)
    assert keys(group.jobs) == keys(jobs)
    assert group.driver == TOGETHER


def test_seeds_whose_company_is_not_asked_for_now_begin_anew(store):
    jobs = seeds(0, 1, 2)
    store.path.mkdir()
    remember_groups([Group(tuple(jobs), TOGETHER)], store)
    assert begun_before(jobs[1:], store, "auto", gpus=False) == ()


def test_seeds_that_were_parted_stay_apart_though_their_attempts_were_begun_together(store):
    jobs = seeds(0, 1)
    store.path.mkdir()
    for job in jobs:
        Assignment(TOGETHER, keys(jobs)).write(store.begin(job))
    alone = Driver("eager", "not vectorised: they could not go on together")
    remember_groups([Group((job,), alone) for job in jobs], store)
    assert [(group.driver, keys(group.jobs)) for group in begun_before(jobs, store, "auto", gpus=False)] == [
        (alone, (job.key,)) for job in jobs
    ]


@pytest.mark.parametrize(
    ("driver", "wish", "gpus", "taken"),
    [
        (TOGETHER, "auto", False, True),
        (TOGETHER, "eager", False, False),
        (Driver("eager", "asked for: eager"), "eager", False, True),
        (Driver("graph"), "auto", False, False),
        (Driver("graph"), "auto", True, True),
    ],
)
def test_what_was_begun_otherwise_than_is_asked_for_now_begins_anew(store, driver, wish, gpus, taken):
    jobs = seeds(0)
    store.path.mkdir()
    remember_groups([Group(tuple(jobs), driver)], store)
    assert bool(begun_before(jobs, store, wish, gpus=gpus)) == taken


def test_without_a_plan_attempts_go_on_as_they_were_begun(store):
    jobs = seeds(0, 1)
    for job in jobs:
        Assignment(TOGETHER, keys(jobs)).write(store.begin(job))
    (group,) = begun_before(jobs, store, "auto", gpus=False)
    assert (group.driver, keys(group.jobs)) == (TOGETHER, keys(jobs))


def test_groups_of_what_is_recorded_and_to_be_done_again_are_kept_while_it_is(store):
    (job,) = seeds(0)
    commit(store, job, Outcome())
    remember_groups([Group((job,), TOGETHER)], store)
    assert read_groups(store.path) == []
    remember_groups([Group((job,), TOGETHER)], store, {job.key})
    assert [found.together for found in read_groups(store.path)] == [(job.key,)]


def test_groups_are_forgotten_with_their_last_record_and_others_are_kept(store):
    one, other = seeds(0), seeds(1)
    store.path.mkdir()
    remember_groups([Group(tuple(one), TOGETHER)], store)
    remember_groups([Group(tuple(other), TOGETHER)], store)
    assert len(json.loads((store.path / GROUPS).read_text())["groups"]) == 2
    commit(store, one[0], Outcome())
    remember_groups((), store)
    assert [found.together for found in read_groups(store.path)] == [keys(other)]
    commit(store, other[0], Outcome())
    remember_groups((), store)
    assert not (store.path / GROUPS).exists()
