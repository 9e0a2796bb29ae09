from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small import Constant, LinearCritic, registry, trial
from torch import nn

from ganbench.building import build_evaluator
from ganbench.events import EventLog, last_event
from ganbench.metrics import Measured
from ganbench.observing import RESAMPLES, Observer
from ganbench.players import Players, averaged
from ganbench.protocols import Places
from ganbench.stepping import Diverged
from ganbench.store import CURVE, Store
from ganbench.submissions import evaluation_labels
from ganbench.terms import Spent
from ganbench.workshop import load_data, open_workshop


@pytest.fixture
def players():
    generator = Constant(1.0, 0.5)
    average = averaged(generator)
    with torch.no_grad():
        generator.point.fill_(100.0)
    return Players(generator, LinearCritic(1.0, 1.0), average, (2,))


@pytest.fixture
def observer(tmp_path):
    made = trial()
    workshop = open_workshop(registry(), Places())
    data = load_data(workshop, made.dataset)
    evaluator = build_evaluator(workshop, data, made.dataset, made.evaluation)
    attempt = Store(tmp_path).begin(made)
    return Observer(made, attempt, data, evaluator, workshop.device, EventLog(attempt, made.budget)), attempt


def looked(observer, players, steps=3, *, final=False):
    observer.look(players, Spent(steps * 0.016, steps, 0.5 * steps, 0.0), {"logit/real": 0.25}, final=final)


def test_a_look_is_a_row_a_picture_and_an_event(observer, players):
    seen, attempt = observer
    looked(seen, players, 3)
    looked(seen, players, 6, final=True)
    rows = pd.read_parquet(attempt.path / CURVE)
    assert rows["steps"].tolist() == [3, 6]
    assert rows["logit/real"].tolist() == [0.25, 0.25]
    assert rows["wall_seconds"].is_monotonic_increasing
    pictures = ["interpolations.png", "samples-00000003.png", "samples-00000006.png"]
    assert sorted(path.name for path in attempt.path.glob("*.png")) == pictures
    assert last_event(attempt, "evaluated")["spent"]["steps"] == 6
    assert seen.spent.steps == 6


def test_the_average_is_looked_at_and_not_the_generator(observer, players):
    seen, _ = observer
    looked(seen, players)
    scores = {score.name: score.value for score in seen.scores}
    at_average = Players(players.average, players.discriminator, None, (2,))
    looked(seen, at_average)
    assert {score.name: score.value for score in seen.scores} == scores
    looked(seen, Players(players.generator, players.discriminator, None, (2,)))
    assert {score.name: score.value for score in seen.scores} != scores


def test_metrics_resample_at_the_end_and_not_along_the_curve(observer, players, monkeypatch):
    seen, _ = observer
    asked, measure = [], seen._evaluator.measure

    def listen(samples, labels=None, resamples=0, *alive):
        asked.append(resamples)
        return measure(samples, labels, resamples, *alive)

    monkeypatch.setattr(seen._evaluator, "measure", listen)
    looked(seen, players)
    looked(seen, players, 6, final=True)
    assert asked == [0, RESAMPLES]
    assert RESAMPLES > 0


def test_samples_that_are_not_finite_are_a_divergence_that_leaves_no_row(observer, players):
    seen, attempt = observer
    with torch.no_grad():
        players.average.point.fill_(float("nan"))
    with pytest.raises(Diverged, match="a generated sample is not finite at step 3"):
        looked(seen, players)
    assert not (attempt.path / CURVE).exists()
    assert seen.scores == ()


def test_what_a_look_costs_is_told_apart_from_training(observer, players):
    seen, _ = observer
    looked(seen, players, 4, final=True)
    costs = seen.costs(players)
    assert costs["steps_per_second"] == pytest.approx(4 / 2.0)
    assert costs["images_per_second"] == pytest.approx(4 * 16 / 2.0)
    assert costs["evaluation_seconds"] == seen.evaluation_seconds > 0
    assert costs["sampling_images_per_second"] > 0
    assert (costs["generator_parameters"], costs["discriminator_parameters"]) == (2, 3)


def test_a_look_draws_nothing_from_the_global_random_numbers(observer, players):
    before = torch.get_rng_state()
    looked(observer[0], players, final=True)
    assert torch.equal(torch.get_rng_state(), before)


# --- generators that are asked for classes


class Listed(nn.Module):
    """Even pictures whose shade is 20 times their label; it remembers what it was asked for."""

    def __init__(self):
        super().__init__()
        self.weight, self.asked = nn.Parameter(torch.zeros(())), []

    def forward(self, latents, labels=None):
        self.asked.append(labels)
        shades = torch.zeros(len(latents)) if labels is None else labels.float() * 20 / 127.5 - 1
        return shades.reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8) + 0 * self.weight


@pytest.fixture(params=[True, False], ids=["conditional", "unconditional"])
def looking(request, tmp_path, monkeypatch):
    """An observer of a generator of digits, and what its metrics were told."""
    made = trial("digits", metrics=["frechet"], samples=200)
    workshop = open_workshop(registry(), Places())
    data = load_data(workshop, made.dataset)
    evaluator = build_evaluator(workshop, data, made.dataset, made.evaluation)
    attempt, told = Store(tmp_path).begin(made), []
    monkeypatch.setattr(evaluator, "measure", lambda *given: told.append(given) or Measured(()))
    events = EventLog(attempt, made.budget)
    seen = Observer(made, attempt, data, evaluator, workshop.device, events, conditional=request.param)
    generator = Listed()
    seen.look(Players(generator, LinearCritic(1.0), None, (1, 8, 8)), Spent(steps=3), {}, final=True)
    assert last_event(attempt, "without portrait") == {}
    return request.param, data, generator, told, attempt


def test_metrics_are_told_the_classes_that_the_generator_was_asked_for(looking):
    conditional, data, generator, [(samples, labels, resamples, _)], _ = looking
    assert resamples == RESAMPLES
    if not conditional:
        assert labels is None
        assert generator.asked == [None]
        return
    assert torch.equal(torch.cat(generator.asked), labels)
    assert torch.equal(samples[:, 0, 0, 0].long(), 20 * labels)
    assert torch.equal(labels, evaluation_labels(0, data.train_labels, 200))


def test_the_picture_of_a_conditional_generator_has_a_row_for_each_of_the_first_classes(looking):
    conditional, *_, attempt = looking
    with Image.open(attempt.path / "samples-00000003.png") as grid:
        middles = np.asarray(grid)[4::9, 4::9, 0]
    shades = [20 * row for row in range(8)] if conditional else [128] * 8
    assert (middles == np.array(shades)[:, None]).all()
