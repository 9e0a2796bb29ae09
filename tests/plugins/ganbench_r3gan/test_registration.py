from __future__ import annotations

import ganbench_r3gan
from ganbench.signatures import parameters_of


def test_contracts_name_parameters_and_values_that_there_are():
    (generator,), (discriminator,) = ganbench_r3gan.ganbench_generators(), ganbench_r3gan.ganbench_discriminators()
    assert generator.needs["labels"] == {"conditional": (True,)}
    assert discriminator.needs["labels"] == {"conditioning": ("projection",)}
    assert discriminator.needs["classes"] == {"conditioning": ("auxiliary",)}
    assert discriminator.gives == {
        "logits": "scalar",
        "outputs": "{outputs}",
        "heads": {"features": True, "classes": {"conditioning": ("auxiliary",)}},
    }
    known = {parameter.name for parameter in parameters_of(discriminator.target, "discriminator")}
    assert known == {"width", "widest", "blocks", "expansion", "group_width", "conditioning", "outputs"}
