from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from ganbench.errors import ChoiceError
from ganbench.plugins import Broken, Offer, Registry, discover
from ganbench.terms import Component
from ganbench.zoo import facts_of, meanings, named, print_component, zoo_page

ROOT = Path(__file__).parent.parent

SOURCE = '''
class Tilted:
    """A loss that leans.

    Formula: a·r − b·f.
    Paper: arXiv:0000.00001, eq. 2.
    Parameters: `left` is a, how far it leans to
        the left; `right`, b, to the right.
    """

    def __init__(self, left: float = 0.5, *, right: int | None = None, how: str = "a b", count: int): ...
'''


@pytest.fixture
def tilted(install):
    """A registry with one loss, whose module has never been imported."""
    install("leaning", "leaning_losses", SOURCE + 'raise RuntimeError("imported")')
    component = Component(
        "tilted", "leaning_losses:Tilted", "A loss that leans", paper="arXiv:0000.00001", needs={"logits": "scalar"}
    )
    return Registry((Offer("loss", component, "leaning", "leaning", "1.0"),))


def printed(facts, registry, width=100):
    console = Console(width=width, force_terminal=False, file=io.StringIO(), record=True)
    print_component(console, facts, registry)
    return console.export_text()


def test_everything_is_read_from_the_source_without_importing_it(tilted):
    (offer,) = named(tilted, "tilted")
    facts = facts_of(tilted, offer)
    assert facts["docstring"].startswith("A loss that leans.\n\nFormula: a·r − b·f.")
    assert facts["file"].endswith("leaning_losses.py:2")
    assert facts["parameters"] == [
        {"name": "left", "type": "float", "default": "0.5", "required": False,
         "description": "a, how far it leans to the left"},
        {"name": "right", "type": "int | None", "default": "none", "required": False, "description": "b, to the right"},
        {"name": "how", "type": "str", "default": '"a b"', "required": False, "description": ""},
        {"name": "count", "type": "int", "default": "", "required": True, "description": ""},
    ]  # fmt: skip
    assert facts["needs"] == ["scalar logits"]
    assert facts["use"] == '[matrix] loss = ["tilted"]'
    assert "leaning_losses" not in sys.modules


def test_a_component_without_source_is_shown_with_what_it_registered():
    component = Component("counted", "itertools:count", "Counts", needs={"logits": "scalar"})
    registry = Registry((Offer("loss", component, "x", "x", "1"),))
    facts = facts_of(registry, registry.offers[0])
    assert (facts["docstring"], facts["file"], facts["parameters"]) == ("", "", [])
    assert "loss counted: Counts" in printed(facts, registry)


@pytest.mark.parametrize(
    ("text", "names", "told"),
    [
        ("`width` is the number of units.", ["width"], {"width": "the number of units"}),
        ("`a` and `b` are weights.", ["a", "b"], {"a": "weights", "b": "weights"}),
        ("`b` is one; `a`: two", ["a", "b"], {"a": "two", "b": "one"}),
        ("`every=1` is how often, and `gamma` γ.", ["gamma", "every"], {"every": "how often", "gamma": "γ"}),
        ("`depth` layers of `width` units", ["width", "depth"], {"width": "units", "depth": "layers of"}),
        ("", ["width"], {}),
        ("`widths` are others", ["width"], {}),
    ],
)
def test_what_a_docstring_says_of_each_parameter(text, names, told):
    assert meanings(text, names) == told


def test_a_name_of_several_kinds_gives_each_of_them_in_the_order_of_kinds():
    assert [offer.kind for offer in named(discover(), "mlp")] == ["generator", "discriminator"]
    assert [offer.kind for offer in named(discover(), "discriminator:mlp")] == ["discriminator"]


def test_an_owner_picks_one_of_two(tilted):
    (offer,) = tilted.offers
    other = Offer("loss", offer.component, "other", "other", "2.0")
    registry = Registry((offer, other))
    assert [found.owner for found in named(registry, "tilted")] == ["leaning", "other"]
    assert [found.owner for found in named(registry, "other:tilted")] == ["other"]
    assert facts_of(registry, other)["use"] == '[matrix] loss = ["other:tilted"]'


def test_an_unknown_name_gets_the_nearest_ones_and_what_is_broken():
    registry = discover()
    registry = Registry(registry.offers, (Broken("bad", "bad-dist", "1", "it does not import"),))
    with pytest.raises(ChoiceError, match=r"no component named 'hing'\. Did you mean 'hinge'") as raised:
        named(registry, "hing")
    assert "bad-dist 1): it does not import" in str(raised.value)
    assert f"'ganbench plugins list' names all {len({offer.component.name for offer in registry.offers})}" in str(
        raised.value
    )


def test_recipes_say_what_they_set():
    registry = discover()
    (wgan,) = named(registry, "wgan")
    assert facts_of(registry, wgan)["recipe"] == [
        "both: rmsprop at 5e-05, betas 0 and 0.99", "5 updates of the discriminator a step",
        "weights of the discriminator within ±0.01",
    ]  # fmt: skip


def test_a_discriminator_has_the_parameter_that_all_have():
    registry = discover()
    facts = facts_of(registry, registry.offers[[offer.kind for offer in registry.offers].index("discriminator")])
    assert facts["parameters"][-1]["name"] == "packing"


def test_everything_that_ships_can_be_shown_and_fits_a_narrow_terminal_but_for_what_its_author_wrote(monkeypatch):
    registry = discover()
    monkeypatch.setattr("ganbench.zoo.partners", lambda registry, offer: {})  # a second each, and tested by itself
    for offer in registry.offers:
        facts = facts_of(registry, offer)
        assert json.loads(json.dumps(facts)) == facts
        assert facts["docstring"], offer
        assert facts["file"], offer
        text = printed(facts, registry, 60)
        for value in (facts["summary"], facts["use"], *facts["needs"], *facts["recipe"]):
            assert "".join(value.split()) in "".join(text.split()), offer
        assert f"{offer.kind} {offer.component.name}" in text


def test_what_fits_all_of_a_kind_is_said_so():
    registry = discover()
    (offer,) = named(registry, "digits")[:1]
    facts = {**facts_of(registry, offer), "fits": {"generator": registry.names("generator"), "loss": []}}
    text = printed(facts, registry)
    assert "generators      all of them" in text
    assert "losses          none that is installed" in text


def test_no_torch_is_needed():
    program = "import sys, ganbench.zoo, ganbench.plugins as p; r = p.discover(); "
    program += "[ganbench.zoo.facts_of(r, o) for o in r.offers[:5]]; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_page_of_the_zoo_is_what_the_registry_gives():
    written = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert written == zoo_page(discover()), "write it anew: python -m ganbench.zoo > docs/zoo.md"
