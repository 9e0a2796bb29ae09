from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import fields

import pytest
from distributions import THIRD_PARTY

from ganbench.choices import parse_choice, resolve
from ganbench.errors import ChoiceError, PluginError
from ganbench.loader import _MEASURE
from ganbench.plugins import discover, listing, requirements
from ganbench.signatures import parameters_of
from ganbench.terms import KINDS, Choice, Measure

pytestmark = pytest.mark.usefixtures("as_installed")

HEADER = """
from ganbench.hookspecs import hookimpl
from ganbench.terms import Component, Recipe
"""


def offering(name, target="itertools:count", hook="ganbench_losses", more=""):
    """The source of a plugin that offers one component."""
    return HEADER + f"@hookimpl\ndef {hook}():\n    yield Component({name!r}, {target!r}, summary='For a test'{more})\n"


def measuring(*measures):
    """The source of a plugin that offers a metric with these measures, each written as a call's arguments."""
    calls = "".join(f"Measure({arguments}), " for arguments in measures)
    return offering("near", hook="ganbench_metrics", more=f", measures=({calls})").replace("Recipe", "Measure, Recipe")


def offered_by(registry, owner):
    return [(offer.kind, offer.component.name) for offer in registry.offers if offer.owner == owner]


def run_python(code, *path, **environment):
    """What a fresh interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout


def test_every_shipped_plugin_loads_and_every_shipped_component_can_be_read():
    registry = discover()
    shipped = [offer for offer in registry.offers if offer.owner == "ganbench"]
    assert [str(broken) for broken in registry.broken if broken.owner == "ganbench"] == []
    assert {offer.kind for offer in shipped} == set(KINDS)
    for offer in shipped:
        required = [item.name for item in parameters_of(offer.component.target, offer.kind) if item.required]
        values = {"path": "pictures", "resolution": 32}
        written = Choice(offer.component.name, tuple((name, values[name]) for name in required), owner="ganbench")
        assert [name for name, _ in resolve(registry, offer.kind, written).parameters] == required


def test_discovery_imports_no_large_library_and_no_target():
    code = (
        "import sys; from ganbench.plugins import discover, listing; print(len(listing(discover())) > 9)\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'pydantic', 'ganbench_mlp.networks'} & set(sys.modules)))"
    )
    assert run_python(code).split("\n")[:2] == ["True", "[]"]


def test_a_third_party_distribution_adds_its_components(install_third_party):
    install_third_party("ganbench-example")
    registry = discover()
    assert offered_by(registry, "ganbench-example") == [
        ("generator", "residual"),
        ("discriminator", "residual"),
        ("loss", "squared-hinge"),
    ]
    offer = registry.find("loss", Choice("squared-hinge"))
    assert (offer.plugin, offer.owner, offer.version) == ("example", "ganbench-example", "1.0")
    assert str(offer) == "loss 'squared-hinge' of plugin 'example' (distribution ganbench-example 1.0)"
    resolved = resolve(registry, "generator", parse_choice("residual(width=16)"))
    assert resolved.all_parameters() == {"blocks": 2, "width": 16}


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 4, 4)])
def test_the_third_party_networks_fit_points_and_images(install_third_party, shape):
    torch = pytest.importorskip("torch")
    install_third_party("ganbench-example")
    registry = discover()
    generator = registry.load("generator", Choice("residual"))(5, shape, width=16)
    discriminator = registry.load("discriminator", Choice("residual"))(shape, width=16)
    samples = generator(torch.randn(7, 5))
    assert samples.shape == (7, *shape)
    assert len(shape) == 1 or samples.abs().max() <= 1
    assert discriminator(samples).shape == (7,)


def test_the_faulty_distribution_loads_for_its_faults_are_in_training(install_third_party):
    install_third_party("ganbench-faulty")
    registry = discover()
    assert offered_by(registry, "ganbench-faulty") == [
        ("generator", "wrong-shape"),
        ("loss", "raising"),
        ("loss", "scalar"),
    ]
    for offer in registry.offers:
        if offer.owner == "ganbench-faulty":
            assert resolve(registry, offer.kind, Choice(offer.component.name)).defaults == ()


BROKEN = {
    "import error": (
        "import not_installed_anywhere",
        "cannot be imported: ModuleNotFoundError: No module named 'not_inst",
    ),
    "exit": ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
    "syntax": ("def", "cannot be imported: SyntaxError: invalid syntax (bad_plugin.py, line 1)"),
    "misspelt hook": (
        offering("x", hook="ganbench_lossses"),
        "unknown hook 'ganbench_lossses'. Did you mean 'ganbench_losses'?",
    ),
    "misspelt, unmarked hook": (
        "def ganbench_generator(): return []",
        "unknown hook 'ganbench_generator'. Did you mean 'ganbench_generators'?",
    ),
    "hook without prefix": (offering("x", hook="losses"), "unknown hook 'losses'. Did you mean 'ganbench_losses'?"),
    "unmarked hook": ("def ganbench_losses(): return []", "hook 'ganbench_losses' is not marked: put @hookimpl"),
    "no hook": ("answer = 42", "has no hook, so it offers nothing. Known: ganbench_augmentations, "),
    "API version": (
        offering("x") + "GANBENCH_API = 2",
        "is written for version 2 of the plugin interface, and this ganbench has version 1: install",
    ),
    "argument": (offering("x").replace("losses()", "losses(registry)"), "does not fit the hooks of ganbench: "),
    "hook that raises": (offering("x").replace("yield", "1 / 0; yield"), "ganbench_losses fails: ZeroDivisionError"),
    "nothing returned": (
        offering("x").replace("yield", ""),
        "ganbench_losses must yield or return Components, each one a loss; it gave None",
    ),
    "not components": (
        HEADER + "@hookimpl\ndef ganbench_losses(): return 'no'",
        "ganbench_losses must yield or return Components, each one a loss; it gave ['n', 'o']",
    ),
    "name": (offering("my loss"), "loss 'my loss': a name has letters, digits"),
    "name of another type": (offering(3), "loss '3': name: expected text, got 3"),
    "target": (offering("x", "itertools.count"), "loss 'x': target 'itertools.count': expected 'module:attribute'"),
    "summary": (offering("x").replace("For a test", r"a\nb"), "loss 'x': summary: expected one line"),
    "need": (
        offering("x", more=", needs={'logit': 'scalar'}"),
        "unknown key 'logit'",
    ),
    "gives": (offering("x", more=", gives=['logits']"), "loss 'x': gives: expected a mapping, got ['logits']"),
    "measures": (offering("x", more=", measures=['share']"), "loss 'x': measures: expected a tuple of Measures"),
    "no measures": (offering("x", hook="ganbench_metrics"), "metric x: states no measures"),
    "measures of a loss": (
        measuring("'share', 'higher', 'A share.', 'k/N'").replace("ganbench_metrics", "ganbench_losses"),
        "loss near: states `measures`, which belong to metrics only: a loss has none",
    ),
    "splits": (
        offering(
            "x", hook="ganbench_datasets", more=", gives={'data': 'points', 'shape': (2,), 'splits': (1, 2, 'x')}"
        ),
        "dataset x: `gives` has splits=(1, 2, 'x'), expected two integers (train, heldout) of at least 0, or a param",
    ),
    "recipe": (
        offering("x", hook="ganbench_penalties", more=", recipe=Recipe()"),
        "penalty 'x': recipe: a Recipe belongs to a loss",
    ),
    "same name twice": (offering("x") + "    yield Component('x', 'a:b', 'y')", "offers loss 'x' twice"),
}


@pytest.mark.parametrize(("source", "cause"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_listed_with_its_cause_and_leaves_the_others_alone(install, source, cause):
    install("a-bad-one", "bad_plugin", source)
    install("good-one", "good_plugin", offering("good-loss"))
    registry = discover()
    (broken,) = (broken for broken in registry.broken if broken.owner == "a-bad-one")
    assert (broken.plugin, broken.version) == ("bad-plugin", "1.0")
    assert cause in broken.cause
    assert "\n" not in broken.cause
    assert "Traceback" in broken.details
    assert offered_by(registry, "a-bad-one") == []
    assert offered_by(registry, "good-one") == [("loss", "good-loss")]


NAMES = "a letter, then letters, digits, '_', '.', '{extractor}' and '{count}'"
MEASURES = {
    "name of another type": ({"name": 3}, f"3: name: expected {NAMES}, got 3"),
    "name with a space": ({"name": "my score!"}, f"'my score!': name: expected {NAMES}, got 'my score!'"),
    "name with other braces": ({"name": "s_{foo}"}, f"'s_{{foo}}': name: expected {NAMES}, got 's_{{foo}}'"),
    "empty name": ({"name": ""}, f"'': name: expected {NAMES}, got ''"),
    "direction": ({"direction": "down"}, "'share': direction: expected 'lower' or 'higher', got 'down'"),
    "mean": ({"mean": "median"}, "'share': mean: expected 'geometric' or 'arithmetic', got 'median'"),
    "definition": ({"definition": " "}, "'share': definition: expected text that is not blank, got ' '"),
    "formula": ({"formula": ""}, "'share': formula: expected text that is not blank, got ''"),
    "text for a number": ({"lowest": "0"}, "'share': lowest: expected a finite number, or None, got '0'"),
    "not a number": ({"lowest": float("nan")}, "'share': lowest: expected a finite number, or None, got nan"),
    "no end": ({"highest": float("inf")}, "'share': highest: expected a finite number, or None, got inf"),
    "bool for a number": ({"perfect": True}, "'share': perfect: expected a finite number, or None, got True"),
    "ends exchanged": ({"lowest": 2, "highest": 1}, "'share': lowest: expected at most the highest value, 1, got 2"),
    "perfect above": ({"highest": 1.0, "perfect": 2}, "'share': perfect: expected a value from -inf to 1.0, got 2"),
    "perfect below": ({"lowest": 0, "perfect": -1}, "'share': perfect: expected a value from 0 to inf, got -1"),
    "half a sample": ({"minimum": 2.5}, "'share': minimum: expected an integer of at least 1, got 2.5"),
    "no sample": ({"minimum": 0}, "'share': minimum: expected an integer of at least 1, got 0"),
    "noise": ({"noise": True}, "'share': noise: expected text, got True"),
    "traps": ({"traps": "a string"}, "'share': traps: expected a tuple of texts, got 'a string'"),
    "trap": ({"traps": (3,)}, "'share': traps: expected a tuple of texts, got (3,)"),
    "version": ({"version": "2"}, "'share': version: expected an integer of at least 1, got '2'"),
}
SHARE = {"name": "share", "direction": "higher", "definition": "A share.", "formula": "k/N"}


def arguments(**changes):
    """A measure's arguments as they are written, each of them a literal."""
    written = ", ".join(f"{key}={value!r}" for key, value in {**SHARE, **changes}.items())
    return re.sub(r"=(nan|inf)\b", r"=float('\1')", written)


@pytest.mark.parametrize(("changes", "cause"), MEASURES.values(), ids=MEASURES)
def test_a_measure_that_says_something_impossible_breaks_its_plugin(install, changes, cause):
    install("bad-one", "bad_plugin", measuring(arguments(**changes)))
    (broken,) = discover().broken
    assert broken.cause == f"metric 'near': measure {cause}"


def test_every_field_of_a_measure_is_looked_at():
    assert list(_MEASURE) == [item.name for item in fields(Measure)]


def test_one_score_cannot_be_declared_twice_by_one_metric(install):
    install("bad-one", "bad_plugin", measuring(arguments(), arguments(name="far"), arguments(definition="Another.")))
    (broken,) = discover().broken
    assert broken.cause == "metric 'near': measure 'share' is declared twice: expected one Measure for each score"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "s.{extractor}_{count}"},
        {"lowest": 0, "highest": 1.0, "perfect": 1},
        {"traps": ("One.",), "minimum": 2},
    ],
)
def test_a_measure_that_can_be_read_is_kept_as_it_is(install, changes):
    install("good-one", "good_plugin", measuring(arguments(**changes), arguments(name="other")))
    first, second = discover().find("metric", Choice("near")).component.measures
    assert first == Measure(**{**SHARE, **changes})
    assert second.name == "other"


def test_an_entry_point_must_name_a_module(install):
    install("odd-one", "odd_plugin", offering("x"), {"odd": "odd_plugin:ganbench_losses"})
    (broken,) = discover().broken
    assert broken.cause == "the entry point 'odd_plugin:ganbench_losses' must name a module, not a function"


def test_of_two_entry_points_of_one_name_the_second_is_broken_and_both_owners_are_named(install):
    install("second-dist", "second_module", offering("second-loss"), {"shared": "second_module"}, version="2.0")
    install("first-dist", "first_module", offering("first-loss"), {"shared": "first_module"})
    registry = discover()
    assert offered_by(registry, "first-dist") == [("loss", "first-loss")]
    assert offered_by(registry, "second-dist") == []
    (broken,) = registry.broken
    assert str(broken) == (
        "plugin 'shared' (distribution second-dist 2.0): plugin 'shared' (distribution first-dist 1.0) has an entry "
        "point of that name too, and was loaded: rename one"
    )


def test_nobody_can_take_the_place_of_a_shipped_plugin(install):
    install("a-dist", "a_module", offering("mine"), {"losses": "a_module"})
    registry = discover()
    assert "hinge" in registry.names("loss")
    assert [broken.owner for broken in registry.broken] == ["a-dist"]


def test_a_name_that_two_owners_offer_is_refused_until_an_owner_is_named(install):
    install("Their.GANs", "their_module", offering("twin", "itertools:count"))
    install("our-gans", "our_module", offering("twin", "itertools:cycle"))
    registry = discover()
    with pytest.raises(ChoiceError) as caught:
        registry.find("loss", Choice("twin"))
    assert str(caught.value) == (
        "loss 'twin' is offered by Their.GANs and our-gans: write Their.GANs:twin or our-gans:twin"
    )
    assert registry.load("loss", parse_choice("their_gans:twin")).__name__ == "count"
    assert registry.load("loss", parse_choice("our-gans:twin")).__name__ == "cycle"
    with pytest.raises(
        ChoiceError, match=r"'nobody' offers no loss 'twin'; it is offered by Their.GANs and our-gans: write"
    ):
        registry.find("loss", parse_choice("nobody:twin"))
    rows = [row for row in listing(registry) if row["name"] == "twin"]
    assert [(row["owner"], row["status"]) for row in rows] == [("Their.GANs", "ambiguous"), ("our-gans", "ambiguous")]
    assert "write Their.GANs:twin or our-gans:twin" in rows[0]["cause"]


def test_one_owner_cannot_offer_one_name_by_two_plugins(install):
    install("one", "one_a", offering("twin"), {"one-a": "one_a", "one-b": "one_a"})
    registry = discover()
    assert offered_by(registry, "one") == [("loss", "twin")]
    (broken,) = registry.broken
    assert broken.plugin == "one-b"
    assert broken.cause == "loss 'twin' is offered already: loss 'twin' of plugin 'one-a' (distribution one 1.0)"


def test_the_environment_chooses_plugins(install, monkeypatch):
    install("one", "one_module", offering("one-loss"))
    install("two", "two_module", offering("two-loss"))
    monkeypatch.setenv("GANBENCH_PLUGINS", "one-module, two-module")
    assert {offer.owner for offer in discover().offers} == {"one", "two"}
    monkeypatch.setenv("GANBENCH_DISABLE_PLUGINS", "one-module")
    assert {offer.owner for offer in discover().offers} == {"two"}
    monkeypatch.delenv("GANBENCH_PLUGINS")
    assert {offer.owner for offer in discover().offers} == {"ganbench", "two"}


@pytest.mark.parametrize("variable", ["GANBENCH_PLUGINS", "GANBENCH_DISABLE_PLUGINS"])
def test_a_plugin_that_the_environment_names_must_be_installed(install, monkeypatch, variable):
    install("one", "one_module", offering("one-loss"))
    monkeypatch.setenv(variable, "one-modul")
    with pytest.raises(
        PluginError, match=rf"{variable}: no installed plugin named 'one-modul'. Did you mean 'one-module'"
    ):
        discover()


LOCAL = offering("mine", ":Mine") + "class Mine:\n    def __init__(self, weight: float = 2): self.weight = weight\n"


def test_a_plugin_file_is_loaded_when_asked_for_and_its_targets_may_leave_the_module_out(tmp_path):
    path = tmp_path / "my gan-1.py"
    path.write_text(LOCAL)
    assert "mine" not in discover().names("loss")
    registry = discover([path, tmp_path / "." / path.name])
    offer = registry.find("loss", Choice("mine"))
    assert (offer.plugin, offer.owner, offer.version) == (str(path), path.name, "")
    assert resolve(registry, "loss", Choice("mine")).defaults == (("weight", 2.0),)
    loss = registry.load("loss", Choice("mine"))
    assert loss(weight=3).weight == 3
    code = f"""
        from ganbench.plugins import Choice, discover
        print(discover([{str(path)!r}]).load("loss", Choice("mine")).__module__)
    """
    assert run_python(textwrap.dedent(code)).strip() == loss.__module__


def test_a_plugin_file_that_fails_is_listed_and_can_be_mended(tmp_path):
    path = tmp_path / "mended.py"
    path.write_text("raise ValueError('two\\nlines')")
    (broken,) = discover([path]).broken
    assert str(broken) == f"plugin file {path}: cannot be imported: ValueError: two lines"
    path.write_text(LOCAL + "# mended\n")
    assert "mine" in discover([path]).names("loss")


def test_a_plugin_file_must_be_there_and_be_python(tmp_path):
    with pytest.raises(PluginError, match=r"absent.py: there is no such file"):
        discover([tmp_path / "absent.py"])
    (tmp_path / "notes.txt").write_text(LOCAL)
    (broken,) = discover([tmp_path / "notes.txt"]).broken
    assert "not a Python file" in broken.cause


def test_what_cannot_be_imported_names_its_owner(install):
    install("one", "one_module", offering("absent", "one_module:Abs") + "class Absent: ...\n")
    install("two", "two_module", offering("nowhere", "one_module.inner:X"))
    install("three", "three_module", offering("failing", "failing_module:X"))
    (install("four", "four_module", offering("other")) / "failing_module.py").write_text("1 / 0")
    registry = discover()
    who = r"loss '{}' of plugin '{}' \(distribution {} 1.0\): cannot be imported: {}"
    with pytest.raises(
        PluginError, match=who.format("absent", "one-module", "one", "one_module has no 'Abs'.*'Absent'")
    ):
        registry.load("loss", Choice("absent"))
    with pytest.raises(PluginError, match=who.format("nowhere", "two-module", "two", "ModuleNotFoundError")):
        registry.load("loss", Choice("nowhere"))
    with pytest.raises(PluginError, match=who.format("failing", "three-module", "three", "ZeroDivisionError")):
        registry.load("loss", Choice("failing"))


def test_an_unknown_name_gets_the_nearest_one_and_what_broken_plugins_might_hold(install):
    install("one", "one_module", offering("unheard-of"))
    install("two", "two_module", "1 / 0")
    with pytest.raises(ChoiceError) as caught:
        discover().find("loss", Choice("unheard-off"))
    assert "no loss named 'unheard-off'. Did you mean 'unheard-of'? Known: " in str(caught.value)
    assert str(caught.value).endswith(
        "\nIt may belong to one that does not load: plugin 'two-module' (distribution two 1.0): "
        "cannot be imported: ZeroDivisionError: division by zero"
    )


def test_the_listing_has_one_form_for_what_works_and_what_does_not(install):
    install("one", "one_module", offering("one-loss", more=", paper='arXiv:1406.2661'"))
    install("two", "two_module", "1 / 0")
    rows = listing(discover(), "loss")
    assert len({tuple(row) for row in rows}) == 1
    assert {row["kind"] for row in rows} == {"loss", ""}
    (mine,) = (row for row in rows if row["owner"] == "one")
    assert mine == {
        "name": "one-loss", "kind": "loss", "owner": "one", "version": "1.0", "status": "ok",
        "summary": "For a test", "paper": "arXiv:1406.2661", "cause": "",
    }  # fmt: skip
    assert rows[-1]["name"] == "two-module"
    assert rows[-1]["status"] == "broken"
    assert rows[-1]["cause"] == "cannot be imported: ZeroDivisionError: division by zero"


def test_requirements_that_are_not_met_say_why(install):
    install("Met.Gans", "met_module", offering("met"), version="1.5")
    install("ill-gans", "ill_module", "1 / 0")
    registry = discover()
    assert requirements(registry, ["met-gans", "met_gans>=1,<2", "met-gans==1.5", "absent; python_version<'3'"]) == []
    assert requirements(registry, ["met-gans>=2", "nowhere-gans>1", "met gans", "ill-gans"]) == [
        "met-gans>=2: met-gans 1.5 is installed",
        "nowhere-gans>1: nowhere-gans is not installed",
        requirements(registry, ["met gans"])[0],
        f"ill-gans: it is installed, but does not load: {registry.broken[0]}",
    ]
    assert requirements(registry, ["met gans"])[0].startswith("'met gans' is not a requirement such as 'name>=1'")


def test_a_plugin_that_imports_torch_to_register_earns_a_warning(install, tmp_path):
    folder = install("slow-one", "slow_module", "import torch\n" + offering("slow"))
    (folder / "torch.py").write_text("")
    code = "from ganbench.plugins import discover; print(*discover().warnings)"
    assert run_python(code, folder).startswith(
        "plugin 'slow-module' (distribution slow-one 1.0) imports torch to register"
    )
    (folder / "slow_module.py").write_text(offering("slow"))
    assert run_python(code, folder).strip() == ""


@pytest.mark.slow
def test_a_distribution_that_pip_installs_is_found_in_a_fresh_interpreter(tmp_path):
    pytest.importorskip("hatchling")
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(THIRD_PARTY / "ganbench-example", source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*pip, str(target), str(source)], check=True, capture_output=True)
    code = """
        import json
        from ganbench.choices import resolve
        from ganbench.plugins import discover, listing
        from ganbench.terms import Choice, Measure
        registry = discover()
        print(json.dumps([row for row in listing(registry) if row["owner"] == "ganbench-example"]))
        print(resolve(registry, "loss", Choice("squared-hinge")).defaults, registry.broken)
    """
    rows, defaults = run_python(textwrap.dedent(code), target).splitlines()
    found = {(row["kind"], row["name"], row["version"], row["status"]) for row in json.loads(rows)}
    assert found == {
        ("generator", "residual", "1.0", "ok"),
        ("discriminator", "residual", "1.0", "ok"),
        ("loss", "squared-hinge", "1.0", "ok"),
    }
    assert defaults == "(('margin', 1.0),) ()"
