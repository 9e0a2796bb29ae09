from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch_fidelity
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from ganbench.errors import ChoiceError, DataError
from ganbench.metrics import Evaluator
from ganbench.protocols import Data, Evidence, Extractor
from ganbench.terms import Score
from ganbench_metrics import distances
from ganbench_metrics.coverage import ClassCoverage
from ganbench_metrics.distances import Frechet, Kernel, PrecisionRecall
from ganbench_metrics.protocol import INCEPTION_SHA256

TOY = "ganbench-tests-toy"
COUNT = 300


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
        return "8"

    @staticmethod
    def can_be_compiled():
        return False

    def forward(self, images):
        maps = torch.nn.functional.conv2d(images.float() / 127.5 - 1, self.kernels).relu()
        features = maps.mean(dim=(2, 3))  # (N, 8)
        outputs = {"8": features, "logits": features @ self.head.T}
        return tuple(outputs[layer] for layer in self.features_list)


@pytest.fixture
def registered() -> Iterator[str]:
    torch_fidelity.register_feature_extractor(TOY, ToyExtractor)
    yield TOY
    del FEATURE_EXTRACTORS_REGISTRY[TOY]


def toy(tag: str = "toy") -> Extractor:
    return Extractor(ToyExtractor(), tag, weights_sha256="ab", layer="8", dimension=8, logits_layer="logits")


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


def evidence(real: torch.Tensor, fake: torch.Tensor, tag: str = "toy") -> Evidence:
    """Evidence about features alone: real and fake (N, D)."""
    extractor = Extractor(torch.nn.Identity(), tag, weights_sha256="ab", layer="fc", dimension=real.shape[1])
    return Evidence(
        fake=torch.zeros(len(fake), 1, 1, 1, dtype=torch.uint8),
        real=torch.zeros(len(real), 1, 1, 1, dtype=torch.uint8),
        data=blob_data(),
        extractor=extractor,
        fake_features=fake,
        real_features=real,
    )


def values(scores: tuple[Score, ...]) -> dict[str, float | None]:
    return {score.name: score.value for score in scores}


def whitened(count: int, dimension: int, seed: int) -> torch.Tensor:
    """Features whose sample mean is exactly 0 and whose sample covariance is exactly the identity."""
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(count, dimension, generator=rng, dtype=torch.float64)
    features -= features.mean(dim=0)
    factor = torch.linalg.cholesky(features.T @ features / (count - 1))
    return torch.linalg.solve_triangular(factor, features.T, upper=False).T


def test_frechet_distance_of_two_gaussians_in_closed_form():
    real_scale, fake_scale = torch.tensor([1.0, 2, 3]), torch.tensor([2.0, 2, 0.5])
    shift = torch.tensor([0.5, -1, 2.0])
    real, fake = whitened(50, 3, 0) * real_scale, whitened(60, 3, 1) * fake_scale + shift
    expected = (shift**2).sum() + ((real_scale - fake_scale) ** 2).sum()
    (score,) = Frechet()(evidence(real, fake))
    assert score.value == pytest.approx(float(expected), rel=1e-9)


def test_frechet_distance_where_covariances_do_not_commute():
    rng = torch.Generator().manual_seed(5)
    real = torch.randn(200, 4, generator=rng, dtype=torch.float64) @ torch.randn(4, 4, generator=rng).double()
    fake = torch.randn(200, 4, generator=rng, dtype=torch.float64) @ torch.randn(4, 4, generator=rng).double() + 1
    centred_real, centred_fake = real - real.mean(dim=0), fake - fake.mean(dim=0)
    overlap = torch.linalg.matrix_norm(centred_real @ centred_fake.T, ord="nuc")
    expected = (real.mean(dim=0) - fake.mean(dim=0)).square().sum()
    expected += (centred_real.square().sum() + centred_fake.square().sum() - 2 * overlap) / 199
    (score,) = Frechet()(evidence(real, fake))
    assert score.value == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize(
    ("tag", "count", "names"),
    [
        ("toy", 300, ["fcd_toy", "kid_toy", "precision_toy", "recall_toy"]),
        (
            "inception",
            300,
            ["fid_inception_300", "kid_inception_300", "precision_inception_300", "recall_inception_300"],
        ),
        ("inception", 1000, ["fid_inception_1k", "kid_inception_1k", "precision_inception_1k", "recall_inception_1k"]),
    ],
)
def test_names_are_protocols_and_only_inceptions_distance_is_called_fid(tag, count, names):
    shown = evidence(whitened(count, 2, 0), whitened(count, 2, 1) + 1, tag)
    if tag == "inception":
        genuine = replace(shown.extractor, weights_sha256=INCEPTION_SHA256, layer="2048")
        shown = replace(shown, extractor=genuine)
    assert [score.name for metric in (Frechet(), Kernel(), PrecisionRecall()) for score in metric(shown)] == names


def test_other_weights_under_inceptions_name_make_no_fid():
    shown = evidence(whitened(300, 2, 0), whitened(300, 2, 1) + 1, "inception")
    assert [score.name for score in Frechet()(shown)] == ["fcd_inception"]


def test_every_score_carries_its_protocol_and_how_it_is_averaged():
    shown = evidence(whitened(40, 2, 0), whitened(30, 2, 1))
    for metric, name in ((Frechet(), "frechet"), (Kernel(), "kernel"), (PrecisionRecall(), "precision-recall")):
        for score in metric(shown):
            assert (score.metric, score.n_fake, score.n_real, score.split) == (name, 30, 40, "heldout")
            assert (score.extractor, score.weights_sha256, score.layer, score.dimension) == ("toy", "ab", "fc", 2)
            assert f"torch-fidelity={torch_fidelity.__version__}" in score.settings
            assert score.mean == ("geometric" if name == "frechet" else "arithmetic")
            assert score.direction == ("higher" if name == "precision-recall" else "lower")


def test_kernel_distance_by_hand():
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    (score,) = Kernel()(evidence(real, fake))  # k(1,2) + k(0,1) - (k(1,0) + k(1,1) + k(2,0) + k(2,1)) / 2
    assert score.value == pytest.approx(27 + 1 - (1 + 8 + 1 + 27) / 2)


def test_kernel_takes_the_subsets_it_was_told_to_where_samples_are_enough(monkeypatch):
    monkeypatch.setattr(distances, "LARGEST_SUBSET", 50)
    shown = evidence(whitened(200, 3, 0), whitened(200, 3, 1) * 2)
    (three,), (thirty,) = Kernel(subsets=3)(shown), Kernel(subsets=30)(shown)
    assert three.settings.startswith("kid_subsets=3, kid_subset_size=50, rng_seed=0")
    assert three.value != thirty.value
    assert Kernel(subsets=3)(shown) == (three,)
    (other_seed,) = Kernel(subsets=3)(replace(shown, rng_seed=1))
    assert other_seed.value != three.value


def test_kernel_needs_one_subset_where_it_holds_every_sample():
    (score,) = Kernel()(evidence(whitened(200, 3, 0), whitened(200, 3, 1) * 2))
    assert score.settings.startswith("kid_subsets=1, kid_subset_size=200")


def test_precision_and_recall_by_hand():
    real = torch.tensor([[0.0], [1], [2], [10]])  # balls of radius 1, 1, 1, 8
    fake = torch.tensor([[0.5], [2.5], [50], [60]])  # balls of radius 2, 2, 10, 10
    assert values(PrecisionRecall(neighbours=1)(evidence(real, fake))) == {"precision_toy": 0.5, "recall_toy": 0.75}


def test_precision_and_recall_do_not_depend_on_how_many_rows_are_held_at_once(monkeypatch):
    shown = evidence(whitened(150, 3, 0), 1.5 * whitened(170, 3, 1))
    whole = values(PrecisionRecall()(shown))
    monkeypatch.setattr(distances, "NEIGHBOUR_BATCH", 40)
    assert values(PrecisionRecall()(shown)) == whole
    assert 0 < whole["precision_toy"] < whole["recall_toy"] < 1


def test_a_collapsed_generator_keeps_precision_and_loses_recall():
    real = whitened(200, 3, 0)
    fake = real[:1] * 0.1 + 1e-3 * whitened(200, 3, 1)
    scores = values(PrecisionRecall()(evidence(real, fake)))
    assert scores["precision_toy"] == 1
    assert scores["recall_toy"] == 0


def test_scores_agree_with_torch_fidelity_on_the_same_images(registered, monkeypatch):
    monkeypatch.setattr(distances, "LARGEST_SUBSET", 100)
    data, fake = blob_data(), blobs(COUNT, 3, noise=25)
    evaluator = Evaluator(data, [Frechet(), Kernel(subsets=10), PrecisionRecall()], toy(), COUNT)
    ours = values(evaluator.scores(fake))
    theirs = torch_fidelity.calculate_metrics(
        input1=Pictures(fake),
        input2=Pictures(data.heldout),
        feature_extractor=registered,
        cuda=False,
        fid=True,
        kid=True,
        prc=True,
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
            "kid_toy": theirs[torch_fidelity.KEY_METRIC_KID_MEAN],
            "precision_toy": theirs[torch_fidelity.KEY_METRIC_PRECISION],
            "recall_toy": theirs[torch_fidelity.KEY_METRIC_RECALL],
        },
        rel=1e-5,
    )
    assert ours["precision_toy"] != ours["recall_toy"]


class Pictures(torch.utils.data.Dataset):
    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.images[index]


def test_the_order_of_samples_does_not_matter():
    metrics = [Frechet(), Kernel(), PrecisionRecall(), ClassCoverage()]
    data, fake = blob_data(), blobs(COUNT, 3, noise=25)
    shuffled = Data(train=data.train, heldout=data.heldout.flip(0))
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    straight = values(Evaluator(data, metrics, toy(), COUNT).scores(fake))
    assert values(Evaluator(shuffled, metrics, toy(), COUNT).scores(fake[order])) == pytest.approx(straight, rel=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_distances_grow_with_noise(channels):
    evaluator = Evaluator(blob_data(channels), [Frechet(), Kernel()], toy(), COUNT)
    curve = [values(evaluator.scores(blobs(COUNT, 3, noise, channels))) for noise in (0.0, 15.0, 30.0, 60.0)]
    for name in ("fcd_toy", "kid_toy"):
        distances_ = [scores[name] for scores in curve]
        assert distances_ == sorted(distances_)
        assert distances_[-1] > 5 * distances_[0]


def test_evaluation_leaves_the_global_random_states_alone():
    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    metrics = [Frechet(), Kernel(), PrecisionRecall(), ClassCoverage()]
    Evaluator(blob_data(), metrics, toy(), COUNT).scores(blobs(COUNT, 3))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_evaluating_twice_gives_the_same_bits():
    evaluator = Evaluator(blob_data(), [Frechet(), Kernel(), PrecisionRecall(), ClassCoverage()], toy(), COUNT)
    fake = blobs(COUNT, 3, noise=25)
    assert evaluator.scores(fake) == evaluator.scores(fake)


@pytest.mark.parametrize(("metric", "count"), [(Frechet(), 1), (Kernel(), 1), (PrecisionRecall(), 3)])
def test_too_few_samples_leave_a_score_undefined(metric, count):
    features = torch.arange(20.0).reshape(10, 2)
    for real, fake in ((features, features[:count]), (features[:count], features)):
        assert set(values(metric(evidence(real, fake))).values()) == {None}


@pytest.mark.parametrize("metric", [Frechet(), Kernel(), PrecisionRecall()])
def test_without_features_there_is_no_distance(metric):
    shown = replace(evidence(whitened(10, 2, 0), whitened(10, 2, 1)), real_features=None)
    with pytest.raises(DataError, match="compares features"):
        metric(shown)


@pytest.mark.parametrize("build", [lambda: Kernel(subsets=0), lambda: PrecisionRecall(neighbours=0)])
def test_parameters_out_of_range_are_refused(build):
    with pytest.raises(ChoiceError, match="is 0, expected at least 1"):
        build()
