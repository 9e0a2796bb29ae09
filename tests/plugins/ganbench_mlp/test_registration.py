from __future__ import annotations

import ganbench_mlp
from ganbench_mlp import networks


def test_mlp_is_offered_for_both_players_and_any_data():
    (generator,), (discriminator, _) = ganbench_mlp.ganbench_generators(), ganbench_mlp.ganbench_discriminators()
    assert generator.name == discriminator.name == "mlp"
    assert generator.target == f"{networks.__name__}:{networks.MLPGenerator.__name__}"
    assert discriminator.target == f"{networks.__name__}:{networks.MLPDiscriminator.__name__}"
    assert set(generator.needs["data"]) == set(discriminator.needs["data"]) == {"points", "images"}
    assert discriminator.gives["mixes_batch"] == {"minibatch": ("deviation", "discrimination")}


def test_maxout_is_offered_as_a_critic_of_any_data_that_does_not_mix_the_batch():
    _, maxout = ganbench_mlp.ganbench_discriminators()
    assert maxout.name == "maxout"
    assert maxout.target == f"{networks.__name__}:{networks.MaxoutDiscriminator.__name__}"
    assert set(maxout.needs["data"]) == {"points", "images"}
    assert maxout.gives["mixes_batch"] is False


def test_both_mlps_say_when_they_use_labels_and_which_codes_they_have():
    (generator,), (discriminator, _) = ganbench_mlp.ganbench_generators(), ganbench_mlp.ganbench_discriminators()
    assert generator.needs["labels"] == {"conditional": (True,)}
    assert discriminator.needs["labels"] == {"conditioning": ("concat", "projection")}
    assert discriminator.needs["classes"] == {"conditioning": ("auxiliary",)}
    assert generator.gives["codes"] == discriminator.gives["codes"] == ("{categories}", "{continuous}")
