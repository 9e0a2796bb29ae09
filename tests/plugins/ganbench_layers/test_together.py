"""Seeds that train together and each alone come to the same weights, with what networks can be asked for."""

from __future__ import annotations

import pytest
from small import trial
from together import both, distance

PLAIN = "mlp(width=8, depth=2)"


@pytest.mark.parametrize(
    "changes",
    [
        {"discriminator": "mlp(width=8, depth=2, norm=spectral, minibatch=deviation)"},
        {"discriminator": "mlp(width=8, depth=2, norm=layer, minibatch=discrimination)"},
        {"discriminator": "maxout(width=8, depth=2)", "loss": "nonsaturating + r1"},
        {"dataset": "digits", "discriminator": "dcgan(width=4, norm=spectral)", "loss": "hinge + r1"},
        {
            "dataset": "digits",
            "generator": "mlp(width=8, depth=2, conditional=true, categories=3, continuous=1)",
            "discriminator": "mlp(width=8, depth=2, conditioning=projection, categories=3, continuous=1)",
            "latent_dim": 6,
        },
        {
            "dataset": "digits",
            "generator": "dcgan(width=4, conditional=true)",
            "discriminator": "dcgan(width=4, conditioning=concat)",
        },
    ],
    ids=str,
)
def test_seeds_together_do_what_each_does_alone(changes):
    group, alone = both(trial(**{"generator": PLAIN, "discriminator": PLAIN, **changes}), steps=3)
    assert distance(group, alone) < 1e-12
