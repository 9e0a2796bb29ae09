from __future__ import annotations

import ganbench_mlp
from ganbench_mlp import networks


def test_mlp_is_offered_for_both_players_and_any_data():
    (generator,), (discriminator,) = ganbench_mlp.ganbench_generators(), ganbench_mlp.ganbench_discriminators()
    assert generator.name == discriminator.name == "mlp"
    assert generator.target == f"{networks.__name__}:{networks.MLPGenerator.__name__}"
    assert discriminator.target == f"{networks.__name__}:{networks.MLPDiscriminator.__name__}"
    assert set(generator.needs["data"]) == set(discriminator.needs["data"]) == {"points", "images"}
    assert discriminator.gives["mixes_batch"] is False
