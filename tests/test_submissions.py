from __future__ import annotations

import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_model
from small import registry
from torch import nn

from ganbench.errors import DataError, PluginError, ResultsError
from ganbench.protocols import Data, Places
from ganbench.submissions import (
    LATENT_BLOCK,
    at_rest,
    evaluation_latents,
    fingerprint,
    is_cut,
    is_script,
    look_at,
    read_samples,
    submitted,
)
from ganbench.tasks import Source
from ganbench.terms import Choice, Evaluation, Submission
from ganbench.workshop import Workshop

WORKSHOP = Workshop(registry(), Places(), torch.device("cpu"))
RING = Data(torch.zeros(20, 2), torch.zeros(20, 2))
CATS = ("cat", "dog", "owl")


def pictures(classes=(), heldout=30, size=4):
    """A data set of grey images, the classes of the held-out ones in turn."""
    labels = torch.arange(heldout) % len(classes) if classes else None
    images = torch.zeros(heldout, 1, size, size, dtype=torch.uint8)
    return Data(images, images, heldout_labels=labels, class_names=tuple(classes))


def submission(kind="torchscript", latent_dim=3, seed=0):
    return Submission(Choice("ring8"), "mine", kind, "ab", Evaluation((1.0,), (), 10), latent_dim, seed)


def given(made, source, data, count, workshop):
    """What is submitted from a source that is still as it was when it was looked at."""
    sha256 = read_samples(source, data).sha256 if source.kind == "samples" else fingerprint(source)
    return submitted(replace(made, sha256=sha256), source, data, count, workshop)


def write_images(folder, classes, each=10, size=4):
    """Grey images in a folder for each class; all pixels of a class's are 10 times its position."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            Image.fromarray(np.full((size, size), 10 * number, np.uint8)).save(folder / name / f"{index}.png")
    return Source("samples", folder)


class Twice(nn.Module):
    """Latents (N, 3) to points: twice their first two numbers."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return 2 * latents[:, :2]


def script(path, module=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module or Twice()).save(path)
    return Source("torchscript", path)


HUB = """
import torch
from torch import nn
class Shift(nn.Module):
    def __init__(self, to):
        super().__init__()
        self.to_where = to
    def forward(self, latents):
        return latents[:, :2] + self.to_where
def near(): return Shift(1.0)
def nan(): return Shift(float("nan"))
def number(): return 3
def raising(): raise ValueError("no weights\\nat all")
def tuples():
    class Pair(Shift):
        def forward(self, latents): return (latents, latents)
    return Pair(0.0)
"""


@pytest.fixture
def hub(tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "hubconf.py").write_text(HUB)
    return lambda entry: Source("hub", tmp_path / "hub", entry=entry)


# --- samples


def test_images_in_folders_named_as_the_classes_have_the_data_sets_own_numbers(tmp_path):
    read = read_samples(write_images(tmp_path, ["owl", "cat"]), pictures(CATS))
    assert read.samples.shape == (20, 1, 4, 4)
    assert sorted(zip(read.samples[:, 0, 0, 0].tolist(), read.labels.tolist(), strict=True)) == sorted(
        [(0, 2)] * 10 + [(10, 0)] * 10
    )


def test_folders_named_by_numbers_are_the_classes_of_those_numbers(tmp_path):
    read = read_samples(write_images(tmp_path, ["2", "0"]), pictures(CATS))
    assert set(zip(read.samples[:, 0, 0, 0].tolist(), read.labels.tolist(), strict=True)) == {(0, 2), (10, 0)}


@pytest.mark.parametrize("classes", [["mouse", "cat"], ["0", "3"]])
def test_folders_that_are_no_classes_of_the_data_set_are_passed_over_and_said_to_be(classes, tmp_path):
    read = read_samples(write_images(tmp_path, classes), pictures(CATS))
    assert read.labels is None
    assert read.strange


def test_classes_do_not_matter_to_data_without_them(tmp_path):
    read = read_samples(write_images(tmp_path, ["mouse", "cat"]), pictures())
    assert (read.labels, read.strange) == (None, False)


def test_labels_of_an_array_are_taken_as_they_are(tmp_path):
    labels = np.arange(12) % 3
    np.savez(tmp_path / "a.npz", images=np.zeros((12, 4, 4), np.uint8), labels=labels)
    assert read_samples(Source("samples", tmp_path / "a.npz"), pictures(CATS)).labels.tolist() == labels.tolist()


def test_images_of_another_size_are_refused_with_both_shapes(tmp_path):
    source = write_images(tmp_path, ["cat"], size=8)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "cat" / "5.png")
    with pytest.raises(DataError, match=r"5\.png: 4×4 pixels, expected 8×8\. Export them in that form") as caught:
        read_samples(source, pictures(CATS, size=8))
    assert "crop" not in str(caught.value)
    with pytest.raises(DataError, match=r"0\.png: 8×8 pixels, expected 4×4"):
        read_samples(source, pictures(CATS))


def test_coloured_images_are_refused_with_what_can_be_done_here(tmp_path):
    source = write_images(tmp_path, ["cat"])
    Image.fromarray(np.eye(4, dtype=np.uint8)).convert("RGB").save(tmp_path / "cat" / "0.png")
    read_samples(source, pictures())
    Image.new("RGB", (4, 4), "red").save(tmp_path / "cat" / "0.png")
    with pytest.raises(DataError, match=r"in colour, expected grey\. Convert it first: the data set is grey$"):
        read_samples(source, pictures())


def test_a_look_names_options_where_sizes_differ(tmp_path):
    source = write_images(tmp_path, ["cat"])
    Image.new("L", (8, 8)).save(tmp_path / "cat" / "5.png")
    with pytest.raises(DataError, match=r"expected 4×4\. State --resolution N, and --crop centre or stretch, to"):
        look_at(source.path)
    Image.new("L", (8, 4)).save(tmp_path / "cat" / "0.png")
    with pytest.raises(DataError, match=r"expected a square\. State --resolution N, and --crop centre or stretch$"):
        look_at(source.path)


def test_images_are_resized_where_that_was_asked_for(tmp_path):
    source = write_images(tmp_path, ["cat", "dog"])
    read = read_samples(Source("samples", source.path, crop="stretch"), pictures(CATS, size=8))
    assert read.samples.shape == (20, 1, 8, 8)


def test_points_of_another_dimension_are_refused(tmp_path):
    np.save(tmp_path / "p.npy", np.zeros((10, 3), np.float32))
    with pytest.raises(DataError, match=r"points of shape \(3,\), the data set's are \(2,\)"):
        read_samples(Source("samples", tmp_path / "p.npy"), RING)


def test_of_more_samples_than_are_compared_evenly_spaced_ones_are_taken_with_their_labels(tmp_path):
    source = write_images(tmp_path, CATS)
    samples, labels = given(submission("samples"), source, pictures(CATS), 6, WORKSHOP)
    assert samples[:, 0, 0, 0].tolist() == [0, 0, 10, 10, 20, 20]
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_fewer_samples_than_are_compared_are_refused(tmp_path):
    with pytest.raises(DataError, match="30 samples, 31 are compared"):
        given(submission("samples"), write_images(tmp_path, CATS), pictures(CATS), 31, WORKSHOP)


def test_a_submission_that_lies_nowhere_is_refused():
    with pytest.raises(DataError, match="mine: nobody said where it lies"):
        submitted(submission(), None, RING, 10, WORKSHOP)


def test_a_look_tells_number_size_and_colours(tmp_path):
    source = write_images(tmp_path / "grey", CATS)
    look = look_at(source.path)
    assert (look.count, look.resolution, look.channels) == (30, 4, 1)
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0, 0] = (1, 2, 3)
    Image.fromarray(pixels).save(source.path / "cat" / "0.png")
    assert look_at(source.path, 2, "centre").resolution == 2
    assert look_at(source.path).channels == 3


# --- generators


def test_a_script_is_called_with_the_latents_of_its_seed(tmp_path):
    source = script(tmp_path / "twice.pt")
    samples, labels = given(submission(seed=5), source, RING, 10, WORKSHOP)
    assert torch.equal(samples, 2 * evaluation_latents(5, 3, 10)[:, :2])
    assert labels is None
    assert not torch.equal(samples, given(submission(seed=6), source, RING, 10, WORKSHOP)[0])


def test_a_script_that_takes_other_latents_says_what_torch_says_last(tmp_path):
    source = script(tmp_path / "linear.pt", nn.Linear(7, 2))
    with pytest.raises(PluginError, match=r"cannot make samples of latents \(N, 3\): .*shapes cannot be multiplied"):
        given(submission(), source, RING, 10, WORKSHOP)


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_is_told_from_a_script_and_never_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(Bomb(), tmp_path / "bomb.pt")
    torch.save(Bomb(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "text.pt").write_text("hello")
    for name in ("bomb.pt", "old.pt", "text.pt", "absent.pt"):
        assert not is_script(tmp_path / name)
    for name in ("bomb.pt", "old.pt", "text.pt"):
        with pytest.raises(DataError, match=r"not TorchScript\. A pickled model is not read"):
            given(submission(), Source("torchscript", tmp_path / name), RING, 10, WORKSHOP)
    assert not (tmp_path / "exploded").exists()
    assert is_script(script(tmp_path / "twice.pt").path)


def test_a_script_with_a_damaged_part_is_one_message(tmp_path):
    whole, path = script(tmp_path / "whole.pt").path, tmp_path / "damaged.pt"
    with zipfile.ZipFile(whole) as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, b"def (" if name.endswith(".py") else good.read(name))
    with pytest.raises(DataError, match="TorchScript that cannot be loaded: "):
        given(submission(), Source("torchscript", path), RING, 10, WORKSHOP)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x05\x06" + bytes(18),
        b"PK\x03\x04" + bytes(40) + b"PK\x06\x07" + b"\0\0\0\0" + bytes(8) + b"\2\0\0\0" + b"PK\x05\x06" + bytes(18),
        b"PK\x01\x02" + b"\xff" * 42 + b"PK\x05\x06" + bytes(4) + b"\1\0\1\0" + b"\x2e\0\0\0" + bytes(6),
    ],
    ids=["empty", "on several disks", "of a later version"],
)
def test_a_damaged_archive_is_no_script_whatever_is_wrong_with_it(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    assert not is_script(tmp_path / "a.pt")
    assert is_cut(tmp_path / "a.pt") in (True, False)


@pytest.mark.parametrize("error", [IndexError("Argument passed to at()"), MemoryError("std::bad_alloc"), TypeError("")])
def test_whatever_torchs_reader_ends_in_is_one_message(tmp_path, monkeypatch, error):
    source = script(tmp_path / "whole.pt")
    monkeypatch.setattr(torch.jit, "load", mock.Mock(side_effect=error))
    with pytest.raises(DataError, match="TorchScript that cannot be loaded: "):
        given(replace(submission(), sha256=fingerprint(source)), source, RING, 10, WORKSHOP)


def test_an_entry_of_a_hub_repository_is_called_for_its_module(hub):
    samples, _ = given(submission("hub"), hub("near"), RING, 10, WORKSHOP)
    assert torch.equal(samples, evaluation_latents(0, 3, 10)[:, :2] + 1)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("raising", r"entry 'raising' raised ValueError: no weights"),
        ("absent", r"entry 'absent' raised RuntimeError: Cannot find callable absent"),
        ("number", r"entry 'number': gave a int, expected a torch.nn.Module"),
        ("nan", r"entry 'nan': gave samples that are not finite"),
        ("tuples", r"entry 'tuples': cannot make samples of latents \(N, 3\): .*tuple"),
    ],
)
def test_an_entry_that_fails_is_named_with_what_it_did(hub, entry, message):
    with pytest.raises(PluginError, match=message):
        given(submission("hub"), hub(entry), RING, 10, WORKSHOP)


def test_weights_go_into_the_network_that_was_named(tmp_path):
    network = Choice("mlp").with_parameters(width=4, depth=1)
    generator = WORKSHOP.make("generator", network, 3, (2,))
    save_model(generator, str(tmp_path / "w.safetensors"))
    source = Source("safetensors", tmp_path / "w.safetensors", network)
    samples, _ = given(submission("safetensors"), source, RING, 10, WORKSHOP)
    with torch.no_grad():
        assert torch.equal(samples, generator(evaluation_latents(0, 3, 10)))
    wider = Source("safetensors", source.path, network.with_parameters(width=5))
    message = (
        r"w\.safetensors: does not fit generator 'mlp\(depth=1, width=5\)' \(.*\(4, 3\), expected \(5, 3\).* more\)$"
    )
    with pytest.raises(ResultsError, match=message):
        given(submission("safetensors"), wider, RING, 10, WORKSHOP)


@pytest.mark.parametrize(
    ("wanted", "message"), [(3, r"it lacks layers.6.weight, layers.6.bias; layers.4"), (1, r"it has also .+\..+")]
)
def test_weights_of_another_depth_are_told_by_names(tmp_path, wanted, message):
    network = Choice("mlp").with_parameters(width=4, depth=2)
    save_model(WORKSHOP.make("generator", network, 3, (2,)), str(tmp_path / "w.safetensors"))
    source = Source("safetensors", tmp_path / "w.safetensors", network.with_parameters(depth=wanted))
    with pytest.raises(ResultsError, match=message):
        given(submission("safetensors"), source, RING, 10, WORKSHOP)


def test_weights_that_are_none_are_told_by_their_cause(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"hello")
    source = Source("safetensors", tmp_path / "w.safetensors", Choice("mlp"))
    with pytest.raises(ResultsError, match=r"does not fit generator 'mlp' \(.*header"):
        given(submission("safetensors"), source, RING, 10, WORKSHOP)


# --- what a submission is


def test_a_fingerprint_is_of_the_content_and_of_how_it_is_read(tmp_path, hub):
    first, moved = script(tmp_path / "a.pt"), tmp_path / "b.pt"
    moved.write_bytes(first.path.read_bytes())
    assert fingerprint(first) == fingerprint(Source("torchscript", moved))
    weights = [Source("safetensors", moved, Choice("mlp").with_parameters(depth=depth)) for depth in (1, 2)]
    assert len({fingerprint(first), *map(fingerprint, weights)}) == 3
    near = fingerprint(hub("near"))
    assert near != fingerprint(hub("nan"))
    (hub("near").path / "__pycache__").mkdir()
    (hub("near").path / "__pycache__" / "hubconf.pyc").write_bytes(b"compiled")
    assert fingerprint(hub("near")) == near
    (hub("near").path / "weights.bin").write_bytes(b"other weights")
    assert fingerprint(hub("near")) != near


# --- what every generator's samples go through


def test_images_at_rest_are_what_a_png_would_hold():
    images = torch.tensor([-1.0, 0.0, 1.0, 1.00005]).reshape(1, 1, 2, 2)
    assert at_rest("g", images, (1, 1, 2, 2)).flatten().tolist() == [0, 128, 255, 255]


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (torch.zeros(3, 2), PluginError, r"g gave a tensor of shape \(3, 2\), expected a tensor of shape \(2, 2\)"),
        ((1, 2), PluginError, "g gave a tuple"),
        (torch.full((2, 2), float("inf")), FloatingPointError, "not finite"),
    ],
)
def test_samples_that_are_none_are_refused(samples, error, message):
    with pytest.raises(error, match=message):
        at_rest("g", samples, (2, 2))


def test_pixels_out_of_their_range_are_refused_and_points_have_none():
    with pytest.raises(PluginError, match="g gave pixels from 0 to 255, expected -1 to 1"):
        at_rest("g", torch.tensor([0.0, 255.0]).reshape(1, 1, 1, 2), (1, 1, 1, 2))
    assert at_rest("g", torch.full((1, 2), 255.0), (1, 2)).tolist() == [[255.0, 255.0]]


def test_latents_are_the_same_however_many_are_wanted():
    few, many = evaluation_latents(0, 4, 10), evaluation_latents(0, 4, LATENT_BLOCK + 10)
    assert few.shape == (10, 4)
    assert many.shape == (LATENT_BLOCK + 10, 4)
    assert torch.equal(many[:10], few)
    assert torch.equal(evaluation_latents(0, 4, 2 * LATENT_BLOCK)[: LATENT_BLOCK + 10], many)
    assert not torch.equal(many[:10], many[LATENT_BLOCK:])
    assert not torch.equal(evaluation_latents(1, 4, 10), few)


def test_what_has_changed_since_it_was_looked_at_is_refused(tmp_path):
    source = write_images(tmp_path, CATS)
    looked_at = replace(submission("samples"), sha256=read_samples(source, pictures(CATS)).sha256)
    submitted(looked_at, source, pictures(CATS), 6, WORKSHOP)
    Image.fromarray(np.full((4, 4), 99, np.uint8)).save(next(tmp_path.rglob("*.png")))
    with pytest.raises(DataError, match="has changed since it was looked at"):
        submitted(looked_at, source, pictures(CATS), 6, WORKSHOP)


def test_a_generator_that_has_changed_since_it_was_looked_at_is_refused(hub):
    with pytest.raises(DataError, match="has changed since it was looked at"):
        submitted(submission("hub"), hub("near"), RING, 10, WORKSHOP)
