"""What every test runs under: one thread, as trials do, and a cache folder of its own."""

from __future__ import annotations

import os
import signal
import sys

os.environ["OMP_NUM_THREADS"] = "1"  # read as the numerical libraries load, hence before they are imported

import pytest
import torch
from distributions import put_module, put_third_party
from hypothesis import settings

torch.set_num_threads(1)

settings.register_profile("untimed", deadline=None)  # how long an example takes is up to what else the machine does
settings.load_profile("untimed")

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def usual_signals():
    """What starts the tests may ignore signals or hold them back, as trials do, and processes inherit that."""
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test reads or writes what the user's runs have left behind."""
    monkeypatch.setenv("GANBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def cuda():
    """The GPU; a test that asks for it is skipped where there is none."""
    if not torch.cuda.is_available():  # no CPU can stand in for what is only true of a GPU
        pytest.skip("needs a CUDA device")
    return torch.device("cuda:0")


@pytest.fixture
def gate(tmp_path):
    """A file that trials wait for (see patient.py); gone afterwards, so that none waits for ever."""
    yield tmp_path / "gate"
    (tmp_path / "gate").unlink(missing_ok=True)


@pytest.fixture
def as_installed(tmp_path, monkeypatch):
    """No choice of plugins by the environment, and no module left behind by a test."""
    monkeypatch.delenv("GANBENCH_PLUGINS", raising=False)
    monkeypatch.delenv("GANBENCH_DISABLE_PLUGINS", raising=False)
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def install(tmp_path, monkeypatch, as_installed):
    """A function that puts a distribution of one module on the path: as discovery sees it, it is installed."""

    def put(distribution, module, source, entry_points=None, version="1.0"):
        folder = put_module(tmp_path, distribution, module, source, entry_points, version)
        monkeypatch.syspath_prepend(folder)
        return folder

    return put


@pytest.fixture
def install_third_party(tmp_path, monkeypatch, as_installed):
    """A function that puts a distribution under tests/third_party on the path, without building it."""

    def put(name):
        folder = put_third_party(tmp_path, name)
        monkeypatch.syspath_prepend(folder)
        return folder

    return put
