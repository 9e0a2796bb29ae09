from __future__ import annotations

import json

import pytest

from ganbench import glossary
from ganbench.errors import ChoiceError
from ganbench.glossary import details, overview, terms_of, to_markdown, to_text
from ganbench.plugins import Offer, Registry, discover
from ganbench.terms import Component, Measure

SHARE = Measure(
    "share_{extractor}",
    "higher",
    "The share of samples | that are near.",
    "k/N",
    unit="share",
    lowest=0.0,
    highest=1.0,
    perfect=1.0,
    minimum=4,
    undefined="fewer than 4 samples",
    noise="closed form",
    traps=("Blind to repetition.", "High for blurred pictures."),
)
FAR = Measure("far_{count}", "lower", "A distance.", "|x|", lowest=0.0, mean="geometric", paper="arXiv:0000.00001")
ANY = Measure("tilt", "lower", "A slope.", "dx", highest=3.0)

METRICS = [
    Component("near", "m:Near", "How near", paper="arXiv:0000.00000", needs={"features": True}, measures=(SHARE, FAR)),
    Component("tilt-metric", "m:Tilt", "How steep", needs={"data": ("points", "images")}, measures=(ANY,)),
]


@pytest.fixture
def registry():
    return Registry(tuple(Offer("metric", item, "m", "somebody", "1.0") for item in METRICS))


@pytest.fixture(autouse=True)
def floors(monkeypatch):
    told = {
        "digits": {"share_digits": {"real_floor": 0.86, "noise": 0.0}},
        "ring8": {"tilt": {"real_floor": 0.1, "perfect": None, "noise": 9.0}},
    }
    monkeypatch.setattr(glossary, "shipped_floors", lambda: told)


def names(terms):
    return [term.measure.name for term in terms]


def test_every_score_of_every_metric_is_a_term(registry):
    assert names(terms_of(registry)) == ["share_{extractor}", "far_{count}", "tilt"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("near", ["share_{extractor}", "far_{count}"]),
        ("share_{extractor}", ["share_{extractor}"]),
        ("share_digits", ["share_{extractor}"]),
        ("far_5k", ["far_{count}"]),
        ("far_898", ["far_{count}"]),
        ("tilt", ["tilt"]),
        ("share", ["share_{extractor}"]),
        ("tilt-metric", ["tilt"]),
    ],
)
def test_a_metric_a_score_and_a_score_as_tables_have_it_are_found(registry, name, found):
    assert names(terms_of(registry, name)) == found


@pytest.mark.parametrize("name", ["shares", "far_many", "tilts"])
def test_an_unknown_name_gets_the_nearest_known_one(registry, name):
    with pytest.raises(ChoiceError, match=f"no metric and no score named '{name}'. Did you mean"):
        terms_of(registry, name)


def test_the_overview_has_a_row_for_each_score(registry):
    first, second, third = overview(terms_of(registry))
    assert first == {
        "score": "share", "metric": "near", "better": "higher", "range": "0 to 1", "perfect": "1",
        "needs": "features",
    }  # fmt: skip
    assert (second["range"], second["perfect"]) == ("0 and above", "")
    assert (third["range"], third["needs"]) == ("3 and below", "points or images")


def test_details_say_everything_that_was_declared(registry):
    share, far, _ = map(details, terms_of(registry))
    assert share["paper"] == "arXiv:0000.00000"
    assert far["paper"] == "arXiv:0000.00001"
    assert share["minimum N"] == "4"
    assert share["undefined"] == "fewer than 4 samples"
    assert far["undefined"] == "never"
    assert far["noise"] == "not estimated"
    assert far["mean"] == "geometric over seeds"
    assert share["traps"] == ["Blind to repetition.", "High for blurred pictures."]


def test_floors_are_told_by_data_set_with_missing_values_as_dashes(registry):
    share, far, tilt = terms_of(registry)
    assert share.floors == ("digits: real data 0.860, noise 0 (share_digits)",)
    assert far.floors == ()
    assert tilt.floors == ("ring8: real data 0.100, perfect sampler –, noise 9.00",)


def test_of_two_declarations_that_fit_the_one_that_leaves_less_open_is_meant(monkeypatch):
    wide, narrow = (Measure(name, "lower", "A distance.", "x") for name in ("d_{extractor}", "d_infinity_{extractor}"))
    component = Component("distance", "m:D", "How far", measures=(wide, narrow))
    registry = Registry((Offer("metric", component, "m", "somebody", "1.0"),))
    monkeypatch.setattr(glossary, "shipped_floors", lambda: {"digits": {"d_infinity_digits": {"noise": 1.0}}})
    assert names(terms_of(registry, "d_infinity_digits")) == ["d_infinity_{extractor}"]
    assert names(terms_of(registry, "d_digits")) == ["d_{extractor}"]
    assert [len(term.floors) for term in terms_of(registry)] == [0, 1]


def test_the_text_fits_its_width_and_leaves_nothing_out(registry):
    for term in terms_of(registry):
        text = to_text(term, 60)
        assert max(map(len, text.splitlines())) <= 60
        words = " ".join(text.split())
        for value in details(term).values():
            for item in value if isinstance(value, list) else [value]:
                assert " ".join(item.split()) in words


def test_markdown_has_a_section_for_each_score_and_cells_that_stay_cells(registry):
    text = to_markdown(terms_of(registry))
    assert text.count("### `") == 3
    assert "The share of samples | that are near." in text
    assert "| digits | real data 0.860, noise 0 (share\\_digits) |" in text
    assert "- Blind to repetition.\n- High for blurred pictures.\n" in text


def test_what_ganbench_ships_is_declared_in_full():
    for term in terms_of(discover()):
        facts = details(term)
        assert all(facts[name] for name in ("definition", "formula", "range", "needs")), facts["score"]
        assert term.measure.definition.endswith("."), facts["score"]
        assert all(trap.endswith(".") for trap in term.measure.traps), facts["score"]
        assert json.loads(json.dumps(facts)) == facts
