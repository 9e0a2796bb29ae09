"""The loops that peers.py compares: those of the peers, patched as its docstring says, and ganbench's own."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from peers_work import ADAM, BATCH, FOREVER, LATENT_DIM, LOOK_EVERY, Case, Enough, InMemory, Measured, Reading, piped
from torch import nn

from ganbench.building import build_engine
from ganbench.choices import parse_choice, resolve
from ganbench.plugins import Registry, discover
from ganbench.protocols import Data, Places
from ganbench.terms import Budget, Evaluation, Training, Trial, Variant
from ganbench.workshop import open_workshop


@dataclass
class Setting:
    """What a run has: the case, the peer's checkout, MNIST's root, and whether data come from memory instead."""

    case: Case
    checkout: Path
    data: Path
    in_memory: bool
    loader: Measured | None = None

    def measured(self, theirs: Any) -> Measured:
        """The loader with a stopwatch; tensors in memory in its place where that is the run."""
        self.loader = Measured(InMemory(self.case.images()) if self.in_memory else theirs, self.case)
        return self.loader


class Patches(ast.NodeTransformer):
    """A script with other networks, a stopwatch on its data, and nothing saved."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST | None:
        return None if node.name in ("Generator", "Discriminator") else node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if ast.unparse(node.targets[0]) == "dataloader":
            node.value = ast.Call(ast.Name("_measured", ast.Load()), [node.value], [])
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        return None if any("save_image(" in ast.unparse(line) for line in node.body) else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if ast.unparse(node).startswith("torch.save(") else node


def run_script(setting: Setting, script: str, arguments: dict[str, object], networks: dict[str, nn.Module]) -> None:
    """Execute a peer's script, patched, as it would be from the command line."""
    path = setting.checkout / script
    tree = ast.fix_missing_locations(Patches().visit(ast.parse(path.read_text())))
    sys.argv = [str(path), *(f"--{name}={value}" for name, value in arguments.items())]
    stand_ins = {name: lambda *_, network=network: network for name, network in networks.items()}
    names = {"__name__": "__main__", "_measured": setting.measured, **stand_ins}
    exec(compile(tree, str(path), "exec"), names)


def examples(setting: Setting) -> None:
    case = setting.case
    networks = {
        "Generator": nn.Sequential(nn.Flatten(), case.generator()),
        "Discriminator": nn.Sequential(case.discriminator(), nn.Sigmoid()),
    }
    arguments = {"dataset": "mnist", "dataroot": setting.data, "batchSize": BATCH, "imageSize": case.side}
    run_script(setting, "dcgan/main.py", {**arguments, "nz": LATENT_DIM, "niter": FOREVER}, networks)


def pytorch_gan(setting: Setting) -> None:
    case = setting.case
    column = nn.Unflatten(0, (-1, 1))
    arguments = {"batch_size": BATCH, "latent_dim": LATENT_DIM, "img_size": case.side, "n_epochs": FOREVER}
    if case.objective == "wgan-gp":
        script, critic = "wgan_gp/wgan_gp.py", nn.Sequential(case.discriminator(), column)
        arguments["n_critic"] = case.critic_steps
    else:
        script, critic = "dcgan/dcgan.py", nn.Sequential(case.discriminator(), column, nn.Sigmoid())
    where = Path.cwd() / "here" / "there"  # its data lie in ../../data/mnist
    where.mkdir(parents=True)
    (Path.cwd() / "data").mkdir()
    (Path.cwd() / "data" / "mnist").symlink_to(setting.data)
    os.chdir(where)
    networks = {"Generator": case.generator(), "Discriminator": critic}
    run_script(setting, f"implementations/{script}", arguments, networks)


def mimicry(setting: Setting) -> None:
    case = setting.case
    base, trainer = import_mimicry(setting.checkout, case.objective)
    kind = "WGANGPBase" if case.objective == "wgan-gp" else "Base"
    loss = "wasserstein" if case.objective == "wgan-gp" else "ns"

    class Generator(getattr(base, f"{kind}Generator")):
        def __init__(self):
            super().__init__(nz=LATENT_DIM, ngf=case.width, bottom_width=4, loss_type=loss)
            self.network = case.generator()

        def forward(self, latents):
            return self.network(latents)

    class Discriminator(getattr(base, f"{kind}Discriminator")):
        def __init__(self):
            super().__init__(ndf=case.width, loss_type=loss)
            self.network = case.discriminator()

        def forward(self, images):
            return self.network(images).unsqueeze(1)

    generator, discriminator = Generator(), Discriminator()
    trainer.Trainer(
        netD=discriminator,
        netG=generator,
        optD=torch.optim.Adam(discriminator.parameters(), **ADAM),
        optG=torch.optim.Adam(generator.parameters(), **ADAM),
        dataloader=setting.measured(piped(setting.data, workers=4)),
        num_steps=FOREVER,
        n_dis=case.critic_steps,
        lr_decay="linear",
        device=torch.device("cpu"),
        vis_steps=FOREVER,
        save_steps=FOREVER,
    ).train()


def import_mimicry(checkout: Path, objective: str) -> tuple[Any, Any]:
    """The modules of its base networks for the objective and of its trainer, without what they do not need here."""
    for name in ("torch_mimicry", "torch_mimicry.nets", "torch_mimicry.nets.wgan_gp", "torch_mimicry.training"):
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(checkout / name.replace(".", "/"))]
    sys.modules["skimage"] = ModuleType("skimage")
    sys.modules["skimage"].io = None
    sys.modules["torch.utils.tensorboard"] = ModuleType("torch.utils.tensorboard")
    sys.modules["torch.utils.tensorboard"].SummaryWriter = Silent
    trainer = importlib.import_module("torch_mimicry.training.trainer")
    if objective != "wgan-gp":
        return importlib.import_module("torch_mimicry.nets.gan.gan"), trainer
    path = checkout / "torch_mimicry/nets/wgan_gp/wgan_gp_base.py"
    source = path.read_text()
    if (greedy := "alpha.view(N, 3, H, W)") not in source:
        raise ValueError(f"{path.name} has no {greedy}: another commit than the one that peers.py names")
    source = source.replace(greedy, "alpha.view(real_images.shape)")
    base = ModuleType("torch_mimicry.nets.wgan_gp.wgan_gp_base")
    exec(compile(source, str(path), "exec"), base.__dict__)
    return base, trainer


class Silent:
    """A summary writer that writes nothing."""

    def __init__(self, **_: object) -> None:
        self.add_scalar = self.close = lambda *_, **__: None


def torchgan(setting: Setting) -> None:
    sys.path.insert(0, str(setting.checkout))
    os.environ.update(TENSORBOARD_LOGGING="0", VISDOM_LOGGING="0")
    models = importlib.import_module("torchgan.models")
    losses = importlib.import_module("torchgan.losses")
    case = setting.case

    class Generator(models.Generator):
        def __init__(self):
            super().__init__(LATENT_DIM)
            self.network = case.generator()

        def forward(self, latents):
            return self.network(latents)

    class Discriminator(models.Discriminator):
        def __init__(self):
            super().__init__(1)
            self.network = case.discriminator()

        def forward(self, images):
            return self.network(images)

    optimiser = {"name": torch.optim.Adam, "args": ADAM}
    terms = {
        "nonsaturating": ["MinimaxGeneratorLoss", "MinimaxDiscriminatorLoss"],
        "wgan-gp": ["WassersteinGeneratorLoss", "WassersteinDiscriminatorLoss", "WassersteinGradientPenalty"],
    }
    trainer = importlib.import_module("torchgan.trainer").Trainer(
        {
            "generator": {"name": Generator, "optimizer": optimiser},
            "discriminator": {"name": Discriminator, "optimizer": optimiser},
        },
        [getattr(losses, name)() for name in terms[case.objective]],
        device=torch.device("cpu"),
        ncritic=case.critic_steps,
        epochs=FOREVER,
        sample_size=64,
    )
    trainer(setting.measured(piped(setting.data, workers=0)))


def trial(case: Case, registry: Registry, *, reuse_fakes: bool) -> Trial:
    """The case as a trial. Its data set's name is never looked up."""
    variant = Variant(
        resolve(registry, "generator", parse_choice(f"dcgan(width={case.width})")),
        resolve(registry, "discriminator", parse_choice(f"dcgan(width={case.width}, norm={case.norm})")),
        resolve(registry, "loss", parse_choice(case.objective)),
    )
    training = Training(
        batch_size=BATCH, latent_dim=LATENT_DIM, discriminator_steps=case.critic_steps, reuse_fakes=reuse_fakes
    )
    return Trial(parse_choice("random"), variant, 0, Budget(steps=FOREVER), training, Evaluation((1.0,), (), BATCH))


def reusing(setting: Setting) -> None:
    ganbench(setting, reuse_fakes=True)


def ganbench(setting: Setting, *, reuse_fakes: bool = False) -> None:
    case = setting.case
    registry = discover()
    images = case.images()
    made = trial(case, registry, reuse_fakes=reuse_fakes)
    engine = build_engine(open_workshop(registry, Places()), made, Data(images, images[:BATCH]))

    def train(batches: int) -> Reading:
        for _ in range(batches // case.critic_steps):
            engine.step()
            if engine.steps % LOOK_EVERY == 0:
                engine.check()
        return Reading.now()

    setting.loader = Measured([], case)
    setting.loader.start, setting.loader.end = train(case.warm_up), train(case.batches)
    raise Enough
