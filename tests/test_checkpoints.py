from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from small import ODD

from ganbench.building import build_engine, build_group
from ganbench.checkpoints import read_checkpoint, write_checkpoint
from ganbench.drivers import Driver
from ganbench.errors import PluginError, StorageError
from ganbench.plan import plan
from ganbench.plugins import discover
from ganbench.protocols import Places
from ganbench.seeding import global_stream
from ganbench.stacking import NotTogether
from ganbench.states import Unknown
from ganbench.suite import read_suite, suite_from
from ganbench.tensorfiles import DamagedError
from ganbench.workshop import load_data, open_workshop

IDENTITY = {"trials": ["ab"], "software": {"torch": "1"}}


# --- files


def test_a_state_comes_back_as_it_was_written(tmp_path):
    shared = torch.arange(6.0)
    state = {
        "steps": 3,
        "nested": [{"a": shared[:2], "b": None}, [1.5, "text", True]],
        "same": shared,
        "empty": torch.zeros(0, dtype=torch.int64),
        "nan": float("nan"),
        "order": {"b": 1, "a": 2},
    }
    write_checkpoint(tmp_path / "deep" / "c.safetensors", IDENTITY, state)
    found = read_checkpoint(tmp_path / "deep" / "c.safetensors", IDENTITY)
    assert found["steps"] == 3
    assert found["nested"][0]["a"].tolist() == [0, 1]
    assert found["nested"][0]["b"] is None
    assert found["nested"][1] == [1.5, "text", True]
    assert torch.equal(found["same"], shared)
    assert found["empty"].dtype == torch.int64
    assert found["nan"] != found["nan"]
    assert list(found["order"]) == ["b", "a"]  # a curve's columns are in the order of its rows' names


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-40], "not a whole safetensors file"),
        (lambda content: content[: len(content) // 2], "its header cannot be read"),
        (lambda content: b"", "its header cannot be read"),
        (lambda content: content[:-3] + b"abc", "its tensors are not those that were written"),
        (lambda content: b"\xff" * 100, "its header would be"),
        (lambda content: content.replace(b"tree", b"free"), "its parts do not fit together"),
    ],
)
def test_what_was_damaged_is_not_gone_on_from(tmp_path, damage, reason):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, IDENTITY, {"weights": torch.arange(64.0)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedError, match=reason):
        read_checkpoint(path, IDENTITY)


def test_a_checkpoint_of_other_software_or_another_trial_is_not_gone_on_from(tmp_path):
    write_checkpoint(tmp_path / "c.safetensors", IDENTITY, {"steps": 1})
    with pytest.raises(DamagedError, match=r"it is of another software$"):
        read_checkpoint(tmp_path / "c.safetensors", {**IDENTITY, "software": {"torch": "2"}})
    with pytest.raises(DamagedError, match=r"it is of another trials, driver$"):
        read_checkpoint(tmp_path / "c.safetensors", {**IDENTITY, "trials": ["cd"], "driver": "graph"})


def test_the_newest_takes_the_place_of_the_one_before_and_leaves_nothing_beside_it(tmp_path):
    for steps in (1, 2):
        write_checkpoint(tmp_path / "c.safetensors", IDENTITY, {"steps": steps, "weights": torch.ones(2)})
    assert read_checkpoint(tmp_path / "c.safetensors", IDENTITY)["steps"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_checkpoint_that_cannot_be_written_says_where(tmp_path, monkeypatch):
    def full(*arguments, **options):
        from safetensors import SafetensorError

        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(StorageError, match=r"c\.safetensors: cannot be written \(No space left on device\)"):
        write_checkpoint(tmp_path / "c.safetensors", IDENTITY, {"weights": torch.ones(2)})
    assert list(tmp_path.iterdir()) == []


# --- training that goes on


def variants_of(suite, plugin_files=()):
    """Trials of the suite that have every network and every objective among them, each in as few as possible."""
    seen, chosen = set(), []
    for trial in plan(suite, discover(plugin_files), ()).trials:
        parts = {(trial.dataset.name == "ring8", part) for part in (*trial.variant.parts, trial.variant.objective)}
        if not parts <= seen:
            seen |= parts
            chosen.append(trial)
    return chosen


ODD_SUITE = suite_from(
    {
        "name": "odd",
        "datasets": ["ring8"],
        "seeds": 1,
        "budget": {"steps": 9},
        "training": {"batch_size": 8, "ema_half_life_kimg": 0.1},
        "matrix": {
            "generator": ["mlp(width=8, depth=2)", "dropout", "fading", "ageing"],
            "discriminator": ["mlp(width=8, depth=2)"],
            "loss": ["noisy", "numpy-noisy", "remembering", "counting", "hinge"],
        },
    },
    ODD,
)


@cache
def workshop(files):
    return open_workshop(discover(files), Places())


@cache
def data(files, dataset):
    return load_data(workshop(files), dataset)


def networks(engine):
    found = [n for p in engine.players for n in (p.generator, p.discriminator, p.average) if n is not None]
    return [tensor.clone() for network in found for tensor in (*network.parameters(), *network.buffers())]


def train(engine, steps):
    for _ in range(steps):
        engine.step()


def check(build, path):
    """Train on from a checkpoint and without one, and compare every bit of networks and statistics."""
    with global_stream(0, "training"):
        engine = build()
        train(engine, 3)
        write_checkpoint(path, IDENTITY, engine.state())
        train(engine, 3)
        expected, statistics = networks(engine), engine.statistics()
    with global_stream(1, "elsewhere"):
        again = build()
        again.restore(read_checkpoint(path, IDENTITY))
        assert again.steps == 3
        train(again, 3)
        assert all(torch.equal(*pair) for pair in zip(expected, networks(again), strict=True))
        assert str(again.statistics()) == str(statistics)
        assert again.steps == engine.steps == 6


@pytest.mark.parametrize("trial", variants_of(read_suite("zoo-smoke")), ids=lambda t: f"{t.dataset} {t.variant}")
def test_whatever_comes_with_ganbench_goes_on_to_the_same_bits(trial, tmp_path):
    check(lambda: build_engine(workshop(()), trial, data((), trial.dataset)), tmp_path / "c.safetensors")


@pytest.mark.parametrize("trial", variants_of(read_suite("zoo-smoke")), ids=lambda t: f"{t.dataset} {t.variant}")
def test_seeds_that_train_together_go_on_to_the_same_bits(trial, tmp_path):
    seeds = [replace(trial, seed=seed) for seed in (0, 1, 2)]
    driver = Driver("vectorised")
    try:
        build_group(workshop(()), seeds, data((), trial.dataset), driver).step()
    except (NotTogether, PluginError) as error:  # the survey refuses it likewise
        pytest.skip(f"seeds of it do not train together: {error}")
    check(lambda: build_group(workshop(()), seeds, data((), trial.dataset), driver), tmp_path / "c.safetensors")


@pytest.mark.parametrize("trial", variants_of(ODD_SUITE, (ODD,)), ids=lambda t: str(t.variant))
def test_plugins_that_draw_from_global_numbers_or_remember_go_on_to_the_same_bits(trial, tmp_path):
    check(lambda: build_engine(workshop((ODD,)), trial, data((ODD,), trial.dataset)), tmp_path / "c.safetensors")


def test_a_part_that_remembers_what_cannot_be_written_down_is_named():
    trial = variants_of(ODD_SUITE, (ODD,))[0]
    engine = build_engine(workshop((ODD,)), trial, data((ODD,), trial.dataset))
    engine.objective.loss.seen = {3}
    with pytest.raises(Unknown, match="keeps 'seen', which no checkpoint can hold"):
        engine.state()
