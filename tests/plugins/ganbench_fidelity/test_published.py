"""Published weights: found, verified before anything reads them, and downloaded only when asked for."""

import hashlib
from http.client import IncompleteRead
from urllib.error import URLError

import pytest
import torch

from ganbench.errors import DataError
from ganbench.protocols import Places
from ganbench_fidelity.published import Published, global_draws_undone

CONTENT = b"the weights"
WEIGHTS = Published("tiny", "https://example.org/tiny.pth", hashlib.sha256(CONTENT).hexdigest(), "tiny-1.pth")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Torch hub's cache, empty; a download that nobody prepared fails the test."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("a download nobody asked for"))
    return tmp_path / "checkpoints"


def test_weights_in_torch_hubs_cache_are_used_without_a_download(cache):
    cache.mkdir()
    (cache / "tiny-1.pth").write_bytes(CONTENT)
    assert WEIGHTS.content(Places()) == CONTENT


def test_a_file_that_was_passed_is_used_in_place_of_the_cache(cache, tmp_path):
    path = tmp_path / "elsewhere.pth"
    path.write_bytes(CONTENT)
    assert WEIGHTS.content(Places(weights=path)) == CONTENT
    assert not cache.exists()


def test_without_weights_nothing_is_downloaded_and_both_ways_are_named(cache):
    with pytest.raises(DataError) as caught:
        WEIGHTS.content(Places())
    message = str(caught.value)
    assert message.startswith(f"extractor tiny: no weights at {cache / 'tiny-1.pth'}. Pass --download.")
    assert f"fetch {WEIGHTS.url}" in message
    assert "--weights FILE" in message


def test_a_download_goes_to_torch_hubs_cache_with_the_whole_hash_checked(cache, monkeypatch):
    asked = []

    def download(url, target, hash_prefix, progress):
        asked.append((url, target, hash_prefix))
        (cache / "tiny-1.pth").write_bytes(CONTENT)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert WEIGHTS.content(Places(download=True)) == CONTENT
    assert asked == [(WEIGHTS.url, str(cache / "tiny-1.pth"), WEIGHTS.sha256)]


@pytest.mark.parametrize(
    "failure", [URLError("no route"), RuntimeError("invalid hash value"), TimeoutError("too slow"), IncompleteRead(b"")]
)
def test_a_download_that_fails_says_what_to_do_without_a_network(cache, monkeypatch, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(DataError, match=r"extractor tiny: the download .* failed .*By hand: fetch https"):
        WEIGHTS.content(Places(download=True))


def test_other_weights_are_refused_and_both_hashes_are_named(tmp_path):
    path = tmp_path / "other.pth"
    path.write_bytes(b"other weights")
    with pytest.raises(DataError) as caught:
        WEIGHTS.content(Places(weights=path))
    found = hashlib.sha256(b"other weights").hexdigest()
    assert f"{path} has SHA-256 {found}, expected {WEIGHTS.sha256}; not loaded" in str(caught.value)


def test_a_weights_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"extractor tiny: cannot read .*nowhere\.pth"):
        WEIGHTS.content(Places(weights=tmp_path / "nowhere.pth"))


def test_global_draws_are_undone():
    before = torch.get_rng_state()
    with global_draws_undone():
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
