from __future__ import annotations

import torch
from small import Constant, LinearCritic

from ganbench.casts import Memory, autocast, follow
from ganbench.players import Players, averaged

CPU = torch.device("cpu")


def test_memory_starts_as_it_was_told_with_a_number_for_each_seed():
    alone = Memory({"mean": 2, "rate": 0.5}, CPU).told()
    assert {name: (value.item(), value.dtype) for name, value in alone.items()} == {
        "mean": (2.0, torch.float32),
        "rate": (0.5, torch.float32),
    }
    assert Memory({"mean": 2.0}, CPU, seeds=3).told()["mean"].tolist() == [2.0] * 3


def test_what_is_told_are_copies_and_only_what_is_kept_changes_memory():
    memory = Memory({"mean": 2.0, "rate": 0.5}, CPU)
    told = memory.told()
    told["mean"].add_(1)
    assert memory.told()["mean"].item() == 2.0
    told["mean"] = torch.tensor(7.0)
    memory.keep(told)
    assert {name: value.item() for name, value in memory.told().items()} == {"mean": 7.0, "rate": 0.5}


def test_memory_stays_where_it_is():
    """A recorded step writes into the tensors that there were when it was recorded."""
    memory = Memory({"mean": 2.0}, CPU, seeds=2)
    before = memory._kept["mean"].data_ptr()
    memory.keep({"mean": torch.tensor([3.0, 4.0])})
    assert memory._kept["mean"].data_ptr() == before
    assert memory.told()["mean"].tolist() == [3.0, 4.0]


def test_what_is_kept_is_no_part_of_a_graph():
    memory = Memory({"mean": 2.0}, CPU)
    memory.keep({"mean": torch.tensor(3.0, requires_grad=True).detach() * 2})
    assert not memory.told()["mean"].requires_grad
    assert memory.told()["mean"].item() == 6.0


def test_the_average_follows_weights_and_buffers_pair_by_pair():
    generator = Constant()
    players = Players(generator, LinearCritic(1.0, 1.0), averaged(generator), (2,))
    average = follow(players)
    assert [tensor is mine for tensor, mine in zip(average.weights, players.average.parameters(), strict=True)] == [
        True
    ]
    assert average.followed_weights[0] is generator.point
    assert [tensor.shape for tensor in average.buffers] == [tensor.shape for tensor in average.followed_buffers]
    assert average.followed_buffers[1] is generator.seen
    assert follow(Players(generator, LinearCritic(1.0, 1.0), None, (2,))) is None


def test_only_half_precision_computes_in_half_precision():
    for precision, dtype in (("float32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast(CPU, precision)():
            assert torch.nn.functional.linear(torch.ones(1, 2), torch.ones(3, 2)).dtype == dtype
