from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small import reference, registry, trial

from ganbench.errors import DataError, GanbenchError
from ganbench.sources import Request, locate
from ganbench.store import GENERATOR, Store
from ganbench.tasks import Source


@pytest.fixture
def beside(tmp_path):
    """A function that gives a path for weights, in the folder of an attempt at the job."""

    def put(job):
        path = Store(tmp_path).begin(job).path / GENERATOR
        path.write_bytes(b"")
        return path

    return put


def weights(path, **changes):
    return Request(generator=path, dataset="ring8", **changes)


def test_weights_beside_their_trial_need_no_description(beside):
    made = trial(seed=3)
    path = beside(made)
    located = locate(weights(path), registry())
    assert located.source == Source("safetensors", path, made.variant.generator)
    assert (located.name, located.latent_dim, located.seed) == ("generator", made.training.latent_dim, 3)


def test_what_is_asked_for_comes_before_what_the_trial_says(beside):
    path = beside(trial(seed=3))
    located = locate(weights(path, network="mlp(width=5)", latent_dim=9, seed=0, name=" mine\n"), registry())
    assert (str(located.source.network), located.latent_dim, located.seed, located.name) == (
        "mlp(width=5)",
        9,
        0,
        "mine",
    )


def test_weights_beside_what_is_no_trial_need_a_description(beside):
    path = beside(reference("noise"))
    with pytest.raises(GanbenchError, match=r"no trial\.json of its training lies beside it"):
        locate(weights(path), registry())
    with pytest.raises(GanbenchError, match="--latent-dim: needed"):
        locate(weights(path, network="mlp"), registry())
    located = locate(weights(path, network="mlp", latent_dim=4), registry())
    assert (located.latent_dim, located.seed) == (4, 0)


def test_a_name_is_by_default_that_of_the_file_or_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    np.save("points.npy", np.zeros((20, 2), np.float32))
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "hubconf.py").write_text("")
    samples = Request(samples=Path("points.npy"), dataset="ring8")
    hub = Request(hub="hub:net", dataset="ring8", latent_dim=3)
    assert locate(samples, registry()).name == "points"
    assert locate(replace(samples, samples=Path("pictures")), registry()).name == "pictures"
    assert locate(hub, registry()).name == "hub:net"
    assert locate(hub, registry()).source == Source("hub", tmp_path / "hub", entry="net")


def test_where_it_lies_does_not_depend_on_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    located = locate(Request(samples=Path("pictures"), against=Path("real"), crop="centre"), registry())
    assert located.source == Source("samples", tmp_path / "pictures", crop="centre")


def test_a_script_without_its_end_is_told_from_what_is_no_script(tmp_path):
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "text.pt").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"cut\.pt: begins as TorchScript does and has no end: it may be cut"):
        locate(Request(generator=tmp_path / "cut.pt", dataset="ring8", latent_dim=2), registry())
    with pytest.raises(DataError, match=r"text\.pt: neither \.safetensors nor TorchScript"):
        locate(Request(generator=tmp_path / "text.pt", dataset="ring8", latent_dim=2), registry())


def test_a_source_says_in_a_message_what_it_is():
    assert str(Source("hub", Path("/x"), entry="net")) == "hub repository /x, entry 'net'"
    assert str(Source("torchscript", Path("/x.pt"))) == "TorchScript /x.pt"
