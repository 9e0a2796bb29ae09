from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import ganbench, write_suite
from picture_files import noise
from PIL import Image
from torch import nn

from ganbench import load_results
from ganbench.evaluate import prepare
from ganbench.plugins import discover
from ganbench.protocols import Places
from ganbench.sources import Request
from ganbench.store import LOG, TRIAL, Store, find_attempt

SAMPLES = 500
ODD = Path(__file__).with_name("odd.py")


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return write_suite(tmp_path_factory.mktemp("suite") / "tiny.toml", ("ring8", "digits"), ["hinge"], seeds=1)


@pytest.fixture(scope="module")
def trained(suite, tmp_path_factory):
    """Results of a trial on points and one on pictures, by data set the trial's attempt, and its exported samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANBENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("results") / "tiny"
        assert ganbench("run", suite, "--results", folder).status == 0
        keys = load_results(folder).query("kind == 'trial'").set_index("dataset")["key"]
        samples = {name: folder.parent / name for name in keys.index}
        for name, key in keys.items():
            assert ganbench("sample", folder, key, "--out", samples[name]).status == 0
        return folder, {name: find_attempt(folder, key) for name, key in keys.items()}, samples


@pytest.fixture
def results(trained, tmp_path):
    """A copy of the results, to do with as a test likes."""
    return shutil.copytree(trained[0], tmp_path / "tiny")


@pytest.fixture
def pictures(tmp_path):
    """A function that writes grey pictures of one size into a new folder, some of them in colour."""

    def write(name, count, size=8, coloured=0):
        folder, rng = tmp_path / name, np.random.default_rng(len(name))
        folder.mkdir()
        for index in range(count):
            pixels = rng.integers(0, 256, (size, size, 3) if index < coloured else (size, size), np.uint8)
            Image.fromarray(pixels).save(folder / f"{index:04d}.png")
        return folder

    return write


def evaluated(folder):
    return load_results(folder).query("kind == 'evaluated'")


def scores_of(folder, key):
    return find_attempt(folder, key).record().scores


# --- the same scores as a trial's own


@pytest.mark.slow
@pytest.mark.parametrize("how", ["samples", "generator"])
@pytest.mark.parametrize("dataset", ["digits", "ring8"])
def test_what_a_trial_left_is_scored_as_the_trial_was_bit_for_bit(trained, results, suite, dataset, how):
    _, attempts, samples = trained
    attempt = attempts[dataset]
    source = {
        "samples": samples[dataset] if dataset == "digits" else samples[dataset] / "points.npy",
        "generator": attempt.path / "generator.safetensors",
    }[how]
    result = ganbench(
        "evaluate", f"--{how}", source, "--dataset", dataset, "--suite", suite, "--results", results, "--name", "again"
    )
    assert (result.status, result.err) == (0, "")
    (row,) = evaluated(results).to_dict("records")
    assert (row["variant"], row["dataset"]) == ("again", dataset)
    assert row["generator"] == ("samples" if how == "samples" else "safetensors")
    assert scores_of(results, row["key"]) == attempt.record().scores
    assert f"again on {dataset}, {SAMPLES} samples" in result.out
    trial = load_results(results).set_index("key").loc[attempt.key]
    assert row["evaluation_protocol"] == trial["evaluation_protocol"]
    ranking = ganbench("leaderboard", results, "--format", "json").rows
    assert [(r["kind"], r["rank"]) for r in ranking if r["variant"] == "again"] == [("evaluated", "")]


# --- samples, scripts, repositories, folders


@pytest.mark.slow
def test_points_are_measured_beside_their_references_and_only_once(trained, tmp_path):
    arguments = ("evaluate", "--samples", trained[2]["ring8"] / "points.npy", "--dataset", "ring8", "--count", 400)
    folder = tmp_path / "mine"
    first = ganbench(*arguments, "--results", folder)
    assert first.status == 0
    assert first.out.count("Note: ") == 1
    assert "400 samples are compared, where this data set's others are compared with 10,000" in first.out
    assert "perfect sampler" in first.out
    table = load_results(folder)
    assert sorted(table["variant"]) == ["noise", "perfect", "points", "real_floor"]
    assert set(table["n_fake"]) == {400}
    assert table["evaluation_protocol"].nunique() == 1
    assert table["noise:modes_any"].notna().any()
    again = ganbench(*arguments, "--results", folder)
    assert "points is done already; --force measures it again." in again.out
    assert set(load_results(folder)["attempt"]) == {1}
    assert ganbench(*arguments, "--results", folder, "--force").status == 0
    assert load_results(folder).set_index("variant")["attempt"].to_dict() == {
        "noise": 1, "perfect": 1, "points": 2, "real_floor": 1,
    }  # fmt: skip
    page = (folder / "leaderboard.html").read_text()
    assert "Nothing was trained here: these were evaluated only" in page


HUB = """
import torch
from torch import nn
def net(scale=0.9):
    module = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
    nn.init.constant_(module[0].weight, scale)
    nn.init.zeros_(module[0].bias)
    return module
def broken():
    raise ValueError("no weights here")
def wide():
    return nn.Linear(3, 5)
"""


@pytest.fixture
def hub(tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "hubconf.py").write_text(HUB)
    return tmp_path / "hub"


@pytest.fixture
def script(tmp_path):
    """The network of the hub's `net` as TorchScript."""
    module = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
    nn.init.constant_(module[0].weight, 0.9)
    nn.init.zeros_(module[0].bias)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.zeros(2, 3)).save(tmp_path / "net.pt")
    return tmp_path / "net.pt"


@pytest.mark.slow
def test_a_script_and_a_repository_of_the_same_network_have_the_same_scores(script, hub, tmp_path):
    common = (
        "--dataset",
        "digits",
        "--latent-dim",
        3,
        "--count",
        200,
        "--metric",
        "frechet",
        "--results",
        tmp_path / "r",
    )
    assert ganbench("evaluate", "--generator", script, *common).status == 0
    assert ganbench("evaluate", "--hub", f"{hub}:net", *common).status == 0
    rows = evaluated(tmp_path / "r").set_index("generator")
    assert sorted(rows["variant"]) == ["hub:net", "net"]
    assert scores_of(tmp_path / "r", rows.loc["hub", "key"]) == scores_of(
        tmp_path / "r", rows.loc["torchscript", "key"]
    )
    seeded = ganbench("evaluate", "--generator", script, *common, "--seed", 1)
    assert seeded.status == 0
    assert evaluated(tmp_path / "r")["fcd_digits"].nunique() == 2


@pytest.mark.slow
def test_a_folder_is_compared_with_a_folder(pictures, tmp_path):
    real, fake = pictures("real", 60), pictures("fake", 30)
    common = ("--extractor", "digits", "--metric", "frechet", "--results", tmp_path / "r")
    assert ganbench("evaluate", "--samples", fake, "--against", real, *common).status == 0
    rows = load_results(tmp_path / "r")
    assert sorted(rows["variant"]) == ["fake", "noise", "real_floor"]
    assert set(rows["n_real"]) == {30}
    (real / "0000.png").unlink()
    changed = ganbench("evaluate", "--samples", fake, "--against", real, *common)
    assert "done already" not in changed.out
    assert "all 59 real samples are compared with, so none is left to show a real floor" in changed.out


@pytest.mark.slow
def test_sizes_are_brought_together_where_that_is_asked_for(pictures, tmp_path):
    real, fake = pictures("real", 40, coloured=3), pictures("fakes", 20, size=16)
    arguments = ("evaluate", "--samples", fake, "--against", real, "--extractor", "digits", "--metric", "frechet")
    refused = ganbench(*arguments, "--results", tmp_path / "r")
    assert refused.status == 2
    assert "real images and samples are 8×8 and 16×16. State --resolution and --crop" in refused.err
    assert not (tmp_path / "r").exists()
    fitted = ganbench(*arguments, "--results", tmp_path / "r", "--resolution", 8, "--crop", "stretch")
    assert fitted.status == 0
    assert "folder(crop=stretch, path=" in fitted.out


# --- what its reader must know


@pytest.fixture
def notes(tmp_path):
    """A function that gives the notes on 20 images, compared with digits as asked."""
    np.savez(tmp_path / "images.npz", images=noise(20, 8, 8))

    def ask(**asked):
        return prepare(Request(tmp_path / "images.npz", dataset="digits", **asked), discover(), Places()).notes

    return ask


def test_a_count_that_cannot_be_had_is_noted(notes):
    cut, fewer = notes(count=5000)
    assert cut == "Note: --count 5,000: 20 is all that there is to compare."
    assert fewer.startswith("Note: 20 samples are compared")
    assert notes(count=20) == notes() == (fewer,)


def test_options_that_part_a_row_from_its_suite_are_noted(notes, suite):
    apart, _ = notes(suite=str(suite), metric=("frechet",))
    assert apart == (
        "Note: with --metric it is not measured as suite tiny measures it, so this row stands on a board of its own."
    )
    assert len(notes(suite=str(suite), extractor="digits")) == 1
    both, _ = notes(suite=str(suite), metric=("frechet",), extractor="mnist")
    assert "with --metric and --extractor" in both
    assert len(notes(metric=("frechet",))) == 1


# --- requests that cannot be met


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files that are not what they are taken for."""
    folder = tmp_path_factory.mktemp("files")
    torch.save(nn.Linear(2, 2).state_dict(), folder / "pickled.pt")
    (folder / "weights.safetensors").write_bytes(b"")
    (folder / "torn.npz").write_bytes(b"PK")
    (folder / "empty").mkdir()
    np.save(folder / "points.npy", np.zeros((20, 2), np.float32))
    np.savez(folder / "wide.npz", images=np.zeros((20, 9, 9), np.uint8))
    return folder


REFUSED = {
    "no source": ((), "expected exactly one of --samples, --generator, --hub; got none of them"),
    "two sources": (("--samples", "a", "--hub", "b:c"), "got --samples and --hub"),
    "two data sets": (("--samples", "{files}/points.npy", "--against", "b"), "got --dataset and --against"),
    "a latent of samples": (("--samples", "x", "--latent-dim", 3), "--latent-dim: means something with --generator or"),
    "a network of samples": (("--samples", "x", "--network", "mlp"), "--network: means something with --generator"),
    "a crop without a folder": (("--samples", "x", "--crop", "centre"), "--crop: means something with --against only"),
    "nothing there": (("--samples", "{files}/absent"), "absent: no such file or folder"),
    "no images there": (("--samples", "{files}/empty"), "empty: no images"),
    "a torn file": (("--samples", "{files}/torn.npz"), "torn.npz: "),
    "images of another size": (("--samples", "{files}/wide.npz"), "images[0]: 9×9 pixels, expected 8×8. Export them"),
    "a pickle": (("--generator", "{files}/pickled.pt", "--latent-dim", 2), "A pickled model is never loaded"),
    "weights alone": (("--generator", "{files}/weights.safetensors"), "no trial.json of its training lies beside it"),
    "weights without latents": (
        ("--generator", "{files}/weights.safetensors", "--network", "mlp"),
        "--latent-dim: needed, for nothing says how many",
    ),
    "an unknown network": (
        ("--generator", "{files}/weights.safetensors", "--network", "mpl", "--latent-dim", 2),
        "--network: no generator named 'mpl'. Did you mean 'mlp'?",
    ),
    "a network of a script": (("--generator", "{files}/pickled.pt", "--network", "mlp"), "that ends in .safetensors"),
    "no entry": (("--hub", "{files}/empty"), "expected DIR:ENTRY"),
    "no repository": (("--hub", "{files}/empty:net", "--latent-dim", 3), "no hubconf.py in it"),
    "an unknown data set": (("--samples", "{files}/wide.npz", "--dataset", "digts"), "no dataset named 'digts'"),
    "an unknown metric": (("--samples", "{files}/wide.npz", "--metric", "fid"), "--metric: no metric named 'fid'"),
    "a suite without the data": (
        ("--samples", "{files}/points.npy", "--dataset", "grid25", "--suite", "{suite}"),
        "tiny.toml has no data set grid25. Known: digits, ring8",
    ),
    "a file to compare with": (
        ("--samples", "{files}/wide.npz", "--against", "{files}/wide.npz", "--no-dataset"),
        "not a folder. For a file write --dataset npz:FILE",
    ),
    "an extractor of points": (
        ("--samples", "{files}/points.npy", "--dataset", "ring8", "--extractor", "digits"),
        "--extractor: turns images into features, and ring8 is no data set of them",
    ),
    "an extractor for nothing": (
        ("--samples", "{files}/wide.npz", "--extractor", "digits", "--metric", "drawing", "--plugin", ODD),
        "--extractor: turns images into features, and no metric here needs one",
    ),
    "a name of nothing": (("--samples", "{files}/points.npy", "--name", " "), "--name: expected a few words"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_evaluated_is_one_message_and_status_2(files, suite, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    given = [str(argument).format(files=files, suite=suite) for argument in arguments]
    own = "--dataset" in given or "--no-dataset" in given
    result = ganbench("evaluate", *(a for a in given if a != "--no-dataset"), *(() if own else ("--dataset", "digits")))
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("broken", "hub repository {hub}, entry 'broken' raised ValueError: no weights here"),
        ("wide", "hub repository {hub}, entry 'wide' gave a tensor of shape (200, 5), expected"),
    ],
)
def test_a_generator_that_fails_is_one_message_its_traceback_is_in_the_log_and_nothing_else_is_measured(
    hub, tmp_path, entry, message
):
    arguments = ("evaluate", "--hub", f"{hub}:{entry}", "--dataset", "digits", "--latent-dim", 3, "--count", 200)
    result = ganbench(*arguments, "--results", tmp_path / "r")
    assert result.status == 2
    assert result.err.startswith(f"ganbench: {message.format(hub=hub)}")
    (attempt,) = Store(tmp_path / "r").attempts()
    assert result.err.endswith(f"Traceback: {attempt.path / LOG}\n")
    assert "Traceback (most recent call last)" in (attempt.path / LOG).read_text()
    assert json.loads((attempt.path / TRIAL).read_text())["type"] == "evaluated"
    assert load_results(tmp_path / "r")["status"].tolist() == ["error"]


QUICK = """
import sys
from ganbench import cli
sys.argv = ["ganbench", *sys.argv[1:]]
try:
    cli.main()
finally:
    print(sorted({"torch", "torch_fidelity"} & set(sys.modules)), file=sys.stderr)
"""


def test_help_needs_no_torch():
    done = subprocess.run(
        [sys.executable, "-c", QUICK, "evaluate", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"
    assert "--against" in done.stdout
