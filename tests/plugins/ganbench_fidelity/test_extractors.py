"""CLIP, DINOv2 and VGG16 with small networks of random weights, in the published files' layouts."""

import hashlib
import pickle
import warnings
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn
from torch_fidelity.feature_extractor_clip import CLIPVisual, FeatureExtractorCLIP
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
from torchvision.models.vgg import VGG, make_layers

from ganbench.errors import DataError
from ganbench.extraction import extract
from ganbench.protocols import Places
from ganbench_fidelity import extractors, ganbench_extractors

TAGS = {"clip-vit-b-32": "clip", "dinov2-vit-b-14": "dinov2", "vgg16": "vgg16"}
LOADERS = {"CLIP": extractors.clip, "DINOV2": extractors.dinov2, "VGG16": extractors.vgg16}


def pictures(count, channels=3, size=20):
    rng = torch.Generator().manual_seed(channels)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=rng)


def put(tree, name, tensor):
    """Make `tensor` the parameter `name`, as in `visual.proj`, of a tree of modules that compute nothing."""
    *parents, leaf = name.split(".")
    for parent in parents:
        if parent not in dict(tree.named_children()):
            tree.add_module(parent, nn.Module())
        tree = tree.get_submodule(parent)
    tree.register_parameter(leaf, nn.Parameter(tensor))


def clip_file(path):
    """A TorchScript archive with the parameters of a small CLIP: 4×4 patches of 8², embedded in 16 numbers."""
    torch.manual_seed(0)
    visual = CLIPVisual(16, 32, vision_layers=2, vision_width=64, vision_patch_size=8)
    archive = nn.Module()
    for name, tensor in visual.state_dict().items():
        put(archive, name, tensor)
    put(archive, "text_projection", torch.zeros(4, 16))
    put(archive, "transformer.resblocks.0.weight", torch.zeros(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the format is deprecated, and the one that CLIP was published in
        torch.jit.save(torch.jit.script(archive), path)


def small_vgg(**_):
    """VGG16 with few channels and narrow hidden layers."""
    network = VGG(make_layers([4, "M", 4, "M", 4, "M", 4, "M", 6, "M"]), init_weights=False)
    hidden = [nn.Linear(6 * 49, 24), nn.ReLU(), nn.Dropout(), nn.Linear(24, 12), nn.ReLU(), nn.Dropout()]
    network.classifier = nn.Sequential(*hidden, nn.Linear(12, 10))
    return network


@pytest.fixture
def weights_files(tmp_path, monkeypatch, dinov2_weights):
    """By name, a file of random weights whose hash counts as the published one."""
    paths = {name: tmp_path / f"{name}.pth" for name in LOADERS}
    clip_file(str(paths["CLIP"]))
    torch.save(dinov2_weights, paths["DINOV2"])
    monkeypatch.setattr(torchvision.models, "vgg16", small_vgg)
    torch.manual_seed(1)
    torch.save(small_vgg().state_dict(), paths["VGG16"])
    for name, path in paths.items():
        published = getattr(extractors, name)
        monkeypatch.setattr(extractors, name, replace(published, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    return paths


@pytest.fixture(params=LOADERS)
def loaded(request, weights_files):
    return LOADERS[request.param](Places(weights=weights_files[request.param]))


def test_an_extractor_is_what_it_declares(loaded):
    components = {component.name: component for component in ganbench_extractors()}
    name = loaded.module.get_name()
    assert loaded.tag == TAGS[name]
    assert components[name].gives == {"classes": 0}
    assert loaded.logits_layer == ""
    found = extract(loaded, pictures(3))["features"]
    assert found.shape == (3, loaded.dimension)
    assert found.std(dim=0).max() > 1e-4
    assert loaded.weights_sha256 == getattr(extractors, loaded.tag.upper()).sha256
    assert not loaded.module.training
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())


def test_grey_images_count_as_three_equal_channels(loaded):
    grey = pictures(2, channels=1)
    assert torch.equal(loaded.module(grey)[0], loaded.module(grey.repeat(1, 3, 1, 1))[0])


def test_an_images_features_depend_neither_on_its_batch_nor_on_its_place(loaded):
    images = pictures(5)
    together = loaded.module(images)[0]
    torch.testing.assert_close(loaded.module(images[3:4])[0], together[3:4], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loaded.module(images.flip(0))[0].flip(0), together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LOADERS)
def test_loading_draws_no_global_random_number(name, weights_files):
    before = torch.get_rng_state()
    LOADERS[name](Places(weights=weights_files[name]))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "original", "layer"),
    [("CLIP", FeatureExtractorCLIP, "clip"), ("VGG16", FeatureExtractorVGG16, "fc2_relu")],
)
def test_features_are_those_of_torch_fidelity_itself(name, original, layer, weights_files):
    path = weights_files[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load's
        module = original(getattr(extractors, name).extractor, [layer], feature_extractor_weights_path=str(path))
    images = pictures(3)
    assert torch.equal(LOADERS[name](Places(weights=path)).module(images)[0], module(images)[0])


def test_dinov2_sees_normalised_images_of_224_pixels(weights_files):
    extractor = extractors.dinov2(Places(weights=weights_files["DINOV2"]))
    images = pictures(2, size=224)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    expected = extractor.module.model((images / 255 - mean) / deviation)
    torch.testing.assert_close(extractor.module(images)[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LOADERS)
def test_other_weights_are_refused_before_they_are_unpickled(name, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    path = tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps(Bomb()))
    published = getattr(extractors, name)
    with pytest.raises(
        DataError, match=rf"extractor {published.extractor}: .* expected {published.sha256}; not loaded"
    ):
        LOADERS[name](Places(weights=path))


@pytest.mark.parametrize("name", LOADERS)
def test_a_download_asks_for_the_published_file_and_its_whole_hash(name, tmp_path, monkeypatch):
    published = getattr(extractors, name)
    asked = []

    def download(url, target, hash_prefix, progress):
        asked.append((url, target, hash_prefix))
        raise OSError("no network here")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(DataError, match=rf"extractor {published.extractor}: the download .* \(no network here\)"):
        LOADERS[name](Places(download=True))
    assert asked == [(published.url, str(tmp_path / "checkpoints" / published.file_name), published.sha256)]


def test_hashes_are_those_that_the_publishers_names_hold():
    assert f"/{extractors.CLIP.sha256}/ViT-B-32.pt" in extractors.CLIP.url
    assert extractors.VGG16.url.endswith(f"-{extractors.VGG16.sha256[:8]}.pth")
    assert torchvision.models.VGG16_Weights.IMAGENET1K_V1.url == extractors.VGG16.url
    assert all(len(getattr(extractors, name).sha256) == 64 for name in LOADERS)
