from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ganbench, records, write_suite

from ganbench.store import LOG

OFFER = """
from ganbench import Component, hookimpl

@hookimpl
def ganbench_losses():
    yield Component({name!r}, "itertools:count", summary="Never built")
"""

BROKEN = {
    "cannot-import": ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    "misspelt-hook": (OFFER.format(name="misspelt").replace("losses", "loses"), "Did you mean 'ganbench_losses'?"),
    "other-api": (OFFER.format(name="newer") + "GANBENCH_API = 2", "is written for version 2 of the plugin interface"),
    "second-dist": (OFFER.format(name="second"), "plugin 'taken' (distribution first-dist 1.0) has an entry point"),
}  # fmt: skip
"""Distributions that do not load, and what is said of each."""

VARIANT = '[[variants]]\ngenerator = "{}"\ndiscriminator = "{}"\nloss = "{}"\n'
MLP = "mlp(width=16, depth=2)"
RESIDUAL = "residual(width=16)"
PARTS = ("generator", "discriminator", "loss")


@pytest.fixture
def everything(install, install_third_party):
    """A good distribution, one that fails in training, four that do not load, and two that offer the same name."""
    folders = [install_third_party("ganbench-example"), install_third_party("ganbench-faulty")]
    folders.append(install("first-dist", "first_dist", OFFER.format(name="twin"), {"taken": "first_dist"}))
    folders.append(install("another-dist", "another_dist", OFFER.format(name="twin")))
    for name, (source, _) in BROKEN.items():
        module = name.replace("-", "_")
        folders.append(install(name, module, source, {"taken": module} if name == "second-dist" else None))
    return folders


def ended(suite, folder):
    """The command's result, and the rows of its trials by generator, discriminator and loss."""
    result = ganbench("run", suite, "--results", folder)
    rows = ganbench("table", folder, "--format", "json", "--where", "kind=trial").rows
    return result, {
        tuple(row[kind].split("(")[0] for kind in ("generator", "discriminator", "loss")): row for row in rows
    }


@pytest.mark.slow
def test_third_party_components_train_beside_the_shipped_ones_and_the_faulty_ones_fail_alone(everything, tmp_path):
    suite = write_suite(tmp_path / "mixed.toml", losses=["hinge"], seeds=1)
    variants = [
        (RESIDUAL, RESIDUAL, "squared-hinge(margin=0.5)"), (RESIDUAL, MLP, "hinge"),
        (MLP, MLP, "raising"), (MLP, MLP, "scalar"), ("wrong-shape", MLP, "hinge"),
    ]  # fmt: skip
    suite.write_text(suite.read_text() + "\n" + "".join(VARIANT.format(*variant) for variant in variants))
    result, rows = ended(suite, tmp_path / "mixed")

    assert result.status == 1
    for name, (_, cause) in BROKEN.items():
        assert name in result.out
        assert cause in " ".join(result.out.split())
    for variant in (("mlp", "mlp", "hinge"), ("residual", "residual", "squared-hinge"), ("residual", "mlp", "hinge")):
        assert rows[variant]["status"] == "ok"
        assert rows[variant]["steps"] == 20
    faults = {
        ("mlp", "mlp", "raising"): "loss 'raising' of {} raised ValueError: no discriminator's loss for a batch of 64",
        ("mlp", "mlp", "scalar"): "loss 'scalar' of {}: term 'adversarial' gave a tensor of shape (), expected",
        ("wrong-shape", "mlp", "hinge"): "generator 'wrong-shape' of {} gave a tensor of shape (64, 3), expected",
    }
    for variant, message in faults.items():
        row = rows[variant]
        assert row["status"] == "error"
        assert message.format("plugin 'faulty' (distribution ganbench-faulty 1.0)") in row["message"]
        log = Path(row["path"], LOG).read_text()
        assert "Traceback (most recent call last)" in log
        assert row["message"] in log
    assert len(rows) == 6
    assert "3 of 9 failed" in result.out


@pytest.mark.parametrize(
    ("loss", "messages"),
    [
        ("misspelt", ["no loss or method named 'misspelt'", "(distribution misspelt-hook 1.0): unknown hook"]),
        ("twin", ["loss 'twin' is offered by", "another-dist:twin", "first-dist:twin"]),
    ],
)  # fmt: skip
def test_a_suite_that_needs_what_cannot_be_had_is_refused_with_one_clear_message(everything, tmp_path, loss, messages):
    result = ganbench("run", write_suite(tmp_path / "needs.toml", losses=[loss]), "--results", tmp_path / "needs")
    assert result.status == 2
    assert "needs.toml, [matrix] loss[0]: " in result.err
    for message in messages:
        assert message in result.err
    assert "Traceback" not in result.err
    assert records(tmp_path) == []


def test_a_new_process_lists_third_party_components_and_what_is_broken_with_its_cause(everything):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, everything))}
    command = [sys.executable, "-m", "ganbench", "plugins", "list", "--format", "json"]
    rows = json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    example = {
        (row["kind"], row["name"], row["version"], row["status"]) for row in rows if row["owner"] == "ganbench-example"
    }
    assert example == {
        ("generator", "residual", "1.0", "ok"),
        ("discriminator", "residual", "1.0", "ok"),
        ("loss", "squared-hinge", "1.0", "ok"),
    }
    assert {row["owner"] for row in rows if row["status"] == "broken"} == set(BROKEN)
    for row in rows:
        assert BROKEN.get(row["owner"], ("", ""))[1] in row["cause"]
        assert row["owner"] != "ganbench" or row["status"] == "ok"
    assert {row["status"] for row in rows if row["name"] == "twin"} == {"ambiguous"}
