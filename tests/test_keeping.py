from __future__ import annotations

import pytest
import torch

from ganbench import keeping as keeping_module
from ganbench.keeping import USUAL_SECONDS, Keeper
from ganbench.states import Unknown
from ganbench.tasks import Keeping, Stopped
from ganbench.tensorfiles import DamagedError

IDENTITY = {"trials": ["ab"]}


class Clock:
    """Time that passes when a test says so."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(keeping_module, "time", clock)
    return clock


@pytest.fixture
def make(tmp_path):
    """A function that makes a keeper of a state that costs some seconds, and of what it tells."""

    def keeper(clock, every=None, cost=0.0, stop=None):
        def state():
            clock.now += cost
            return {"weights": torch.ones(2)}

        told = []
        made = Keeper(Keeping(tmp_path / "c.safetensors", every, stop), IDENTITY, state, told.append)
        made.told = told
        return made

    return keeper


def test_a_checkpoint_is_due_every_minute_where_it_costs_next_to_nothing(make, clock, tmp_path):
    keeper = make(clock)
    assert not keeper.due()
    clock.now = USUAL_SECONDS
    assert keeper.due()
    keeper.keep()
    assert (tmp_path / "c.safetensors").exists()
    assert not keeper.due()
    clock.now += USUAL_SECONDS
    assert keeper.due()


def test_one_that_is_dear_is_written_more_seldom_so_that_it_takes_a_hundredth_of_the_time(make, clock):
    keeper = make(clock, cost=5.0)
    clock.now = USUAL_SECONDS
    keeper.keep()
    assert keeper.seconds == 5.0
    clock.now += 499
    assert not keeper.due()
    clock.now += 1
    assert keeper.due()


def test_whoever_asks_for_an_interval_gets_it_whatever_it_costs(make, clock):
    keeper = make(clock, every=1.0, cost=5.0)
    clock.now = 1.0
    keeper.keep()
    clock.now += 1.0
    assert keeper.due()


def test_a_trial_that_is_asked_to_end_writes_its_checkpoint_first(make, clock, tmp_path):
    stop = tmp_path / "stop"
    keeper = make(clock, stop=stop)
    clock.now = 1.0
    assert not keeper.due()
    stop.touch()
    clock.now = 2.0
    assert keeper.due()
    with pytest.raises(Stopped):
        keeper.keep()
    assert keeper.saved()["weights"].tolist() == [1, 1]


def test_what_cannot_be_written_down_is_told_once_and_not_tried_again(clock, tmp_path):
    def state():
        raise Unknown("a queue")

    told = []
    keeper = Keeper(Keeping(tmp_path / "c.safetensors", 0.0), IDENTITY, state, told.append)
    keeper.keep()
    assert told == ["a queue"]
    assert not keeper.due()
    assert keeper.saved() is None


def test_a_checkpoint_of_something_else_is_of_no_use(make, clock, tmp_path):
    make(clock).keep()
    other = Keeper(Keeping(tmp_path / "c.safetensors"), {"trials": ["cd"]}, dict, print)
    with pytest.raises(DamagedError):
        other.saved()


def test_without_a_place_nothing_is_kept(clock):
    keeper = Keeper(None, IDENTITY, dict, print)
    clock.now = 10_000.0
    assert not keeper.due()
    assert keeper.saved() is None
