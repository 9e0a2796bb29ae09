"""Inception-v3 with the weights that FID is defined by, from a file or from torch hub's cache."""

from __future__ import annotations

import io

from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from ganbench.protocols import Extractor, Places
from ganbench_fidelity.published import Published, TakesGrey, global_draws_undone

LAYER, LOGITS_LAYER = "2048", "logits_unbiased"

WEIGHTS = Published(
    extractor="inception-v3-compat",
    url=URL_INCEPTION_V3,
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    file_name="weights-inception-2015-12-05-6726825d.pth",
)


class Inception(TakesGrey, FeatureExtractorInceptionV3):  # type: ignore[misc]
    """torch-fidelity's `inception-v3-compat`."""


def inception(places: Places) -> Extractor:
    """Inception-v3 as FID is computed with (arXiv:1706.08500); images are seen at 299×299.

    Its logits are those without the last layer's bias, as the Inception score is computed with (arXiv:1606.03498, §4).
    """
    content = WEIGHTS.content(places)
    with global_draws_undone():
        module = Inception(WEIGHTS.extractor, [LAYER, LOGITS_LAYER], feature_extractor_weights_path=io.BytesIO(content))
    return Extractor(
        module=module,
        tag="inception",
        weights_sha256=WEIGHTS.sha256,
        layer=LAYER,
        dimension=2048,
        logits_layer=LOGITS_LAYER,
    )
