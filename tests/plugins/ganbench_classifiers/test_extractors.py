"""The shipped classifiers: that they are what they state, that torch-fidelity can use them, and three at a time."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from ganbench.errors import DataError
from ganbench.protocols import Places
from ganbench_classifiers import extractors, ganbench_extractors
from ganbench_digits.data import digits as digits_data

PLACES = Places()
BOTH = [extractors.digits, extractors.mnist]
STACKED = [(extractors.stacked_digits, extractors.digits), (extractors.stacked_mnist, extractors.mnist)]


class Pictures(Dataset):
    def __init__(self, images):
        self.images = images

    def __getitem__(self, index):
        return self.images[index]

    def __len__(self):
        return len(self.images)


def pictures(count, resolution, seed, channels=1):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, resolution, resolution), dtype=torch.uint8, generator=rng)


@pytest.mark.parametrize("load", BOTH)
def test_an_extractor_is_what_it_declares(load):
    components = {component.name: component for component in ganbench_extractors()}
    extractor = load(PLACES)
    features, logits = extractor.module(pictures(2, 32, seed=1))
    assert extractor.module.features_list == [extractor.layer, extractor.logits_layer]
    assert features.shape == (2, extractor.dimension)
    assert logits.shape == (2, components[extractor.tag].gives["classes"])
    assert features.dtype == logits.dtype == torch.float32
    assert features.min() == 0


def test_the_digits_classifier_is_as_accurate_on_held_out_digits_as_it_states():
    extractor, data = extractors.digits(PLACES), digits_data(PLACES)
    predicted = extractor.module(data.heldout)[1].argmax(dim=1)
    accuracy = predicted.eq(data.heldout_labels).double().mean().item()
    one_image = 1.5 / len(data.heldout)  # may fall otherwise on another machine
    assert abs(accuracy - extractor.accuracy) < one_image
    assert accuracy > 0.98


def test_the_mnist_classifier_reads_digits_from_another_collection():
    data = digits_data(PLACES)
    enlarged = F.interpolate(data.train.float(), (20, 20), mode="bicubic").clamp(0, 255).to(torch.uint8)
    predicted = extractors.mnist(PLACES).module(F.pad(enlarged, (4, 4, 4, 4)))[1].argmax(dim=1)  # MNIST's own layout
    assert predicted.eq(data.train_labels).double().mean() > 0.9
    assert extractors.mnist(PLACES).accuracy > 0.99


def test_features_have_rms_deviation_one_on_the_training_images():
    features, _ = extractors.digits(PLACES).module(digits_data(PLACES).train)
    assert (features - features.mean(dim=0)).square().mean().sqrt().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("load", BOTH)
def test_grey_images_in_three_channels_give_the_same_features(load):
    module, images = load(PLACES).module, pictures(3, 32, seed=2)
    torch.testing.assert_close(module(images.expand(-1, 3, -1, -1))[0], module(images)[0])


def test_28_pixels_are_seen_as_they_are_in_a_frame_of_32():
    module, images = extractors.mnist(PLACES).module, pictures(3, 28, seed=3)
    assert torch.equal(module(images)[0], module(F.pad(images, (2, 2, 2, 2)))[0])


@pytest.mark.parametrize("load", BOTH)
def test_an_images_features_do_not_depend_on_its_batch(load):
    module, images = load(PLACES).module, pictures(7, 32, seed=4)
    torch.testing.assert_close(module(images)[0][4:5], module(images[4:5])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("load", BOTH)
def test_an_extractor_is_frozen(load):
    module = load(PLACES).module
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_images_that_are_not_bytes_are_refused():
    with pytest.raises(
        TypeError, match=r"extractor ganbench-digits-.*: images are torch.float32, expected torch.uint8"
    ):
        extractors.digits(PLACES).module(torch.zeros(1, 1, 8, 8))


def test_loading_twice_registers_one_name_that_holds_the_weights_hash():
    first, again = extractors.digits(PLACES), extractors.digits(PLACES)
    names = [name for name in FEATURE_EXTRACTORS_REGISTRY if name.startswith("ganbench-digits")]
    assert names == [f"ganbench-digits-{first.weights_sha256[:8]}"] == [again.module.get_name()]


def test_torch_fidelity_computes_its_metrics_with_the_registered_name():
    extractor, data = extractors.digits(PLACES), digits_data(PLACES)
    metrics = calculate_metrics(
        input1=Pictures(data.train[:300].expand(-1, 3, -1, -1)),
        input2=Pictures(data.heldout[:300].expand(-1, 3, -1, -1)),
        feature_extractor=extractor.module.get_name(),
        cuda=False,
        isc=True,
        fid=True,
        kid=True,
        kid_subsets=5,
        kid_subset_size=100,
        prc=True,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    assert 0 < metrics["frechet_inception_distance"] < 10
    assert abs(metrics["kernel_inception_distance_mean"]) < 0.1
    assert metrics["precision"] > 0.5
    assert 5 < metrics["inception_score_mean"] <= 10


def test_weights_that_are_not_the_named_ones_are_refused_before_they_are_read(tmp_path, monkeypatch):
    shipped = extractors.DigitsClassifier.sha256
    name = f"digits-{shipped[:8]}.safetensors"
    content = bytearray((extractors.files("ganbench_classifiers") / "weights" / name).read_bytes())
    content[-1] ^= 1
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / name).write_bytes(content)
    monkeypatch.setattr(extractors, "files", lambda package: tmp_path)
    monkeypatch.setattr(extractors, "load", lambda content: pytest.fail("the weights were loaded"))
    with pytest.raises(DataError, match=rf"digits-.*safetensors has SHA-256 .*, expected {shipped}"):
        extractors.digits(PLACES)


def test_weights_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(extractors, "files", lambda package: tmp_path)
    with pytest.raises(DataError, match=r"extractor mnist: cannot read .*mnist-[0-9a-f]{8}.safetensors"):
        extractors.mnist(PLACES)


def three_channels(count, seed):
    return pictures(count, 32, seed, channels=3)


@pytest.mark.parametrize(("stacked", "single"), STACKED)
def test_a_stacked_extractor_is_what_it_declares(stacked, single):
    components = {component.name: component for component in ganbench_extractors()}
    extractor = stacked(PLACES)
    component = components[extractor.tag.replace("_", "-")]
    features, logits = extractor.module(three_channels(2, seed=5))
    assert component.needs == {"channels": (3,)}
    assert features.shape == (2, extractor.dimension) == (2, 192)
    assert logits.shape == (2, component.gives["classes"]) == (2, 1000)
    assert extractor.weights_sha256 == single(PLACES).weights_sha256
    assert extractor.accuracy == pytest.approx(single(PLACES).accuracy ** 3)


@pytest.mark.parametrize(("stacked", "single"), STACKED)
def test_stacked_features_are_those_of_the_channels_side_by_side(stacked, single):
    images = three_channels(3, seed=6)
    features, _ = stacked(PLACES).module(images)
    one_by_one = [single(PLACES).module(images[:, [channel]])[0] for channel in range(3)]
    torch.testing.assert_close(features, torch.cat(one_by_one, dim=1))


@pytest.mark.parametrize(("stacked", "single"), STACKED)
def test_stacked_logits_are_the_log_probability_of_the_three_digits_in_order(stacked, single):
    images = three_channels(2, seed=7)
    _, logits = stacked(PLACES).module(images)
    chances = [single(PLACES).module(images[:, [channel]])[1].double().softmax(dim=1) for channel in range(3)]
    for first, second, third in [(0, 0, 0), (7, 2, 5), (9, 9, 9), (0, 0, 1), (1, 0, 0)]:
        expected = chances[0][:, first] * chances[1][:, second] * chances[2][:, third]
        torch.testing.assert_close(logits[:, 100 * first + 10 * second + third].double().exp(), expected)
    torch.testing.assert_close(logits.exp().sum(dim=1), torch.ones(2))


def test_three_digits_in_three_channels_are_read_in_the_channels_order():
    data = digits_data(PLACES)
    kept = torch.arange(600)
    stacked = data.heldout[kept].view(200, 3, *data.heldout.shape[2:])
    labels = data.heldout_labels[kept].view(200, 3) @ torch.tensor([100, 10, 1])
    extractor = extractors.stacked_digits(PLACES)
    accuracy = extractor.module(stacked)[1].argmax(dim=1).eq(labels).double().mean().item()
    assert abs(accuracy - extractor.accuracy) < 0.04


def test_every_shipped_classifier_has_a_name_of_its_own_at_torch_fidelity():
    loaders = [*BOTH, *(stacked for stacked, _ in STACKED)]
    assert len({load(PLACES).module.get_name() for load in loaders}) == 4


@pytest.mark.parametrize("load", [*BOTH, extractors.stacked_mnist])
def test_loading_draws_no_global_random_number(load):
    before = torch.get_rng_state()
    load(PLACES)
    assert torch.equal(torch.get_rng_state(), before)
