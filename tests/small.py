"""Players whose numbers can be worked out by hand, and trials that run in the blink of an eye."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.batches import Batches
from ganbench.objective import Objective
from ganbench.plan import plan
from ganbench.players import Players, averaged
from ganbench.plugins import Registry, discover
from ganbench.protocols import Game, Places, Terms
from ganbench.solo import Solo
from ganbench.store import Attempt, Store
from ganbench.suite import suite_from
from ganbench.tasks import Task
from ganbench.terms import Job, Optimiser, Reference, Trial
from ganbench.training import Engine, Training
from ganbench.trial import perform

ODD = Path(__file__).parent / "odd.py"
SGD = Optimiser("sgd", learning_rate=0.1)
LATENT_DIM = 2


class LinearCritic(nn.Module):
    """Samples of any shape to w·x + b, (N,)."""

    def __init__(self, *weights: float, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights))
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, samples: Tensor) -> Tensor:
        return samples.flatten(start_dim=1) @ self.weight + self.bias


class Constant(nn.Module):
    """Any latents (N, Z) to one learned point, N times; two buffers follow what happens in training."""

    def __init__(self, x: float = 5.0, y: float = 5.0) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.tensor([x, y]))
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("seen", torch.zeros(2))

    def forward(self, latents: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
            self.seen = self.point.detach() + 100
        return self.point.repeat(len(latents), 1)


class Copying(nn.Module):
    """Told labels (N,), it gives the points (label, label), times a weight that begins at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return self.weight * labels.to(latents).unsqueeze(1).expand(len(latents), 2)


class Told(nn.Module):
    """A critic that remembers each batch that it saw beside the labels that it was told: w·x, times label + 1."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights))
        self.told: list[tuple[Tensor, Tensor]] = []

    def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
        self.told.append((samples.detach().clone(), labels.clone()))
        return (samples @ self.weight) * (labels.to(samples) + 1)


class Headed(LinearCritic):
    """A linear critic that counts its passes, with its samples as features."""

    def __init__(self, *weights: float) -> None:
        super().__init__(*weights)
        self.passes = 0

    def forward(self, samples: Tensor) -> Tensor:
        self.passes += 1
        return super().forward(samples)

    def judge(self, samples: Tensor) -> dict[str, Tensor]:
        return {"logits": self(samples), "features": 2 * samples}


class Difference:
    """f − r for the discriminator, −f for the generator: its gradients are means of samples and weights."""

    def discriminator(self, game: Game) -> Terms:
        return {"adversarial": game.critic(game.fake) - game.critic(game.real)}

    def generator(self, game: Game) -> Terms:
        return {"adversarial": -game.critic(game.fake)}


def training(**changes: Any) -> Training:
    """Settings for batches of four points and plain gradient descent."""
    settings = {"batch_size": 4, "latent_dim": LATENT_DIM, "generator": SGD, "discriminator": SGD, **changes}
    return Training(**settings)


def engine(
    loss: object = None,
    settings: Training | None = None,
    real: Tensor | None = None,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    packing: int = 1,
    penalties: Mapping[str, object] | None = None,
    labels: Tensor | None = None,
    augmentation: object = None,
) -> Engine:
    """An engine of small players in the plane, where every real point is (1, 2) and every fake one begins at (5, 5).

    Players of the kinds that take labels are told them.
    """
    settings = settings or training()
    real = torch.tensor([[1.0, 2.0]]).repeat(10, 1) if real is None else real
    generator = generator or Constant()
    critic = critic or LinearCritic(*[0.5] * (real[0].numel() * packing))
    average = None if settings.ema_half_life_kimg is None else averaged(generator)
    pair = {"generator": generator, "discriminator": critic}
    told = frozenset(name for name, network in pair.items() if isinstance(network, Copying | Told))
    players = Players(generator, critic, average, tuple(real.shape[1:]), packing, told=told)
    named = dict(penalties or {})
    objective = Objective(loss or Difference(), tuple(named.values()), "the loss", tuple(named), augmentation)
    return Engine(Solo(players, 0), objective, Batches(real, labels, settings.batch_size, [0]), settings)


@functools.cache
def registry() -> Registry:
    """The installed components with those of odd.py."""
    return discover([ODD])


def trial(
    dataset: str = "ring8",
    loss: str = "nonsaturating",
    generator: str = "mlp(width=8, depth=1)",
    discriminator: str = "mlp(width=8, depth=1)",
    seed: int = 0,
    budget: Mapping[str, float] | None = None,
    points: object = 1,
    samples: int = 100,
    metrics: list[str] | None = None,
    **settings: object,
) -> Trial:
    """A planned trial, every parameter resolved: by default six steps of 16 points."""
    return planned(
        {
            "name": "small",
            "datasets": [dataset],
            "seeds": [seed],
            "matrix": {"generator": [generator], "discriminator": [discriminator], "loss": [loss]},
            "budget": budget or {"steps": 6},
            "evaluation": {"points": points, "samples": samples},
            "training": {"batch_size": 16, "latent_dim": 4, **settings},
            **({"metrics": metrics} if metrics else {}),
        }
    )[0]


def reference(name: str, dataset: str = "ring8", samples: int = 100) -> Reference:
    """A planned reference."""
    references = planned(
        {
            "name": "small",
            "datasets": [dataset],
            "matrix": {"generator": ["mlp"], "discriminator": ["mlp"], "loss": ["hinge"]},
            "budget": {"steps": 1},
            "evaluation": {"samples": samples},
        }
    )
    return next(job for job in references if isinstance(job, Reference) and job.name == name)


def planned(suite: Mapping[str, Any]) -> list[Any]:
    made = plan(suite_from(suite, Path("small.toml")), registry())
    assert not made.skipped
    return [*made.trials, *made.references]


def performed(job: Job, folder: Path) -> Attempt:
    """The attempt that the job has left in `folder`, done in this process."""
    attempt = Store(folder).begin(job)
    assert not perform([Task(job, attempt, Places(), "cpu", (ODD,))])
    return attempt
