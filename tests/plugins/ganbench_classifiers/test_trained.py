"""The classifier that is trained once: the same weights for the same data, and kept in the cache."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganbench.errors import ChoiceError, DataError
from ganbench.extraction import extract
from ganbench.protocols import Data, Places
from ganbench.signatures import parameters_of
from ganbench_classifiers import ganbench_extractors, trained
from ganbench_digits.data import digits

PLACES = Places()


@pytest.fixture
def training_counted(monkeypatch):
    """The list of data that were trained on."""
    seen = []
    original = trained.train

    def counted(architecture, recipe, data, rng):
        seen.append(data)
        return original(architecture, recipe, data, rng)

    monkeypatch.setattr(trained, "train", counted)
    return seen


def pictures(shape, count=40, seed=0, classes=3):
    """Noise that is the brighter the higher its class."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    noise = torch.randint(0, 60, (count, *shape), generator=rng)
    return (noise + 60 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels


def labelled(shape=(1, 8, 8), seed=0, **changed):
    train, train_labels = pictures(shape, seed=seed)
    heldout, heldout_labels = pictures(shape, count=12, seed=seed + 100)
    return replace(Data(train, heldout, train_labels, heldout_labels), **changed)


def load(data, **parameters):
    return trained.classifier(PLACES, data, **({"epochs": 1, "width": 4} | parameters))


def empty_the_cache(monkeypatch, tmp_path, name):
    monkeypatch.setenv("GANBENCH_CACHE_DIR", str(tmp_path / name))


def test_it_reads_held_out_digits_and_states_how_well():
    data = digits(PLACES)
    extractor = trained.classifier(PLACES, data)
    predicted = extractor.module(data.heldout)[1].argmax(dim=1)
    accuracy = predicted.eq(data.heldout_labels).double().mean().item()
    assert accuracy >= 0.97
    assert extractor.accuracy == pytest.approx(accuracy, abs=1e-9)
    features, _ = extractor.module(data.train)
    assert features.min() == 0
    assert (features - features.mean(dim=0)).square().mean().sqrt().item() == pytest.approx(1, abs=1e-4)


def test_an_extractor_is_what_its_component_declares():
    component = {component.name: component for component in ganbench_extractors()}["classifier"]
    assert component.needs["labels"] is True
    parameters = {parameter.name: parameter.default for parameter in parameters_of(component.target, "extractor")}
    assert parameters == {"epochs": 12, "width": 16}
    extractor = load(labelled())
    assert extractor.tag == f"classifier_{extractor.weights_sha256[:8]}"
    assert len(extractor.weights_sha256) == 64
    found = extract(extractor, labelled().heldout)
    assert found["features"].shape == (12, extractor.dimension)
    assert found["logits"].shape == (12, 3)
    assert not extractor.module.training
    assert not any(parameter.requires_grad for parameter in extractor.module.parameters())


def test_training_again_from_nothing_gives_the_same_weights(monkeypatch, tmp_path, training_counted):
    hashes = []
    for name in ("first", "again"):
        empty_the_cache(monkeypatch, tmp_path, name)
        torch.manual_seed(len(hashes))
        hashes.append(load(labelled()).weights_sha256)
    assert len(training_counted) == 2
    assert hashes[0] == hashes[1]


def test_the_second_load_comes_from_the_cache_without_training(training_counted):
    first, again = load(labelled()), load(labelled())
    assert len(training_counted) == 1
    assert (first.weights_sha256, first.accuracy) == (again.weights_sha256, again.accuracy)
    images = labelled().heldout
    assert torch.equal(first.module(images)[0], again.module(images)[0])


@pytest.mark.parametrize("changed", ["images", "labels", "width", "epochs"])
def test_whatever_decides_the_weights_gives_others(changed, training_counted):
    data = labelled()
    others = {
        "images": lambda: load(labelled(seed=1)),
        "labels": lambda: load(replace(data, train_labels=data.train_labels.flip(0))),
        "width": lambda: load(data, width=5),
        "epochs": lambda: load(data, epochs=2),
    }
    assert load(data).weights_sha256 != others[changed]().weights_sha256
    assert len(training_counted) == 2


def test_other_held_out_images_leave_the_weights_and_change_the_stated_accuracy():
    data = labelled()
    upside_down = replace(data, heldout_labels=2 - data.heldout_labels)
    first, other = load(data, epochs=10), load(upside_down, epochs=10)
    assert first.weights_sha256 == other.weights_sha256
    assert first.accuracy > 0.9 > other.accuracy


def test_without_held_out_labels_no_accuracy_is_stated():
    assert load(labelled(heldout_labels=None)).accuracy is None


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 16, 16), (3, 20, 30), (3, 64, 64), (1, 96, 96)])
def test_grey_and_colour_images_of_any_size_can_be_learnt(shape):
    extractor = load(labelled(shape), epochs=2)
    features, logits = extractor.module(labelled(shape).heldout)
    assert features.shape == (12, 64)
    assert logits.shape == (12, 3)
    assert features.isfinite().all()


def test_an_images_features_do_not_depend_on_its_batch():
    module, images = load(labelled((3, 16, 16))).module, labelled((3, 16, 16)).heldout
    torch.testing.assert_close(module(images)[0][4:5], module(images[4:5])[0], rtol=1e-4, atol=1e-5)


def test_classes_without_training_images_are_counted_if_they_have_names():
    extractor = load(labelled(class_names=("a", "b", "c", "never seen")))
    assert extractor.module(labelled().heldout)[1].shape == (12, 4)


def test_training_happens_on_the_cpu_and_draws_no_global_random_number():
    before = torch.get_rng_state()
    load(labelled())
    assert torch.equal(torch.get_rng_state(), before)


def test_data_without_labels_are_refused(training_counted):
    with pytest.raises(DataError, match=r"extractor classifier: .* have no labels"):
        load(labelled(train_labels=None))
    assert training_counted == []


def test_data_that_are_held_out_whole_are_refused():
    data = labelled()
    with pytest.raises(DataError, match=r"expected at least 2 training images .*, got 0 training samples"):
        load(replace(data, train=data.train[:0], train_labels=data.train_labels[:0]))


@pytest.mark.parametrize("parameter", ["epochs", "width"])
def test_parameters_below_one_are_refused(parameter):
    with pytest.raises(ChoiceError, match=rf"extractor classifier: {parameter} is 0, expected at least 1"):
        load(labelled(), **{parameter: 0})


def test_a_damaged_file_of_the_cache_is_not_used(monkeypatch, tmp_path, training_counted):
    empty_the_cache(monkeypatch, tmp_path, "damaged")
    first = load(labelled())
    (path,) = Path(tmp_path / "damaged").rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert load(labelled()).weights_sha256 == first.weights_sha256
    assert len(training_counted) == 2
