from __future__ import annotations

import re
import sys
from dataclasses import replace

import pytest
import torch

from ganbench import cache, extraction
from ganbench.errors import DataError, PluginError
from ganbench.extraction import extract
from ganbench.metrics import Evaluator, Labelled, _collect, spread
from ganbench.protocols import Data, Evidence, Extractor
from ganbench.terms import Measure, Score

LAYERS = ["logits", "pooled"]


class Colours(torch.nn.Module):
    """Mean colour as features, and twice that as logits, through a batch norm that would give a training mode away."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3)
        self.frozen = torch.nn.BatchNorm1d(3).eval()
        self.shapes: list[tuple[int, ...]] = []

    def get_requested_features_list(self):
        return LAYERS

    def forward(self, images):
        assert images.dtype == torch.uint8
        self.shapes.append(tuple(images.shape))
        pooled = self.frozen(self.norm(images.double().mean(dim=(2, 3)).float()))
        return 2 * pooled, pooled


class Keep:
    """A metric that keeps what it was shown and gives the scores that it was told to."""

    def __init__(self, *scores: object) -> None:
        self.result: object = scores
        self.seen: list[Evidence] = []

    def __call__(self, evidence):
        self.seen.append(evidence)
        return self.result


def images(count: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, 4, 4), generator=rng, dtype=torch.uint8)


def image_data(channels: int = 3, heldout: int = 100) -> Data:
    return Data(train=images(120, channels, seed=1), heldout=images(heldout, channels, seed=2))


def point_data() -> Data:
    rng = torch.Generator().manual_seed(3)
    return Data(train=torch.randn(50, 2, generator=rng), heldout=torch.randn(40, 2, generator=rng))


def counted(made: Score, count: int = 2) -> Score:
    """The score with its numbers of samples."""
    return replace(made, n_fake=count, n_real=count)


EVIDENCE = Evidence(fake=torch.zeros(2, 2), real=torch.zeros(2, 2), data=point_data())


def colours(**changes) -> Extractor:
    extractor = Extractor(Colours(), tag="toy", weights_sha256="ab", layer="pooled", dimension=3, logits_layer="logits")
    return replace(extractor, **changes)


def score(name: str, value: float | None = 1.0, metric: str = "keep", direction: str = "lower", **facts) -> Score:
    return Score(name, value, direction, metric=metric, **facts)


@pytest.mark.parametrize(("samples", "expected"), [(30, 30), (100, 40), (45, 40)])
def test_count_is_at_most_what_either_split_holds(samples, expected):
    assert Evaluator(point_data(), [], None, samples).count == expected
    swapped = Data(train=point_data().heldout, heldout=point_data().train)
    assert Evaluator(swapped, [], None, samples).count == expected


def test_the_reals_are_the_same_heldout_samples_every_time_spread_evenly():
    data = point_data()
    real = Evaluator(data, [], None, 10).real
    assert torch.equal(real, data.heldout[::4])
    assert torch.equal(Evaluator(data, [], None, 40).real, data.heldout)


@pytest.mark.parametrize("count", [1, 3, 7, 9])
def test_spread_takes_different_samples_from_the_whole_range(count):
    taken = spread(9, count).tolist()
    assert len(set(taken)) == count
    assert max(taken) >= 9 - 9 / count - 1


def test_metrics_see_points_as_they_are_and_no_features():
    keep = Keep(score("a"))
    fake = torch.ones(40, 2)
    assert Evaluator(point_data(), [keep], None, 40).scores(fake) == (score("a", n_fake=40, n_real=40),)
    (evidence,) = keep.seen
    assert torch.equal(evidence.fake, fake)
    assert torch.equal(evidence.real, point_data().heldout)
    assert evidence.extractor is evidence.fake_features is evidence.real_features is evidence.fake_logits is None


def test_features_and_logits_are_those_of_their_layers_with_reals_and_fakes_in_their_places():
    keep = Keep()
    extractor = colours()
    data = image_data()
    fake = images(100, seed=4)
    Evaluator(data, [keep], extractor, 100).scores(fake)
    (evidence,) = keep.seen
    scale = (1 + extractor.module.norm.eps) ** -1  # two batch norms at their initial statistics
    torch.testing.assert_close(evidence.fake_features, fake.float().mean(dim=(2, 3)) * scale)
    torch.testing.assert_close(evidence.real_features, data.heldout.float().mean(dim=(2, 3)) * scale)
    torch.testing.assert_close(evidence.fake_logits, 2 * evidence.fake_features)
    torch.testing.assert_close(evidence.real_logits, 2 * evidence.real_features)
    assert not torch.allclose(evidence.real_features, evidence.fake_features)


def test_real_features_are_extracted_once_and_fakes_once_for_all_metrics():
    extractor = colours()
    evaluator = Evaluator(image_data(), [Keep(), Keep()], extractor, 50)
    assert sum(shape[0] for shape in extractor.module.shapes) == 50
    evaluator.scores(images(50))
    evaluator.scores(images(50, seed=5))
    assert sum(shape[0] for shape in extractor.module.shapes) == 150


def test_grey_images_are_repeated_to_three_channels():
    extractor = colours()
    grey = images(10, channels=1)
    features = extract(extractor, grey)["features"]
    coloured = extract(extractor, grey.repeat(1, 3, 1, 1))["features"]
    assert {shape[1:] for shape in extractor.module.shapes} == {(3, 4, 4)}
    assert torch.equal(features, coloured)


def test_features_do_not_depend_on_the_batch_size(monkeypatch):
    extractor = colours()
    features, logits = extract(extractor, images(100)).values()
    monkeypatch.setattr(extraction, "BATCH_SIZE", 7)
    in_sevens, logits_in_sevens = extract(extractor, images(100)).values()
    assert extractor.module.shapes[-1] == (2, 3, 4, 4)
    torch.testing.assert_close(in_sevens, features)
    torch.testing.assert_close(logits_in_sevens, logits)


def test_an_extractor_without_logits_gives_none():
    found = extract(colours(logits_layer=""), images(5))
    assert found["features"].shape == (5, 3)
    assert "logits" not in found


def test_extraction_leaves_modes_buffers_gradients_and_random_state_alone():
    extractor = colours()
    extractor.module.train()
    extractor.module.frozen.eval()
    extractor.module.norm.weight.grad = torch.full((3,), 7.0)
    before = {name: value.clone() for name, value in extractor.module.state_dict().items()}
    state = torch.get_rng_state()
    features = extract(extractor, images(20))["features"]
    assert torch.equal(torch.get_rng_state(), state)
    assert extractor.module.training
    assert extractor.module.norm.training
    assert not extractor.module.frozen.training
    for name, value in extractor.module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert extractor.module.norm.weight.grad.tolist() == [7.0, 7.0, 7.0]
    assert not features.requires_grad
    assert torch.is_grad_enabled()


def test_modes_are_restored_when_the_extractor_fails():
    extractor = colours()
    extractor.module.train()
    with pytest.raises(PluginError, match=r"no layer 'poled'\. Did you mean 'pooled'"):
        extract(replace(extractor, layer="poled"), images(5))
    assert extractor.module.norm.training


@pytest.mark.parametrize(
    ("fake", "came"),
    [
        (images(99), r"uint8 of shape \(99, 3, 4, 4\)"),
        (images(100, channels=1), r"uint8 of shape \(100, 1, 4, 4\)"),
        (images(100).float(), r"float32 of shape \(100, 3, 4, 4\)"),
    ],
)
def test_samples_of_another_form_are_refused(fake, came):
    evaluator = Evaluator(image_data(), [], None, 100)
    with pytest.raises(DataError, match=came + r", expected torch.uint8 of shape \(100, 3, 4, 4\)"):
        evaluator.scores(fake)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_points_that_are_not_finite_are_refused_with_their_number(value):
    fake = torch.zeros(40, 2)
    fake[3] = fake[7, 1] = value
    with pytest.raises(DataError, match="2 of 40 are not finite"):
        Evaluator(point_data(), [], None, 40).scores(fake)


def test_an_extractor_cannot_look_at_points():
    with pytest.raises(
        DataError, match=r"extractor 'toy' looks at uint8 images .* got torch.float32 of shape \(40, 2\)"
    ):
        Evaluator(point_data(), [], colours(), 40)


def test_features_of_another_dimension_than_declared_are_the_extractors_fault():
    with pytest.raises(PluginError, match=r"extractor 'toy', layer 'pooled': got .*\(100, 3\), expected \(100, 64\)"):
        Evaluator(image_data(), [], colours(dimension=64), 100)


def test_features_that_are_not_finite_are_the_extractors_fault():
    extractor = colours()
    extractor.module.norm.weight.data[1] = float("nan")
    with pytest.raises(PluginError, match="extractor 'toy', layer 'pooled': some values are not finite"):
        extract(extractor, images(5))


def test_two_metrics_that_give_the_same_name_are_named():
    evaluator = Evaluator(point_data(), [Keep(score("a", metric="one")), Keep(score("a", metric="two"))], None, 40)
    with pytest.raises(PluginError, match=r"metric .*Keep gives a score named 'a', as metric .*Keep does"):
        evaluator.scores(torch.zeros(40, 2))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ((score("a", float("nan")),), "Keep gave nan for 'a'"),
        ((score("a", float("inf")),), "Keep gave inf for 'a'"),
        (0.5, "Keep gave 0.5, expected a tuple of Score"),
        ((0.5,), r"Keep gave \(0.5,\), expected a tuple of Score"),
    ],
)
def test_what_cannot_be_stored_is_the_metrics_fault(result, message):
    keep = Keep()
    keep.result = result
    with pytest.raises(PluginError, match=message):
        Evaluator(point_data(), [keep], None, 40).scores(torch.zeros(40, 2))


def test_scores_come_in_the_order_of_the_metrics_and_none_is_allowed():
    scores = (score("b"), score("a", None), score("c"))
    evaluator = Evaluator(point_data(), [Keep(*scores[:2]), Keep(scores[2])], None, 40)
    assert evaluator.scores(torch.zeros(40, 2)) == tuple(counted(made, 40) for made in scores)


@pytest.mark.parametrize(
    ("score", "problem"),
    [
        (Score("a", 1.0, "down"), "direction"),
        (Score("a", torch.tensor(1.0), "lower"), "value"),
        (Score("seed", 1.0, "lower"), "a column of every table"),
        (Score("kimg", 1.0, "lower"), "a column of every table"),
        (Score("b gap", 1.0, "lower"), "expected a name"),
        (Score("a", -1.0, "lower", mean="geometric"), "above 0"),
    ],
)
def test_a_score_that_could_not_be_read_again_is_refused_with_its_metrics_name(score, problem):
    anything = (Measure("{extractor}", "lower", "Anything.", "x"),)
    with pytest.raises(PluginError, match=rf"metric 'mine' of somebody gave .*{problem}"):
        _collect([Labelled("metric 'mine' of somebody", lambda evidence: (score,), anything)], EVIDENCE)


DECLARED = (
    Measure("share_{extractor}", "higher", "A share.", "k/N", lowest=0.0, highest=1.0),
    Measure("far_{count}", "lower", "A distance.", "|x|", lowest=0.0, mean="geometric"),
)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (score("shade_extractor", direction="higher"), "declared no such score. Did you mean 'share_{extractor}'"),
        (score("share_", direction="higher"), "declared no such score"),
        (score("share_digits", direction="lower"), "its direction is lower, declared was higher"),
        (score("far_5k"), "its mean is arithmetic, declared was geometric"),
        (score("share_digits", value=1.1, direction="higher"), "at least 0 and at most 1"),
        (score("share_digits", value=-0.1, direction="higher"), "at least 0 and at most 1"),
        (score("share_digits", value=0.5, direction="higher", noise=-1.0), "its noise is -1.0"),
        (score("share_digits", value=0.5, direction="higher", noise=float("nan")), "noise"),
    ],
)
def test_a_score_that_is_not_as_it_was_declared_is_refused(given, problem):
    with pytest.raises(PluginError, match=re.escape(problem)):
        _collect([Labelled("metric 'mine'", lambda evidence: (given,), DECLARED)], EVIDENCE)


def test_scores_as_declared_pass_and_rounding_is_forgiven():
    share = score("share_digits", value=1 + 1e-9, direction="higher", noise=0.0)
    far = score("far_5k", value=None, mean="geometric")
    found = _collect([Labelled("metric 'mine'", lambda evidence: (share, far), DECLARED)], EVIDENCE)
    assert found == (counted(share), counted(far))


def test_real_features_are_extracted_once_for_all_evaluators_that_measure_the_same():
    first, second, other = colours(), colours(), colours()
    data = Data(train=images(20), heldout=images(30))
    keep = Keep(score("a"))
    Evaluator(data, [keep], first, 10, identity={"dataset": "d"})
    seen = len(first.module.shapes)
    evaluator = Evaluator(data, [keep], second, 10, identity={"dataset": "d"})
    assert seen > 0
    assert second.module.shapes == []
    evaluator.scores(images(10))
    assert torch.equal(keep.seen[-1].real_features, extract(first, data.heldout[::3])["features"])
    Evaluator(data, [keep], replace(other, weights_sha256="0" * 64), 10, identity={"dataset": "d"})
    assert other.module.shapes  # other weights: other features


def test_nothing_is_kept_of_an_extractor_without_a_hash_or_without_an_identity():
    data = Data(train=images(20), heldout=images(30))
    Evaluator(data, [], replace(colours(), weights_sha256=""), 10, identity={"dataset": "d"})
    Evaluator(data, [], colours(), 10)
    assert cache.entries() == []


def test_statistics_of_the_real_side_outlive_the_evaluator_and_follow_the_samples():
    calls = []

    def counting(evidence):
        evidence.of_real.recall("mean/1", lambda: calls.append(1) or {"mean": evidence.real.mean(0)})
        return ()

    data = point_data()
    for _ in range(2):
        evaluator = Evaluator(data, [counting], None, 40, identity={"dataset": "d"})
        evaluator.scores(torch.zeros(40, 2))
        evaluator.scores(torch.ones(40, 2))
    assert len(calls) == 1
    moved = replace(data, heldout=data.heldout + 1)
    Evaluator(moved, [counting], None, 40, identity={"dataset": "d"}).scores(torch.zeros(40, 2))
    assert len(calls) == 2


def test_training_features_are_there_for_metrics_that_need_them():
    keep = Keep(score("a"))
    data = Data(train=images(20), heldout=images(30))
    Evaluator(data, [keep], colours(), 10).scores(images(10))
    assert keep.seen[-1].train_features is None
    extractor = colours()
    Evaluator(data, [keep], extractor, 10, training=True).scores(images(10))
    assert torch.equal(keep.seen[-1].train_features, extract(extractor, data.train)["features"])


def test_labels_that_were_asked_for_reach_the_metrics_with_those_of_the_reals():
    keep = Keep(score("a"))
    data = replace(point_data(), heldout_labels=torch.arange(40))
    evaluator = Evaluator(data, [keep], None, 10)
    evaluator.scores(torch.zeros(10, 2), labels=torch.arange(10), resamples=3)
    assert keep.seen[-1].fake_labels.tolist() == list(range(10))
    assert keep.seen[-1].real_labels.tolist() == list(range(0, 40, 4))
    assert keep.seen[-1].resamples == 3
    with pytest.raises(DataError, match="labels asked for"):
        evaluator.scores(torch.zeros(10, 2), labels=torch.arange(9))


def test_data_that_are_all_held_out_can_be_measured_against():
    data = Data(train=torch.zeros(0, 2), heldout=torch.rand(40, 2))
    assert Evaluator(data, [], None, 30).count == 30
    assert Evaluator(data, [], None, 300).count == 40


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("fake", lambda evidence: evidence.fake.mul_(0)),
        ("real", lambda evidence: evidence.real.zero_()),
        ("real_features", lambda evidence: evidence.real_features.zero_()),
        ("data.train", lambda evidence: evidence.data.train.mul_(0)),
    ],
)
def test_a_metric_that_writes_to_what_others_see_is_refused(name, spoil):
    def spoiling(evidence):
        spoil(evidence)
        return ()

    evaluator = Evaluator(Data(train=images(20), heldout=images(30)), [spoiling], colours(), 10)
    with pytest.raises(PluginError, match=rf"changed `evidence.{name}` in place"):
        evaluator.scores(images(10))


def test_statistics_of_a_side_that_was_written_to_are_not_kept_on_disk():
    def spoiling(evidence):
        evidence.real.mul_(0)
        evidence.of_real.recall("mean/1", lambda: {"mean": evidence.real.mean(0)})
        return ()

    with pytest.raises(PluginError, match="in place"):
        Evaluator(point_data(), [spoiling], None, 40, identity={"dataset": "d"}).scores(torch.zeros(40, 2))
    assert cache.entries() == []


def test_statistics_of_one_plugins_code_are_not_seen_by_another():
    seen = []

    def counting(value):
        def metric(evidence):
            seen.append(evidence.of_real.recall("mean", lambda: {"mean": torch.tensor(value)})["mean"].item())
            return ()

        return metric

    for scope, value in (("mine 1.0", 1.0), ("mine 1.1", 2.0), ("mine 1.0", 3.0), ("", 4.0), ("", 5.0)):
        metric = Labelled("metric 'mean'", counting(value), (), scope)
        Evaluator(point_data(), [metric], None, 40, identity={"dataset": "d"}).scores(torch.zeros(40, 2))
    assert seen == [1.0, 2.0, 1.0, 4.0, 4.0]


def test_statistics_follow_the_labels_of_the_reals():
    seen = []

    def labels(evidence):
        seen.append(evidence.of_real.recall("labels", lambda: {"first": evidence.real_labels[0]})["first"].item())
        return ()

    for label in (0, 7):
        data = replace(point_data(), heldout_labels=torch.full((40,), label))
        Evaluator(data, [labels], None, 40, identity={"dataset": "d"}).scores(torch.zeros(40, 2))
    assert seen == [0, 7]


def test_an_extractor_that_writes_to_its_input_spoils_nothing():
    class Greedy(Colours):
        def forward(self, images):
            outputs = super().forward(images)
            images.zero_()
            return outputs

    colour = images(10)
    extract(replace(colours(), module=Greedy()), colour)
    assert torch.equal(colour, images(10))


class Odd(torch.nn.Module):
    """Gives what it is told to."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def get_requested_features_list(self):
        return LAYERS

    def forward(self, images):
        return self.outputs(len(images))


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        (
            lambda n: (torch.zeros(n, 4), torch.zeros(n, 3)),
            "layer 'logits': got values of shape (10, 4), expected (10, 6)",
        ),
        (lambda n: (torch.full((n, 6), torch.nan), torch.zeros(n, 3)), "layer 'logits': some values are not finite"),
        (
            lambda n: (torch.zeros(n, 6), torch.zeros(n, 2)),
            "layer 'pooled': got values of shape (10, 2), expected (10, 3)",
        ),
        (lambda n: torch.zeros(n, 3), "gave a tensor of shape (10, 3), expected a tuple of 2: logits, pooled"),
        (lambda n: (torch.zeros(n, 6),), "gave 1 outputs, expected a tuple of 2"),
        (lambda n: (torch.zeros(n, 6), "pooled"), "layer 'pooled': gave a str, expected floating-point numbers"),
        (lambda n: (torch.zeros(n, 6), torch.zeros(n, 3, dtype=torch.int64)), "expected floating-point numbers"),
        (lambda n: 1 / 0, "raised ZeroDivisionError"),
        (lambda n: sys.exit(0), "raised SystemExit"),
    ],
)
def test_an_extractor_that_breaks_its_contract_is_named(outputs, problem):
    odd = replace(colours(), module=Odd(outputs), classes=6, label="extractor 'odd' of somebody")
    with pytest.raises(PluginError, match=re.escape(problem)) as caught:
        extract(odd, images(10))
    assert str(caught.value).startswith("extractor 'odd' of somebody")


def test_two_metrics_of_one_score_are_both_named():
    first, second = (
        Labelled(f"metric '{name}' of somebody", Keep(score("a")), (Measure("a", "lower", "A.", "a"),)) for name in "xy"
    )
    with pytest.raises(
        PluginError, match="metric 'y' of somebody gives a score named 'a', as metric 'x' of somebody does"
    ):
        Evaluator(point_data(), [first, second], None, 40).scores(torch.zeros(40, 2))


def test_numbers_of_samples_that_a_metric_left_out_are_filled_in():
    (found,) = Evaluator(point_data(), [Keep(score("a"))], None, 40).scores(torch.zeros(40, 2))
    assert (found.n_fake, found.n_real) == (40, 40)
