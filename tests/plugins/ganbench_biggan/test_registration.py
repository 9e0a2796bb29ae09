from __future__ import annotations

from typing import get_args, get_type_hints

import ganbench_biggan
from ganbench_biggan import networks


def test_the_contracts_name_values_that_their_parameters_have():
    (generator,), (critic,) = ganbench_biggan.ganbench_generators(), ganbench_biggan.ganbench_discriminators()
    assert generator.name == critic.name == "biggan"
    assert (generator.target, critic.target) == (
        f"{networks.__name__}:BigGANGenerator",
        f"{networks.__name__}:BigGANDiscriminator",
    )
    assert generator.needs["labels"] == {"conditional": (True,)}
    choices = get_args(get_type_hints(networks.BigGANDiscriminator.__init__)["conditioning"])
    (used,), (told,) = critic.needs["labels"]["conditioning"], critic.needs["classes"]["conditioning"]
    assert {used, told, "none"} == set(choices)
    assert critic.gives["heads"] == {"features": True, "classes": {"conditioning": (told,)}}
    assert critic.gives["outputs"] == "{outputs}"
    assert "mixes_batch" not in critic.gives
