from __future__ import annotations

import json
import platform

import pytest
import torch

import ganbench
from ganbench.environment import cuda_devices, describe_environment, device_name, package_version

CPU = torch.device("cpu")


def test_an_environment_is_made_of_jsons_own_types():
    described = describe_environment(CPU)
    assert json.loads(json.dumps(described)) == described


def test_an_environment_tells_versions_device_and_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    described = describe_environment(CPU)
    assert described["ganbench"] == ganbench.__version__
    assert described["python"] == platform.python_version()
    assert described["packages"]["torch"] == package_version("torch")
    assert described["device_kind"] == "cpu"
    assert described["cuda"] is None
    assert described["threads"] == 1
    assert described["thread_variables"]["OMP_NUM_THREADS"] == "1"
    assert described["thread_variables"]["MKL_NUM_THREADS"] is None


def test_a_package_that_is_not_there_is_said_to_be_so():
    assert package_version("a-distribution-that-nobody-has") == "not installed"
    assert package_version("torch").partition("+")[0] == torch.__version__.partition("+")[0]


def test_a_processor_has_a_name():
    assert device_name(CPU)


def test_gpus_are_named_as_torch_names_them(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert cuda_devices() == ["cuda:0", "cuda:1"]


@pytest.mark.gpu
def test_a_gpu_is_described_with_its_model(cuda):
    described = describe_environment(cuda)
    assert described["device"] == torch.cuda.get_device_name(cuda)
    assert described["cuda"] == torch.version.cuda
