"""Whether generated images are of the classes that were asked for."""

from __future__ import annotations

from dataclasses import replace

from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics.coverage import logits_of
from ganbench_metrics.histograms import binomial_noise
from ganbench_metrics.protocol import blank, features_of


class ConditionalAccuracy:
    """How often the class of a generated image, as the extractor sees it, is the one that was asked for."""

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """One score, `conditional_accuracy_…`: None where no classes were asked for."""
        extractor, *_ = features_of(evidence, "conditional-accuracy")
        _, logits = logits_of(evidence, "conditional-accuracy")
        score = replace(
            blank(evidence, "conditional-accuracy"),
            name=f"conditional_accuracy_{extractor.tag}",
            direction="higher",
            layer=extractor.logits_layer,
            dimension=logits.shape[1],
        )
        if evidence.fake_labels is None:
            return (score,)
        asked = evidence.fake_labels.to(logits.device)  # (N,)
        share = (logits.argmax(dim=1) == asked).double().mean().item()
        return (replace(score, value=share, noise=binomial_noise(share, len(logits))),)
