from __future__ import annotations

import pytest

from ganbench.partners import SEVERAL_OUTPUTS, partners
from ganbench.plugins import Offer, Registry
from ganbench.terms import Component, Measure

NETWORKS = """
class Generator:
    def __init__(self, latent_dim: int, shape: tuple[int, ...], classes: int = 0, *, conditional: bool = False): ...

class Coded:
    def __init__(self, latent_dim: int, shape: tuple[int, ...], *, categories: int = 0, continuous: int = 0): ...

class Discriminator:
    def __init__(self, shape: tuple[int, ...], *, norm: str = "batch", outputs: int = 1, heads: str = "none"): ...

class CodedDiscriminator:
    def __init__(self, shape: tuple[int, ...], *, categories: int = 0, continuous: int = 0): ...

class Loss: ...

class InfoLoss:
    def __init__(self, categories: int = 3, continuous: int = 2): ...

class Weight:
    def __init__(self, weight: float): ...

def load(places): ...
def sized(places, path: str): ...
"""

POINTS = {"data": "points", "shape": (2,)}
PICTURES = {"data": "images", "shape": (3, 8, 8), "classes": 10, "extractor": "eye"}
CODES = ("{categories}", "{continuous}")
MEASURE = Measure("gap", "lower", "A gap.", "x")


@pytest.fixture
def make(tmp_path, monkeypatch, as_installed):
    """A function that makes a registry of components: kind, name, target, needs and gives."""
    (tmp_path / "parts_of_test.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)

    def registry(*components):
        offers = [
            Offer(
                kind,
                Component(name, f"parts_of_test:{target}", "x", needs=needs, gives=gives,
                          measures=(MEASURE,) if kind == "metric" else ()),
                owner, owner, "1",
            )
            for kind, name, target, needs, gives, *rest in components
            for owner in (rest or ["someone"])
        ]  # fmt: skip
        return Registry(tuple(offers))

    return registry


BASE = (
    ("dataset", "points", "load", {}, POINTS),
    ("dataset", "pictures", "load", {}, PICTURES),
    ("dataset", "folder", "sized", {}, PICTURES),
    ("generator", "any", "Generator", {"labels": {"conditional": (True,)}}, {}),
    ("generator", "for-images", "Generator", {"data": "images"}, {}),
    ("discriminator", "any", "Discriminator", {}, {
        "mixes_batch": {"norm": ("batch",)}, "independent": {"norm": "layer"}, "outputs": "{outputs}",
        "heads": {"features": {"heads": ("features",)}},
    }),
    ("loss", "plain", "Loss", {"logits": "scalar"}, {}),
)  # fmt: skip


def fits(registry, kind, name):
    (offer,) = [item for item in registry.offers if (item.kind, item.component.name) == (kind, name)]
    return partners(registry, offer)


def test_a_network_for_images_fits_images(make):
    registry = make(*BASE)
    assert fits(registry, "generator", "for-images")["dataset"] == ("pictures",)
    assert fits(registry, "generator", "any")["dataset"] == ("pictures", "points")
    assert fits(registry, "dataset", "points")["generator"] == ("any",)


def test_what_needs_a_parameter_is_left_out_and_fits_nothing_itself(make):
    registry = make(*BASE, ("penalty", "weighted", "Weight", {}, {}))
    assert fits(registry, "penalty", "weighted") == {}
    assert "folder" not in fits(registry, "generator", "any")["dataset"]


def test_a_discriminator_that_gives_up_mixing_the_batch_fits_what_needs_that_and_one_that_cannot_does_not(make):
    mixing = ("discriminator", "mixing", "CodedDiscriminator", {}, {"mixes_batch": True})
    registry = make(*BASE, mixing, ("penalty", "steep", "Loss", {"independent": True}, {}))
    assert fits(registry, "penalty", "steep")["discriminator"] == ("any",)
    assert fits(registry, "penalty", "steep")["loss"] == ("plain",)
    assert fits(registry, "loss", "plain")["discriminator"] == ("any", "mixing")


def test_a_loss_on_vectors_or_on_a_head_fits_a_discriminator_set_to_give_them(make):
    registry = make(
        *BASE,
        ("loss", "kernel", "Loss", {"logits": "vector"}, {}),
        ("loss", "matched", "Loss", {"heads": "features"}, {}),
    )
    assert fits(registry, "loss", "kernel")["discriminator"] == (f"any(outputs={SEVERAL_OUTPUTS})",)
    assert fits(registry, "loss", "matched")["discriminator"] == ("any(heads=features)",)


def test_labels_fit_data_with_classes_only(make):
    registry = make(*BASE, ("loss", "labelled", "Loss", {"labels": True}, {}))
    assert fits(registry, "loss", "labelled")["dataset"] == ("pictures",)
    assert fits(registry, "dataset", "points")["loss"] == ("plain",)


def test_codes_are_set_to_what_the_loss_asks_for(make):
    registry = make(
        *BASE,
        ("generator", "coded", "Coded", {}, {"codes": CODES}),
        ("discriminator", "coded", "CodedDiscriminator", {}, {"codes": CODES}),
        ("loss", "info", "InfoLoss", {"codes": CODES}, {}),
    )
    found = fits(registry, "loss", "info")
    assert found["generator"] == found["discriminator"] == ("coded(categories=3, continuous=2)",)
    assert fits(registry, "generator", "any")["loss"] == ("plain",)


def test_a_method_that_stands_alone_has_no_loss_beside_it_and_needs_an_encoder(make):
    registry = make(
        *BASE,
        ("discriminator", "no-encoder", "CodedDiscriminator", {}, {}),
        ("method", "alone", "Loss", {"encoder": True}, {"alone": True}),
        ("method", "beside", "Loss", {}, {}),
    )
    assert fits(registry, "method", "alone")["discriminator"] == ("any",)
    assert "loss" not in fits(registry, "method", "alone")
    assert fits(registry, "method", "beside")["loss"] == ("plain",)
    assert fits(registry, "method", "beside")["discriminator"] == ("any", "no-encoder")


def test_metrics_and_extractors_fit_the_data_that_they_can_look_at(make):
    registry = make(
        *BASE,
        ("extractor", "eye", "load", {"channels": (3,)}, {}),
        ("extractor", "grey-eye", "load", {"channels": (1,)}, {}),
        ("metric", "far", "Loss", {"features": True}, {}),
        ("metric", "spread", "Loss", {"data": "points"}, {}),
    )
    assert fits(registry, "metric", "far")["dataset"] == ("pictures",)
    assert fits(registry, "metric", "spread")["dataset"] == ("points",)
    assert fits(registry, "extractor", "eye")["dataset"] == ("pictures",)
    assert fits(registry, "extractor", "grey-eye")["dataset"] == ()
    assert fits(registry, "dataset", "pictures")["metric"] == ("far",)


def test_a_name_that_two_offer_is_written_with_its_owner(make):
    registry = make(*BASE, ("loss", "twin", "Loss", {}, {}, "first", "second"))
    assert fits(registry, "generator", "any")["loss"] == ("first:twin", "plain", "second:twin")


def test_a_contract_that_names_a_parameter_that_is_not_there_fits_nothing(make):
    registry = make(*BASE, ("discriminator", "odd", "CodedDiscriminator", {}, {"outputs": "{size}"}))
    assert fits(registry, "discriminator", "odd") == {}
    assert fits(registry, "generator", "any")["discriminator"] == ("any",)


def test_an_executor_goes_with_everything(make):
    assert fits(make(*BASE, ("executor", "far-away", "Loss", {}, {})), "executor", "far-away") == {}
