from __future__ import annotations

import pytest
import torch
from scenes import SmallCritic, gradients, initialised, slopes, small_generator
from torch.nn.functional import softplus
from torch.testing import assert_close

from ganbench.errors import ChoiceError
from ganbench_losses.logistic import NonSaturating
from ganbench_losses.relativistic import Relativistic
from ganbench_methods.top_k import TopK


@pytest.fixture
def scene(make_scene):
    """A function that builds a scene of five fakes, at a step."""
    networks = {"generator": small_generator(), "discriminator": initialised(SmallCritic(), 3)}
    return lambda step=1, objective=None: make_scene(networks, objective=objective or NonSaturating(), step=step)


def ranked(scene):
    """What the non-saturating loss says of each fake, the one with the highest logit first."""
    logits = scene.networks["discriminator"](scene.networks["generator"](scene.latents))
    return softplus(-logits.sort(descending=True).values)


@pytest.mark.parametrize(("share", "kept"), [(1.0, 5), (0.6, 3), (0.2, 1)])
def test_the_mean_is_that_of_the_fakes_with_the_highest_logits(share, kept, scene):
    made = scene()
    terms = TopK(share=share, decay=0.5, every=1).disguise(scene(step=9))
    ((_, term),) = terms.items()
    assert int((term != 0).sum()) == kept
    assert_close(term.mean(), ranked(made)[:kept].mean())
    assert kept == 5 or not torch.allclose(term.mean(), ranked(made)[-kept:].mean())


def test_the_others_leave_no_trace_in_the_gradient(scene):
    made = scene(step=9)
    fake = made.networks["generator"](made.latents)
    logits = made.networks["discriminator"](fake)
    best = logits.topk(2).indices
    terms = TopK(share=0.4, decay=0.5, every=1).disguise(made)
    expected = gradients({"best": softplus(-logits[best])}, made.networks["generator"])
    assert_close(gradients(terms, made.networks["generator"]), expected)


def test_the_gradient_is_the_slope(scene):
    def minimised():
        return TopK(share=0.4, decay=0.5, every=1).disguise(scene(step=9))

    generator = scene().networks["generator"]
    assert_close(gradients(minimised(), generator), slopes(minimised, generator), rtol=1e-5, atol=1e-7)


def test_the_discriminator_sees_all_fakes(scene):
    made = scene(step=9)
    critic = made.networks["discriminator"]
    fake = made.networks["generator"](made.latents)
    terms = TopK(share=0.2, decay=0.5, every=1).criticism(made)
    assert_close(sum(terms.values()), softplus(-critic(made.real)) + softplus(critic(fake)))
    assert set(gradients(terms, made.networks["generator"])) == {None}


def test_a_loss_that_compares_logits_is_ranked_by_those_of_the_fakes(scene):
    made = scene(step=9, objective=Relativistic())
    critic, fake = made.networks["discriminator"], made.networks["generator"](made.latents)
    best = critic(fake).topk(2).indices
    ((_, term),) = TopK(share=0.4, decay=0.5, every=1).disguise(made).items()
    assert_close(term[best], 5 / 2 * softplus(critic(made.real) - critic(fake))[best])
    assert int((term != 0).sum()) == 2


def test_fakes_are_judged_once_and_a_loss_that_asks_for_heads_is_heard_too(scene):
    calls = []

    class Heads:
        def generator(self, game):
            return {"adversarial": -game.critic.judge(game.fake)["logits"]}

    class Aside:
        def generator(self, game):
            return {"adversarial": -game.critic(game.fake + 0)}  # not the tensor that is known as the fakes

    class Counted(SmallCritic):
        def judge(self, samples):
            calls.append(len(samples))
            return super().judge(samples)

    for objective, times in ((NonSaturating(), 1), (Heads(), 1), (Aside(), 2)):
        made = scene(step=9, objective=objective)
        made.networks["discriminator"] = initialised(Counted(), 3)
        calls.clear()
        ((_, term),) = TopK(share=0.4, decay=0.5, every=1).disguise(made).items()
        assert calls == [5] * times
        assert int((term != 0).sum()) == 2


def test_k_falls_geometrically_by_periods_and_stays_at_its_share():
    method = TopK(share=0.5, decay=0.9, every=10)
    found = {step: method.kept(100, step) for step in (1, 10, 11, 20, 21, 61, 70, 71, 10_000)}
    assert found == {1: 100, 10: 100, 11: 90, 20: 90, 21: 81, 61: 53, 70: 53, 71: 50, 10_000: 50}


def test_one_fake_at_least_is_kept():
    assert TopK(share=0.01, decay=0.1, every=1).kept(4, 1000) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 0.0}, "top-k: share is 0.0, expected more than 0 and at most 1"),
        ({"share": 1.5}, "top-k: share is 1.5, expected more than 0 and at most 1"),
        ({"decay": 0.0}, "top-k: decay is 0.0, expected more than 0 and at most 1"),
        ({"every": 0}, "top-k: every is 0, expected 1 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ChoiceError, match=message):
        TopK(**settings)
