"""Scores of features beside torch-fidelity's: the same four numbers, and density and coverage, in half the time.

    pytest tests/benchmarks/test_metrics.py --benchmark-only

prints seconds, and the ratio under `extra_info` where results are saved. Both sides take turns in one run and are
measured by processor time, so that the ratio holds on a busy machine; it is asserted loosely, the numbers are not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import pytest
import torch_fidelity
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from ganbench.bench_running import features_like_a_networks, scores_of_features
from ganbench.plugins import discover

NAME = "ganbench-benchmark-identity"


class Identity(FeatureExtractorBase):
    """Names a layer, and is never asked for it."""

    def __init__(self, name: str = NAME, features_list: list[str] | None = None, **_: object) -> None:
        super().__init__(name, features_list or ["all"])

    @staticmethod
    def get_provided_features_list():
        return ("all",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "all"

    @staticmethod
    def can_be_compiled():
        return False


@pytest.fixture
def registered() -> Iterator[str]:
    torch_fidelity.register_feature_extractor(NAME, Identity)
    yield NAME
    del FEATURE_EXTRACTORS_REGISTRY[NAME]


def theirs(extractor: str) -> dict[str, float]:
    """Four of them, by torch-fidelity's entry point."""
    return torch_fidelity.calculate_metrics(
        input1="fake",
        input2="real",
        feature_extractor=extractor,
        cuda=False,
        fid=True,
        kid=True,
        prc=True,
        rng_seed=0,
        cache=False,
        verbose=False,
    )


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize(
    ("count", "dimension", "rounds"), [(10_000, 64, 3), pytest.param(5000, 2048, 3, marks=pytest.mark.slow)]
)
def test_scores_of_features(benchmark, registered, monkeypatch, count, dimension, rounds):
    real = features_like_a_networks(1, count, dimension=dimension)
    fake = features_like_a_networks(2, count, shift=0.1, dimension=dimension)
    ours = scores_of_features(discover(), real, fake)
    extracted = {1: {"all": fake}, 2: {"all": real}}
    monkeypatch.setattr(
        torch_fidelity.metrics, "extract_featuresdict_from_input_id_cached", lambda number, *_, **__: extracted[number]
    )
    beside = []
    found = benchmark.pedantic(ours, setup=lambda: beside.append(seconds(lambda: theirs(registered))), rounds=rounds)
    own = [seconds(ours) for _ in range(rounds)]
    benchmark.extra_info["ratio"] = statistics.median(beside) / statistics.median(own)
    expected = theirs(registered)
    assert found["fcd_bench"] == pytest.approx(expected[torch_fidelity.KEY_METRIC_FID], rel=1e-5)
    assert found["kid_bench"] == pytest.approx(expected[torch_fidelity.KEY_METRIC_KID_MEAN], rel=1e-5)
    assert found["precision_bench"] == pytest.approx(expected[torch_fidelity.KEY_METRIC_PRECISION], rel=1e-5)
    assert found["recall_bench"] == pytest.approx(expected[torch_fidelity.KEY_METRIC_RECALL], rel=1e-5)
    assert benchmark.extra_info["ratio"] > 1.2
