from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small import registry

from ganbench import doctor
from ganbench.choices import resolve
from ganbench.errors import PluginError
from ganbench.inspection import CheckedDensity, check_data
from ganbench.protocols import Data, Modes, Places
from ganbench.terms import Choice, Component
from ganbench.workshop import Workshop, load_data

LABEL = "dataset 'own' of plugin 'mine'"
NAN, INFINITY = float("nan"), float("inf")


class Square:
    """The uniform density on the square from -1 to 1, whose methods give what they are told to."""

    def __init__(self, log_prob=None, sample=None):
        self.given_log_prob, self.given_sample = log_prob, sample

    def log_prob(self, points):
        if isinstance(self.given_log_prob, Exception):
            raise self.given_log_prob
        return (
            torch.full((len(points),), -1.5, dtype=torch.float64)
            if self.given_log_prob is None
            else self.given_log_prob
        )

    def sample(self, count, rng):
        if isinstance(self.given_sample, Exception):
            raise self.given_sample
        return torch.rand(count, 2, generator=rng) * 2 - 1 if self.given_sample is None else self.given_sample


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


MODES = Modes(double([0, 1], [2, 3], [4, 5]), double(0.1, 0.2, 0.3), double(0.5, 0.25, 0.25))
POINTS = Data(
    torch.ones(6, 2),
    torch.zeros(4, 2),
    torch.tensor([0, 1, 2, 0, 1, 2]),
    torch.tensor([2, 1, 0, 1]),
    ("a", "b", "c"),
    MODES,
    Square(),
)
IMAGES = Data(torch.zeros(5, 1, 4, 4, dtype=torch.uint8), torch.ones(3, 1, 4, 4, dtype=torch.uint8))
GIVES = {"data": "points", "shape": (2,), "classes": "{count}", "modes": 3, "density": True, "splits": (6, "{apart}")}
OF_IMAGES = {"data": "images", "shape": (1, 4, 4)}


def check(data, gives=GIVES):
    component = Component("own", "nowhere:load", summary="Is checked", gives=gives)
    return check_data(LABEL, component, Choice("own", (("apart", 4), ("count", 3))), data)


def without(*keys):
    return {key: value for key, value in GIVES.items() if key not in keys}


def refused(message, data, gives=GIVES):
    with pytest.raises(PluginError) as caught:
        check(data, gives)
    assert str(caught.value).startswith(LABEL)
    assert message in str(caught.value)


def spoilt(tensor, value):
    tensor = tensor.clone()
    tensor.view(-1)[3] = value
    return tensor


def test_data_that_are_as_they_should_be_pass_as_they_are():
    found = check(POINTS)
    for name, value in vars(POINTS).items():
        assert name == "density" or getattr(found, name) is value, name
    assert check(IMAGES, OF_IMAGES) is IMAGES


def test_what_is_no_data_is_refused():
    refused("gave a list, expected ganbench's Data", [1, 2])


@pytest.mark.parametrize("split", ["train", "heldout"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda samples: samples.numpy(), "is a ndarray, expected a tensor"),
        (lambda samples: samples.double(), ", 2), expected torch.float32 of shape (N, 2)"),
        (lambda samples: samples[:, :1], ", 1), expected torch.float32 of shape (N, 2)"),
        (lambda samples: samples[0], "is torch.float32 of shape (2,), expected torch.float32 of shape (N, 2)"),
        (lambda samples: samples[:, None], "1, 2), expected torch.float32 of shape (N, 2)"),
        (lambda samples: samples.clone().requires_grad_(), "requires gradients, expected a tensor that is detached"),
        (lambda samples: samples.to("meta"), "lies on 'meta', expected 'cpu'"),
        (lambda samples: spoilt(samples, NAN), "has 1 numbers that are not finite, expected none"),
        (lambda samples: spoilt(samples, -INFINITY), "has 1 numbers that are not finite, expected none"),
    ],
)
def test_samples_of_another_form_are_refused(split, spoil, message):
    data = replace(POINTS, **{split: spoil(getattr(POINTS, split))})
    refused(message, data)
    refused(f"{LABEL}: {split} ", data)


def test_images_of_another_form_are_refused():
    refused("expected torch.uint8 of shape (N, 1, 4, 4)", replace(IMAGES, heldout=IMAGES.heldout.float()), OF_IMAGES)
    refused("expected torch.uint8 of shape (N, 1, 4, 4)", replace(IMAGES, train=IMAGES.train[..., 1:]), OF_IMAGES)


def test_something_must_be_held_out():
    nothing = replace(POINTS, heldout=torch.zeros(0, 2), heldout_labels=torch.zeros(0, dtype=torch.int64))
    refused("heldout is torch.float32 of shape (0, 2), expected at least one sample", nothing, without("splits"))


@pytest.mark.parametrize("labels", [None, torch.zeros(0, dtype=torch.int64)])
def test_nothing_needs_to_be_there_to_train_on(labels):
    data = replace(POINTS, train=torch.zeros(0, 2), train_labels=labels)
    assert check(data, without("splits")).train_labels is labels
    refused("hold (0, 4) samples, expected (6, 4): so `gives` states under splits", data)


def test_splits_are_those_that_are_stated_with_the_parameters_put_in():
    more = replace(POINTS, heldout=torch.zeros(5, 2), heldout_labels=torch.zeros(5, dtype=torch.int64))
    refused("train and heldout hold (6, 5) samples, expected (6, 4): so `gives` states under splits", more)
    assert len(check(more, without("splits")).heldout) == 5


@pytest.mark.parametrize("name", ["train_labels", "heldout_labels"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda labels: None, "is None, expected 0 to 2: `gives` states classes=3"),
        (lambda labels: labels.tolist(), "is a list, expected a tensor"),
        (lambda labels: labels.int(), "is torch.int32 of shape"),
        (lambda labels: labels[1:], "expected torch.int64 of shape ("),
        (lambda labels: labels[:, None], ", 1), expected torch.int64 of shape ("),
        (lambda labels: spoilt(labels, 3), "to 3, expected 0 to 2: `gives` states classes=3"),
        (lambda labels: spoilt(labels, -1), "has -1 to 2, expected 0 to 2: `gives` states classes=3"),
    ],
)
def test_labels_that_do_not_name_the_stated_classes_are_refused(name, spoil, message):
    data = replace(POINTS, **{name: spoil(getattr(POINTS, name))})
    refused(message, data)
    refused(f"{LABEL}: {name} ", data)


def test_without_classes_labels_may_count_anything_but_are_one_for_each_sample():
    counted = replace(POINTS, heldout_labels=torch.tensor([7, 8, 9, -1]))
    assert check(counted, without("classes")).heldout_labels is counted.heldout_labels
    assert check(replace(POINTS, train_labels=None, heldout_labels=None), without("classes")).train_labels is None
    refused(
        "heldout_labels is torch.int64 of shape (3,), expected torch.int64 of shape (4,)",
        replace(POINTS, heldout_labels=torch.tensor([7, 8, 9])),
        without("classes"),
    )


def test_all_classes_have_names_or_none_has():
    assert check(replace(POINTS, class_names=())).class_names == ()
    refused("class_names has 2 names, expected none or 3: `gives` states", replace(POINTS, class_names=("a", "b")))
    refused("class_names is 'abc', expected a tuple of str", replace(POINTS, class_names="abc"))
    refused("class_names is (0, 1, 2), expected a tuple of str", replace(POINTS, class_names=(0, 1, 2)))


def test_modes_and_density_are_there_where_they_are_stated_and_nowhere_else():
    refused("modes is None, expected ganbench's Modes: `gives` states modes=3", replace(POINTS, modes=None))
    refused("density is None, expected a Density: `gives` states density=True", replace(POINTS, density=None))
    refused("modes is a Modes, expected None: `gives` states no modes", POINTS, without("modes"))
    refused("density is a Square, expected None: `gives` states no density", POINTS, without("density"))
    unknown = replace(POINTS, modes=None, density=None)
    assert check(unknown, without("modes", "density")) is unknown


def test_modes_and_density_are_of_points_only():
    message = "modes or a density of images came, expected them of points only"
    refused(message, replace(IMAGES, modes=MODES), {**OF_IMAGES, "modes": 3})
    refused(message, replace(IMAGES, density=Square()), {**OF_IMAGES, "density": True})


@pytest.mark.parametrize(
    ("modes", "message"),
    [
        ([1, 2, 3], "modes is a list, expected ganbench's Modes"),
        (replace(MODES, centres=[[0.0, 1.0]] * 3), "modes.centres is a list, expected a tensor"),
        (replace(MODES, centres=MODES.centres.float()), "expected torch.float64 of shape (K, 2)"),
        (replace(MODES, centres=MODES.centres[:, :1]), "modes.centres is torch.float64 of shape (3, 1), expected"),
        (replace(MODES, centres=MODES.centres[:2]), "modes.centres has 2 modes, expected 3: so `gives` states"),
        (replace(MODES, centres=spoilt(MODES.centres, NAN)), "modes.centres has 1 numbers that are not finite"),
        (replace(MODES, deviations=0.1), "modes.deviations is a float, expected a tensor"),
        (replace(MODES, deviations=MODES.deviations[:2]), "modes.deviations is torch.float64 of shape (2,), expected"),
        (replace(MODES, deviations=MODES.deviations.float()), "modes.deviations is torch.float32 of shape (3,)"),
        (replace(MODES, deviations=double(0.1, 0, 0.1)), "modes.deviations has the number 0, expected numbers above 0"),
        (replace(MODES, deviations=double(0.1, INFINITY, 0.1)), "modes.deviations has 1 numbers that are not finite"),
        (replace(MODES, weights=double([0.5, 0.25, 0.25])), "modes.weights is torch.float64 of shape (1, 3), expected"),
        (replace(MODES, weights=double(1.5, 0, -0.5)), "modes.weights has the number -0.5, expected numbers above 0"),
        (replace(MODES, weights=double(0.5, 0.25, 0.2501)), "modes.weights sum up to 1.0001, expected 1"),
    ],
)
def test_modes_that_are_not_as_stated_are_refused(modes, message):
    refused(message, replace(POINTS, modes=modes))


def test_how_many_modes_there_are_may_be_left_open():
    fewer = Modes(MODES.centres[:2], MODES.deviations[:2], double(0.4, 0.6 + 5e-7))
    assert check(replace(POINTS, modes=fewer), {**GIVES, "modes": True}).modes is fewer
    refused("modes.centres has 2 modes, expected 3", replace(POINTS, modes=fewer))


def test_what_has_not_the_methods_of_a_density_is_refused():
    refused("density is a list without the method `log_prob`, expected a Density", replace(POINTS, density=[1]))
    half = type("Half", (), {"log_prob": Square.log_prob, "sample": 3})()
    refused("density is a Half without the method `sample`, expected a Density", replace(POINTS, density=half))


def test_a_density_that_does_as_it_should_gives_what_it_gave():
    density = check(POINTS).density
    assert density.log_prob(POINTS.heldout).tolist() == [-1.5] * 4
    drawn = density.sample(7, torch.Generator().manual_seed(3))
    assert torch.equal(drawn, Square().sample(7, torch.Generator().manual_seed(3)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (ZeroDivisionError("no reason"), " raised ZeroDivisionError: no reason"),
        (0.5, "what its density's `log_prob` gave is a float, expected a tensor"),
        (torch.zeros(4), "is torch.float32 of shape (4,), expected torch.float64 of shape (4,)"),
        (torch.zeros(4, 1).double(), "is torch.float64 of shape (4, 1), expected torch.float64 of shape (4,)"),
        (torch.zeros(3).double(), "is torch.float64 of shape (3,), expected torch.float64 of shape (4,)"),
        (double(0, -INFINITY, NAN, 1), "has 2 numbers that are not finite, expected none"),
    ],
)
def test_what_a_density_does_wrong_at_points_is_its_data_sets_mistake(given, message):
    density = check(replace(POINTS, density=Square(log_prob=given))).density
    with pytest.raises(PluginError) as caught:
        density.log_prob(POINTS.heldout)
    assert str(caught.value).startswith(LABEL)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (RuntimeError("no luck"), " raised RuntimeError: no luck"),
        ([[0.0, 0.0]] * 5, "what its density's `sample` gave is a list, expected a tensor"),
        (torch.zeros(5, 2).double(), "is torch.float64 of shape (5, 2), expected torch.float32 of shape (5, 2)"),
        (torch.zeros(4, 2), "is torch.float32 of shape (4, 2), expected torch.float32 of shape (5, 2)"),
        (torch.zeros(5, 3), "is torch.float32 of shape (5, 3), expected torch.float32 of shape (5, 2)"),
        (torch.zeros(5, 2).requires_grad_(), "`sample` gave requires gradients, expected a tensor that is detached"),
        (spoilt(torch.zeros(5, 2), NAN), "has 1 numbers that are not finite, expected none"),
    ],
)
def test_what_a_density_does_wrong_in_drawing_is_its_data_sets_mistake(given, message):
    density = check(replace(POINTS, density=Square(sample=given))).density
    with pytest.raises(PluginError) as caught:
        density.sample(5, torch.Generator())
    assert str(caught.value).startswith(LABEL)
    assert message in str(caught.value)


def test_running_out_of_memory_in_a_density_is_nobodys_mistake():
    density = check(replace(POINTS, density=Square(sample=MemoryError()))).density
    with pytest.raises(MemoryError):
        density.sample(5, torch.Generator())


@pytest.mark.parametrize("name", ["ring8", "grid25", "spiral", "two-scales", "rare-modes", "digits", "stacked-digits"])
def test_a_shipped_data_set_is_as_its_contract_says(name):
    workshop = Workshop(registry(), Places(), torch.device("cpu"))
    data = load_data(workshop, resolve(registry(), "dataset", Choice(name)))
    if data.density is None:
        return
    assert isinstance(data.density, CheckedDensity)
    assert data.density.label.startswith(f"dataset '{name}")
    far = torch.cat([data.heldout, torch.full((1, 2), 1e30)])
    assert data.density.log_prob(far).shape == (10_001,)
    assert data.density.sample(9, torch.Generator()).shape == (9, 2)


def test_the_doctor_finds_data_that_are_not_as_their_contract_says(tmp_path):
    rows = {row["subject"]: row for row in doctor._data(registry(), Places(tmp_path))}
    assert rows["dataset misshapen"]["status"] == rows["dataset half-empty"]["status"] == "fails"
    assert "train is torch.float32 of shape (20, 3), expected" in rows["dataset misshapen"]["detail"]
    assert rows["dataset untrainable"]["status"] == rows["dataset digits"]["status"] == "ok"
