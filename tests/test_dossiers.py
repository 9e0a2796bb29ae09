"""What the page holds of variants and trials: how much of it, and what stands in the way of hostile results."""

import json
import math
import shutil
from dataclasses import replace

import fabricate
import numpy as np
import pytest
from fabricate import DIGITS, Outcome, evaluation, image_scores, trial, variant
from PIL import Image

from ganbench.albums import MAX_PICTURE_BYTES, frames, read_picture, thinned
from ganbench.bindings import Files, OneFile
from ganbench.dossiers import choose, gather, variants_of
from ganbench.quizzes import gather_quizzes, grid_of
from ganbench.retelling import command_of, told_log, told_parts
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_curves, load_results
from ganbench.terms import Choice, Reference, Score

HOSTILE = ["<script>alert(1)</script>", "n" * 300, "مولد\u202eevil", "\"' onmouseover=alert(1) x='", "a\nb\x1b[31m"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "quick"
    fabricate.write_suite(path)
    return path


def details_of(path, binding=None):
    table, binding = load_results(path), binding or OneFile()
    ranked = board(table)
    sections = [{"dataset": "d", "budget": "b", "score": "s", "direction": "lower"} for _ in range(9)]
    variants = variants_of(ranked, table)
    return gather(variants, sections, table, load_curves(path), binding), variants, table, binding


def text(payload, place):
    return payload["texts"][place]


def one(path, attempt):
    """The entry of one trial, and the payload that it refers to."""
    payload = details_of(path)[0].payload
    return payload["trials"][attempt.key], payload


def grid(count=64, side=8, value=None, columns=8):
    """A picture of that many images, as ganbench lays them out."""
    rows = math.ceil(count / columns)
    picture = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1), 255, np.uint8)
    for index in range(count):
        top, left = index // columns * (side + 1), index % columns * (side + 1)
        picture[top : top + side, left : left + side] = value if value is not None else index
    return Image.fromarray(picture)


def test_every_variant_and_every_trial_has_its_page(results):
    details, variants, table, _ = details_of(results)
    trials = table[table["kind"] == "trial"]
    assert details.trials == set(trials["key"])
    assert details.variants == {variant.id for variant in variants}
    assert details.payload["told"] == details.payload["of"] == len(trials)
    listed = [line["key"] for entry in details.payload["variants"].values() for line in entry["trials"]]
    assert sorted(listed) == sorted(trials["key"])


def test_a_variant_is_named_by_the_section_and_the_place_of_its_row(results):
    details, _, table, _ = details_of(results)
    best = board(table).query("dataset == 'digits' and kind == 'trial'").iloc[0]
    assert details.payload["variants"]["0-0"]["variant"] == best["variant"]


def test_a_trial_tells_its_scores_with_noise_its_costs_and_its_curve(tmp_path):
    first, *others = image_scores(3.25)
    outcome = Outcome((replace(first, noise=0.125), *others))
    attempt = fabricate.whole_trial(Store(tmp_path / "s"), trial(seed=3), outcome)
    entry, payload = one(tmp_path / "s", attempt)
    names = [name for name, _ in json.loads(text(payload, entry["scores"][0]))]
    assert dict(zip(names, entry["scores"][1], strict=True))["fcd_digits"] == ["3.25", "0.125"]
    units = json.loads(text(payload, entry["costs"][0]))
    costs = {name: [number, unit] for (name, unit), number in zip(units, entry["costs"][1], strict=True)}
    assert costs["images_per_second"] == ["5,000", "images/s"]
    assert costs["petaflops"] == ["0.300", "PFLOP"]
    assert payload["meanings"]["steps"][0] == "generator updates"
    curve = dict(zip(json.loads(text(payload, entry["curve"][0])), entry["curve"][1], strict=True))
    assert curve["kimg"][-1] == 100
    assert len(curve["logit/real"]) == 8
    assert (entry["seed"], entry["status"], entry["axis"]) == (3, "ok", "kimg")


def test_noise_that_is_rounding_is_told_as_none(tmp_path):
    store = Store(tmp_path / "s")
    keys = {}
    for noise in (2.98e-08, 0.25):
        modes = replace(fabricate.point_scores(8.0)[0], noise=noise)
        job = trial(variant(f"loss{noise}"), dataset=fabricate.RING)
        keys[noise] = fabricate.commit(store, job, Outcome((modes,))).key
    payload = details_of(store.path)[0].payload
    told = {noise: payload["trials"][key]["scores"][1] for noise, key in keys.items()}
    assert told == {2.98e-08: [["8", "0"]], 0.25: [["8", "0.250"]]}
    lines = [line for entry in payload["variants"].values() for line in entry["trials"]]
    assert sorted((line["score"], line["noise"]) for line in lines) == [("8", "0"), ("8", "0.250")]


def test_a_variant_tells_what_it_costs_as_medians_over_the_seeds_that_ended_well(tmp_path):
    store = Store(tmp_path / "s")
    for seed, memory in enumerate((600 * 2**20, 700 * 2**20, 5 * 2**30)):
        costs = {"peak_memory_bytes": float(memory), "generator_parameters": 310_000.0, "flops_per_step": 2.1e9}
        fabricate.commit(store, trial(seed=seed), Outcome(image_scores(3.0), costs=costs))
    fabricate.commit(store, trial(seed=3), Outcome((), "oom", "no", costs={"peak_memory_bytes": 1.0}))
    payload = details_of(store.path)[0].payload
    units, numbers = payload["variants"]["0-0"]["costs"]
    told = {
        name: f"{n} {unit}".strip() for (name, unit), n in zip(json.loads(text(payload, units)), numbers, strict=True)
    }
    assert told == {
        "generator_parameters": "310,000", "flops_per_step": "2.10 GFLOP", "steps": "1,562",
        "peak_memory_bytes": "700 MiB",
    }  # fmt: skip


def test_pictures_are_told_with_their_sizes(tmp_path):
    store = Store(tmp_path / "s")

    def write(attempt):
        grid().save(attempt.path / "samples-00000009.png")
        grid(48, columns=6).save(attempt.path / "neighbours.png")

    attempt = fabricate.commit(store, trial(), Outcome(image_scores(3.0)), None, write)
    entry, payload = one(store.path, attempt)
    assert entry["size"] == [71, 71]
    assert entry["neighbours_picture"][1:] == [53, 71]
    assert payload["variants"]["0-0"]["trials"][0]["picture"] == [entry["film"][0][0], 71, 71]


def test_that_pictures_are_of_points_is_told_where_the_points_have_no_room(tmp_path):
    store = Store(tmp_path / "s")
    job = trial(dataset=fabricate.RING)
    attempt = fabricate.commit(store, job, Outcome(fabricate.point_scores(8.0)), None, fabricate.write_portrait)
    ring = fabricate.commit(
        store,
        replace(job, seed=1),
        Outcome(fabricate.point_scores(8.0)),
        None,
        lambda attempt: fabricate.write_portrait(attempt, pictorial=False),
    )
    trials = details_of(store.path, OneFile(text_bytes=6_000))[0].payload["trials"]
    assert "of_points" not in trials[attempt.key]
    assert trials[ring.key]["of_points"] is True
    assert "points" not in trials[ring.key]


def test_a_failed_trial_tells_the_end_of_its_log_without_the_folders_of_the_machine(tmp_path):
    store = Store(tmp_path / "s")
    line = 'File "/home/someone/secret/lib/torch/nn/linear.py", line 3\n<b>no</b>\n'

    def write(attempt):
        (attempt.path / "log.txt").write_text(line, encoding="utf-8")

    attempt = fabricate.commit(store, trial(), Outcome((), "error", "it broke", 7), None, write)
    entry, payload = one(store.path, attempt)
    assert (entry["status"], entry["message"], entry["step"]) == ("error", "it broke", 7)
    assert text(payload, entry["log"]) == 'File "…/nn/linear.py", line 3\n<b>no</b>'


def test_a_log_of_windows_loses_its_folders_too():
    assert told_log('File "C:\\Users\\someone\\lib\\nn\\linear.py", line 3') == 'File "…/nn\\linear.py", line 3'


def test_a_trial_that_left_nothing_but_its_record_is_told(tmp_path):
    attempt = fabricate.commit(Store(tmp_path / "s"), trial(), Outcome((), "killed", "it died"), {})
    entry, _ = one(tmp_path / "s", attempt)
    assert entry["environment"] is None
    assert entry["curve"] is None
    assert entry["log"] is None
    assert entry["film"] == []
    assert entry["left_out"] is False
    assert "interpolations" not in entry


def test_the_parts_of_a_trial_are_told_with_their_defaults():
    job = trial(replace(variant("hinge"), generator=Choice("dcgan", (("width", 32),), "", (("norm", "batch"),), "1.0")))
    told = told_parts(job)
    assert told["generator"] == 'name = "dcgan"\nwidth = 32\nnorm = "batch"  # by default\ncode = "1.0"\n'
    assert told["budget"] == "kimg = 100.0\n"
    assert 'metrics = ["fcd", "prdc"]\n' in told["evaluation"]
    assert "generator.learning_rate = 0.0002\n" in told["training"]
    assert list(told)[:4] == ["dataset", "generator", "discriminator", "loss"]


def test_two_penalties_have_two_names():
    told = told_parts(trial(replace(variant(), penalties=(Choice("r1"), Choice("r2")))))
    assert (told["penalty"], told["penalty 2"]) == ('name = "r1"\n', 'name = "r2"\n')


def test_the_command_names_the_suite_the_key_and_plugin_files():
    plugins = [{"plugin": "dcgan", "version": "0.1"}, {"plugin": "mine.py", "version": ""}, {"plugin": "-x y.py"}]
    command = command_of("my results", "ab" * 32, {"plugins": plugins})
    assert command == ("ganbench reproduce 'my results' abababababababab --plugin mine.py --plugin './-x y.py'")


@pytest.mark.parametrize("plugins", [None, "mine.py", [3], [{"version": None}]])
def test_odd_plugins_of_an_environment_break_no_command(plugins):
    assert command_of("quick", "ab" * 32, {"plugins": plugins}).startswith("ganbench reproduce quick abababababababab")


def test_a_command_of_a_hostile_suite_is_one_argument():
    assert command_of("$(reboot); '", "ab" * 32, {}).split(" ", 2)[2] == "'$(reboot); '\"'\"'' abababababababab"
    assert command_of("--help", "ab" * 32, {}) == "ganbench reproduce ./--help abababababababab"
    assert "\u202e" not in command_of("a\u202eb", "ab" * 32, {})


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_words_come_as_text_that_steers_nothing(tmp_path, name):
    store = Store(tmp_path / "s")
    made = replace(variant(name), generator=Choice(name, ((name, name),)))
    attempt = fabricate.commit(store, trial(made, dataset=Choice(name)), Outcome((), "error", name), {name: name})
    entry, payload = one(store.path, attempt)
    whole = json.dumps([entry, payload["variants"], payload["texts"]], ensure_ascii=False)
    assert "\u202e" not in whole
    assert "\x1b" not in whole
    assert "\n" not in entry["message"] + entry["label"] + entry["command"]


def failing(store, count, *, first=0):
    for seed in range(first, first + count):
        fabricate.commit(store, trial(variant("minimax"), seed), Outcome((), "oom", "no memory"))


def test_the_best_variants_come_first_then_what_failed_then_the_others(tmp_path):
    store = Store(tmp_path / "s")
    for place, loss in enumerate("abcd"):
        for seed in range(2):
            fabricate.commit(store, trial(variant(loss), seed), Outcome(image_scores(3.0 + place)))
    failing(store, 2)
    table = load_results(store.path)
    found = choose(variants_of(board(table), table), 7)
    losses = [dossier.run["loss"] for dossier in found]
    assert losses == ["a", "a", "b", "minimax", "minimax", "b", "c"]
    assert [dossier.run["loss"] for dossier in choose(variants_of(board(table), table), 10)][-2:] == ["minimax"] * 2


def test_what_has_no_room_is_counted_and_no_part_of_it_is_told(tmp_path):
    store = Store(tmp_path / "s")
    for seed in range(9):
        fabricate.whole_trial(store, trial(seed=seed), Outcome(image_scores(3.0)))
    details, _, _, _ = details_of(store.path, OneFile(text_bytes=9_000))
    assert 1 < details.payload["told"] < 9
    assert details.payload["of"] == 9
    lines = details.payload["variants"]["0-0"]["trials"]
    assert {line["key"] for line in lines if line["told"]} == details.trials
    assert len(lines) == 9


def test_last_samples_have_room_before_films(tmp_path):
    store = Store(tmp_path / "s")
    for seed in range(3):
        attempt = fabricate.whole_trial(store, trial(seed=seed), Outcome(image_scores(3.0)))
        for step in (100, 200):
            fabricate.write_samples(attempt, f"samples-{step:08d}.png", 0.41 + seed / 10 + step / 1000)
    last = {attempt.key: (attempt.path / "samples-00001563.png").read_bytes() for attempt in store.newest()}
    room = sum(map(len, last.values()))
    payload = details_of(store.path, OneFile(picture_bytes=room))[0].payload
    films = [entry["film"] for entry in payload["trials"].values()]
    assert [[step for _, step in film] for film in films] == [[1563]] * 3
    assert all(entry["left_out"] for entry in payload["trials"].values())
    assert len(payload["pictures"]) == 3
    whole = details_of(store.path)[0].payload
    assert [[step for _, step in entry["film"]] for entry in whole["trials"].values()] == [[100, 200, 1563]] * 3


def test_a_picture_that_is_there_twice_is_embedded_once(tmp_path):
    store = Store(tmp_path / "s")
    attempt = fabricate.whole_trial(store, trial(), Outcome(image_scores(3.0)))
    shutil.copy(attempt.path / "samples-00001563.png", attempt.path / "samples-00000001.png")
    shutil.copy(attempt.path / "samples-00001563.png", attempt.path / "neighbours.png")
    entry, payload = one(store.path, attempt)
    assert entry["film"] == [(0, 1), (0, 1563)]
    assert entry["neighbours_picture"] == [0, 64, 64]
    assert len(payload["pictures"]) == 2  # and that of interpolations


def test_a_picture_of_the_board_is_not_embedded_again():
    picture = read_picture_of(grid())
    binding = OneFile()
    place, address = binding.shown(picture)
    assert binding.picture(picture) == place == 0
    assert address.startswith("data:image/png;base64,")
    assert binding.details({}, {})["pictures"] == [None]


def read_picture_of(image, folder=None):
    import tempfile
    from pathlib import Path

    attempt = Path(folder or tempfile.mkdtemp()) / "runs" / "k" / "1"
    attempt.mkdir(parents=True, exist_ok=True)
    image.save(attempt / "samples-00000001.png")
    return read_picture(attempt / "samples-00000001.png", attempt)


def test_no_link_brings_a_file_from_elsewhere_into_the_page(tmp_path):
    store = Store(tmp_path / "s")
    attempt = fabricate.commit(store, trial(), Outcome(image_scores(3.0)))
    grid().save(tmp_path / "secret.png")
    (tmp_path / "secret.json").write_text('{"points": {"data": [[0, 0]], "samples": [[1, 1]]}}', encoding="utf-8")
    for name in ("samples-00000001.png", "interpolations.png", "neighbours.png"):
        (attempt.path / name).symlink_to(tmp_path / "secret.png")
    (attempt.path / "portrait.json").symlink_to(tmp_path / "secret.json")
    entry, payload = one(store.path, attempt)
    assert entry["film"] == []
    assert payload["pictures"] == []
    assert entry.keys().isdisjoint({"interpolations", "neighbours_picture", "points"})


@pytest.mark.parametrize("content", [b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n" + b"0" * MAX_PICTURE_BYTES, b""])
def test_what_is_no_picture_of_ours_is_not_taken(tmp_path, content):
    store = Store(tmp_path / "s")
    attempt = fabricate.commit(store, trial(), Outcome(image_scores(3.0)))
    for name in ("samples-00000001.png", "neighbours.png"):
        (attempt.path / name).write_bytes(content)
    entry, payload = one(store.path, attempt)
    assert entry["film"] == payload["pictures"] == []


def test_a_portrait_is_told_and_a_broken_one_is_passed_over(tmp_path):
    store = Store(tmp_path / "s")
    good, bad = (fabricate.commit(store, trial(seed=seed), Outcome(image_scores(3.0))) for seed in (0, 1))
    portrait = {
        "classes": {"names": ["a\u202e", "b"], "data": [0.5, 0.5], "samples": [0.25, 0.75]},
        "points": None,
        "neighbours": {"distance": "pixels", "of": 9, "samples": [1.0], "heldout": [2.0]},
    }
    (good.path / "portrait.json").write_text(json.dumps(portrait), encoding="utf-8")
    (bad.path / "portrait.json").write_text('{"classes": 3}', encoding="utf-8")
    payload = details_of(store.path)[0].payload
    told = payload["trials"][good.key]
    assert json.loads(text(payload, told["classes"]["names"])) == ["a�", "b"]
    assert json.loads(text(payload, told["classes"]["samples"])) == [0.25, 0.75]
    assert json.loads(text(payload, told["neighbours"]["distance"])) == "pixels"
    assert payload["trials"][bad.key].keys().isdisjoint({"classes", "points", "neighbours"})
    assert "points" not in told


def test_texts_that_many_trials_share_are_there_once(results):
    payload = details_of(results)[0].payload
    assert len(payload["texts"]) == len(set(payload["texts"]))
    assert len({entry["environment"] for entry in payload["trials"].values()}) == 1


def test_the_payload_is_json_without_numbers_that_are_none(results):
    payload = details_of(results)[0].payload
    json.loads(json.dumps(payload, allow_nan=False))


def test_a_thousand_trials_leave_room_for_the_rest_of_the_page(tmp_path):
    store = Store(tmp_path / "s")
    for number in range(40):
        fabricate.whole_trial(store, trial(variant(f"loss{number // 4}"), number % 4), Outcome(image_scores(3.0)))
    payload = details_of(store.path)[0].payload
    bytes_a_trial = len(json.dumps(payload["trials"])) / 40
    assert bytes_a_trial < 2_000


def test_files_have_room_for_everything_and_are_named_by_content_and_key(tmp_path, results):
    details, _, table, _ = details_of(results, Files(tmp_path))
    names = {path.name for path in (tmp_path / "details").iterdir()}
    assert {f"trial-{key}.js" for key in table.query("kind == 'trial'")["key"]} <= names
    assert details.payload["trials"] == {}
    script = (tmp_path / "details" / "variant-0-0.js").read_text(encoding="utf-8")
    assert script.startswith('ganbench.details.take({"kind": "variant", "id": "0-0"')
    pictures = list((tmp_path / "pictures").iterdir())
    assert all(len(path.stem) == 32 for path in pictures)


def test_a_trial_whose_folder_has_no_key_for_a_name_has_no_page(tmp_path):
    store = Store(tmp_path / "s")
    attempt = fabricate.commit(store, trial(), Outcome(image_scores(3.0)))
    kept = fabricate.commit(store, trial(seed=1), Outcome(image_scores(3.0)))
    attempt.path.parent.rename(attempt.path.parent.with_name("x'y"))
    path = store.path / "runs" / "x'y" / "1" / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"key": "x'y"}), encoding="utf-8")
    assert details_of(store.path)[0].trials == {kept.key}


def test_frames_are_in_the_order_of_training_and_not_too_many(tmp_path):
    for step in range(0, 3000, 20):
        (tmp_path / f"samples-{step}.png").write_bytes(b"")
    (tmp_path / "samples-late.png").write_bytes(b"")
    found = frames(tmp_path)
    steps = [frame.step for frame in found]
    assert len(found) == 100
    assert steps[0] is None
    assert steps[1:] == sorted(steps[1:])
    assert steps[-1] == 2980


def test_thinning_keeps_both_ends():
    assert thinned(list(range(10)), 4) == [0, 3, 6, 9]
    assert thinned([1, 2], 4) == [1, 2]


# The quiz


@pytest.mark.parametrize(
    ("picture", "count", "size"),
    [
        (grid(), 64, (8, 8, 64)),
        (grid(20), 20, (8, 8, 20)),
        (grid(side=28), 898, (28, 28, 64)),
        (Image.new("L", (320, 320)), 10_000, None),
        (Image.new("L", (64, 64)), 64, None),
        (grid(), 0, None),
    ],
)
def test_a_grid_is_told_by_the_size_of_its_picture(picture, count, size):
    found = grid_of(read_picture_of(picture), count)
    assert (found and (found.width, found.height, found.count)) == size


def write_quiz(store, *, real=True, detect=None):
    common = {"n_fake": 898, "n_real": 898, **fabricate.FEATURES}
    found = (Score("c2st_1nn_digits", detect, "lower", metric="detectability", **common),) if detect else ()
    if real:
        outcome = Outcome(image_scores(0.6) + found)
        commit_with(store, Reference(DIGITS, "real_floor", evaluation()), outcome, grid(value=250))
    for place, loss in enumerate(("hinge", "wgan")):
        for seed in range(2):
            outcome = Outcome(image_scores(3.0 + place) + found)
            commit_with(store, trial(variant(loss), seed), outcome, grid(value=10 + place + 50 * seed))


def commit_with(store, job, outcome, picture):
    def write(attempt):
        picture.save(attempt.path / "samples-00000009.png")

    return fabricate.commit(store, job, outcome, None, write)


def quizzes_of(path):
    _, variants, table, binding = details_of(path)
    return gather_quizzes(variants, [{"dataset": "digits", "budget": "100 kimg"}], table, binding)


def test_a_quiz_has_real_pictures_and_those_of_each_variant(tmp_path):
    write_quiz(Store(tmp_path / "s"), detect=0.875)
    (quiz,) = quizzes_of(tmp_path / "s")
    assert quiz["size"] == [8, 8]
    assert quiz["real"][1] == 64
    assert [variant["label"] for variant in quiz["variants"]] == ["hinge", "wgan"]
    assert [[grid[1] for grid in variant["grids"]] for variant in quiz["variants"]] == [[64, 64]] * 2
    assert quiz["variants"][0]["machine"] == [["c2st_1nn_digits", "0.875"]]
    places = {grid[0] for variant in quiz["variants"] for grid in variant["grids"]} | {quiz["real"][0]}
    assert len(places) == 5


def test_a_quiz_says_nothing_of_a_classifier_that_was_not_asked(tmp_path):
    write_quiz(Store(tmp_path / "s"))
    assert [variant["machine"] for variant in quizzes_of(tmp_path / "s")[0]["variants"]] == [[], []]


def test_there_is_no_quiz_without_real_pictures(tmp_path):
    write_quiz(Store(tmp_path / "s"), real=False)
    assert quizzes_of(tmp_path / "s") == []


def test_there_is_no_quiz_of_points(results):
    assert quizzes_of(results) == []  # nor of grids without a line between their images


def test_a_variant_of_pictures_of_another_size_is_not_in_the_quiz(tmp_path):
    store = Store(tmp_path / "s")
    write_quiz(store)
    commit_with(store, trial(variant("large")), Outcome(image_scores(9.0)), grid(side=16))
    assert [variant["label"] for variant in quizzes_of(store.path)[0]["variants"]] == ["hinge", "wgan"]
