from __future__ import annotations

import ganbench_dcgan
from ganbench_dcgan import networks


def test_dcgan_is_offered_for_both_players_and_square_images():
    (generator,), (discriminator,) = ganbench_dcgan.ganbench_generators(), ganbench_dcgan.ganbench_discriminators()
    assert generator.name == discriminator.name == "dcgan"
    assert generator.target == f"{networks.__name__}:{networks.DCGANGenerator.__name__}"
    assert discriminator.target == f"{networks.__name__}:{networks.DCGANDiscriminator.__name__}"
    assert generator.needs == discriminator.needs == {"data": "images", "power_of_two": True, "min_resolution": 8}


def test_the_discriminator_says_when_it_mixes_the_batch_and_what_makes_it_stop():
    (discriminator,) = ganbench_dcgan.ganbench_discriminators()
    (parameter, mixing), *others = discriminator.gives["mixes_batch"].items()
    assert (parameter, mixing, others) == ("norm", ("batch",), [])
    assert discriminator.gives["independent"] == {"norm": "layer"}
