from __future__ import annotations

import ganbench_autoencoder
from ganbench_autoencoder import networks


def test_the_autoencoder_is_offered_as_a_critic_of_any_data_whose_logits_are_energies():
    (discriminator,) = ganbench_autoencoder.ganbench_discriminators()
    assert discriminator.name == "autoencoder"
    assert discriminator.target == f"{networks.__name__}:{networks.Autoencoder.__name__}"
    assert set(discriminator.needs["data"]) == {"points", "images"}
    assert discriminator.gives == {"logits": "energy", "mixes_batch": False, "heads": {"features": True}}


def test_its_decoder_is_offered_as_a_generator_of_images():
    (generator,) = ganbench_autoencoder.ganbench_generators()
    assert generator.name == "began"
    assert generator.target == f"{networks.__name__}:{networks.BEGANGenerator.__name__}"
    assert generator.needs == {"data": "images", "power_of_two": True, "min_resolution": 8}
