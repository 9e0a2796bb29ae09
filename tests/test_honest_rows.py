"""Whatever is too little or too much ends in a row that says so: a defined result, or a status with a message."""

import math
from pathlib import Path

import pytest
from commands import ganbench, write_suite

from ganbench.plan import plan
from ganbench.plugins import discover
from ganbench.protocols import Places
from ganbench.store import Store
from ganbench.suite import suite_from
from ganbench.tasks import Task
from ganbench.terms import Reference
from ganbench.trial import perform

POOR = Path(__file__).parent / "poor.py"
REGISTRY = discover([POOR])
FEATURES = (
    "frechet", "frechet-infinity", "kernel", "precision-recall", "density-coverage", "classes", "inception-score",
    "bins", "detectability", "memorisation", "conditional-accuracy",
)  # fmt: skip
MEASURES = [measure for offer in REGISTRY.offers if offer.kind == "metric" for measure in offer.component.measures]
WARNING = "ignore:Number of distinct clusters"  # k-means says that it found fewer, and that is all


def records(folder, dataset, generator="constant", metrics=None, samples=100, training=None):
    """The records of one trial and its references, carried out in this process."""
    measured = metrics or FEATURES
    made = plan(
        suite_from(
            {
                "name": "poor",
                "datasets": [dataset],
                "seeds": [0],
                "matrix": {"generator": [generator], "discriminator": ["mlp(width=8, depth=1)"], "loss": ["hinge"]},
                "budget": {"steps": 3},
                "evaluation": {"points": 1, "samples": samples},
                "training": {"batch_size": 16, "latent_dim": 4, **(training or {})},
                "metrics": list(measured),
            },
            Path("poor.toml"),
        ),
        REGISTRY,
    )
    assert not made.skipped
    found = {}
    for job in made.jobs:
        attempt = Store(folder).begin(job)
        assert not perform([Task(job, attempt, Places(), "cpu", (POOR,))])
        found[job.name if isinstance(job, Reference) else "trial"] = attempt.record()
    return found


def values(record):
    """The scores by name, each None or within its declared range."""
    assert record.status == "ok", record.message
    for score in record.scores:
        measure = next(measure for measure in MEASURES if measure.fits(score.name))
        lowest = -math.inf if measure.lowest is None else measure.lowest
        highest = math.inf if measure.highest is None else measure.highest
        assert score.value is None or lowest - 1e-9 <= score.value <= highest + 1e-9
    return {score.name: score.value for score in record.scores}


@pytest.mark.filterwarnings(WARNING)
@pytest.mark.parametrize("generator", ["constant", "told"])
@pytest.mark.parametrize("dataset", ["black", "grey", "one-class", "dozen", "pair"])
def test_every_metric_is_defined_or_says_that_it_is_not_on_poor_pictures(tmp_path, dataset, generator):
    for record in records(tmp_path, dataset, generator).values():
        values(record)


@pytest.mark.filterwarnings(WARNING)
def test_equal_pictures_are_at_no_distance_from_themselves_though_their_covariance_is_singular(tmp_path):
    floor = values(records(tmp_path, "black")["real_floor"])
    assert floor["fcd_digits"] == pytest.approx(0, abs=1e-9)
    assert floor["kid_digits"] == pytest.approx(0, abs=1e-9)
    assert floor["precision_digits"] == floor["recall_digits"] == 1
    assert floor["tvd_classes"] == 0
    assert floor["c2st_logistic_digits"] == pytest.approx(0.5)


@pytest.mark.filterwarnings(WARNING)
def test_a_constant_output_is_far_from_varied_pictures_and_recalls_none(tmp_path):
    found = records(tmp_path, "one-class")
    constant, floor = values(found["trial"]), values(found["real_floor"])
    assert constant["fcd_digits"] > 5 * floor["fcd_digits"]
    assert constant["recall_digits"] == 0
    assert constant["coverage_digits"] <= 0.01  # one picture may lie near one real one
    assert constant["classes_any"] == 1


def test_fewer_pictures_than_feature_dimensions_are_measured_and_their_number_is_told(tmp_path):
    record = records(tmp_path, "dozen", metrics=["frechet", "kernel"], samples=5000)["trial"]
    assert values(record)["fcd_digits"] > 0
    assert {(score.n_fake, score.n_real, score.dimension) for score in record.scores} == {(12, 12, 64)}


def test_too_few_pictures_for_neighbours_leave_their_metrics_undefined(tmp_path):
    found = values(records(tmp_path, "pair", metrics=["frechet", "precision-recall", "density-coverage"])["trial"])
    assert found["fcd_digits"] > 0
    assert found["precision_digits"] is found["recall_digits"] is found["density_digits"] is None


@pytest.mark.parametrize("dataset", ["one-point", "line", "five-points", "single-point"])
def test_points_that_are_equal_few_or_on_a_line_are_measured(tmp_path, dataset):
    found = records(tmp_path, dataset, "mlp(width=8, depth=1)", ["sliced-wasserstein", "rbf-mmd"], samples=5000)
    assert values(found["trial"])["sliced_w1"] > 0
    if dataset == "one-point":
        assert values(found["real_floor"]) == {"sliced_w1": 0.0, "rbf_mmd2": 0.0}
    if dataset == "single-point":
        assert values(found["trial"])["rbf_mmd2"] is None


def test_a_data_set_smaller_than_the_batch_is_trained_on_and_counted_image_by_image(tmp_path):
    record = records(tmp_path, "five-points", "mlp(width=8, depth=1)", ["sliced-wasserstein"])["trial"]
    assert record.spent.steps == 3
    assert record.spent.kimg == pytest.approx(3 * 16 / 1000)


def test_labels_of_one_class_train_a_conditional_generator_that_is_asked_for_that_class(tmp_path):
    metrics = ["conditional-accuracy", "classes"]
    found = values(records(tmp_path, "one-class", "told", metrics)["trial"])
    assert found["conditional_accuracy_digits"] in (0, 1)  # one picture, one class asked for


@pytest.mark.parametrize("size", ["1e30", "1e38"])
def test_samples_that_explode_diverge_at_a_step(tmp_path, size):
    record = records(tmp_path, "one-point", f"exploding(size={size})", ["sliced-wasserstein"])["trial"]
    assert (record.status, record.failed_step) == ("diverged", 1)
    assert "not finite at step 1" in record.message


def test_samples_that_are_huge_but_finite_have_huge_but_finite_scores(tmp_path):
    record = records(tmp_path, "line", "exploding(size=1e15)", ["sliced-wasserstein", "rbf-mmd"])["trial"]
    assert 1e13 < values(record)["sliced_w1"] < 1e16


@pytest.mark.parametrize("dataset", ["black", "grey"])
def test_a_classifier_of_equal_pictures_is_refused_by_name(tmp_path, dataset):
    suite = write_suite(tmp_path / "poor.toml", [dataset], ["hinge"], seeds=1, steps=2)
    suite.write_text(f'{suite.read_text()}\nextractor = "classifier"\n')
    done = ganbench(
        "run", suite, "--plugin", POOR, "--results", tmp_path / "results", "--workers", 1, "--device", "cpu"
    )
    assert done.status == 2
    assert done.err == (
        "ganbench: extractor classifier: all training images are equal, so their features have no scale\n"
    )


def test_weights_that_explode_end_the_trial_at_the_step_that_shows_it(tmp_path):
    optimiser = {"name": "sgd", "learning_rate": 1e30}
    both = {"generator": optimiser, "discriminator": optimiser}
    record = records(tmp_path, "line", "mlp(width=8, depth=1)", ["sliced-wasserstein"], training=both)["trial"]
    assert record.status == "diverged"
    assert record.failed_step in (1, 2, 3)
    assert "not finite" in record.message
    assert record.scores == ()
