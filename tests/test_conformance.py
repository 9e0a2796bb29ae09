from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest

from ganbench.conformance.checking import CHECKS, Checker, check_plugin
from ganbench.conformance.corners import corners
from ganbench.conformance.grounds import prepare
from ganbench.conformance.selection import select
from ganbench.errors import ChoiceError, GanbenchError

FAULTY = Path(__file__).parent / "faulty_parts.py"

SOUND = (
    "generator sound",
    "critic sound",
    "critic refusing",
    "loss sound",
    "loss placing",
    "augmentation sound",
    "points sound",
    "metric sound",
)

FOUND = {
    "generator misshapen": ("shapes", "expected: "),
    "generator unbounded": ("shapes", "pixels from"),
    "generator unused": ("gradients", "no gradient reaches forgotten"),
    "generator drawing": ("random", "draws from torch's global random numbers"),
    "generator uneven": ("random", "built twice from one seed, these differ: layer.weight"),
    "generator reading": ("host", "`__bool__` reads a tensor's value on the host"),
    "generator forgetful": ("state", "another network with its state_dict gives other numbers"),
    "generator leaking": ("batch", "in evaluation mode, changing one latent changes other samples"),
    "generator steep": ("gradients", "are not finite"),
    "critic column": ("shapes", "of shape (8, 1)"),
    "critic mixing": ("batch", "changing sample 2 changes the logits of others"),
    "critic apart": ("batch", "samples of a batch do not mix"),
    "critic writing": ("inputs", "`input` was changed in place"),
    "critic headless": ("heads", "there is no method `judge`"),
    "critic once": ("double-backward", "along a random direction the gradient of a gradient penalty is"),
    "critic deaf": ("labels", "other labels give the same answer"),
    "critic cornered": ("batch", "norm=batch"),
    "critic lagging": ("device", "its attribute `scale`, no buffer, meets the game's own in `mul`"),
    "loss averaged": ("terms", "a tensor of shape ()"),
    "loss column": ("terms", "`squeeze(1)` for 'adversarial'"),
    "loss square": ("terms", "sum 'adversarial' over the other axes"),
    "loss silent": ("terms", "return the terms: "),
    "loss nameless": ("terms", "name the term: "),
    "loss widening": ("terms", "it works with a discriminator of several outputs: state needs={'logits': 'vector'}"),
    "loss misspelt": ("terms", "no installed discriminator gives 'vectors'"),
    "loss beheaded": ("terms", "Did you mean 'features'?"),
    "loss lonely": ("terms", "none of the installed components can play with it: loss "),
    "loss stranded": ("device", "a tensor that `torch.linspace` made on the processor meets the game's own in `mul`"),
    "loss stranding": ("device", "is given as `extra`, and is not on the game's device"),
    "loss counting": ("device", "its attribute `ones`, no buffer, meets the game's own"),
    "loss raising": ("terms", "ValueError: out of ideas"),
    "loss halved": ("terms", "there is no method `generator`"),
    "loss misremembering": ("terms", "remembers 'average', which its `remembers` does not name"),
    "loss reading": ("host", "`item` reads a tensor's value on the host"),
    "loss drawing": ("random", "draws from torch's global random numbers"),
    "loss mixing": ("per-sample", "changing sample 2 changes the discriminator's term 'adversarial' of others"),
    "loss apart": ("per-sample", "no sample's term depends on another sample"),
    "loss writing": ("inputs", "`real` was changed in place"),
    "loss overflowing": ("gradients", "for a sure critic are not finite"),
    "loss detached": ("gradients", "the generator's terms do not depend on the generator's weights"),
    "loss keeping": ("memory", "its attribute `mean` changes from call to call"),
    "loss reversed": ("direction", "the discriminator lowers the logits of real samples"),
    "loss hidden": ("resumes", "interrupted after 3 steps, it went on to other numbers"),
    "loss promising": ("together", "RuntimeError"),
    "penalty rooted": ("gradients", "for a critic that is flat are not finite"),
    "penalty idle": ("terms", "there is no method `discriminator` nor `generator`"),
    "augmentation cropping": ("shapes", "expected: the same shape and type".removeprefix("expected: ")),
    "augmentation rounding": ("gradients", "no gradient reaches the samples"),
    "augmentation blending": ("per-sample", "changing sample 2 changes what others become"),
    "augmentation global": ("random", "draws from torch's global random numbers"),
    "augmentation counting": ("memory", "its attribute `calls` changes from call to call"),
    "augmentation writing": ("inputs", "`samples` was changed in place"),
    "augmentation lagging": ("device", "`torch.randn` draws on the processor with a generator that may be the GPU's"),
    "method global": ("random", "draws from torch's global random numbers"),
    "method vague": ("turns", "a tensor of shape ()"),
    "points overlapping": ("disjoint", "1 of 20 held-out samples are among the training samples"),
    "points restless": ("repeats", "draws from torch's global random numbers"),
    "points mislabelled": ("data", "train_labels"),
    "metric moody": ("scores", "the same samples get other scores the second time"),
    "metric seeding": ("random", "torch's global generator was seeded"),
    "metric undeclared": ("scores", "another_score"),
    "executor empty": ("built", "it has no `submit`"),
}
"""What is wrong with each component of faulty_parts.py: the one check that finds it, and what that says."""


@functools.cache
def selected():
    return select(FAULTY)


@functools.cache
def checker():
    return Checker(prepare(selected().registry))


def found(which):
    """What every check but that of the docstring finds of a component."""
    word, name = which.split()
    offer = next(offer for offer in selected().offers if offer.component.name == f"{name}-{word}")
    return [checker().check(offer, check) for check in CHECKS[offer.kind] if check.name != "documented"]


@pytest.mark.parametrize("which", SOUND)
def test_a_sound_component_passes_every_check(which):
    assert [finding.message() for finding in found(which) if finding.verdict == "fail"] == []


@pytest.mark.parametrize("which", FOUND)
def test_a_fault_is_found_by_the_one_check_that_is_for_it(which):
    check, words = FOUND[which]
    failed = [finding for finding in found(which) if finding.verdict == "fail"]
    assert [finding.check for finding in failed] == [check], [finding.message() for finding in failed]
    assert words in failed[0].message()
    assert failed[0].file.endswith("faulty_parts.py")
    assert failed[0].line
    assert failed[0].expected
    assert failed[0].mend


def test_a_fault_is_found_on_its_own_line():
    lines = FAULTY.read_text().splitlines()
    whiches = (
        "generator drawing", "generator reading", "loss raising", "loss reading", "loss drawing", "loss column",
        "loss square", "loss silent", "loss nameless", "loss widening", "loss stranded", "loss stranding",
        "augmentation lagging",
    )  # fmt: skip
    for which in whiches:
        (failed,) = (finding for finding in found(which) if finding.verdict == "fail")
        assert "# line of the" in lines[failed.line - 1], which


def test_checks_that_a_failed_one_makes_pointless_are_skipped_and_say_so():
    found_of = {finding.check: finding for finding in found("loss raising")}
    assert found_of["trains"].verdict == "skipped"
    assert "the check 'terms' failed" in found_of["trains"].reason


def test_a_word_of_a_contract_that_nothing_knows_fails_once_with_the_nearest():
    verdicts = {finding.check: finding for finding in found("loss misspelt")}
    assert [name for name, finding in verdicts.items() if finding.verdict != "skipped"] == ["terms"]
    assert "Did you mean 'vector'?" in verdicts["terms"].mend
    assert "scalar" in verdicts["terms"].expected


@pytest.mark.parametrize(
    ("which", "mend"),
    [
        ("averaged", "do not average: return one number a sample; the core averages, once all terms are there"),
        ("misremembering", "state the name and its first value in `remembers`; assign a mean over the batch, not "),
        ("raising", "the line that is named raised it, or was given what it cannot use"),
    ],
)
def test_each_cause_has_its_own_mend(which, mend):
    (failed,) = (finding for finding in found(f"loss {which}") if finding.verdict == "fail")
    assert failed.mend.startswith(mend)


UNREADABLE = """
from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

@hookimpl
def ganbench_losses():
    yield Component("mine", ":Mine", summary="Mine")

class Mine:
    def __init__(self, {parameter}) -> None: ...
"""


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("margin: float = 'wide'", "the default does not fit its annotation: parameter 'margin': expected a number"),
        ("margin=1.0", "parameter 'margin' has no annotation"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_told_once_and_in_the_files_own_name(tmp_path, parameter, words):
    file = tmp_path / "lit.py"
    file.write_text(UNREADABLE.format(parameter=parameter))
    selection = select(file)
    checker = Checker(prepare(selection.registry))
    findings = [checker.check(selection.offers[0], check) for check in CHECKS["loss"]]
    assert [finding.verdict for finding in findings] == ["fail", *["skipped"] * (len(findings) - 1)]
    assert findings[0].found.startswith(words)
    assert (findings[0].file, findings[0].line) == (str(file), 10)
    assert "ganbench_file" not in findings[0].message()


def test_a_neighbour_that_cannot_be_read_is_no_fault_of_the_component(tmp_path):
    file = tmp_path / "lit.py"
    file.write_text(UNREADABLE.format(parameter="margin=1.0"))
    selection = select("penalty:r1", [file])
    (terms,) = (check for check in CHECKS["penalty"] if check.name == "terms")
    assert Checker(prepare(selection.registry)).check(selection.offers[0], terms).verdict == "pass"


def test_a_value_that_cannot_stand_alone_is_checked_with_one_that_helps():
    offer = next(offer for offer in selected().offers if offer.component.name == "refusing-critic")
    assert [subject.corner for subject in corners(offer, checker().ground)] == [
        "",
        "first=True, second=True",
        "second=True",
    ]


def test_sizes_of_networks_are_made_small_and_other_numbers_stay():
    offer = next(offer for offer in selected().offers if offer.component.name == "cornered-critic")
    choices = [str(subject.choice) for subject in corners(offer, checker().ground)]
    assert [choice.partition(":")[2] for choice in choices] == [
        "cornered-critic(width=16)", "cornered-critic(norm=layer, width=16)", "cornered-critic(norm=batch, width=16)",
    ]  # fmt: skip


LOSS = '''
from ganbench.hookspecs import hookimpl
from ganbench.terms import Component

@hookimpl
def ganbench_losses():
    yield Component("mine", ":Mine", summary="Mine", paper="arXiv:1406.2661")

class Mine:
    """{docstring}"""

    def __init__(self, margin: float = 1.0, slope: float = 1.0) -> None: ...
'''

SECTIONS = """

    Formula: a
    Shapes: b
    Paper: arXiv:1406.2661
    Recipe: c
    Traps: d
    Parameters: `margin`, `slope`
"""


@pytest.mark.parametrize(
    ("docstring", "words"),
    [
        ("", "no docstring"),
        ("One line\n    and another." + SECTIONS, "a docstring that begins 'One line …' and runs on"),
        ("One line.", "the docstring has no section `Formula:`, `Shapes:`, `Paper:`, `Recipe:`, `Traps:`"),
        ("One line." + SECTIONS.replace("Traps: d", ""), "the docstring has no section `Traps:`"),
        ("One line." + SECTIONS.replace(", `slope`", ""), "the docstring does not name `slope`"),
        ("One line." + SECTIONS.replace("`slope`", "slope"), "the docstring does not name `slope`"),
        ("One line." + SECTIONS.replace("1406.2661", "1406.2662"), "the component's paper, arXiv:1406.2661, is not in"),
        ("One line." + SECTIONS, ""),
    ],
)  # fmt: skip
def test_what_a_docstring_lacks_is_found_without_importing_anything(tmp_path, docstring, words):
    file = tmp_path / "mine.py"
    file.write_text(LOSS.format(docstring=docstring))
    selection = select(file)
    (documented,) = (check for check in CHECKS["loss"] if check.name == "documented")
    finding = Checker(prepare(selection.registry)).check(selection.offers[0], documented)
    assert finding.verdict == ("fail" if words else "pass"), finding.message()
    assert words in finding.message()
    assert finding.line == (9 if words else None)


def test_every_kind_has_checks_and_every_check_says_what_it_looks_for():
    for kind, checks in CHECKS.items():
        names = [check.name for check in checks]
        assert len(set(names)) == len(names)
        for place, check in enumerate(checks):
            assert check.meaning.endswith("."), (kind, check.name)
            assert set(check.after) <= set(names[:place]), (kind, check.name)


# --- selection


def chosen(subject, **more):
    return {(offer.kind, offer.component.name) for offer in select(subject, **more).offers}


def test_a_name_stands_for_every_kind_that_has_it_and_an_owner_or_a_kind_narrows_it():
    assert chosen("mlp") == {("generator", "mlp"), ("discriminator", "mlp")}
    assert chosen("generator:mlp") == {("generator", "mlp")}
    assert chosen("ganbench:hinge") == {("loss", "hinge")}


@pytest.mark.parametrize("name", ["points", "ganbench_points"])
def test_a_plugin_or_its_module_stands_for_all_that_it_offers(name):
    assert ("dataset", "ring8") in chosen(name)
    assert {kind for kind, _ in chosen(name)} == {"dataset"}


def test_a_distribution_stands_for_all_its_plugins():
    assert {("dataset", "ring8"), ("loss", "hinge")} < chosen("ganbench")


def test_a_name_that_nothing_has_is_refused_with_the_nearest():
    with pytest.raises(ChoiceError, match=r"no component or plugin named 'hinges'\. Did you mean 'hinge'"):
        select("hinges")


def test_a_folder_is_checked_without_being_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    selection = select(Path(__file__).parent / "third_party" / "ganbench-example")
    assert {offer.component.name for offer in selection.offers} == {"residual", "squared-hinge"}
    assert selection.offers[0].owner == "ganbench-example"
    (plugin,) = selection.plugins
    assert check_plugin(plugin, selection.plugins[plugin], selection.offers).verdict == "pass"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "expected a plugin file that ends in .py, or a folder with a pyproject.toml"),
        ({"pyproject.toml": "[project"}, "not TOML"),
        ({"pyproject.toml": "[project]\nname = 'x'"}, "expected entry points in"),
        ({"pyproject.toml": "[project.entry-points.ganbench]\nx = 'nowhere_at_all'"}, "cannot be imported"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_plugin_is_refused_with_the_reason(tmp_path, monkeypatch, files, words):
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(GanbenchError, match=words):
        select(tmp_path)


def test_a_plugin_that_imports_torch_to_register_is_found_with_the_line(install):
    install("heavy-dist", "heavy_gans", "import math\nimport torch\n" + LOSS.format(docstring=""))
    selection = select("heavy-gans")
    finding = check_plugin("heavy-gans", selection.plugins["heavy-gans"], selection.offers)
    assert finding.verdict == "fail"
    assert finding.line == 2
    assert finding.file.endswith("heavy_gans.py")
    assert "torch is imported at heavy_gans.py, line 2" in finding.message()
