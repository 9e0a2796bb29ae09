from __future__ import annotations

import errno
import math
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small import ODD, performed, trial
from test_pixels import by_hand, images

from ganbench import observing, portraits
from ganbench.disk import write_atomically
from ganbench.drivers import Driver
from ganbench.errors import StorageError
from ganbench.events import last_event
from ganbench.metrics import Measured, spread
from ganbench.pictures import PLOT_PIXELS, image_grid
from ganbench.portrait_files import INTERPOLATIONS, LONGEST_NAME, NEIGHBOURS, PORTRAIT, read_portrait
from ganbench.portraits import CURVE_STEPS, LATENTS, ROWS, STEPS, Sitting, portray, slerp
from ganbench.protocols import Data, Modes, Places
from ganbench.store import CURVE, GENERATOR, Store
from ganbench.submissions import evaluation_latents
from ganbench.tasks import Keeping, Stopped, Task
from ganbench.trial import perform

FILES = (INTERPOLATIONS, NEIGHBOURS, PORTRAIT)
DIGITS = {"dataset": "digits", "generator": "dcgan(width=4)", "discriminator": "dcgan(width=4)", "samples": 300}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- between latents


@pytest.mark.parametrize("dimension", [2, 3, 64, 512])
def test_slerp_is_the_formula_of_its_paper(dimension):
    starts, ends = normal(5, dimension), normal(5, dimension, seed=1)
    found = slerp(starts, ends, 9)
    assert found.shape == (5, 9, dimension)
    assert found.dtype == torch.float32
    for p, q, row in zip(starts.tolist(), ends.tolist(), found.tolist(), strict=True):
        angle = math.acos(sum(a * b for a, b in zip(p, q, strict=True)) / (math.hypot(*p) * math.hypot(*q)))
        for number, point in enumerate(row):
            mu = number / 8
            expected = [
                math.sin((1 - mu) * angle) / math.sin(angle) * a + math.sin(mu * angle) / math.sin(angle) * b
                for a, b in zip(p, q, strict=True)
            ]
            assert point == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_between_latents_of_one_length_the_length_stays_and_the_angle_grows_evenly():
    starts, ends = (torch.nn.functional.normalize(normal(4, 16, seed=seed)) * 3 for seed in (0, 1))
    found = slerp(starts, ends, 5).double()
    torch.testing.assert_close(found.norm(dim=2), torch.full((4, 5), 3.0, dtype=torch.float64), rtol=1e-6, atol=0)
    between = (found[:, 1:] * found[:, :-1]).sum(dim=2) / 9
    torch.testing.assert_close(between, between[:, :1].expand(-1, 4), rtol=1e-5, atol=1e-6)


def test_the_ends_are_the_latents_themselves():
    starts, ends = normal(50, 8), normal(50, 8, seed=1)
    found = slerp(starts, ends, 8)
    assert torch.equal(found[:, 0], starts)
    assert torch.equal(found[:, -1], ends)


@pytest.mark.parametrize(
    ("start", "end"),
    [([1.0], [3.0]), ([1.0], [-3.0]), ([0.0, 0.0], [1.0, 2.0]), ([1.0, 1.0], [2.0, 2.0]), ([0.1, 0.7], [-0.2, -1.4])],
)
def test_where_no_circle_leads_from_one_to_the_other_it_is_a_line(start, end):
    found = slerp(torch.tensor([start]), torch.tensor([end]), 5)[0]
    line = [[(1 - mu) * a + mu * b for a, b in zip(start, end, strict=True)] for mu in (0, 0.25, 0.5, 0.75, 1)]
    torch.testing.assert_close(found, torch.tensor(line), rtol=1e-5, atol=1e-6)


# --- portraits of generators that are known


def shaded(latents, labels=None):
    """Even pictures (N, 1, 8, 8): as bright as the first coordinate says, or the label."""
    shades = (latents[:, 0] * 100).clamp(0, 255) if labels is None else labels * 20
    return shades.to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def of_images(samples, train, heldout, **changes):
    usual = {
        "measured": Measured(()),
        "class_names": (),
        "generate": shaded,
        "latents": normal(LATENTS, 3),
        "labels": None,
        "device": torch.device("cpu"),
    }
    return Sitting(Data(train, heldout), heldout, samples, **{**usual, **changes})


def of_points(samples, data, **changes):
    usual = {"measured": Measured(()), "class_names": (), "generate": lambda latents, labels: latents[:, :2]}
    usual |= {"latents": normal(LATENTS, 3), "labels": None, "device": torch.device("cpu")}
    return Sitting(data, data.heldout, samples, **{**usual, **changes})


def shades_of(path):
    """The shade of each picture of a grid of 8×8 ones, (rows, columns)."""
    with Image.open(path) as grid:
        return np.asarray(grid)[4::9, 4::9, 0]


def test_each_row_leads_from_one_latent_to_the_next_in_even_steps(tmp_path):
    latents = normal(LATENTS, 3).abs()
    portray(of_images(images(20, 1, 8, 1), images(30, 1, 8, 2), images(20, 1, 8, 3), latents=latents), tmp_path)
    found = shades_of(tmp_path / INTERPOLATIONS)
    assert found.shape == (ROWS, STEPS)
    expected = (slerp(latents[0::2], latents[1::2], STEPS)[..., 0] * 100).clamp(0, 255).to(torch.uint8)
    assert found.tolist() == expected.tolist()
    assert found[:, 0].tolist() == (latents[0::2, 0] * 100).clamp(0, 255).to(torch.uint8).tolist()


def test_a_row_of_a_conditional_generator_keeps_its_class(tmp_path):
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    portray(of_images(images(20, 1, 8, 1), images(30, 1, 8, 2), images(20, 1, 8, 3), labels=labels), tmp_path)
    assert shades_of(tmp_path / INTERPOLATIONS).tolist() == [[20 * label] * STEPS for label in labels.tolist()]


def test_the_first_samples_stand_before_their_five_nearest_training_images(tmp_path):
    samples, train, heldout = images(20, 3, 8, 1), images(300, 3, 8, 2), images(40, 3, 8, 3)
    samples[3] = train[250]
    portray(of_images(samples, train, heldout, generate=lambda latents, labels: train[: len(latents)]), tmp_path)
    distances, order = by_hand(samples, train, 5)
    assert order[3, 0] == 250
    rows = torch.cat([samples[:8, None], train[torch.from_numpy(order[:8])]], dim=1).flatten(0, 1)
    with Image.open(tmp_path / NEIGHBOURS) as grid:
        assert np.array_equal(np.asarray(grid), np.asarray(image_grid(rows, 6)))
    near = read_portrait(tmp_path).neighbours
    assert near.of == 300
    assert near.samples == pytest.approx(distances[:, 0].tolist(), rel=1e-4)
    assert near.samples[3] == 0.0
    assert near.heldout == pytest.approx(by_hand(heldout, train, 1)[0][:, 0].tolist(), rel=1e-4)


def test_a_generator_that_has_learnt_images_by_heart_is_nearer_to_them_than_held_out_images_are(tmp_path):
    train, heldout = images(200, 1, 8, 2), images(50, 1, 8, 3)
    portray(of_images(train[:50].clamp(1, 254), train, heldout), tmp_path)
    near = read_portrait(tmp_path).neighbours
    assert max(near.samples) < min(near.heldout) / 5


def test_of_many_training_images_as_many_are_searched_as_the_file_says(tmp_path, monkeypatch):
    monkeypatch.setattr(portraits, "MOST_TRAINING", 50)
    monkeypatch.setattr(portraits, "CHUNK", 16)
    samples, train, heldout = images(20, 1, 8, 1), images(300, 1, 8, 2), images(20, 1, 8, 3)
    portray(of_images(samples, train, heldout), tmp_path)
    near = read_portrait(tmp_path).neighbours
    assert near.of == 50
    assert near.samples == pytest.approx(by_hand(samples, train[spread(300, 50)], 1)[0][:, 0].tolist(), rel=1e-4)


def test_no_more_than_five_hundred_of_each_side_are_written_down(tmp_path):
    portray(of_images(images(700, 1, 2, 1), images(30, 1, 2, 2), images(900, 1, 2, 3)), tmp_path)
    near = read_portrait(tmp_path).neighbours
    assert (len(near.samples), len(near.heldout)) == (500, 500)
    points = Data(normal(30, 2), normal(900, 2))
    portray(of_points(normal(700, 2), points), tmp_path)
    found = read_portrait(tmp_path).points
    assert (len(found.samples), len(found.data)) == (500, 500)


def test_large_images_are_compared_small_and_shown_as_they_are(tmp_path):
    samples, train, heldout = images(4, 3, 64, 1), images(9, 3, 64, 2), images(4, 3, 64, 3)
    told = []
    portray(of_images(samples, train, heldout, generate=lambda *given: samples[:1], alive=told.append), tmp_path)
    assert told == ["portrait"] * 4  # at the beginning, and for each part that is made small
    near = read_portrait(tmp_path).neighbours
    assert near.distance == "Euclidean distance of the pixels, each from 0 to 1, of images reduced to 32×32"
    assert max(near.samples) < by_hand(samples, train, 1)[0].min()  # noise that is averaged differs less
    with Image.open(tmp_path / NEIGHBOURS) as grid:
        assert grid.size == (6 * 65 - 1, 4 * 65 - 1)


def test_fewer_training_images_than_neighbours_are_all_shown(tmp_path):
    portray(of_images(images(3, 1, 8, 1), images(2, 1, 8, 2), images(1, 1, 8, 3)), tmp_path)
    with Image.open(tmp_path / NEIGHBOURS) as grid:
        assert grid.size == (3 * 9 - 1, 3 * 9 - 1)


def test_images_fall_in_the_classes_that_the_classifier_sees(tmp_path):
    fake, real = torch.eye(3)[[0, 0, 0, 2]], torch.eye(3)[[0, 1, 1, 2, 2]]
    sitting = of_images(
        images(4, 1, 8, 1),
        images(9, 1, 8, 2),
        images(5, 1, 8, 3),
        measured=Measured((), fake, real),
        class_names=("<b>zero", "\udcff", "x" * 400),
    )
    portray(sitting, tmp_path)
    found = read_portrait(tmp_path).classes
    assert (found.data, found.samples) == ((0.2, 0.4, 0.4), (0.75, 0.0, 0.25))
    assert found.names == ("<b>zero", "?", "x" * LONGEST_NAME)
    portray(replace(sitting, class_names=("zero", "one")), tmp_path)  # whose logits these cannot be
    assert read_portrait(tmp_path).classes is None
    portray(replace(sitting, measured=Measured(())), tmp_path)
    assert read_portrait(tmp_path).classes is None


def test_more_classes_than_anybody_looks_at_are_left_out(tmp_path, monkeypatch):
    logits, names = torch.eye(5), tuple("abcde")
    sitting = of_images(
        images(5, 1, 8, 1), images(9, 1, 8, 2), images(5, 1, 8, 3), measured=Measured((), logits, logits)
    )
    portray(replace(sitting, class_names=names), tmp_path)
    assert read_portrait(tmp_path).classes.names == names
    monkeypatch.setattr(portraits, "MOST_CLASSES", 4)
    portray(replace(sitting, class_names=names), tmp_path)
    assert read_portrait(tmp_path).classes is None


def test_points_fall_on_the_known_modes_or_on_none(tmp_path):
    modes = Modes(torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.ones(2), torch.tensor([0.7, 0.3], dtype=torch.float64))
    data = Data(normal(30, 2), torch.tensor([[0.0, 1.0], [9.0, 0.123456789]]), modes=modes)
    portray(of_points(torch.tensor([[0.0, 0.0], [9.0, 2.0], [5.0, 0.0], [9.0, 1.0]]), data), tmp_path)
    found = read_portrait(tmp_path)
    assert found.classes.names == ("mode 1", "mode 2", "no mode")
    assert (found.classes.data, found.classes.samples) == ((0.7, 0.3, 0.0), (0.25, 0.5, 0.25))
    assert found.points.data == ((0.0, 1.0), (9.0, 0.12346))
    assert found.points.samples == ((0.0, 0.0), (9.0, 2.0), (5.0, 0.0), (9.0, 1.0))
    assert found.neighbours is None
    assert not (tmp_path / NEIGHBOURS).exists()


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_of_points_the_first_two_coordinates_are_written_and_drawn(tmp_path, dimension):
    data = Data(normal(30, dimension), normal(30, dimension, seed=1))
    samples = normal(20, dimension, seed=2) * 1e30
    portray(of_points(samples, data, generate=lambda latents, labels: latents[:, :1].expand(-1, dimension)), tmp_path)
    found = read_portrait(tmp_path)
    assert found.classes is None
    expected = samples[:, :2] if dimension > 1 else torch.cat([samples, torch.zeros(20, 1)], dim=1)
    torch.testing.assert_close(torch.tensor(found.points.samples), expected, rtol=1e-4, atol=0)
    with Image.open(tmp_path / INTERPOLATIONS) as plot:
        assert plot.size == (PLOT_PIXELS, PLOT_PIXELS)


def test_a_portrait_of_points_is_drawn_along_curves_of_one_class_each():
    asked = []

    def generate(latents, labels):
        asked.append(labels)
        return latents[:, :2]

    labels = torch.arange(ROWS)
    data = Data(normal(30, 2), normal(30, 2, seed=1))
    portraits.interpolations(of_points(normal(5, 2), data, generate=generate, labels=labels))
    assert asked[0].tolist() == [label for label in range(ROWS) for _ in range(CURVE_STEPS)]


# --- portraits that trials leave


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    return performed(trial(budget={"steps": 30}, ema_half_life_kimg=1), tmp_path_factory.mktemp("ring"))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    made = trial(loss="hinge", budget={"steps": 20}, metrics=["frechet", "classes"], **DIGITS)
    return performed(made, tmp_path_factory.mktemp("digits"))


def content(attempt):
    """The portrait's files, by name."""
    return {name: (attempt.path / name).read_bytes() for name in FILES if (attempt.path / name).exists()}


def scores(attempt):
    return {score.name: score.value for score in attempt.record().scores}


def apart(classes):
    return sum(abs(one - other) for one, other in zip(classes.data, classes.samples, strict=True)) / 2


def test_a_trial_on_points_leaves_its_portrait_and_a_record_of_it(ring):
    assert content(ring).keys() == {INTERPOLATIONS, PORTRAIT}
    assert ring.record().files.keys() >= {INTERPOLATIONS, PORTRAIT}
    found = read_portrait(ring.path)
    assert (len(found.points.samples), len(found.points.data)) == (100, 500)
    assert apart(found.classes) == pytest.approx(scores(ring)["tvd_modes"], abs=1e-4)


def test_a_trial_on_images_leaves_its_portrait_and_a_record_of_it(digits):
    assert content(digits).keys() == set(FILES)
    assert digits.record().files.keys() >= set(FILES)
    found = read_portrait(digits.path)
    assert found.points is None
    assert found.classes.names == tuple("0123456789")
    assert apart(found.classes) == pytest.approx(scores(digits)["tvd_classes"], abs=1e-4)
    assert (len(found.neighbours.samples), len(found.neighbours.heldout), found.neighbours.of) == (300, 300, 899)


def test_the_interpolations_of_a_trial_lead_from_the_first_of_its_samples_to_the_next(digits):
    (last,) = digits.path.glob("samples-00000020.png")
    with Image.open(last) as samples, Image.open(digits.path / INTERPOLATIONS) as between:
        first, row = (np.asarray(picture).astype(int) for picture in (samples, between))
    assert abs(first[:8, :8] - row[:8, :8]).max() <= 1
    assert abs(first[:8, 9:17] - row[:8, -8:]).max() <= 1


def test_without_an_extractor_nothing_tells_classes_of_images(tmp_path):
    made = trial("digits", "hinge", DIGITS["generator"], DIGITS["discriminator"], samples=100, metrics=["frechet"])
    evaluation = replace(made.evaluation, extractor=None, metrics=())
    found = read_portrait(performed(replace(made, evaluation=evaluation), tmp_path).path)
    assert found.classes is None
    assert found.neighbours is not None


def test_a_conditional_trial_has_one_class_in_each_row(tmp_path):
    attempt = performed(trial("digits", generator="shade", samples=200), tmp_path)
    rows = shades_of(attempt.path / INTERPOLATIONS)
    assert rows.tolist() == [[round(255 * row / 9)] * STEPS for row in range(ROWS)]


def test_few_samples_have_a_portrait_too(tmp_path):
    attempt = performed(trial(samples=5), tmp_path)
    assert content(attempt).keys() == {INTERPOLATIONS, PORTRAIT}
    assert len(read_portrait(attempt.path).points.samples) == 5


def test_the_ends_are_the_first_latents_of_the_evaluation_however_few_it_has():
    assert torch.equal(evaluation_latents(3, 4, LATENTS)[:5], evaluation_latents(3, 4, 5))


def test_only_the_end_of_a_trial_is_portrayed(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(observing, "portray", lambda sitting, folder: seen.append(len(list(folder.glob("samples*")))))
    performed(trial(points=3, budget={"steps": 9}), tmp_path)
    assert seen == [3]


def test_the_same_trial_leaves_the_same_portrait(tmp_path, digits):
    made = trial(loss="hinge", budget={"steps": 20}, metrics=["frechet", "classes"], **DIGITS)
    assert content(performed(made, tmp_path)) == content(digits)


@pytest.mark.parametrize("generator", ["dropout", "fading", "mlp(width=8, norm=batch)"])
def test_a_portrait_changes_nothing_else(tmp_path, monkeypatch, generator):
    """Not even of a generator that keeps a mean of all that it makes."""
    made = trial(generator=generator, points=2, metrics=["modes", "drawing"])
    painted = performed(made, tmp_path / "painted")
    with monkeypatch.context() as without:
        without.setattr(observing, "portray", lambda sitting, folder: None)
        plain = performed(made, tmp_path / "plain")
    assert content(painted)
    assert not content(plain)
    assert painted.record().scores == plain.record().scores
    assert (painted.path / GENERATOR).read_bytes() == (plain.path / GENERATOR).read_bytes()
    curves = [
        pd.read_parquet(one.path / CURVE).drop(columns=["device_seconds", "wall_seconds"]) for one in (painted, plain)
    ]
    pd.testing.assert_frame_equal(*curves, check_exact=True)


def test_a_portrait_is_charged_to_evaluation_and_not_to_the_budget(tmp_path, monkeypatch):
    def slow(sitting, folder):
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass

    monkeypatch.setattr(observing, "portray", slow)
    record = performed(trial(), tmp_path).record()
    assert record.costs["evaluation_seconds"] >= 0.5
    assert record.spent.device_seconds < 0.5
    assert record.costs["training_seconds"] < 0.5


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), ValueError("a\nb")])
def test_what_goes_wrong_with_a_portrait_costs_no_trial_its_scores(tmp_path, monkeypatch, error):
    def fail(sitting, folder):
        raise error

    monkeypatch.setattr(observing, "portray", fail)
    attempt = performed(trial(), tmp_path)
    assert attempt.record().status == "ok"
    assert attempt.record().scores
    assert (attempt.path / GENERATOR).exists()
    assert not content(attempt)
    first_line = str(error).partition("\n")[0]
    assert last_event(attempt, "without portrait")["why"] == f"{type(error).__name__}: {first_line}"


def test_a_generator_that_fails_between_its_samples_is_named_and_keeps_its_scores(tmp_path, monkeypatch):
    used = observing.sample
    monkeypatch.setattr(
        observing,
        "sample",
        lambda network, latents, label, labels=None: (
            used(network, latents, label, labels=labels) * (1 if len(latents) == 100 else math.nan)
        ),
    )
    attempt = performed(trial(), tmp_path)
    assert attempt.record().status == "ok"
    why = last_event(attempt, "without portrait")["why"]
    assert why.startswith("FloatingPointError: generator 'mlp(")
    assert why.endswith("gave samples that are not finite")


def test_a_full_disk_ends_the_trial_without_a_record(tmp_path, monkeypatch):
    def full(path, written):
        if path.name == PORTRAIT:
            raise StorageError(f"{path}: cannot be written ({errno.errorcode[errno.ENOSPC]})")
        write_atomically(path, written)

    monkeypatch.setattr(portraits, "write_atomically", full)
    made = trial()
    attempt = Store(tmp_path).begin(made)
    with pytest.raises(StorageError, match=PORTRAIT):
        perform([Task(made, attempt, Places(), "cpu", (ODD,))])
    assert not attempt.committed
    assert last_event(attempt, "without portrait") == {}


def test_a_trial_that_went_on_where_it_was_stopped_leaves_the_same_portrait(tmp_path, ring):
    made = trial(budget={"steps": 30}, ema_half_life_kimg=1)
    stop = tmp_path / "stop"
    stop.touch()
    attempt = Store(tmp_path / "results").begin(made)
    task = Task(made, attempt, Places(), "cpu", (ODD,), keeping=Keeping(tmp_path / "c.safetensors", 0.0, stop))
    with pytest.raises(Stopped):
        perform([task])
    assert not content(attempt)
    stop.unlink()
    assert perform([task]) == ""
    assert attempt.environment()["resumed"]
    assert content(attempt) == content(ring)


@pytest.mark.parametrize("settings", [{"loss": "wgan-gp"}, {"loss": "hinge", **DIGITS}], ids=["points", "images"])
def test_seeds_that_train_together_leave_the_portraits_that_they_would_alone_but_for_rounding(tmp_path, settings):
    jobs = [trial(seed=seed, budget={"steps": 8}, **settings) for seed in range(2)]
    begun = [Store(tmp_path / "together").begin(job) for job in jobs]
    driver = Driver("vectorised")
    tasks = [Task(job, one, Places(), "cpu", (ODD,), driver=driver) for job, one in zip(jobs, begun, strict=True)]
    assert perform(tasks) == ""
    for job, together in zip(jobs, begun, strict=True):
        alone = performed(job, tmp_path / "alone")
        assert content(together).keys() == content(alone).keys()
        one, other = read_portrait(together.path), read_portrait(alone.path)
        assert one.classes.data == other.classes.data
        assert one.classes.samples == pytest.approx(other.classes.samples, abs=0.02)
        if one.points is not None:
            assert np.allclose(one.points.samples, other.points.samples, rtol=1e-3, atol=1e-4)
            assert one.points.data == other.points.data
        if one.neighbours is not None:
            assert one.neighbours.samples == pytest.approx(other.neighbours.samples, abs=0.02)
            assert one.neighbours.heldout == other.neighbours.heldout
    assert content(begun[0])[PORTRAIT] != content(begun[1])[PORTRAIT]
