"""What holds for all metrics of features, and that they agree with torch-fidelity from the images on."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch_fidelity
from featured import evidence, mixed, normal, values
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from ganbench.errors import DataError
from ganbench.metrics import Evaluator, Labelled
from ganbench.protocols import Data, Evidence, Extractor, Metric
from ganbench.terms import Component, Score
from ganbench_metrics import kernel
from ganbench_metrics.declarations.features import COMPONENTS
from ganbench_metrics.protocol import INCEPTION_SHA256

TOY = "ganbench-tests-toy"
COUNT = 300
BY_NAME = {component.name: component for component in COMPONENTS}


def built(component: Component, **parameters: object) -> Metric:
    module, attribute = component.target.split(":")
    metric: Metric = getattr(importlib.import_module(module), attribute)(**parameters)
    return metric


METRICS = [built(component) for component in COMPONENTS]


class ToyExtractor(FeatureExtractorBase):
    """A small random convolutional network with fixed weights: 8 features and 3 logits."""

    def __init__(self, name: str = TOY, features_list: list[str] | None = None, **_: object) -> None:
        super().__init__(name, features_list or ["8", "logits"])
        rng = torch.Generator().manual_seed(0)
        self.register_buffer("kernels", torch.randn(8, 3, 3, 3, generator=rng))
        self.register_buffer("head", torch.randn(3, 8, generator=rng))

    @staticmethod
    def get_provided_features_list():
        return "8", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "logits" if metric == "isc" else "8"

    @staticmethod
    def can_be_compiled():
        return False

    def forward(self, images):
        maps = torch.nn.functional.conv2d(images.float() / 127.5 - 1, self.kernels).relu()
        features = maps.mean(dim=(2, 3))  # (N, 8)
        outputs = {"8": features, "logits": features @ self.head.T}
        return tuple(outputs[layer] for layer in self.features_list)


class Pictures(torch.utils.data.Dataset):
    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.images[index]


@pytest.fixture
def registered() -> Iterator[str]:
    torch_fidelity.register_feature_extractor(TOY, ToyExtractor)
    yield TOY
    del FEATURE_EXTRACTORS_REGISTRY[TOY]


def toy() -> Extractor:
    return Extractor(ToyExtractor(), "toy", weights_sha256="ab", layer="8", dimension=8, logits_layer="logits")


def blobs(count: int, seed: int, noise: float = 0.0, channels: int = 3) -> torch.Tensor:
    """Images of one soft square each, of random colour and contrast, with Gaussian noise on top: uint8."""
    rng = torch.Generator().manual_seed(seed)
    pictures = torch.full((count, channels, 8, 8), 60.0)
    pictures[:, :, 2:6, 2:6] += 120 * torch.rand(count, channels, 1, 1, generator=rng)
    pictures += 10 * torch.randn(pictures.shape, generator=rng)
    pictures += noise * torch.randn(pictures.shape, generator=rng)
    return pictures.clamp(0, 255).round().to(torch.uint8)


def blob_data(channels: int = 3) -> Data:
    return Data(train=blobs(COUNT, 1, channels=channels), heldout=blobs(COUNT, 2, channels=channels))


def labelled() -> list[Labelled]:
    return [Labelled(c.name, metric, c.measures) for c, metric in zip(COMPONENTS, METRICS, strict=True)]


def shown(real: torch.Tensor, fake: torch.Tensor, **more: object) -> Evidence:
    """Evidence with logits, too: the features' first four."""
    found = evidence(real, fake, **more)
    extractor = replace(found.extractor, logits_layer="logits")
    return replace(found, extractor=extractor, real_logits=2 * real[:, :4], fake_logits=2 * fake[:, :4])


def every(found: Evidence) -> dict[str, Score]:
    return {score.name: score for metric in METRICS for score in metric(found)}


def numbers(found: Evidence) -> dict[str, float | None]:
    return {name: score.value for name, score in every(found).items()}


@pytest.mark.parametrize("tag", ["toy", "inception"])
def test_every_score_was_declared_with_its_direction_its_mean_and_its_range(tag):
    found = shown(mixed(200, 6, 0), mixed(200, 6, 1) + 0.2, tag=tag)
    if tag == "inception":
        found = replace(found, extractor=replace(found.extractor, weights_sha256=INCEPTION_SHA256, layer="2048"))
    for metric in labelled():
        given = metric(found)
        assert len(given) == len(
            {measure.name.replace("fid_", "fcd_").replace("_{count}", "") for measure in metric.measures}
        )
        for score in given:
            assert metric.undeclared(score) == ""
            assert score.metric == metric.label


def test_what_is_said_of_each_score_is_complete():
    names = [measure.name for component in COMPONENTS for measure in component.measures]
    assert names == [
        "fid_{extractor}_{count}",
        "fcd_{extractor}",
        "fid_infinity_{extractor}",
        "fcd_infinity_{extractor}",
        "kid_{extractor}",
        "isc_{extractor}",
        "precision_{extractor}",
        "recall_{extractor}",
        "density_{extractor}",
        "coverage_{extractor}",
    ]
    for component in COMPONENTS:
        for measure in component.measures:
            texts = (measure.definition, measure.undefined, *measure.traps)
            assert all(text.endswith(".") for text in texts)
            assert len(measure.traps) >= 2
            assert measure.formula
            assert measure.paper.startswith("arXiv:")


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_the_declared_minimum_is_the_fewest_samples_that_give_a_value(component):
    metric, minimum = built(component), component.measures[0].minimum
    enough, fewer = (normal(count, 2, 0) for count in (minimum, minimum - 1))
    assert None not in values(metric(shown(enough, enough + 1))).values()
    assert set(values(metric(shown(fewer, fewer + 1))).values()) == {None}


def test_noise_is_given_where_it_is_declared():
    found = every(shown(mixed(200, 6, 0), mixed(200, 6, 1), resamples=10))
    for component in COMPONENTS:
        for measure in component.measures:
            for name, score in found.items():
                if score.metric == component.name and measure.fits(name):
                    assert (score.noise is not None) == bool(measure.noise)


def test_scores_agree_with_torch_fidelity_on_the_same_images(registered, monkeypatch):
    monkeypatch.setattr(kernel, "LARGEST_SUBSET", 100)
    data, fake = blob_data(), blobs(COUNT, 3, noise=25)
    metrics = [built(BY_NAME[name]) for name in ("frechet", "inception-score", "precision-recall")]
    evaluator = Evaluator(data, [*metrics, built(BY_NAME["kernel"], subsets=10)], toy(), COUNT)
    ours = values(evaluator.scores(fake))
    theirs = torch_fidelity.calculate_metrics(
        input1=Pictures(fake),
        input2=Pictures(data.heldout),
        feature_extractor=registered,
        cuda=False,
        fid=True,
        kid=True,
        prc=True,
        isc=True,
        kid_subsets=10,
        kid_subset_size=100,
        rng_seed=0,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    assert ours == pytest.approx(
        {
            "fcd_toy": theirs[torch_fidelity.KEY_METRIC_FID],
            "isc_toy": theirs[torch_fidelity.KEY_METRIC_ISC_MEAN],
            "kid_toy": theirs[torch_fidelity.KEY_METRIC_KID_MEAN],
            "precision_toy": theirs[torch_fidelity.KEY_METRIC_PRECISION],
            "recall_toy": theirs[torch_fidelity.KEY_METRIC_RECALL],
        },
        rel=1e-5,
    )
    assert ours["precision_toy"] != ours["recall_toy"]


def test_the_order_of_samples_does_not_matter_to_distances_and_shares():
    real, fake = mixed(COUNT, 6, 0), mixed(COUNT, 6, 1) + 0.2
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    straight, shuffled = numbers(shown(real, fake)), numbers(shown(real.flip(0), fake[order]))
    for name in ("fcd_toy", "kid_toy", "precision_toy", "recall_toy", "density_toy", "coverage_toy"):
        assert shuffled[name] == pytest.approx(straight[name], rel=1e-9)
    for name in ("fcd_infinity_toy", "isc_toy"):  # these take subsets by order
        assert shuffled[name] == pytest.approx(straight[name], rel=0.3)


@pytest.mark.parametrize("channels", [1, 3])
def test_distances_grow_with_noise_and_shares_shrink(channels):
    evaluator = Evaluator(blob_data(channels), METRICS, toy(), COUNT)
    curve = [values(evaluator.scores(blobs(COUNT, 3, noise, channels))) for noise in (0.0, 15.0, 30.0, 60.0)]
    for name in ("fcd_toy", "fcd_infinity_toy", "kid_toy"):
        course = [found[name] for found in curve]
        assert course == sorted(course)
        assert course[-1] > 5 * course[0]
    for name in ("precision_toy", "density_toy", "coverage_toy"):
        course = [found[name] for found in curve]
        assert course == sorted(course, reverse=True)
        assert course[-1] < course[0] / 2


def test_evaluation_leaves_the_global_random_states_alone():
    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    every(shown(mixed(COUNT, 6, 0), mixed(COUNT, 6, 1), resamples=10))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_evaluating_twice_gives_the_same_bits_with_and_without_what_was_remembered():
    real, fake = mixed(COUNT, 6, 0).float(), mixed(COUNT, 6, 1).float()
    first = shown(real, fake, resamples=10)
    expected = every(first)
    assert every(shown(real, fake, resamples=10)) == expected
    assert every(shown(real, fake, resamples=10, of_real=first.of_real)) == expected


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_scores_are_the_same_without_gradients_and_write_to_no_features(context):
    for dtype in (torch.float32, torch.float64):
        real, fake = mixed(80, 6, 0).to(dtype), mixed(80, 6, 1).to(dtype)
        expected = numbers(shown(real.clone(), fake.clone()))
        with context():
            assert numbers(shown(real, fake)) == expected
        assert torch.equal(real, mixed(80, 6, 0).to(dtype))
        assert torch.equal(fake, mixed(80, 6, 1).to(dtype))


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_without_features_there_is_no_score(component):
    found = replace(evidence(mixed(10, 2, 0), mixed(10, 2, 1)), real_features=None)
    with pytest.raises(DataError, match=f"metric '{component.name}'"):
        built(component)(found)


@pytest.mark.gpu
@pytest.mark.parametrize(("count", "dimension"), [(2000, 32), (300, 512)])
def test_cpu_and_gpu_agree(cuda, count, dimension):
    real, fake = mixed(count, dimension, 0).float(), mixed(count, dimension, 1).float() + 0.1
    of_real = shown(real, fake).of_real
    expected = every(shown(real, fake, resamples=10, of_real=of_real))
    for memory in ({}, {"of_real": of_real}):  # what was remembered may lie on the CPU
        found = every(shown(real.to(cuda), fake.to(cuda), resamples=10, **memory))
        assert list(found) == list(expected)
        for name, score in found.items():
            assert score.value == pytest.approx(expected[name].value, rel=1e-6, abs=1e-9)
            assert score.noise == pytest.approx(expected[name].noise, rel=1e-4)
