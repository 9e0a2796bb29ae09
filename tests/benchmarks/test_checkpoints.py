"""What a checkpoint costs: the share of a trial's time that it takes at the usual interval."""

from __future__ import annotations

import pytest
from small import trial

from ganbench.building import build_engine
from ganbench.checkpoints import write_checkpoint
from ganbench.keeping import DEAREST, USUAL_SECONDS
from ganbench.plugins import discover
from ganbench.protocols import Places
from ganbench.workshop import load_data, open_workshop

SHARE = 0.02
"""Of a trial's time: what checkpoints may take."""


@pytest.mark.parametrize(
    ("dataset", "network"), [("ring8", "mlp(width=128, depth=3)"), ("digits", "dcgan(width=64)")], ids=["mlp", "dcgan"]
)
def test_a_checkpoint_every_minute_takes_a_fraction_of_what_it_may(benchmark, tmp_path, dataset, network):
    workshop = open_workshop(discover(()), Places())
    made = trial(dataset, generator=network, discriminator=network)
    engine = build_engine(workshop, made, load_data(workshop, made.dataset))
    for _ in range(3):
        engine.step()
    benchmark(lambda: write_checkpoint(tmp_path / "c.safetensors", {"trials": [made.key]}, engine.state()))
    assert (tmp_path / "c.safetensors").stat().st_size > 0
    if benchmark.enabled:  # it measures nothing where several processes run tests side by side
        share = benchmark.stats.stats.median / USUAL_SECONDS
        benchmark.extra_info["share"] = share
        assert share < DEAREST < SHARE
