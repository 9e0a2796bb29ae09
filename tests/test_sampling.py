from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_fidelity
from PIL import Image
from safetensors.torch import load_file, save_file
from small import performed, reference, registry, trial
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from ganbench.building import build_evaluator
from ganbench.errors import GanbenchError, ResultsError
from ganbench.protocols import Places
from ganbench.sampling import draw, export, load_generator, scored_count, write_samples
from ganbench.store import GENERATOR
from ganbench.submissions import evaluation_labels
from ganbench.trial import RESAMPLES
from ganbench.workshop import Workshop, load_data

WORKSHOP = Workshop(registry(), Places(), torch.device("cpu"))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A trial on digits that was scored on 300 of them, with the average of its generator's weights."""
    made = trial(
        "digits",
        "nonsaturating",
        "dcgan(width=8)",
        "dcgan(width=8)",
        budget={"steps": 20},
        points=2,
        samples=300,
        metrics=["frechet"],
        ema_half_life_kimg=0.1,
    )
    return performed(made, tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    return performed(trial(samples=50), tmp_path_factory.mktemp("ring"))


def recorded(attempt, name):
    return next(score for score in attempt.record().scores if score.name == name)


def pictures(folder):
    """All pictures in a folder in the order of their names: uint8 (N, H, W)."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])


def test_torch_fidelity_gives_the_recorded_distance_on_the_exported_pictures(digits, tmp_path):
    count = export(digits, registry(), "cpu", None, tmp_path / "fake")
    made, score = digits.job(), recorded(digits, "fcd_digits")
    assert count == len(list((tmp_path / "fake").iterdir())) == score.n_fake == 300
    evaluator = build_evaluator(WORKSHOP, load_data(WORKSHOP, made.dataset), made.dataset, made.evaluation)
    write_samples(evaluator.real, tmp_path / "real")
    names = [name for name in FEATURE_EXTRACTORS_REGISTRY if score.weights_sha256[:8] in name]
    (extractor,) = [name for name in names if "stacked" not in name]
    distances = torch_fidelity.calculate_metrics(
        input1=str(tmp_path / "fake"),
        input2=str(tmp_path / "real"),
        feature_extractor=extractor,
        feature_layer_fid=score.layer,
        fid=True,
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
    )
    assert score.value == pytest.approx(distances[torch_fidelity.KEY_METRIC_FID], rel=1e-5)
    assert score.value > 1


def test_exported_pictures_are_scored_as_the_recorded_ones_were(digits, tmp_path):
    export(digits, registry(), "cpu", None, tmp_path / "fake")
    made = digits.job()
    evaluator = build_evaluator(WORKSHOP, load_data(WORKSHOP, made.dataset), made.dataset, made.evaluation)
    again = evaluator.scores(torch.from_numpy(pictures(tmp_path / "fake")).unsqueeze(1), resamples=RESAMPLES)
    assert again == digits.record().scores


def test_drawing_again_gives_the_same_samples(digits):
    first = draw(digits, WORKSHOP, 300)
    torch.rand(3)
    assert first.shape == (300, 1, 8, 8)
    assert first.dtype == torch.uint8
    assert torch.equal(draw(digits, WORKSHOP, 300), first)
    assert first.float().std() > 1


def test_more_samples_begin_with_those_that_were_scored(ring):
    few, many = draw(ring, WORKSHOP, 50), draw(ring, WORKSHOP, 1200)
    assert many.shape == (1200, 2)
    torch.testing.assert_close(many[:50], few, rtol=1e-5, atol=1e-6)
    assert not torch.equal(many[50:100], few)


# --- generators that are asked for classes


@pytest.fixture(scope="module")
def shades(tmp_path_factory):
    """A trial whose generator gives pictures as bright as their label, scored on 300 of them."""
    made = trial(
        "digits",
        generator="shade",
        discriminator="mlp(width=8, depth=1, conditioning=projection)",
        points=2,
        samples=300,
        metrics=["heard", "conditional-accuracy", "classes"],
    )
    return performed(made, tmp_path_factory.mktemp("shades"))


def test_a_conditional_trial_ends_well_and_is_scored_on_the_classes_that_were_asked_for(shades):
    assert (shades.record().status, shades.record().message) == ("ok", "")
    assert recorded(shades, "heard").value == 1.0
    accuracy = recorded(shades, "conditional_accuracy_digits").value
    assert 0 <= accuracy < 0.5  # an even grey is no digit
    assert recorded(shades, "heard").n_fake == 300


def test_a_generator_that_takes_no_labels_is_asked_for_no_class(tmp_path):
    attempt = performed(
        trial("digits", samples=50, metrics=["heard", "conditional-accuracy"], discriminator="mlp(width=8, depth=1)"),
        tmp_path,
    )
    assert recorded(attempt, "heard").value is None
    assert recorded(attempt, "conditional_accuracy_digits").value is None


def test_classes_are_asked_for_as_often_as_they_are_in_the_training_split_and_drawn_again_alike(shades):
    samples = draw(shades, WORKSHOP, 300)
    labels = (samples[:, 0, 0, 0].float() * 9 / 255).round().long()
    assert torch.equal(labels, evaluation_labels(0, load_data(WORKSHOP, shades.job().dataset).train_labels, 300))
    assert labels.unique().numel() == 10
    with Image.open(shades.path / "samples-00000006.png") as grid:
        rows = np.asarray(grid)[4::9, 4::9, 0]  # the middle of each picture of a grid of 8 by 8
    assert (rows == np.array([round(label * 255 / 9) for label in range(8)])[:, None]).all()


def test_exported_pictures_of_a_conditional_generator_are_those_that_were_scored(shades, tmp_path):
    assert export(shades, registry(), "cpu", None, tmp_path / "fake") == 300
    made = shades.job()
    data = load_data(WORKSHOP, made.dataset)
    evaluator = build_evaluator(WORKSHOP, data, made.dataset, made.evaluation)
    images = torch.from_numpy(pictures(tmp_path / "fake")).unsqueeze(1)
    again = evaluator.scores(images, evaluation_labels(made.seed, data.train_labels, 300), RESAMPLES)
    assert again == shades.record().scores


def test_more_samples_of_a_conditional_generator_begin_with_the_classes_that_were_scored(shades):
    assert torch.equal(draw(shades, WORKSHOP, 1200)[:300], draw(shades, WORKSHOP, 300))


def test_a_trained_conditional_generator_gives_again_what_was_scored(tmp_path):
    made = trial(
        "digits",
        "acgan",
        "mlp(width=16, depth=1, conditional=true, norm=batch)",
        "mlp(width=16, depth=1, conditioning=auxiliary)",
        budget={"steps": 10},
        samples=100,
        metrics=["frechet", "conditional-accuracy"],
        ema_half_life_kimg=0.05,
    )
    attempt = performed(made, tmp_path / "runs")
    assert attempt.record().status == "ok", attempt.record().message
    export(attempt, registry(), "cpu", None, tmp_path / "fake")
    data = load_data(WORKSHOP, made.dataset)
    evaluator = build_evaluator(WORKSHOP, data, made.dataset, made.evaluation)
    images = torch.from_numpy(pictures(tmp_path / "fake")).unsqueeze(1)
    labels = evaluation_labels(made.seed, data.train_labels, 100)
    assert evaluator.scores(images, labels, RESAMPLES) == attempt.record().scores
    assert evaluator.scores(images, labels.roll(1), RESAMPLES) != attempt.record().scores


def test_a_class_is_asked_for_as_often_as_it_occurs():
    training = torch.tensor([0] * 700 + [1] * 200 + [5] * 100)
    labels = evaluation_labels(3, training, 20_000)
    shares = [(labels == label).float().mean().item() for label in (0, 1, 5)]
    assert shares == pytest.approx([0.7, 0.2, 0.1], abs=0.02)
    assert labels.dtype == torch.int64
    assert torch.equal(evaluation_labels(3, training, 20_000), labels)
    assert not torch.equal(evaluation_labels(4, training, 20_000), labels)
    assert torch.equal(evaluation_labels(3, training, 1234), labels[:1234])


@pytest.mark.parametrize("method", ["vae", "hinge + unrolled(steps=1)", "hinge + lecam + unrolled(steps=1)"])
def test_what_a_method_has_trained_can_be_drawn_again(method, tmp_path):
    attempt = performed(trial(loss=method, samples=50), tmp_path)
    assert attempt.record().status == "ok", attempt.record().message
    assert draw(attempt, WORKSHOP, 50).shape == (50, 2)
    assert attempt.job().variant.method.name in method


def test_points_are_written_as_one_array(ring, tmp_path):
    assert export(ring, registry(), "cpu", 70, tmp_path / "points") == 70
    (path,) = (tmp_path / "points").iterdir()
    assert path.name == "points.npy"
    written = np.load(path)
    assert written.shape == (70, 2)
    assert written.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(written), draw(ring, WORKSHOP, 70), rtol=0, atol=0)


def test_the_picture_beside_the_record_shows_the_first_exported_samples(digits):
    with Image.open(digits.path / "samples-00000020.png") as grid:
        shown = np.asarray(grid)[:8, :8, 0]
    assert (shown == draw(digits, WORKSHOP, 300)[0, 0].numpy()).all()


def test_pictures_are_written_one_file_each_and_read_back_the_same(tmp_path):
    images = torch.randint(0, 256, (3, 1, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_samples(images, tmp_path / "grey")
    assert [path.name for path in sorted((tmp_path / "grey").iterdir())] == ["000000.png", "000001.png", "000002.png"]
    assert (pictures(tmp_path / "grey") == images[:, 0].numpy()).all()
    write_samples(images.repeat(1, 3, 1, 1), tmp_path / "colour")
    assert pictures(tmp_path / "colour").shape == (3, 4, 5, 3)


def test_a_folder_with_files_is_not_written_to(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    for folder in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        with pytest.raises(ResultsError, match=r"exists and is not an empty folder\. Pass another one with --out"):
            write_samples(torch.zeros(2, 2), folder)


def test_an_empty_folder_may_be_written_to(tmp_path):
    write_samples(torch.zeros(2, 2), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["points.npy"]


def test_the_count_that_was_scored_is_the_records(ring, digits):
    assert scored_count(ring) == 50
    assert scored_count(digits) == 300


def test_a_generator_comes_back_in_evaluation_mode_with_its_trial(ring):
    generator, made = load_generator(ring, WORKSHOP)
    assert made == ring.job()
    assert not generator.training
    for name, saved in load_file(ring.path / GENERATOR).items():
        assert torch.equal(generator.state_dict()[name], saved)


def test_a_failed_trial_has_no_generator(tmp_path):
    with pytest.raises(ResultsError, match=r"no generator\.safetensors here. Only trials that ended 'ok'"):
        load_generator(performed(trial(loss="nan-at(step=2)"), tmp_path), WORKSHOP)


def test_a_reference_has_no_generator(tmp_path):
    with pytest.raises(ResultsError, match="Only trials that ended 'ok' leave a generator"):
        load_generator(performed(reference("noise"), tmp_path), WORKSHOP)


@pytest.mark.parametrize("damage", ["other", "torn"])
def test_weights_that_do_not_fit_are_named_with_the_generator(damage, tmp_path):
    attempt = performed(trial(), tmp_path)
    path = attempt.path / GENERATOR
    if damage == "other":
        save_file({"layers.0.weight": torch.zeros(9, 4)}, path)
    else:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ResultsError, match=r"generator\.safetensors: does not fit generator 'mlp\(depth=1, width=8\)'"):
        load_generator(attempt, WORKSHOP)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_cannot_be_used_is_named(ring, tmp_path, device):
    with pytest.raises(GanbenchError, match=f"^--device {device}: "):
        export(ring, registry(), device, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()
