from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ganbench.conformance.devices import one_device
from ganbench.conformance.findings import Breach

HERE = Path(__file__)
SAMPLES = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))


def seen(compute):
    """What is said of a computation with samples, None if nothing is."""
    samples = SAMPLES.clone()
    try:
        with one_device(HERE, object()) as watched:
            watched.expect_here(result=compute(samples))
    except Breach as breach:
        return breach
    return None


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x + torch.ones(8, 1),
        lambda x: x + torch.ones(8, 1, device="cpu"),
        lambda x: x * torch.tensor([1.0, 2.0]),
        lambda x: x[:, 0] + torch.arange(8).float().cos(),
        lambda x: torch.cat([x, torch.zeros(8, 1)], 1),
        lambda x: torch.where(x > 0, x, torch.zeros(8, 2)),
        lambda x: x @ torch.eye(2),
        lambda x: x.index_select(0, torch.arange(8)),
        lambda x: x + torch.tensor(1.0).expand(8, 2),
        lambda x: torch.randn(8, 2, generator=torch.Generator()) + x,
        lambda x: torch.zeros(8).copy_(x[:, 0]),
        lambda x: torch.linspace(0, 1, 8),
    ],
)
def test_a_tensor_that_is_left_behind_on_the_processor_is_seen(compute):
    breach = seen(compute)
    assert breach is not None
    assert "lambda x" in HERE.read_text().splitlines()[breach.line - 1]


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x + torch.ones(8, 1, device=x.device),
        lambda x: x + torch.ones(8, 1).to(x.device),
        lambda x: x + torch.ones(8, 1).to(x),
        lambda x: x + torch.ones(8, 1).type_as(x),
        lambda x: x + x.new_ones(8, 1) + torch.zeros_like(x),
        lambda x: x * torch.tensor(2.0) + torch.zeros(()),
        lambda x: torch.where(x > 0, x, torch.tensor(0.0)),
        lambda x: x[torch.arange(7, -1, -1)],
        lambda x: x + torch.randn(8, 2, generator=torch.Generator(), device=x.device),
        lambda x: x * (1.0 if torch.arange(3).shape == (3,) else 2.0),
    ],
)
def test_what_goes_with_any_device_is_not_complained_of(compute):
    assert seen(compute) is None


def test_a_networks_constant_counts_unless_it_is_a_buffer():
    network = nn.Linear(2, 1)
    network.register_buffer("kept", torch.ones(1))
    with one_device(HERE, network) as watched:
        watched.expect_here(result=network(SAMPLES) * network.kept)
    network.lost = torch.ones(1)
    told = r"its attribute `lost`, no buffer, meets the game's own in `mul`"
    with pytest.raises(Breach, match=told), one_device(HERE, network):
        network(SAMPLES) * network.lost


def test_another_error_passes():
    with pytest.raises(ZeroDivisionError), one_device(HERE, object()):
        torch.ones(1).expand(1 // 0)
