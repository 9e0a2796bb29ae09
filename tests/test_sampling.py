from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_fidelity
from PIL import Image
from safetensors.torch import load_file, save_file
from small import performed, reference, registry, trial
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from ganbench.building import Workshop, build_evaluator, load_data
from ganbench.errors import GanbenchError, ResultsError
from ganbench.protocols import Places
from ganbench.sampling import draw, export, load_generator, scored_count, write_samples
from ganbench.store import GENERATOR
from ganbench.trial import RESAMPLES

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
