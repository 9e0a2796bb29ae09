"""FID's Inception with weights made here: that they are checked, and that grey images pass."""

import hashlib
import pickle
from urllib.error import URLError

import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3 as fidelity

from ganbench.errors import DataError
from ganbench.protocols import Places
from ganbench_inception import extractors, ganbench_extractors

FILE = "weights-inception-2015-12-05-6726825d.pth"


@pytest.fixture(scope="module")
def made_up_weights(tmp_path_factory):
    """A file of random weights in torch-fidelity's layout, and its SHA-256."""
    path = tmp_path_factory.mktemp("weights") / "made-up.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = fidelity.FeatureExtractorInceptionV3("random", ["2048"])
    torch.save(network.state_dict(), path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def inception(made_up_weights, monkeypatch):
    path, digest = made_up_weights
    monkeypatch.setattr(extractors, "WEIGHTS_SHA256", digest)
    return extractors.inception(Places(weights=path))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("a download nobody asked for"))
    return tmp_path / "checkpoints"


def pictures(channels):
    rng = torch.Generator().manual_seed(channels)
    return torch.randint(0, 256, (2, channels, 8, 8), dtype=torch.uint8, generator=rng)


def test_the_expected_hash_begins_as_the_published_files_name_ends():
    assert len(extractors.WEIGHTS_SHA256) == 64
    assert extractors.URL_INCEPTION_V3.endswith(f"-{extractors.WEIGHTS_SHA256[:8]}.pth")


def test_an_extractor_is_what_it_declares(inception):
    (component,) = ganbench_extractors()
    assert component.name == inception.tag == "inception"
    assert component.gives["classes"] == 0
    assert inception.logits_layer == ""
    assert inception.module.features_list == [inception.layer]
    assert inception.module.get_name() == "inception-v3-compat"
    (features,) = inception.module(pictures(channels=3))
    assert features.shape == (2, inception.dimension) == (2, 2048)
    assert not inception.module.training
    assert not any(parameter.requires_grad for parameter in inception.module.parameters())


def test_features_are_those_of_torch_fidelity_itself(inception, made_up_weights):
    path, _ = made_up_weights
    original = fidelity.FeatureExtractorInceptionV3("original", ["2048"], feature_extractor_weights_path=str(path))
    images = pictures(channels=3)
    assert torch.equal(inception.module(images)[0], original(images)[0])


def test_grey_images_count_as_three_equal_channels(inception):
    grey = pictures(channels=1)
    assert torch.equal(inception.module(grey)[0], inception.module(grey.repeat(1, 3, 1, 1))[0])


def test_other_weights_are_refused_before_they_are_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    path = tmp_path / FILE
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError) as caught:
        extractors.inception(Places(weights=path))
    message = str(caught.value)
    assert str(path) in message
    assert f"expected {extractors.WEIGHTS_SHA256}" in message
    assert extractors.URL_INCEPTION_V3 in message


def test_a_weights_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"extractor inception: cannot read .*nowhere\.pth"):
        extractors.inception(Places(weights=tmp_path / "nowhere.pth"))


def test_without_weights_nothing_is_downloaded_and_both_ways_are_named(cache):
    with pytest.raises(DataError) as caught:
        extractors.inception(Places())
    message = str(caught.value)
    assert str(cache / FILE) in message
    assert "--download" in message
    assert f"fetch {extractors.URL_INCEPTION_V3}" in message
    assert "--weights FILE" in message


def test_weights_in_torch_hubs_cache_are_used_without_a_download(cache, made_up_weights, monkeypatch):
    path, digest = made_up_weights
    cache.mkdir()
    (cache / FILE).symlink_to(path)
    monkeypatch.setattr(extractors, "WEIGHTS_SHA256", digest)
    assert extractors.inception(Places()).weights_sha256 == digest


def test_a_download_goes_to_torch_hubs_cache_with_the_whole_hash_checked(cache, made_up_weights, monkeypatch):
    path, digest = made_up_weights
    asked = []

    def download(url, target, hash_prefix, progress):
        asked.append((url, target, hash_prefix))
        (cache / FILE).symlink_to(path)

    monkeypatch.setattr(extractors, "WEIGHTS_SHA256", digest)
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert extractors.inception(Places(download=True)).weights_sha256 == digest
    assert asked == [(extractors.URL_INCEPTION_V3, str(cache / FILE), digest)]


@pytest.mark.parametrize("failure", [URLError("no route"), RuntimeError("invalid hash value")])
def test_a_download_that_fails_says_what_to_do_without_a_network(cache, monkeypatch, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(DataError, match=r"download of the weights failed .*https://.*\.pth.*--weights FILE"):
        extractors.inception(Places(download=True))
