from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from ganbench import floors
from ganbench.floors import EMBEDDED, measure_floors
from ganbench.glossary import shipped_floors, terms_of
from ganbench.plugins import discover
from ganbench.protocols import Places
from ganbench.terms import Choice
from ganbench.workshop import Workshop


@pytest.fixture(scope="module")
def workshop():
    return Workshop(discover(), Places(), torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("dataset", EMBEDDED)
def test_the_shipped_floors_are_what_is_measured_now(dataset, workshop):
    told, now = shipped_floors()[dataset], measure_floors(workshop, Choice(dataset))
    assert list(told) == list(now)
    for score, references in now.items():
        assert list(told[score]) == list(references)
        for reference, value in references.items():
            expected = told[score][reference]
            if value is None or expected is None:
                assert value is expected, (dataset, score, reference)
            else:
                assert math.isclose(value, expected, rel_tol=1e-2, abs_tol=2e-4), (dataset, score, reference)


def test_floors_are_shipped_for_every_embedded_data_set_and_for_declared_scores_only():
    measures = [term.measure for term in terms_of(discover())]
    assert tuple(shipped_floors()) == EMBEDDED
    for dataset, scores in shipped_floors().items():
        for score, references in scores.items():
            assert any(measure.fits(score) for measure in measures), (dataset, score)
            assert {"real_floor", "noise"} <= set(references), (dataset, score)
            assert ("perfect" in references) == (dataset != "digits")


def test_a_perfect_sampler_is_what_theory_says():
    for dataset, modes in (("ring8", 8), ("grid25", 25), ("rare-modes", 8), ("two-scales", 16)):
        scores = shipped_floors()[dataset]
        assert scores["high_quality"]["perfect"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)
        assert scores["modes_20pct"]["perfect"] == modes
        assert scores["modes_20pct"]["noise"] == 0
        mean, deviation = (modes - 1) / 20_000, math.sqrt((modes - 1) / 2) / 10_000  # of KL, in the limit of large N
        assert scores["kl_modes"]["perfect"] == pytest.approx(mean, abs=4 * deviation)


def test_the_file_is_written_anew_by_running_the_module(monkeypatch, tmp_path):
    monkeypatch.setattr(floors, "EMBEDDED", ("ring8",))
    monkeypatch.setattr(floors, "measure_floors", lambda workshop, dataset: {"tvd_modes": {"noise": 1.0}})
    path = tmp_path / "floors.json"
    floors.write(path)
    assert json.loads(path.read_text()) == {"ring8": {"tvd_modes": {"noise": 1.0}}}
    assert Path(floors.SHIPPED).is_file()
