from __future__ import annotations

from dataclasses import replace

import fabricate
import pytest
from fabricate import DIGITS, RING

from ganbench.drivers import Driver, Findings
from ganbench.schedule import LONE, MEMORY_OF_A_PROCESS, NO_GPU, Group, Machine, like, schedule, slots, to_survey
from ganbench.terms import Budget, Reference, Trial

GIB = 2**30
FREE = Findings(refusals={})
"""Findings of a variant that any driver can take."""

TIMED = Budget(device_seconds=10.0)


def trials(losses=("hinge",), seeds=range(3), dataset=RING, **changes):
    """Trials in the order of a plan: seeds before variants."""
    return [fabricate.trial(fabricate.variant(loss), seed, dataset, **changes) for seed in seeds for loss in losses]


def surveyed(jobs, findings=FREE, **by_loss):
    """The same findings of every variant, but for those of the losses that are named."""
    return {like(job): by_loss.get(job.variant.loss.name, findings) for job in jobs if isinstance(job, Trial)}


def unknown(jobs):
    return None


ONE_CORE = Machine(cores=1)


def scheduled(jobs, machine=ONE_CORE, wish="auto", found=None, remembered=unknown):
    return schedule(jobs, surveyed(jobs) if found is None else found, wish, machine, remembered)


def contents(groups):
    return [(group.jobs[0].variant.loss.name, *(job.seed for job in group.jobs)) for group in groups]


@pytest.mark.parametrize(
    ("seeds", "cores", "sizes"),
    [
        (3, 1, [3]),
        (32, 1, [32]),
        (33, 1, [17, 16]),
        (80, 1, [27, 27, 26]),
        (16, 2, [8, 8]),
        (5, 2, [3, 2]),
        (3, 2, [3]),  # a seed by itself would lose more than a core gains
        (2, 8, [2]),
        (5, 8, [3, 2]),
        (1, 8, [1]),
    ],
)
def test_seeds_go_together_up_to_thirty_two_in_even_parts_and_in_more_of_them_where_cores_are_idle(seeds, cores, sizes):
    groups = scheduled(trials(seeds=range(seeds)), Machine(cores))
    assert [len(group.jobs) for group in groups] == sizes
    assert [job.seed for group in groups for job in group.jobs] == list(range(seeds))


def test_the_largest_part_is_divided_first_when_cores_are_idle():
    jobs = trials(["hinge", "wgan"], range(4)) + trials(["hinge"], range(4, 12))
    assert contents(scheduled(jobs, Machine(cores=3))) == [
        ("hinge", *range(6)), ("wgan", *range(4)), ("hinge", *range(6, 12)),
    ]  # fmt: skip


def test_who_can_go_together_says_so_and_who_cannot_says_why():
    jobs = trials(["hinge", "wgan"], range(2)) + trials(["lsgan"], [0])
    groups = scheduled(jobs, found=surveyed(jobs, wgan=Findings(refusals={"vectorised": "no batching rule"})))
    assert contents(groups) == [("hinge", 0, 1), ("wgan", 0), ("lsgan", 0), ("wgan", 1)]
    drivers = {group.jobs[0].variant.loss.name: group.driver for group in groups}
    assert drivers["hinge"].name == "vectorised"
    assert drivers["wgan"].name == drivers["lsgan"].name == "eager"
    assert drivers["wgan"].reason == f"not vectorised: no batching rule; not graph: {NO_GPU}"
    assert f"not vectorised: {LONE}" in drivers["lsgan"].reason


@pytest.mark.parametrize(
    ("wish", "gpus", "seeds", "name"),
    [
        ("auto", {}, 2, "vectorised"),
        ("auto", {"cuda:0": 80 * GIB}, 2, "vectorised+graph"),
        ("auto", {"cuda:0": 80 * GIB}, 1, "graph"),
        ("vectorised", {"cuda:0": 80 * GIB}, 2, "vectorised"),
        ("vectorised", {}, 1, "eager"),
        ("graph", {"cuda:0": 80 * GIB}, 2, "graph"),
        ("graph", {}, 2, "eager"),
        ("eager", {"cuda:0": 80 * GIB}, 2, "eager"),
    ],
)
def test_the_driver_is_the_fastest_that_is_wished_for_and_that_the_machine_has(wish, gpus, seeds, name):
    groups = scheduled(trials(seeds=range(seeds)), Machine(1, gpus), wish)
    assert {group.driver.name for group in groups} == {name}
    assert len(groups) == (1 if name.startswith("vectorised") else seeds)


def test_what_was_not_tried_goes_one_by_one():
    groups = scheduled(trials(seeds=range(2)), Machine(1, {"cuda:0": GIB}), found={})
    assert [group.driver.name for group in groups] == ["eager", "eager"]


def test_no_more_seeds_go_together_than_a_gpu_holds():
    jobs = trials(seeds=range(6))
    found = surveyed(jobs, Findings(peak_memory_bytes=2 * GIB))
    sizes = [len(group.jobs) for group in scheduled(jobs, Machine(1, {"cuda:0": 8 * GIB}), found=found)]
    assert sizes == [3, 3]  # 80 % of 8 GiB
    crowded = scheduled(jobs, Machine(1, {"cuda:0": 4 * GIB}), found=found)
    assert [group.driver.name for group in crowded] == ["graph"] * 6
    assert "do not fit" in crowded[0].driver.reason


def test_references_come_first_then_seeds_in_the_plans_order_and_the_longest_of_them():
    jobs = trials(["hinge", "wgan", "lsgan"], [7, 3]) + trials(["hinge"], [3], DIGITS)
    seconds = {"hinge": 1.0, "wgan": 9.0, "lsgan": 4.0}
    reference = Reference(RING, "noise", fabricate.evaluation(RING))
    first, *groups = scheduled(
        [*jobs, reference], wish="eager", remembered=lambda jobs: seconds[jobs[0].variant.loss.name]
    )
    assert first == Group((reference,))
    assert contents(groups) == [
        ("wgan", 7), ("lsgan", 7), ("hinge", 7), ("hinge", 3), ("wgan", 3), ("lsgan", 3), ("hinge", 3),
    ]  # fmt: skip
    assert groups[3].jobs[0].dataset == DIGITS  # the first seed of its data set


def test_what_a_group_takes_is_remembered_or_follows_from_the_first_steps_and_the_unknown_starts_first():
    jobs = [
        *trials(["hinge"], range(2), budget=Budget(steps=500)),
        *trials(["wgan"], range(2), budget=Budget(kimg=6.4, steps=500)),
        *trials(["lsgan"], range(2), budget=Budget(petaflops=3.0)),
        *trials(["minimax"], range(2)),
    ]
    found = surveyed(jobs, Findings(flops_per_step=10**13, step_seconds=0.25), minimax=FREE)
    groups = scheduled(
        jobs, found=found, remembered=lambda jobs: 40.0 if jobs[0].variant.loss.name == "hinge" else None
    )
    assert [(group.jobs[0].variant.loss.name, group.expected_seconds) for group in groups] == [
        ("minimax", None), ("lsgan", 150.0), ("hinge", 80.0), ("wgan", 50.0),
    ]  # fmt: skip


def test_where_device_time_is_the_budget_one_driver_carries_out_all_trials_of_a_data_set():
    jobs = trials(["hinge", "wgan"], range(2), budget=TIMED) + trials(["hinge"], range(2), DIGITS, budget=TIMED)
    machine = Machine(4, {"cuda:0": 80 * GIB})
    assert {group.driver.name for group in scheduled(jobs, machine)} == {"graph"}
    groups = scheduled(jobs, machine, found=surveyed(jobs) | surveyed(jobs[1:2], Findings(refusals={"graph": "reads"})))
    drivers = {(group.jobs[0].dataset, group.jobs[0].variant.loss.name): group.driver for group in groups}
    assert drivers[DIGITS, "hinge"].name == "graph"
    assert drivers[RING, "hinge"].name == drivers[RING, "wgan"].name == "eager"
    assert drivers[RING, "hinge"].reason == (
        "not graph: device time is the budget, and one of the data set's variants has no graph: "
        "dcgan / dcgan / wgan (reads)"
    )
    assert "not graph: reads" in drivers[RING, "wgan"].reason


@pytest.mark.parametrize(
    ("machine", "places"),
    [
        (Machine(3), ["cpu"] * 3),
        (Machine(3, workers=2), ["cpu"] * 2),
        (Machine(3, per_device=5), ["cpu"] * 5),
        (Machine(3, workers=2, per_device=5), ["cpu"] * 2),
        (Machine(16), ["cpu"] * 10),  # there are no more groups
        (Machine(4, {"cuda:0": 40 * GIB, "cuda:1": 40 * GIB}), ["cuda:0", "cuda:1"] * 2),  # two cores feed each
        (Machine(64, {"cuda:0": 40 * GIB}), ["cuda:0"] * 8),
        (Machine(64, {"cuda:0": 20 * GIB}), ["cuda:0"] * 5),  # 16 GiB in parts of 3
        (Machine(64, {"cuda:0": 2 * GIB}), ["cuda:0"]),
        (Machine(1, {"cuda:0": 40 * GIB, "cuda:1": 40 * GIB}), ["cuda:0", "cuda:1"]),
        (Machine(4, {"cuda:0": 40 * GIB, "cuda:1": 40 * GIB}, workers=3), ["cuda:0", "cuda:1", "cuda:0"]),
        (Machine(4, {"cuda:0": 4 * GIB}, per_device=3), ["cuda:0"] * 3),
    ],
)
def test_processes_share_a_gpu_as_memory_and_cores_allow_and_a_processor_has_one_a_core(machine, places):
    jobs = trials(seeds=range(10))
    found = surveyed(jobs, Findings(peak_memory_bytes=2 * GIB))
    groups = scheduled(jobs, machine, "eager", found)
    assert GIB == MEMORY_OF_A_PROCESS
    assert slots(groups, found, machine) == places


def test_seeds_that_go_together_need_memory_for_each():
    jobs = trials(["hinge", "wgan", "lsgan"], range(4))
    found = surveyed(jobs, Findings(peak_memory_bytes=GIB))
    machine = Machine(64, {"cuda:0": 15 * GIB})
    groups = scheduled(jobs, machine, found=found)
    assert [len(group.jobs) for group in groups] == [4, 4, 4]
    assert slots(groups, found, machine) == ["cuda:0"] * 2  # 12 GiB in parts of 5


def test_a_gpu_is_shared_neither_where_time_is_the_budget_nor_where_the_need_of_memory_is_not_known():
    machine = Machine(64, {"cuda:0": 40 * GIB}, per_device=4)
    timed, free = trials(seeds=range(4), budget=TIMED), trials(seeds=range(4))
    for jobs, places in ((timed, 1), (free, 4)):
        assert len(slots(scheduled(jobs, machine, "eager"), surveyed(jobs), machine)) == places
    assert len(slots(scheduled(free, machine, "eager"), {}, replace(machine, per_device=None))) == 1


@pytest.mark.parametrize(
    ("wish", "gpus", "losses"),
    [
        ("auto", {}, ["hinge"]),
        ("vectorised", {}, ["hinge"]),
        ("graph", {}, []),
        ("eager", {}, []),
        ("eager", {"cuda:0": GIB}, []),
        ("auto", {"cuda:0": GIB}, ["hinge", "wgan", "lsgan"]),
        ("graph", {"cuda:0": GIB}, ["hinge", "wgan", "lsgan"]),
    ],
)
def test_only_those_are_tried_who_could_go_faster(wish, gpus, losses):
    jobs = [
        *trials(["hinge"], [5, 6]),
        *trials(["wgan"], [5]),
        *trials(["lsgan"], [5, 6], budget=TIMED),
        Reference(RING, "noise", fabricate.evaluation(RING)),
    ]
    variants = to_survey(jobs, wish, Machine(2, gpus))
    assert [variant.variant.loss.name for variant in variants] == losses
    assert {variant.seed for variant in variants} <= {0}


def test_the_first_steps_of_few_variants_share_a_gpu():
    assert Machine(16, {"cuda:0": GIB}).surveys == 4
    assert Machine(2, {"cuda:0": GIB}).surveys == 2
    assert Machine(2, workers=1).surveys == 1


def test_a_group_is_eager_unless_it_says_otherwise():
    assert Group(()).driver == Driver("eager")
