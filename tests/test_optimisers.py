from __future__ import annotations

import math

import pytest
import torch
from small import LinearCritic
from torch import nn

from ganbench.errors import PluginError
from ganbench.optimisers import clip_weights, gradients_of, make_optimiser, norms, rate_factor, set_learning_rate
from ganbench.terms import Optimiser


def test_the_gradient_norm_is_that_of_all_parameters_together():
    network = nn.ParameterList([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(()))])
    terms = {
        "one": (network[0] * torch.tensor([3.0, 0.0])).sum() + torch.zeros(4),
        "two": 4 * network[1] + torch.zeros(4),
    }
    optimiser = make_optimiser(Optimiser("sgd", 1.0), network)
    _, gradients = gradients_of(optimiser, terms, "generator")
    optimiser.step()
    assert float(norms(gradients, by_seed=False)) == pytest.approx(5.0)
    assert network[0].tolist() == [-3.0, 0.0]
    assert network[1].item() == -4.0


def test_a_parameter_that_no_term_reaches_stays_as_it_is():
    network = nn.ParameterList([nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))])
    optimiser = make_optimiser(Optimiser("sgd", 1.0), network)
    gradients_of(optimiser, {"one": network[0]}, "generator")
    optimiser.step()
    assert [parameter.item() for parameter in network] == [0.0, 1.0]


def test_clipping_leaves_weights_within_the_bounds_as_they_are():
    critic = LinearCritic(-3.0, 0.25, 3.0, bias=-0.125)
    clip_weights(critic.parameters(), 0.5)
    assert critic.weight.tolist() == [-0.5, 0.25, 0.5]
    assert critic.bias.item() == -0.125


def test_adam_gets_its_settings_even_where_a_beta_is_whole():
    optimiser = make_optimiser(Optimiser("adam", 3e-4, (0, 0.9), 1e-7), LinearCritic(1.0).parameters())
    assert isinstance(optimiser, torch.optim.Adam)
    group = optimiser.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (3e-4, (0.0, 0.9), 1e-7)


def test_rmsprop_takes_the_second_beta_as_its_smoothing_constant():
    optimiser = make_optimiser(Optimiser("rmsprop", 5e-5, (0.5, 0.98), 1e-7), LinearCritic(1.0).parameters())
    assert isinstance(optimiser, torch.optim.RMSprop)
    group = optimiser.param_groups[0]
    assert (group["lr"], group["alpha"], group["eps"], group["momentum"]) == (5e-5, 0.98, 1e-7, 0)


def test_sgd_has_no_momentum():
    optimiser = make_optimiser(Optimiser("sgd", 0.5), LinearCritic(1.0).parameters())
    assert isinstance(optimiser, torch.optim.SGD)
    assert optimiser.param_groups[0]["momentum"] == 0


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("cosine", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0]),
    ],
)
def test_rates_at_the_quarters_of_a_budget(schedule, factors):
    assert [rate_factor(schedule, quarter / 4) for quarter in range(5)] == pytest.approx(factors, abs=1e-12)
    assert rate_factor(schedule, 1.5) == rate_factor(schedule, 1.0)


def test_means_go_over_the_batch_and_gradients_are_each_seeds_own():
    weights = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))  # two seeds
    samples = torch.tensor([[1.0, 3.0], [10.0, 20.0]])  # (seeds, N)
    terms = {"first": weights[:, :1] * samples, "second": weights[:, 1:] + 0 * samples}
    means, gradients = gradients_of(make_optimiser(Optimiser("sgd", 1.0), [weights]), terms, "generator")
    assert means["first"].tolist() == [2.0, 45.0]
    assert gradients[0].tolist() == [[2.0, 1.0], [15.0, 1.0]]
    assert norms(gradients, by_seed=True).tolist() == pytest.approx([math.sqrt(5), math.sqrt(226)])


def test_terms_that_depend_on_no_weight_are_the_losses_mistake():
    optimiser = make_optimiser(Optimiser("sgd", 1.0), LinearCritic(1.0).parameters())
    message = r"^loss 'x' of y: none of the generator's terms depends on its weights \(a, b\)"
    with pytest.raises(PluginError, match=message):
        gradients_of(optimiser, {"a": torch.ones(4), "b": torch.zeros(4)}, "generator", "loss 'x' of y")


def test_a_rate_that_a_recorded_step_reads_changes_in_place():
    critic = LinearCritic(1.0)
    optimiser = make_optimiser(Optimiser("sgd", 0.5), critic.parameters(), captured=True)
    rate = optimiser.param_groups[0]["lr"]
    set_learning_rate(optimiser, 0.25)
    assert optimiser.param_groups[0]["lr"] is rate
    gradients_of(optimiser, {"one": critic.weight * 2}, "generator")
    optimiser.step()
    assert (float(rate), critic.weight.item()) == (0.25, 0.5)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_every_optimiser_can_be_recorded(name, cuda):
    critic = LinearCritic(1.0, 2.0).to(cuda)
    optimiser = make_optimiser(Optimiser(name, 0.5, (0.0, 0.9)), critic.parameters(), captured=True)
    before = critic.weight.detach().clone()
    gradients_of(optimiser, {"one": critic(torch.ones(4, 2, device=cuda))}, "generator")
    optimiser.step()
    assert (critic.weight != before).all()
