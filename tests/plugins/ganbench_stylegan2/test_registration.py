from __future__ import annotations

import ganbench_stylegan2
from ganbench.signatures import parameters_of


def test_contracts_name_parameters_and_values_that_there_are():
    (first,), (second,) = ganbench_stylegan2.ganbench_generators(), ganbench_stylegan2.ganbench_discriminators()
    assert first.needs["labels"] == {"conditional": (True,)}
    assert first.needs["driver"] == ("eager", "graph")
    assert "driver" not in second.needs
    assert second.needs["labels"] == {"conditioning": ("projection",)}
    assert second.needs["classes"] == second.gives["heads"]["classes"] == {"conditioning": ("auxiliary",)}
    assert second.gives["mixes_batch"] == {"minibatch": ("deviation",)}
    assert second.gives["independent"] == {"minibatch": "none"}
    assert second.gives["outputs"] == "{outputs}"
    known = {parameter.name for parameter in parameters_of(second.target, "discriminator")}
    assert known == {"width", "widest", "minibatch", "group", "conditioning", "outputs"}
