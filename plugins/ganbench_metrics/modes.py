"""How points fall on the known modes of a density: which they reach, how evenly, and how near."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from scipy.special import bdtrc
from torch import Tensor

from ganbench.errors import DataError
from ganbench.membership import RADIUS, modes_of
from ganbench.protocols import Evidence
from ganbench.terms import Score
from ganbench_metrics.histograms import SHARE, counts_of, covered, divergence, total_variation, variance
from ganbench_metrics.protocol import blank


class ModeCoverage:
    """How points fall on known modes: the counts of arXiv:1705.07761 and 1712.04086, and what noise does not pass.

    A point belongs to the mode that is nearest in units of that mode's deviation, as in PacGAN's released code: a point
    two deviations from a broad mode is one of its points, however near the centre of a narrow one is. Within three
    deviations it is of high quality. By the papers' rule one such sample captures a mode (`modes_any`), and so noise
    over the whole box captures most; `modes_20pct` asks for a fifth of the mode's fair share, and noise gets none.
    `tvd_modes` ranks: half the absolute differences between the weights of the modes and the histogram of samples, with
    one more bin for those of no mode: 0 is perfect, 1 misses every mode.
    """

    def __call__(self, evidence: Evidence) -> tuple[Score, ...]:
        """Five scores: `tvd_modes`, `modes_20pct`, `modes_any`, `high_quality`, `kl_modes` (nats)."""
        modes = evidence.data.modes
        if modes is None:
            raise DataError("metric 'modes': the modes of this data set are not known. Leave the metric out")
        count, weights = len(evidence.fake), modes.weights.double()
        counts = counts_of(modes_of(evidence.fake, modes), len(weights) + 1)[:-1]  # (K,)
        shares = torch.cat([counts, count - counts.sum(dim=0, keepdim=True)]) / count  # (K + 1,), the last: of no mode
        expected = torch.cat([weights, weights.new_zeros(1)])  # (K + 1,)
        reached, fair = covered(counts, count * weights), SHARE * count * weights
        near = 1 - shares[-1].item()
        lower = blank(evidence, "modes", radius=RADIUS, share=SHARE)
        higher = replace(lower, direction="higher")
        tvd, kl = total_variation(shares, expected), divergence(counts, weights)
        return (
            replace(lower, name="tvd_modes", value=tvd, noise=_of_variation(shares, expected, count), mean="geometric"),
            replace(higher, name="modes_20pct", value=float(reached.sum()), noise=_of_number(counts, count, fair)),
            replace(higher, name="modes_any", value=float((counts > 0).sum()), noise=_of_number(counts, count)),
            replace(higher, name="high_quality", value=near, noise=math.sqrt(near * (1 - near) / count)),
            replace(lower, name="kl_modes", value=kl, noise=_of_divergence(counts, weights)),
        )


def _of_variation(shares: Tensor, expected: Tensor, count: int) -> float:
    """The deviation of the total variation of multinomial `shares` (K,) from `expected` (K,), by the delta method."""
    signs = (shares - expected).sign()  # (K,): twice the derivatives
    return math.sqrt(variance(signs / 2, shares) / count)


def _of_divergence(counts: Tensor, weights: Tensor) -> float | None:
    """The deviation of the divergence of multinomial `counts` (K,) from `weights` (K,), by the delta method."""
    if divergence(counts, weights) is None:
        return None
    seen, total = counts > 0, counts.sum().item()
    shares = counts[seen] / total
    return math.sqrt(variance((shares / weights[seen]).log(), shares) / total)


def _of_number(counts: Tensor, total: int, fair: Tensor | None = None) -> float:
    """The deviation of the number of modes with at least one sample, or at least as many as are `fair` (K,).

    Each count is taken for a binomial one of `total` draws with the probability that was seen, independent of the rest.
    """
    needed = torch.ones_like(counts) if fair is None else (fair * (1 - 1e-9)).ceil().clamp(min=1)  # (K,)
    chances = torch.from_numpy(bdtrc(needed.numpy() - 1, total, (counts / total).numpy()))  # (K,)
    return math.sqrt((chances * (1 - chances)).sum().item())
