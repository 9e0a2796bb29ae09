"""What the pages say is what ganbench does: examples run, tables are complete, links and options exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import MISSING, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from fabricate import DIGITS, Outcome, commit, evaluation, trial, variant, write_curve
from scipy import stats
from small import performed
from small import trial as small_trial

import ganbench
from ganbench import cli, hookspecs, terms
from ganbench.building import build_evaluator, load_extractor
from ganbench.choices import resolve
from ganbench.comparing import COMPARISON_COLUMNS
from ganbench.contracts import Part, check_contract, metric_mismatch
from ganbench.errors import PluginError
from ganbench.evaluations import DEFAULT_METRICS, Asked, measured_as
from ganbench.extraction import extract
from ganbench.metrics import Evaluator, Labelled
from ganbench.objective import Objective
from ganbench.plan import plan
from ganbench.plugins import discover
from ganbench.portrait_files import Classes, Neighbours, Points, Portrait
from ganbench.protocols import Data, Evidence, Extractor, Game, Places
from ganbench.rules import KEYS
from ganbench.settings import TABLES, keys_of
from ganbench.statistics import BOARD_COLUMNS
from ganbench.store import Store
from ganbench.suite import suite_from
from ganbench.tables import COLUMNS
from ganbench.terms import KINDS, Choice, Component, Evaluation, Optimiser, Reference, Score, Training
from ganbench.trial import reference_samples
from ganbench.workshop import Workshop, load_data

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
SUITE_KEYS = {"name", "datasets", "budget"}
BASE = {
    "name": "base",
    "datasets": ["ring8", "digits"],
    "matrix": {"generator": ["mlp", "dcgan"], "discriminator": ["mlp", "dcgan"], "loss": ["hinge", "lsgan"]},
    "budget": {"kimg": 1},
}
"""What an example of one section is read with."""


def text_of(page: Path | str) -> str:
    return (DOCS / page if isinstance(page, str) else page).read_text(encoding="utf-8")


def blocks(page: Path | str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.DOTALL | re.MULTILINE)


def cases(language: str) -> list:
    """Each block of `language` in all pages, named by its page and number."""
    found = [(page, number, block) for page in PAGES for number, block in enumerate(blocks(page, language))]
    return [pytest.param(block, id=f"{page.stem}-{number}") for page, number, block in found]


def file_name(block: str) -> str:
    """`mine.toml` of a block whose first line is `# mine.toml`: what the reader is to save it as."""
    match = re.match(r"# (\S+\.\w+)\n", block)
    return match[1] if match else ""


@cache
def registry():
    return discover()


@cache
def references() -> dict[tuple[str, str], dict[str, Score]]:
    """What the references of digits score."""
    suite = suite_from({**BASE, "datasets": ["digits"]}, Path("base.toml"))
    workshop = Workshop(registry(), Places(), torch.device("cpu"))
    found = {}
    for reference in plan(suite, registry()).references:
        data = load_data(workshop, reference.dataset)
        evaluator = build_evaluator(workshop, data, reference.dataset, reference.evaluation)
        scores = evaluator.scores(*reference_samples(reference, data, evaluator.count))
        found[str(reference.dataset), reference.name] = {score.name: score for score in scores}
    return found


def write_results(store: Store) -> None:
    """Results of a small suite on digits, with the scores that digits have, and one failure."""
    for name in ("real_floor", "noise"):
        scores = tuple(references()["digits", name].values())
        commit(store, Reference(DIGITS, name, evaluation()), Outcome(scores))
    for number, loss in enumerate(("hinge", "minimax", "hinge", "minimax", "hinge")):
        near = tuple(
            score if score.value is None else replace(score, value=score.value * (1 + number / 9)) for score in scores
        )
        final = {score.name: score.value for score in near}
        commit(store, trial(variant(loss), number // 2), Outcome(near), None, partial(write_curve, final=final))
    commit(store, trial(variant("minimax"), 2), Outcome((), "diverged", "a weight is not finite at step 7", 7))


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A reader's folder: every file that a page shows, and the results of a suite called quick, twice."""
    for block in [block for page in PAGES for language in ("toml", "python") for block in blocks(page, language)]:
        if name := file_name(block):
            (tmp_path / name).write_text(block, encoding="utf-8")
    write_results(Store(tmp_path / "results" / "quick"))
    shutil.copytree(tmp_path / "results" / "quick", tmp_path / "lab" / "quick")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


# Commands


def invocations() -> list:
    """Each `$ ganbench …` of the pages, with what is shown below it."""
    found = []
    for page in (page for page in PAGES if page.stem != "tutorial"):  # whose commands follow from each other
        for block in blocks(page, "console"):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, *shown = part.splitlines()
                if command.startswith("ganbench "):
                    found.append(pytest.param(command, shown, id=f"{page.stem}: {command}"))
    return found


SLOW = ("run", "sample", "reproduce", "doctor", "evaluate", "faults", "bench", "profile")
"""Commands that are parsed and not run here: they train, measure, need what was trained, or load every data set."""


def command_of(arguments: list[str]) -> tuple[Any, list[str]]:
    """The command that `arguments` begin with, and the rest of them."""
    command, rest = typer.main.get_command(cli.app), arguments
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize(("command", "shown"), invocations())
def test_every_command_on_a_page_is_understood_and_a_quick_one_does_what_the_page_shows(
    command, shown, desk, monkeypatch, capsys
):
    arguments = shlex.split(command)[1:]
    assert not re.search(r"""[<>|&;*?!]""", re.sub(r'"[^"]*"', "", command)), "a shell would take this for its own"
    if arguments[0] in SLOW:
        command, rest = command_of(arguments)
        command.make_context(arguments[0], rest)
        return
    monkeypatch.setattr(sys, "argv", ["ganbench", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    fails = bool(shown) and shown[0].startswith("ganbench: ")
    printed = capsys.readouterr()
    assert (ended.value.code or 0) == (2 if fails else 0), printed
    lines = iter((printed.out + printed.err).splitlines())
    for line in shown:
        assert any(line.rstrip() == came.rstrip() for came in lines), f"'{line}' is not printed:\n{printed}"


def names_of(command: Any, above: str = "") -> set[str]:
    """The whole names of a command's commands: `plan`, `plugins list`."""
    inner = getattr(command, "commands", {})
    return {name for key, item in inner.items() for name in names_of(item, f"{above}{key} ")} or {above.strip()}


def options_of(command: Any) -> set[str]:
    own = {name for item in command.params for name in item.opts if name.startswith("--")}
    inner = command.commands.values() if hasattr(command, "commands") else ()
    return own.union(*map(options_of, inner)) - {"--help", "--version"}


def test_the_pages_name_every_option_and_no_other():
    told = {option for page in PAGES for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text_of(page))}
    assert told - {"--help", "--version"} == options_of(typer.main.get_command(cli.app))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_in_sentences_and_in_indented_lines_exist(page):
    text = text_of(page)
    for line in re.findall(r"(?:`|^ {4}(?:.* && )?)ganbench ([a-z][^`\n]*)", text, re.MULTILINE):
        command, rest = command_of(line.split())
        assert {word for word in rest if word.startswith("--")} <= options_of(command), line


def test_every_command_is_shown_on_a_page():
    shown = {" ".join(shlex.split(item.values[0])[1:]) for item in invocations()}
    commands = names_of(typer.main.get_command(cli.app))
    assert {name for name in commands if any(f"{line} ".startswith(f"{name} ") for line in shown)} == commands


# Suites


def whole(data: dict) -> bool:
    return data.keys() >= SUITE_KEYS


@pytest.mark.parametrize("block", [item for item in cases("toml") if item.id.startswith(("suites", "running", "READ"))])
def test_every_example_of_a_suite_can_be_planned(block):
    data = tomllib.loads(block)
    made = plan(suite_from(data if whole(data) else {**BASE, **data}, Path("example.toml")), registry())
    assert made.trials
    assert not (whole(data) and made.skipped)


def section(page: str, heading: str) -> str:
    """The text below `## heading`, up to the next heading of that level."""
    return re.split(r"^## ", text_of(page).partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each row of each table in `text`, heads left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {number - 1 for number, line in enumerate(lines) if set(line) <= set("|-: ")}
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for number, line in enumerate(lines)
        if number not in heads and number - 1 not in heads
    ]


def codes(cells: list[str]) -> list[str]:
    """Everything in backticks."""
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("table", [name for name in TABLES if name not in ("generator", "discriminator")])
def test_every_key_of_a_table_is_in_its_section(table):
    told = rows(section("suites.md", table or "The top level"))
    keys = [key for row in told for key in codes(row[:1])]
    optimiser = keys_of("generator") if table == "training" else []
    assert sorted(keys) == sorted([*keys_of(table), *optimiser])


def test_the_defaults_of_training_are_those_of_the_code():
    told = {row[0].strip("`"): row[1] for row in rows(section("suites.md", "training"))}
    usual = {item.name: item.default for owner in (Training, Optimiser) for item in fields(owner)}
    for key, cell in told.items():
        if code := codes([cell]):
            expected = usual[key]
            stated = code[0] if isinstance(expected, str) else tomllib.loads(f"value = {code[0]}")["value"]
            assert stated == (list(expected) if isinstance(expected, tuple) else expected), key
        elif "recipe" not in cell:
            assert (cell, usual[key]) == ("none", None), key


# Plugins


def test_the_hooks_are_all_there():
    told = [codes(row)[0] for row in rows(section("plugins.md", "Registering"))]
    assert told[: len(KINDS)] == list(hookspecs.HOOKS.values())


def test_the_fields_of_a_component_are_all_there():
    told = [name for row in rows(section("plugins.md", "Registering"))[len(KINDS) :] for name in codes(row[:1])]
    assert told == [item.name for item in fields(Component)]


def test_the_contract_has_exactly_the_keys_that_ganbench_knows():
    told = [(kind, side, key.strip("`")) for kind, side, key, _ in rows(section("components.md", "The contract"))]
    known = [(kind, side, key) for kind, sides in KEYS.items() for side, keys in sides.items() for key in keys]
    assert sorted(told) == sorted(known)


def test_the_fields_of_a_game_are_all_there():
    told = [name for row in rows(section("components.md", "Losses and penalties")) for name in codes(row[:1])]
    assert told == [item.name for item in fields(Game)]


def test_the_distribution_has_an_entry_point_where_ganbench_looks():
    pyproject = next(data for block in blocks("plugins.md", "toml") if "project" in (data := tomllib.loads(block)))
    assert list(pyproject["project"]["entry-points"]) == [hookspecs.PROJECT]


def namespace_of(block: str) -> dict:
    """What a snippet defines, with the names that the text around it takes for granted."""
    names = {"torch": torch, "softplus": torch.nn.functional.softplus}
    exec(compile(block, "<page>", "exec"), names)
    return names


def test_the_example_of_a_loss_gives_terms_for_each_sample():
    loss = namespace_of(blocks("components.md", "python")[0])["WithNoise"]()
    critic, generator = torch.nn.Linear(2, 1), torch.nn.Linear(3, 2)
    latents, rng = torch.randn(5, 3), torch.Generator().manual_seed(0)
    game = Game(torch.randn(5, 2), generator(latents), latents, None, lambda x: critic(x).squeeze(1), generator, rng, 1)
    objective = Objective(loss)
    assert list(objective.discriminator(game)) == ["real", "fake"]
    assert list(objective.generator(game)) == ["adversarial"]


def test_the_example_of_a_metric_measures_what_it_says():
    names = namespace_of(blocks("measuring.md", "python")[0])
    check_contract("metric", names["BRIGHTNESS"])
    metric = Labelled("metric 'brightness'", names["Brightness"](), names["BRIGHTNESS"].measures)
    real, fake = torch.full((2, 1, 2, 2), 10, dtype=torch.uint8), torch.full((2, 1, 2, 2), 13, dtype=torch.uint8)
    (score,) = metric(Evidence(fake, real, data=None))
    assert (score.value, score.direction) == (3, "lower")
    assert metric.undeclared(score) == ""


def described(page: str, thing: str) -> dict[str, str]:
    """The table of the fields of `thing`: what it says of each."""
    table = text_of(page).partition(f"| field of {thing} |")[2].partition("\n\n")[0]
    return {codes(row[:1])[0]: row[1] for row in rows(f"|{table}")}


@pytest.mark.parametrize(
    ("page", "thing", "about"),
    [
        ("components.md", "`Data`", Data),
        ("measuring.md", "`evidence`", Evidence),
        ("measuring.md", "a `Score`", Score),
        ("measuring.md", "a `Measure`", terms.Measure),
        ("measuring.md", "an `Extractor`", Extractor),
    ],
)
def test_the_fields_that_plugins_meet_are_all_there(page, thing, about):
    assert list(described(page, thing)) == [item.name for item in fields(about)]


def test_the_fields_of_a_score_that_must_be_given_are_called_required():
    told = described("measuring.md", "a `Score`")
    required = [item.name for item in fields(Score) if item.default is MISSING]
    assert [name for name, meaning in told.items() if meaning.startswith("required")] == required


def workshop_of(*files: str) -> Workshop:
    """What ships with ganbench, and plugin files of the pages."""
    return Workshop(discover([Path(name) for name in files]), Places(), torch.device("cpu"))


def measuring(workshop: Workshop, asked: Asked) -> tuple[Data, Evaluator, Evaluation]:
    """What was asked for, loaded as a trial loads it."""
    dataset, evaluation = measured_as(asked, workshop.registry)
    data = load_data(workshop, dataset.choice)
    return data, build_evaluator(workshop, data, dataset.choice, evaluation), evaluation


METRIC_FILE = """# brightness.py
from ganbench import hookimpl

@hookimpl
def ganbench_metrics():
    yield BRIGHTNESS
"""


def test_what_a_metric_leaves_empty_is_filled_in_where_the_page_says_so(desk):
    Path("brightness.py").write_text(METRIC_FILE + blocks("measuring.md", "python")[0], encoding="utf-8")
    workshop = workshop_of("brightness.py", "my_features.py")
    asked = Asked(DIGITS, metrics=(Choice("brightness"), Choice("kernel")), extractor=Choice("projection"))
    data, evaluator, _ = measuring(workshop, asked)
    kernel, brightness = evaluator.scores(data.train[: evaluator.count])
    assert kernel.name == "kid_projection_16"
    told = described("measuring.md", "a `Score`")
    filled = {name for name, meaning in told.items() if "filled in" in meaning}
    left = {item.name for item in fields(Score) if getattr(brightness, item.name) == item.default}
    given = {item.name for item in fields(Score) if item.default is MISSING} | {"metric"}
    assert filled == {item.name for item in fields(Score)} - left - given


def test_ganbenchs_own_metrics_come_first_and_the_first_score_ranks_whatever_the_order_in_the_suite(desk):
    Path("brightness.py").write_text(METRIC_FILE + blocks("measuring.md", "python")[0], encoding="utf-8")
    metrics = (Choice("brightness"), Choice("bins"), Choice("kernel"))
    for asked, expected in ((metrics, ["kernel", "bins", "brightness"]), (metrics[:1], ["brightness"])):
        _, evaluation = measured_as(Asked(DIGITS, metrics=asked), workshop_of("brightness.py").registry)
        assert [choice.name for choice in evaluation.metrics] == expected


def test_a_metric_that_writes_to_its_evidence_is_refused_as_the_page_says(desk):
    changing = blocks("measuring.md", "python")[0].replace("evidence.fake.double()", "evidence.fake.add_(0).double()")
    Path("brightness.py").write_text(METRIC_FILE + changing, encoding="utf-8")
    data, evaluator, _ = measuring(workshop_of("brightness.py"), Asked(DIGITS, metrics=(Choice("brightness"),)))
    with pytest.raises(PluginError, match=r"brightness.*evidence\.fake"):
        evaluator.scores(data.train[: evaluator.count])


def test_the_example_of_a_data_set_has_the_density_and_the_modes_that_it_says(desk):
    workshop = workshop_of("my_points.py")
    data, evaluator, _ = measuring(workshop, Asked(Choice("row", (("deviation", 0.2),))))
    rng = torch.Generator().manual_seed(1)
    points = data.density.sample(500, rng)  # (500, 2)
    oracle = sum(
        weight * stats.multivariate_normal(centre, 0.2**2).pdf(points.double())
        for centre, weight in zip(data.modes.centres.tolist(), data.modes.weights.tolist(), strict=True)
    )
    assert data.density.log_prob(points).exp().tolist() == pytest.approx(list(oracle))
    good = {score.name: score.value for score in evaluator.scores(data.density.sample(evaluator.count, rng))}
    bad = {score.name: score.value for score in evaluator.scores(data.density.sample(evaluator.count, rng) * 2)}
    assert {"tvd_modes", "sliced_w1", "log_likelihood_gap"} <= good.keys()
    assert all(good[name] < bad[name] / 5 for name in ("tvd_modes", "sliced_w1", "log_likelihood_gap"))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_example_of_an_extractor_gives_features_of_each_image_alone(channels, desk):
    choice = resolve(discover([Path("my_features.py")]), "extractor", Choice("projection", (("dimension", 5),)))
    extractor = load_extractor(workshop_of("my_features.py"), choice, None)
    images = torch.randint(0, 256, (6, channels, 16, 16), dtype=torch.uint8)
    before = images.clone()
    features = extract(extractor, images)["features"]
    assert torch.equal(images, before)
    assert (features.shape, features.dtype, extractor.tag) == ((6, 5), torch.float32, "projection_5")
    assert torch.allclose(features[3:4], extract(extractor, images[3:4])["features"])
    flat = torch.full((1, channels, 16, 16), 51, dtype=torch.uint8)
    assert torch.allclose(extract(extractor, flat)["features"], extractor.module.weights.sum(dim=0, keepdim=True) / 5)


def applies(needs: dict, extractor: dict, wants: dict | None = None) -> bool:
    """Whether a metric that needs this applies to data of ten digits with such an extractor."""
    pictures = {"data": "images", "shape": (1, 8, 8), "classes": 10, "vocabulary": "digits"}
    parts = [
        Part(Component("part", ":part", "", needs=asked, gives=given), Choice("part"))
        for asked, given in ((needs, {}), ({}, pictures), (wants or {}, extractor))
    ]
    return metric_mismatch(*parts) is None


@pytest.mark.parametrize(
    ("gives", "wants", "applying"),
    [
        ({}, {}, {"features"}),
        ({"logits": True}, {}, {"features", "logits"}),
        ({"classes": 10, "vocabulary": "digits"}, {}, {"features", "logits", "classes"}),
        ({"classes": 10, "vocabulary": "clothes"}, {}, {"features", "logits"}),
        ({"classes": 9, "vocabulary": "digits"}, {}, {"features", "logits"}),
        ({"classes": 10}, {}, {"features", "logits"}),
        ({}, {"labels": True}, {"features", "logits", "classes"}),
    ],
)
def test_classes_vocabulary_and_logits_decide_together_as_the_page_says(gives, wants, applying):
    told = [codes(row[:1])[0] for row in rows(section("measuring.md", "Extractors").partition("What applies then")[2])]
    assert told == ["features", "logits", "classes", "labels"]
    assert {need for need in told if applies({need: True}, gives, wants)} == {*applying, "labels"}


def test_an_edited_plugin_file_makes_other_trials(desk):
    suite = suite_from(tomllib.loads(Path("mine.toml").read_text(encoding="utf-8")), Path("mine.toml"))
    keys = []
    for comment in ("", "# edited\n"):
        with Path("my_gan.py").open("a", encoding="utf-8") as file:
            file.write(comment)
        made = plan(suite, discover([Path("my_gan.py")])).trials
        keys.append({str(trial.variant): trial.key for trial in made if trial.seed == 0})
    before, after = keys
    assert before.keys() == after.keys()
    same = {variant for variant in before if before[variant] == after[variant]}
    assert same == {variant for variant in before if "sine" not in variant and "smooth-hinge" not in variant}
    assert len(same) < len(before)


@pytest.mark.slow
def test_the_plugin_file_trains_and_its_curve_has_the_columns_that_are_told(desk):
    command = [sys.executable, "-m", "ganbench", "run", "mine.toml", "--plugin", "./my_gan.py", "--only", "seed=0"]
    penalised = ["--only", "generator=sine", "--only", "loss=*drift"]
    done = subprocess.run([*command, *penalised], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    table = ganbench.load_results("results/mine")
    assert list(table["status"]) == ["ok"] * 4
    curves = ganbench.load_curves("results/mine")
    scores = set(table.attrs["scores"])
    expected = {
        column.replace("<term>", term)
        for row in rows(section("results.md", "The curves"))
        for column in codes(row[:1])
        for term in (("adversarial", "drift") if column == "discriminator/<term>" else ("adversarial",))
    }
    assert set(curves.columns) - scores == expected


# Results


@pytest.mark.parametrize("block", cases("python"))
def test_every_python_example_runs(block, desk, capsys):
    namespace_of(block)


def column_table(columns: dict) -> str:
    lines = [f"| `{name}` | {c.dtype} |{f' {c.unit}' * bool(c.unit)} | {c.meaning} |" for name, c in columns.items()]
    return "\n".join(["| column | dtype | unit | meaning |", "| --- | --- | --- | --- |", *lines])


@pytest.mark.parametrize(
    ("page", "heading", "columns"),
    [
        ("results.md", "The table", COLUMNS),
        ("results.md", "The ranking", BOARD_COLUMNS),
        ("statistics.md", "The comparison", COMPARISON_COLUMNS),
    ],
)
def test_the_columns_are_told_as_the_code_has_them(page, heading, columns):
    expected = column_table(columns)
    assert expected in section(page, heading), f"put this below '{heading}':\n\n{expected}"


def test_the_facts_of_an_environment_are_all_told(tmp_path):
    told = codes([row[0] for row in rows(section("provenance.md", "What a result came from"))])
    environment = performed(small_trial(), tmp_path).environment()
    assert sorted(told) == sorted(environment)
    told_of_plugins = codes(
        [row[1] for row in rows(section("provenance.md", "What a result came from")) if "`plugins`" in row[0]]
    )
    assert {"plugin", *told_of_plugins} == set(environment["plugins"][0])


def test_every_key_of_a_record_is_told():
    assert sorted(codes([row[0] for row in rows(section("results.md", "The record"))])) == sorted(
        item.name for item in fields(terms.Record)
    )


def test_every_key_of_a_portrait_is_told():
    told = {codes([row[0]])[0]: codes([row[1]]) for row in rows(section("results.md", "The portrait"))}
    parts = {"classes": Classes, "points": Points, "neighbours": Neighbours}
    assert parts.keys() == vars(Portrait()).keys()
    assert {name: sorted(keys) for name, keys in told.items()} == {
        name: sorted(item.name for item in fields(part)) for name, part in parts.items()
    }


def test_every_status_is_explained():
    told = section("results.md", "The table").partition("What the statuses mean")[2]
    assert codes([told]) == list(terms.STATUSES)


# Scores


def generated(page: str) -> dict[str, str]:
    """What stands in a page as the output of each command."""
    parts = re.findall(r"<!-- begin: ganbench ([^\n]+) -->\n(.*?)<!-- end -->", text_of(page), re.DOTALL)
    return {arguments: printed.strip("\n") for arguments, printed in parts}


def printed_by(arguments: str) -> str:
    command = [sys.executable, "-m", "ganbench", *shlex.split(arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip("\n")


def test_the_page_says_of_every_score_what_its_metric_declares():
    command = "metrics --format markdown"
    assert generated("metrics.md")[command] == printed_by(command), "run `python docs/generate.py`"


def cells_of(table: str) -> list[tuple[str, list[tuple[float, str]]]]:
    """The rows of a table of faults: a score, and in each column the value with its mark."""
    parsed = []
    for score, *cells in rows(table):
        values = [(float(cell.rstrip("*+").replace("–", "nan")), cell.lstrip("–0123456789.e-")) for cell in cells]
        parsed.append((score, values))
    return parsed


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["digits", "ring8"])
def test_the_tables_of_faults_are_what_the_command_prints(dataset):
    command = f"faults {dataset} --format markdown"
    told, now = cells_of(generated("metrics.md")[command]), cells_of(printed_by(command))
    assert [score for score, _ in told] == [score for score, _ in now]
    for (score, expected), (_, came) in zip(told, now, strict=True):
        values = [value for value, _ in expected]
        assert [value for value, _ in came] == pytest.approx(values, rel=0.02, abs=2e-3, nan_ok=True), score


def test_the_page_lists_what_is_measured_without_being_asked_for():
    told = codes([section("metrics.md", "What a suite measures").partition("\n\n")[2].partition("\n\n")[0]])
    assert told == [choice.name for choice in DEFAULT_METRICS]


# Extractors


@pytest.mark.parametrize("row", rows(section("extractors.md", "The shipped classifiers")), ids=lambda row: row[0])
def test_the_classifiers_accuracy_is_the_one_in_their_weights(row):
    choice = terms.Choice(row[0].strip("`"))
    extractor = Workshop(registry(), Places(), torch.device("cpu")).make("extractor", choice, Places())
    assert row[1].startswith(f"{extractor.accuracy * 100:.2f} % of ")
    right, count = round(extractor.accuracy * int(row[1].split()[-1])), int(row[1].split()[-1])
    interval = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert row[2] == f"{interval.low:.1%} to {interval.high:.1%}".replace("%", " %").replace(" % to", " to")


# Pages


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [*PAGES, *sorted(DOCS.glob("decisions/*.md"))], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text_of(page)):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.+)$", text_of(linked), re.MULTILINE) if linked.suffix == ".md" else []
        assert not anchor or anchor in map(slug, headings), target


def test_every_page_can_be_reached_from_the_first():
    seen, queue = set(), [DOCS / "index.md"]
    while queue:
        page = queue.pop()
        seen.add(page)
        links = re.findall(r"\]\(([^)#:]+\.md)", text_of(page))
        queue += {(page.parent / link).resolve() for link in links} - seen
    assert {page.resolve() for page in DOCS.rglob("*.md")} <= {page.resolve() for page in seen}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_fits_a_terminal(page):
    by_hand = re.sub(r"(<!-- begin: .*? -->\n).*?(<!-- end -->)", r"\1\2", text_of(page), flags=re.DOTALL)
    lines = by_hand.splitlines()
    assert len(lines) <= 250
    assert max(map(len, lines), default=0) <= 140
