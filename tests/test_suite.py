from __future__ import annotations

import contextlib
import os
import re
import string
from datetime import date, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganbench import suite as suites
from ganbench.errors import SuiteError
from ganbench.suite import MAX_BYTES, read_suite, shipped_suites, suite_from
from ganbench.terms import Budget, Choice

FULL = """
name = "full"
description = "Everything that a suite can say"
datasets = ["ring8", { name = "mnist", resolution = 16 }]
seeds = [3, 0]
metrics = ["modes", "frechet"]
requires = ["ganbench>=0.1"]

[matrix]
generator = ["mlp", "dcgan(width=32)"]
discriminator = ["mlp(packing=2)"]
loss = ["hinge", "nonsaturating + r1(gamma=0.1)"]

[[variants]]
generator = "mlp"
discriminator = "maxout"
loss = { name = "hinge", penalties = ["r2"] }
[variants.training]
batch_size = 32
[variants.budget]
steps = 10

[[exclude]]
dataset = "ring8"
generator = "dcgan*"

[budget]
kimg = 100

[evaluation]
points = [0.5, 0.25]
samples = 2_000
extractor = "inception"

[training]
latent_dim = 2
schedule = "cosine"
[training.generator]
learning_rate = 1e-3

[[override]]
dataset = "ring8"
budget = { kimg = 300 }
training = { batch_size = 128 }
evaluation = { samples = 10 }
"""

SMALL = {
    "name": "small",
    "datasets": ["ring8"],
    "budget": {"kimg": 1},
    "matrix": {"generator": ["mlp"], "discriminator": ["mlp"], "loss": ["hinge"]},
}


def small(**changes):
    return suite_from({**SMALL, **changes}, Path("small.toml"))


def matrix(**changes):
    return {**SMALL["matrix"], **changes}


def variant(**more):
    return {"generator": "mlp", "discriminator": "mlp", "loss": "hinge", **more}


def refused(data):
    with pytest.raises(SuiteError) as caught:
        suite_from(data, Path("small.toml"))
    return str(caught.value)


def written(folder, text, name="written.toml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def refused_file(folder, text):
    with pytest.raises(SuiteError) as caught:
        read_suite(written(folder, text))
    return str(caught.value)


def test_a_suite_says_all_that_its_file_says(tmp_path):
    suite = read_suite(written(tmp_path, FULL))
    assert (suite.name, suite.description) == ("full", "Everything that a suite can say")
    assert suite.datasets == (Choice("ring8"), Choice("mnist", (("resolution", 16),)))
    assert suite.seeds == (3, 0)
    assert suite.metrics == (Choice("modes"), Choice("frechet"))
    assert suite.requires == ("ganbench>=0.1",)
    assert suite.matrix.generator == (Choice("mlp"), Choice("dcgan", (("width", 32),)))
    assert suite.matrix.loss[1] == (Choice("nonsaturating"), (Choice("r1", (("gamma", 0.1),)),))
    assert suite.variants[0].loss == (Choice("hinge"), (Choice("r2"),))
    assert suite.variants[0].training.batch_size == 32
    assert suite.variants[0].budget.budget == Budget(steps=10)
    assert suite.excludes[0].globs() == {"dataset": "ring8", "generator": "dcgan*"}
    assert suite.budget == Budget(kimg=100)
    assert (suite.points, suite.samples, suite.extractor) == ((0.25, 0.5, 1.0), 2000, Choice("inception"))
    assert (suite.training.latent_dim, suite.training.generator.learning_rate) == (2, 1e-3)
    assert suite.overrides[0].budget.kimg == 300
    assert suite.overrides[0].evaluation.samples == 10


def test_what_a_file_leaves_out_has_a_default():
    suite = small()
    assert suite.seeds == (0, 1, 2)
    assert suite.points == (0.2, 0.4, 0.6, 0.8, 1.0)
    assert suite.metrics is None
    assert suite.samples is None
    assert suite.extractor is None


def test_seeds_and_points_may_be_counts():
    suite = small(seeds=2, evaluation={"points": 4})
    assert suite.seeds == (0, 1)
    assert suite.points == (0.25, 0.5, 0.75, 1.0)


def test_a_point_given_twice_is_one_point():
    assert small(evaluation={"points": [1, 0.5, 0.5]}).points == (0.5, 1.0)


def test_variants_alone_are_enough_and_the_matrix_is_not_needed():
    suite = suite_from({**{k: v for k, v in SMALL.items() if k != "matrix"}, "variants": [variant()]}, Path("x.toml"))
    assert suite.matrix is None
    assert len(suite.variants) == 1


ROOT_KEYS = (
    "budget, datasets, description, evaluation, exclude, limits, matrix, metrics, name, override, requires, seeds, "
    "training, variants"
)
TRAINING_KEYS = (
    "batch_size, clip, discriminator, discriminator_steps, ema_half_life_kimg, ema_rampup, flips, generator, "
    "latent_dim, precision, reuse_fakes, schedule"
)
ADAM_KEYS = "betas, epsilon, learning_rate, name"
MATRIX_KEYS = "discriminator, generator, loss"
MATCH_KEYS = "dataset, discriminator, generator, loss"
OVERRIDE_KEYS = "budget, dataset, discriminator, evaluation, generator, loss, training"
A_CHOICE = "expected a name, `name(parameter=value)` or a table with a name"
ONLY_DATA = "may differ between data sets only, so match `dataset` and nothing else: variants with another"

MISTAKES = [
    # keys
    ({"dataset": ["x"]}, f"dataset: no such key. Did you mean 'datasets'? Known: {ROOT_KEYS}"),
    ({"path": "x"}, f"path: no such key. Known: {ROOT_KEYS}"),
    ({"matrix": matrix(losses=["hinge"])}, f"[matrix] losses: no such key. Did you mean 'loss'? Known: {MATRIX_KEYS}"),
    (
        {"budget": {"kimgs": 3}},
        "[budget] kimgs: no such key. Did you mean 'kimg'? Known: device_seconds, kimg, petaflops, steps",
    ),
    (
        {"evaluation": {"point": 3}},
        "[evaluation] point: no such key. Did you mean 'points'? Known: extractor, points, samples",
    ),
    (
        {"training": {"batch": 3}},
        f"[training] batch: no such key. Did you mean 'batch_size'? Known: {TRAINING_KEYS}",
    ),
    (
        {"training": {"generator": {"learning_rat": 1}}},
        f"[training] generator.learning_rat: no such key. Did you mean 'learning_rate'? Known: {ADAM_KEYS}",
    ),
    (
        {"variants": [variant(), variant(traning={})]},
        f"[[variants]][1] traning: no such key. Did you mean 'training'? Known: budget, {MATRIX_KEYS}, training",
    ),
    (
        {"variants": [variant(training={"clips": 1})]},
        f"[[variants]][0] training.clips: no such key. Did you mean 'clip'? Known: {TRAINING_KEYS}",
    ),
    (
        {"exclude": [{"generators": "x"}]},
        f"[[exclude]][0] generators: no such key. Did you mean 'generator'? Known: {MATCH_KEYS}",
    ),
    (
        {"override": [{"dataset": "x", "budgets": {}}]},
        f"[[override]][0] budgets: no such key. Did you mean 'budget'? Known: {OVERRIDE_KEYS}",
    ),
    # missing
    ({"matrix": {"generator": ["a"], "loss": ["b"]}}, "[matrix] discriminator: missing, and there is no default"),
    ({"variants": [{"generator": "a"}]}, "[[variants]][0] discriminator: missing, and there is no default"),
    # types
    ({"name": 3}, "name: expected a string, got 3"),
    ({"name": "A b"}, "name: expected at most 64 lower-case letters, digits, '.', '_' and '-', got 'A b'"),
    ({"description": 3}, "description: expected a string, got 3"),
    ({"datasets": "ring8"}, "datasets: expected a list, got 'ring8'"),
    ({"datasets": []}, "datasets: expected at least 1, got []"),
    ({"metrics": []}, "metrics: expected at least 1, got []"),
    ({"matrix": matrix(loss=[])}, "[matrix] loss: expected at least 1, got []"),
    ({"matrix": 3}, "[matrix]: expected a table, got 3"),
    ({"exclude": {"dataset": "x"}}, "[[exclude]]: expected a list, got {'dataset': 'x'}"),
    ({"description": ["x" * 80]}, f"description: expected a string, got ['{'x' * 57}…"),
    # choices
    ({"datasets": ["ring8", "mnist("]}, "datasets[1]: 'mnist(', column 7: expected a parameter's name, found the end"),
    ({"matrix": matrix(loss=["hinge", "r1 +"])}, "[matrix] loss[1]: 'r1 +', column 5: expected a name, found the end"),
    ({"matrix": matrix(loss=[3])}, f"[matrix] loss[0]: {A_CHOICE}, got 3"),
    ({"metrics": [{"nam": "x"}]}, "metrics[0]: expected a table with a name, got the keys nam"),
    ({"variants": [variant(generator=True)]}, f"[[variants]][0] generator: {A_CHOICE}, got True"),
    ({"evaluation": {"extractor": ""}}, "[evaluation] extractor: '', column 1: expected a name, found the end"),
    # seeds
    ({"seeds": 0}, "seeds: expected from 1 to 10000 seeds, got 0"),
    ({"seeds": 10_001}, "seeds: expected from 1 to 10000 seeds, got 10001"),
    ({"seeds": True}, "seeds: expected a list, got True"),
    ({"seeds": []}, "seeds: expected at least 1, got []"),
    ({"seeds": [1, 2, 1]}, "seeds: seed 1 is given twice"),
    ({"seeds": [0, -1]}, "seeds[1]: expected a number of at least 0, got -1"),
    ({"seeds": [0, 1.0]}, "seeds[1]: expected an integer, got 1.0"),
    # budget
    ({"budget": {}}, "[budget]: expected at least one limit. Known: device_seconds, kimg, petaflops, steps"),
    ({"budget": {"kimg": 0}}, "[budget] kimg: expected a number greater than 0, got 0"),
    ({"budget": {"kimg": True}}, "[budget] kimg: expected a number, got True"),
    ({"budget": {"steps": 1.5}}, "[budget] steps: expected an integer, got 1.5"),
    ({"budget": 4}, "[budget]: expected a table, got 4"),
    # evaluation
    ({"evaluation": {"points": 0}}, "[evaluation] points: expected from 1 to 1000 points, got 0"),
    ({"evaluation": {"points": []}}, "[evaluation] points: expected at least 1, got []"),
    ({"evaluation": {"points": [0.5, 2]}}, "[evaluation] points[1]: expected a number of at most 1, got 2"),
    ({"evaluation": {"points": [0.0]}}, "[evaluation] points[0]: expected a number greater than 0, got 0.0"),
    ({"evaluation": {"samples": 0}}, "[evaluation] samples: expected a number of at least 1, got 0"),
    # training
    (
        {"training": {"schedule": "cosin"}},
        "[training] schedule: expected 'constant', 'linear' or 'cosine', got 'cosin'",
    ),
    (
        {"training": {"generator": {"name": "adamw"}}},
        "[training] generator.name: expected 'adam', 'rmsprop' or 'sgd', got 'adamw'",
    ),
    (
        {"training": {"generator": {"betas": [0.1, 1]}}},
        "[training] generator.betas[1]: expected a number less than 1, got 1",
    ),
    ({"training": {"generator": {"betas": [0.1]}}}, "[training] generator.betas[1]: missing, and there is no default"),
    (
        {"training": {"generator": {"betas": [0.1, 0.2, 0.3]}}},
        "[training] generator.betas: expected at most 2, got [0.1, 0.2, 0.3]",
    ),
    ({"training": {"batch_size": "64"}}, "[training] batch_size: expected an integer, got '64'"),
    # what TOML can say and no suite can use
    ({"training": {"clip": float("nan")}}, "[training] clip: expected a finite number, got nan"),
    ({"datasets": [{"name": "x", "radius": float("inf")}]}, "datasets[0].radius: expected a finite number, got inf"),
    ({"seeds": [2**70]}, "seeds[0]: expected an integer of at most 64 bits"),
    ({"name": date(2026, 1, 2)}, "name: dates and times mean nothing in a suite, got 2026-01-02"),
    # globs
    ({"exclude": [{}]}, f"[[exclude]][0]: matches everything; expected a glob. Known: {MATCH_KEYS}"),
    ({"exclude": [{"loss": ""}]}, "[[exclude]][0] loss: expected a glob, got ''"),
    ({"override": [{"dataset": "x"}]}, "[[override]][0]: changes nothing. Known: budget, evaluation, training"),
    (
        {"override": [{"training": {"clip": 1}}]},
        f"[[override]][0]: matches everything; expected a glob. Known: {MATCH_KEYS}",
    ),
    (
        {"override": [{"dataset": "x", "loss": "y", "budget": {"kimg": 1}}]},
        f"[[override]][0]: `budget` {ONLY_DATA} budget cannot be compared",
    ),
    (
        {"override": [{"generator": "x", "evaluation": {"samples": 1}}]},
        f"[[override]][0]: `evaluation` {ONLY_DATA} evaluation cannot be compared",
    ),
    # requires
    ({"requires": "ganbench"}, "requires: expected a list, got 'ganbench'"),
    ({"requires": ["gan bench"]}, "requires[0]: expected a requirement such as 'ganbench>=0.1', got 'gan bench'"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[message[:40] for _, message in MISTAKES])
def test_a_mistake_is_named_with_file_and_place(changes, message):
    assert refused({**SMALL, **changes}) == f"suite small.toml, {message}"


@pytest.mark.parametrize("key", ["name", "datasets", "budget"])
def test_what_every_suite_must_say_is_missed(key):
    place = "[budget]" if key == "budget" else key
    data = {other: value for other, value in SMALL.items() if other != key}
    assert refused(data) == f"suite small.toml, {place}: missing, and there is no default"


def test_a_misspelt_key_is_reported_rather_than_the_one_that_is_missing_for_it():
    data = {"datsets" if key == "datasets" else key: value for key, value in SMALL.items()}
    assert refused(data).startswith("suite small.toml, datsets: no such key. Did you mean 'datasets'?")


def test_a_suite_that_trains_nothing_is_refused():
    data = {key: value for key, value in SMALL.items() if key != "matrix"}
    message = "suite small.toml: nothing to train: expected a [matrix] or at least one [[variants]]"
    assert refused(data) == message
    assert refused({**data, "variants": []}) == message


def test_broken_toml_is_reported_with_line_and_column(tmp_path):
    message = refused_file(tmp_path, 'name = "x"\ndatasets = ring8\n')
    assert message == f"suite {tmp_path / 'written.toml'}: not TOML: Invalid value (at line 2, column 12)"


def test_a_key_given_twice_is_broken_toml(tmp_path):
    assert "not TOML: Cannot overwrite a value (at line 2, column" in refused_file(tmp_path, "seeds = 1\nseeds = 2\n")


def test_a_number_too_long_to_read_is_broken_toml(tmp_path):
    assert "not TOML: Exceeds the limit" in refused_file(tmp_path, f"seeds = {'9' * 5000}")


def test_a_long_number_in_hexadecimal_is_refused_with_its_place(tmp_path):
    message = refused_file(tmp_path, f"seeds = 0x{'f' * 50_000}")
    assert message.endswith("seeds: expected an integer of at most 64 bits")


def test_a_file_in_another_encoding_is_reported_with_its_line(tmp_path):
    message = refused_file(tmp_path, 'name = "x"\ndescription = "Größe"\n'.encode("latin-1"))
    assert message == f"suite {tmp_path / 'written.toml'}, line 2: not UTF-8 (invalid start byte)"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    data = b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode()
    assert read_suite(written(tmp_path, data)).name == "full"


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.toml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(SuiteError, match=f"larger than {MAX_BYTES} bytes, so not a suite"):
        read_suite(str(path))


@pytest.mark.parametrize("text", [f"x = {'[' * 5_000}{']' * 5_000}", f"[{'.'.join('a' * 5_000)}]"])
def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path, text):
    assert refused_file(tmp_path, text) == f"suite {tmp_path / 'written.toml'}: nested too deeply to be a suite"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """As if the suites `quick` and `mnist` were shipped."""
    folder = tmp_path / "suites"
    folder.mkdir()
    monkeypatch.setattr(suites, "SHIPPED", folder)
    for name in ("quick", "mnist"):
        written(folder, FULL.replace('"full"', f'"{name}"'), f"{name}.toml")
    return folder


def test_shipped_suites_are_found_by_name(shipped):
    assert [suite.name for suite in shipped_suites()] == ["mnist", "quick"]
    assert read_suite("quick").name == "quick"
    assert read_suite("quick").at("seeds") == "suite quick.toml, seeds"


def test_an_unknown_name_is_answered_with_the_nearest_shipped_suite(shipped):
    with pytest.raises(SuiteError) as caught:
        read_suite("qick")
    assert str(caught.value) == (
        "no suite named 'qick'. Did you mean 'quick'? Known: mnist, quick. For a file, write its path: ./qick.toml"
    )


def test_a_missing_file_is_answered_with_the_nearest_shipped_suite(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SuiteError) as caught:
        read_suite("quik.toml")
    assert str(caught.value) == (
        "suite quik.toml: cannot be read (No such file or directory)."
        " Did you mean 'quick'? Suites that need no path: mnist, quick"
    )


def test_a_folder_is_no_suite(shipped, tmp_path):
    with pytest.raises(SuiteError, match=r"suites: cannot be read \(Is a directory\)"):
        read_suite(f"{shipped}{os.sep}")


def test_a_path_that_no_system_accepts_is_no_suite(shipped):
    with pytest.raises(SuiteError, match=r"cannot be read \(embedded null byte\)"):
        read_suite("quick\0.toml")


def test_every_suite_that_ships_can_be_read_and_is_named_as_its_file():
    for suite in shipped_suites():
        assert suite.path.stem == suite.name
        assert suite.description


# All that a TOML parser can hand over, with the words of a suite often enough for parts of it to be valid.
WORDS = sorted(
    set(re.findall(r"\w+", ROOT_KEYS + TRAINING_KEYS)) | {"generator", "discriminator", "loss", "kimg", "points"}
)
NAMES = ["mlp", "mlp(packing=2)", "hinge + r1", "hinge", "x(", "", "self", "*", "[!", "adam", "cosine"]
SCALARS = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(-2, 3),
    st.floats(),
    st.floats(0, 1),
    st.text(max_size=8),
    st.sampled_from(NAMES),
    st.dates(),
    st.just(time(3)),
    st.datetimes(),
)
KEYS = st.one_of(st.sampled_from([*WORDS, "name", "self", "penalties"]), st.text(string.ascii_letters, max_size=4))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(ROOT_KEYS.split(", ")), VALUES, max_size=4), st.booleans())
def test_whatever_toml_can_say_is_a_suite_or_a_suite_error(data, on_top_of_a_good_one):
    data = {**SMALL, **data} if on_top_of_a_good_one else data
    with contextlib.suppress(SuiteError):
        suite = suite_from(data, Path("any.toml"))
        assert suite.points[-1] == 1.0
        assert suite.budget.limits()


@given(st.binary(max_size=200))
def test_whatever_is_in_a_file_is_a_suite_or_a_suite_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    with pytest.raises(SuiteError, match=r"any\.toml"):
        read_suite(str(path))
