from __future__ import annotations

import contextlib
import functools
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_files import ODD_FILES, as_odd_file
from properties.mangling import damaged, json_values, replaced, tried, well_or_refused

from ganbench import suite as suites
from ganbench.errors import GanbenchError, SuiteError
from ganbench.plan import plan
from ganbench.plugins import discover
from ganbench.suite import read_suite, suite_from

FULL = b"""
name = "full"
description = "Everything that a suite can say"
datasets = ["ring8", { name = "mnist" }]
seeds = [3, 0]
metrics = ["modes", "frechet"]
requires = ["ganbench>=0.1"]

[matrix]
generator = ["mlp", { name = "dcgan", width = 32 }]
discriminator = ["mlp(packing=2)", "dcgan"]
loss = ["hinge", "nonsaturating + r1(gamma=0.1)", { name = "wgan", penalties = ["r2"] }]

[[variants]]
generator = "mlp"
discriminator = "mlp"
loss = "hinge + r2"
training = { batch_size = 32, generator = { learning_rate = 1e-3 } }
budget = { steps = 10 }

[[exclude]]
dataset = "ring8"
generator = "dcgan*"

[[override]]
dataset = "ring8"
budget = { kimg = 300 }
training = { batch_size = 128 }
evaluation = { samples = 10 }

[budget]
kimg = 100

[evaluation]
points = [0.25, 0.5]
samples = 2000
extractor = "digits"

[training]
latent_dim = 2
schedule = "cosine"
discriminator = { betas = [0.0, 0.9] }
"""
FILES = [FULL, *(path.read_bytes() for path in sorted(suites.SHIPPED.glob("*.toml")))]
TABLES = [tomllib.loads(content.decode()) for content in FILES]
FEW = 200

registry = functools.cache(discover)


def judged(read):
    """What `read` gives: a suite whose promises hold, which can be planned or not for a reason, or a SuiteError."""
    suite = None
    with well_or_refused(SuiteError, "any.toml"):
        suite = read()
    if suite is None:
        return
    assert suite.points[-1] == 1.0
    assert list(suite.points) == sorted(set(suite.points))
    assert len(set(suite.seeds)) == len(suite.seeds) >= 1
    assert suite.budget.limits()
    assert suite.matrix or suite.variants
    if len(suite.seeds) * len(suite.points) <= FEW:
        with contextlib.suppress(GanbenchError):
            planned = plan(suite, registry())
            assert len({job.key for job in planned.jobs}) == len(planned.jobs)


@tried
@given(replaced(TABLES))
def test_a_suite_of_which_a_part_is_replaced_is_a_suite_or_a_suite_error_that_names_the_file(data):
    judged(lambda: suite_from(data, Path("any.toml")))


@tried
@given(st.dictionaries(st.sampled_from(sorted({key for table in TABLES for key in table})), json_values, max_size=5))
def test_whatever_tables_hold_they_are_a_suite_or_a_suite_error(data):
    judged(lambda: suite_from(data, Path("any.toml")))


@tried
@given(damaged(FILES) | st.binary(max_size=100))
def test_a_damaged_file_is_a_suite_or_a_suite_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    judged(lambda: read_suite(str(path)))


@pytest.mark.parametrize("kind", [kind for kind in ODD_FILES if "pipe" not in kind])  # a pipe is read to its end
def test_what_is_no_file_of_text_is_one_suite_error(tmp_path, kind):
    as_odd_file(tmp_path / "any.toml", kind)
    with pytest.raises(SuiteError, match=r"any\.toml"):
        read_suite(str(tmp_path / "any.toml"))
