from __future__ import annotations

from contextlib import contextmanager

import pytest

from ganbench import stopwatch
from ganbench.errors import GanbenchError
from ganbench.stopwatch import Benchmark, Result, Sides, WallClock, markdown, measure, timed


def mark(figure="speed-up", target=2.0, ours=1.0, baseline=3.0, told=None):
    """A benchmark whose sides say what they are given, and who they are to a list."""

    def side(name, seconds):
        def work():
            if told is not None:
                told.append(name)
            return seconds

        return work

    @contextmanager
    def opened():
        yield Sides(side("ours", ours), None if baseline is None else side("baseline", baseline))

    return Benchmark("name", "what", "we", "they", "step", "wall", figure, target, opened)


@pytest.mark.parametrize(
    ("figure", "ours", "baseline", "expected"),
    [("speed-up", 2.0, 6.0, 3.0), ("overhead", 1.25, 1.0, 0.25), ("seconds", 0.5, None, 0.5)],
)
def test_a_figure_is_a_ratio_a_share_or_the_seconds(figure, ours, baseline, expected):
    result = measure(mark(figure, ours=ours, baseline=baseline), rounds=3, budget_seconds=0)
    assert result.figures == pytest.approx((expected,) * 3)


@pytest.mark.parametrize(
    ("figure", "target", "met"),
    [
        ("speed-up", 3.0, True), ("speed-up", 3.1, False), ("speed-up", None, None),
        ("overhead", -0.6, True), ("overhead", -0.7, False), ("seconds", 1.0, True), ("seconds", 0.9, False),
    ],
)  # fmt: skip
def test_speed_ups_are_bounded_from_below_and_the_rest_from_above(figure, target, met):
    assert measure(mark(figure, target), 1, 0).met is met


def test_the_median_of_the_rounds_is_held_against_the_target():
    result = Result(mark(target=2.0), ours=(1.0, 1.0, 1.0), baseline=(1.0, 2.5, 9.0))
    row = result.row()
    assert (row["median"], row["lowest"], row["highest"], row["rounds"], row["met"]) == (2.5, 1.0, 9.0, 3, True)
    assert (row["ours_seconds"], row["baseline_seconds"]) == (1.0, 2.5)


def test_both_sides_work_once_unmeasured_and_then_take_turns_to_begin():
    told = []
    measure(mark(told=told), rounds=2, budget_seconds=0)
    assert told == ["baseline", "ours", "baseline", "ours", "ours", "baseline"]


def test_a_round_goes_on_until_its_share_of_the_time_is_over_and_tells_means(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])

    def ours():
        now[0] += 1
        return now[0]

    @contextmanager
    def opened():
        yield Sides(ours)

    benchmark = Benchmark("name", "what", "we", "", "step", "wall", "seconds", None, opened)
    assert measure(benchmark, rounds=2, budget_seconds=4).ours == (2.5, 4.5)


@pytest.mark.parametrize(
    ("error", "why"), [(GanbenchError("needs two"), "needs two"), (RuntimeError("a\nb"), "RuntimeError: a")]
)
def test_what_cannot_be_measured_says_why_not(error, why):
    @contextmanager
    def opened():
        raise error
        yield

    result = measure(Benchmark("name", "what", "we", "they", "step", "wall", "speed-up", 2.0, opened), 3, 0)
    row = result.row()
    assert (row["why_not"], row["met"], row["median"], row["ours_seconds"], row["rounds"]) == (why, None, None, None, 0)
    assert why in markdown([result])


def test_a_mistake_in_a_benchmark_is_not_hidden():
    @contextmanager
    def opened():
        raise KeyError
        yield

    with pytest.raises(KeyError):
        measure(Benchmark("name", "what", "we", "they", "step", "wall", "speed-up", 2.0, opened), 3, 0)


def test_a_side_charges_its_work_and_divides_it_by_the_units(monkeypatch):
    now = [5.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])

    def work():
        now[0] += 6

    side = timed(work, WallClock, units=4)
    assert side() == side() == 1.5


def test_a_clock_on_the_wall_stands_between_its_spans(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])
    clock = WallClock()
    for resumed, paused in ((1.0, 3.0), (10.0, 10.5)):
        now[0] = resumed
        clock.resume()
        now[0] = paused
        assert clock.seconds() > 0
        clock.pause()
    now[0] = 99.0
    assert clock.seconds() == 2.5


def test_the_table_has_a_line_for_each_result_and_numbers_with_units():
    results = [
        Result(mark(), (0.002, 0.002), (0.006, 0.007)),
        Result(mark("overhead", 0.03), (1.05,), (1.0,)),
        Result(mark("seconds", 0.15), (0.00012,)),
    ]
    header, rule, *lines = markdown(results).splitlines()
    assert header.startswith("| benchmark | what | baseline | ganbench |")
    assert rule.count("---") == header.count("|") - 1
    assert "they: 6.5 ms | we: 2 ms" in lines[0]
    assert "3.25× | 3.00× to 3.50× | ≥ 2.00× | yes" in lines[0]
    assert "+5.0% | +5.0% to +5.0% | ≤ +3.0% | no" in lines[1]
    assert "120 µs | 120 µs to 120 µs | ≤ 150 ms | yes" in lines[2]


def test_a_bar_in_a_cell_does_not_end_it():
    benchmark = Benchmark("a|b", "what", "we", "they", "step", "wall", "seconds", None, mark().open)
    assert "| a\\|b |" in markdown([Result(benchmark, (1.0,))])
