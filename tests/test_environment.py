from __future__ import annotations

import json
import platform
import sys
import types

import pytest
import torch

import ganbench
from ganbench import environment
from ganbench.environment import cuda_devices, describe_environment, device_name, package_version
from ganbench.provenance import own_hash

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


def test_an_environment_tells_the_code_and_what_a_processor_computes_with():
    described = describe_environment(CPU)
    assert described["ganbench_sha256"] == own_hash()
    assert described["implementation"] == platform.python_implementation()
    assert described["machine"] == platform.machine()
    assert described["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert described["processor"] == described["device"] == device_name(CPU)
    assert (described["cudnn"], described["gpu_driver"]) == (None, None)
    assert set(described["git"]) <= {"ganbench"}


def test_an_environment_does_not_name_the_machine():
    assert len(platform.node()) < 4 or platform.node() not in json.dumps(describe_environment(CPU))


@pytest.mark.parametrize("told", ["570.1", b"570.1"])
def test_the_driver_is_told_as_nvidia_calls_it(told, monkeypatch):
    asked = types.SimpleNamespace(nvmlInit=lambda: None, nvmlSystemGetDriverVersion=lambda: told)
    monkeypatch.setitem(sys.modules, "pynvml", asked)
    assert environment._gpu_driver() == "570.1"


def test_a_driver_that_cannot_be_asked_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert environment._gpu_driver() is None


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
    assert described["cudnn"] == torch.backends.cudnn.version()
    assert described["gpu_driver"]
    assert described["processor"] == device_name(CPU) != described["device"]
