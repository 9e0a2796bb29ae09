from __future__ import annotations

import hashlib

import pytest
import torch

from ganbench.seeding import global_stream, stream, stream_seed


def test_a_streams_seed_is_the_hash_of_its_name_and_the_trials_seed():
    expected = int(hashlib.sha256(b"latents/7").hexdigest()[:16], 16) // 2
    assert stream_seed(7, "latents") == expected
    assert 0 <= stream_seed(7, "latents") < 2**63


def test_the_same_stream_gives_the_same_numbers_again():
    assert torch.equal(
        torch.rand(5, generator=stream(3, "latents")),
        torch.rand(5, generator=stream(3, "latents")),
    )


def test_streams_of_other_names_and_other_seeds_give_other_numbers():
    drawn = [
        float(torch.rand((), generator=stream(seed, name), dtype=torch.float64))
        for seed in range(20)
        for name in ("latents", "data", "loss")
    ]
    assert len(set(drawn)) == 60


def test_a_stream_is_not_shifted_by_another_or_by_the_global_one():
    undisturbed = torch.rand(4, generator=stream(0, "data"))
    rng, other = stream(0, "data"), stream(0, "loss")
    first = torch.rand(2, generator=rng)
    torch.rand(100, generator=other)
    with global_stream(0, "weights"):
        torch.rand(100)
    assert torch.equal(torch.cat([first, torch.rand(2, generator=rng)]), undisturbed)


def test_a_stream_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    torch.rand(10, generator=stream(0, "data"))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_global_stream_is_seeded_by_name_and_put_back():
    before = torch.get_rng_state()
    with global_stream(0, "generator"):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    with global_stream(0, "generator"):
        assert torch.equal(torch.rand(3), first)
    with global_stream(0, "discriminator"):
        assert not torch.equal(torch.rand(3), first)


def test_a_global_stream_is_put_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(TypeError), global_stream(0, "generator"):
        torch.rand(3) @ None
    assert torch.equal(torch.get_rng_state(), before)


def test_global_streams_may_be_nested():
    with global_stream(0, "training"):
        torch.rand(1)
        undisturbed = torch.rand(3)
    with global_stream(0, "training"):
        torch.rand(1)
        with global_stream(0, "sampling"):
            torch.rand(5)
        assert torch.equal(torch.rand(3), undisturbed)


def test_a_global_stream_on_the_cpu_asks_nothing_of_any_gpu(monkeypatch):
    def touched(*arguments):
        raise AssertionError("a GPU was woken up")

    monkeypatch.setattr(torch.cuda, "get_rng_state", touched)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    with global_stream(0, "training"):
        torch.rand(1)


@pytest.mark.gpu
def test_a_gpus_global_stream_is_put_back(cuda):
    before = torch.cuda.get_rng_state(cuda)
    with global_stream(0, "training", cuda):
        first = torch.rand(3, device=cuda)
    assert torch.equal(torch.cuda.get_rng_state(cuda), before)
    with global_stream(0, "training", cuda):
        assert torch.equal(torch.rand(3, device=cuda), first)
