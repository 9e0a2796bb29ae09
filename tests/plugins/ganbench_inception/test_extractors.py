"""FID's Inception with weights made here: checked before loading, equal to torch-fidelity's, and grey images pass."""

import hashlib
import pickle
from dataclasses import replace
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity import feature_extractor_inceptionv3 as fidelity
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from ganbench.errors import DataError
from ganbench.extraction import extract
from ganbench.protocols import Places
from ganbench_inception import extractors, ganbench_extractors

FILE = "weights-inception-2015-12-05-6726825d.pth"
KID = {"kid_subsets": 5, "kid_subset_size": 32}


class Pictures(Dataset):
    def __init__(self, images):
        self.images = images

    def __getitem__(self, index):
        return self.images[index]

    def __len__(self):
        return len(self.images)


@pytest.fixture(scope="module")
def made_up_weights(tmp_path_factory):
    """A file of random weights in torch-fidelity's layout, whose features differ between pictures, and its SHA-256."""
    path = tmp_path_factory.mktemp("weights") / "made-up.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = fidelity.FeatureExtractorInceptionV3("random", ["2048"])
    rng = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # so that one batch gives its statistics
    network.train()(torch.cat(real_and_fake())[::8])
    network.fc.weight.data.mul_(10)  # so that classes differ between pictures too
    torch.save(network.state_dict(), path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def published(made_up_weights, monkeypatch):
    """The path of weights that count as the published ones."""
    path, digest = made_up_weights
    monkeypatch.setattr(extractors, "WEIGHTS", replace(extractors.WEIGHTS, sha256=digest))
    return path


@pytest.fixture
def inception(published):
    return extractors.inception(Places(weights=published))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("a download nobody asked for"))
    return tmp_path / "checkpoints"


def pictures(channels, count=2, size=8):
    rng = torch.Generator().manual_seed(channels)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=rng)


def real_and_fake():
    """32 pictures of coarse noise, and 16 like them with 16 of paler and finer noise."""
    rng = torch.Generator().manual_seed(7)
    coarse = nn.functional.interpolate(torch.rand(48, 3, 4, 4, generator=rng).mul(255), (32, 32))
    fine = nn.functional.interpolate(torch.rand(16, 3, 8, 8, generator=rng).mul(100).add(155), (32, 32))
    return coarse[:32].to(torch.uint8), torch.cat([coarse[32:], fine]).to(torch.uint8)


def test_the_expected_hash_begins_as_the_published_files_name_ends():
    assert len(extractors.WEIGHTS.sha256) == 64
    assert extractors.WEIGHTS.url == fidelity.URL_INCEPTION_V3
    assert extractors.WEIGHTS.url.endswith(f"-{extractors.WEIGHTS.sha256[:8]}.pth")


def test_an_extractor_is_what_it_declares(inception):
    (component,) = ganbench_extractors()
    assert component.name == inception.module.get_name() == "inception-v3-compat"
    assert component.gives == {"classes": 0, "logits": True}
    assert inception.tag == "inception"
    assert inception.module.features_list == [inception.layer, inception.logits_layer]
    features, logits = inception.module(pictures(channels=3))
    assert features.shape == (2, inception.dimension) == (2, 2048)
    assert logits.shape == (2, 1008)
    assert not inception.module.training
    assert not any(parameter.requires_grad for parameter in inception.module.parameters())


def test_features_and_logits_are_those_of_torch_fidelity_itself(inception, published):
    layers = ["2048", "logits_unbiased"]
    original = fidelity.FeatureExtractorInceptionV3("original", layers, feature_extractor_weights_path=str(published))
    images = pictures(channels=3)
    for found, expected in zip(inception.module(images), original(images), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.slow
def test_metrics_of_its_features_are_those_that_torch_fidelity_calculates(inception, published):
    real, fake = real_and_fake()
    expected = calculate_metrics(
        input1=Pictures(fake),
        input2=Pictures(real),
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(published),
        cuda=False,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        **KID,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    of_real, of_fake = extract(inception, real), extract(inception, fake)
    statistics = [fid_features_to_statistics(side["features"]) for side in (of_fake, of_real)]
    found = {
        **isc_features_to_metric(of_fake["logits"]),
        **fid_statistics_to_metric(*statistics, verbose=False),
        **kid_features_to_metric(of_fake["features"], of_real["features"], **KID, verbose=False),
        **prc_features_to_metric(of_fake["features"], of_real["features"], verbose=False),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
    assert expected["inception_score_mean"] > 1.1
    assert expected["frechet_inception_distance"] > 1
    assert expected["kernel_inception_distance_mean"] > 0.001
    assert 0 < expected["recall"] != expected["precision"]


def test_an_images_features_depend_neither_on_its_batch_nor_on_its_place(inception):
    images = pictures(channels=3, count=3)
    together = inception.module(images)[0]
    torch.testing.assert_close(inception.module(images[1:2])[0], together[1:2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(inception.module(images.flip(0))[0].flip(0), together, rtol=1e-4, atol=1e-4)


def test_loading_draws_no_global_random_number(published):
    before = torch.get_rng_state()
    extractors.inception(Places(weights=published))
    assert torch.equal(torch.get_rng_state(), before)


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
    assert f"expected {extractors.WEIGHTS.sha256}" in message
    assert extractors.WEIGHTS.url in message


def test_without_weights_nothing_is_downloaded_and_both_ways_are_named(cache):
    with pytest.raises(DataError) as caught:
        extractors.inception(Places())
    message = str(caught.value)
    assert message.startswith(f"extractor inception-v3-compat: no weights at {cache / FILE}.")
    assert "--download" in message
    assert f"fetch {extractors.WEIGHTS.url}" in message
    assert "--weights FILE" in message


def test_weights_in_torch_hubs_cache_are_used_without_a_download(cache, published):
    cache.mkdir()
    (cache / FILE).symlink_to(published)
    assert extractors.inception(Places()).weights_sha256 == extractors.WEIGHTS.sha256


def test_a_download_goes_to_torch_hubs_cache_with_the_whole_hash_checked(cache, published, monkeypatch):
    asked = []

    def download(url, target, hash_prefix, progress):
        asked.append((url, target, hash_prefix))
        (cache / FILE).symlink_to(published)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    digest = extractors.WEIGHTS.sha256
    assert extractors.inception(Places(download=True)).weights_sha256 == digest
    assert asked == [(extractors.WEIGHTS.url, str(cache / FILE), digest)]


def test_a_download_that_fails_says_what_to_do_without_a_network(cache, monkeypatch):
    def fail(*_, **__):
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(DataError, match=r"extractor inception-v3-compat: the download .* failed .*By hand: fetch"):
        extractors.inception(Places(download=True))
