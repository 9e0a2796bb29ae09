from __future__ import annotations

import ganbench_dcgan
from ganbench_dcgan import networks


def test_dcgan_is_offered_for_both_players_and_square_images():
    (generator,), (discriminator,) = ganbench_dcgan.ganbench_generators(), ganbench_dcgan.ganbench_discriminators()
    assert generator.name == discriminator.name == "dcgan"
    assert generator.target == f"{networks.__name__}:{networks.DCGANGenerator.__name__}"
    assert discriminator.target == f"{networks.__name__}:{networks.DCGANDiscriminator.__name__}"
    images = {"data": "images", "power_of_two": True, "min_resolution": 8}
    assert images.items() <= generator.needs.items()
    assert images.items() <= discriminator.needs.items()


def test_the_discriminator_says_when_it_mixes_the_batch_and_what_makes_it_stop():
    (discriminator,) = ganbench_dcgan.ganbench_discriminators()
    assert discriminator.gives["mixes_batch"] == {"norm": ("batch",), "minibatch": ("deviation", "discrimination")}
    assert discriminator.gives["independent"] == {"norm": "layer"}


def test_both_say_when_they_use_labels_and_which_codes_they_have():
    (generator,), (discriminator,) = ganbench_dcgan.ganbench_generators(), ganbench_dcgan.ganbench_discriminators()
    assert generator.needs["labels"] == {"conditional": (True,)}
    assert discriminator.needs["labels"] == {"conditioning": ("concat", "projection")}
    assert discriminator.needs["classes"] == {"conditioning": ("auxiliary",)}
    assert generator.gives["codes"] == discriminator.gives["codes"] == ("{categories}", "{continuous}")
