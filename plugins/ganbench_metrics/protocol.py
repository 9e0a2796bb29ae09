"""What the scores of these metrics have in common: the protocol they carry, and the names they get from it."""

from __future__ import annotations

from torch import Tensor

from ganbench.errors import DataError
from ganbench.protocols import Evidence, Extractor
from ganbench.terms import Score, Value

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the weights that torch-fidelity converted from the TensorFlow graph of arXiv:1706.08500."""


def blank(evidence: Evidence, metric: str, **settings: Value) -> Score:
    """A score of `metric` that says how it was measured and lacks only its name, value, direction and mean."""
    extractor = evidence.extractor
    return Score(
        name="",
        value=None,
        direction="lower",
        metric=metric,
        n_fake=len(evidence.fake),
        n_real=len(evidence.real),
        extractor=extractor.tag if extractor else "",
        weights_sha256=extractor.weights_sha256 if extractor else "",
        layer=extractor.layer if extractor else "",
        dimension=extractor.dimension if extractor else 0,
        settings=", ".join(f"{key}={value}" for key, value in settings.items()),
    )


def features_of(evidence: Evidence, metric: str) -> tuple[Extractor, Tensor, Tensor]:
    """The extractor, and real and fake features (N, dimension) float32, on the device that computes scores.

    Raises DataError where there are none.
    """
    extractor, real, fake = evidence.extractor, evidence.real_features, evidence.fake_features
    if extractor is None or real is None or fake is None:
        raise DataError(f"metric '{metric}' compares features, and this data set has no extractor. Give it one")
    return extractor, real, fake


def canonical(extractor: Extractor) -> bool:
    """Whether these are the features that FID is defined by, and not others under Inception's name."""
    return (extractor.tag, extractor.weights_sha256, extractor.layer) == ("inception", INCEPTION_SHA256, "2048")


def ending(extractor: Extractor, count: int) -> str:
    """What a score's name ends in: `digits`, and for FID's own Inception with the sample count, `inception_5k`."""
    return f"{extractor.tag}_{short(count)}" if canonical(extractor) else extractor.tag


def short(count: int) -> str:
    """A sample count as it is written in names: `5k`, `898`."""
    return f"{count // 1000}k" if count and count % 1000 == 0 else str(count)
