"""What the metrics of points say of their scores: known modes, known densities, and distances without features."""

from __future__ import annotations

from ganbench.terms import Component, Measure

PACGAN = "arXiv:1712.04086"

BELONGS = (
    "A point belongs to the mode that is nearest when distances are counted in the mode's own standard deviations, "
    "and to none if that mode is more than three away."
)
SHARES = "nₖ: points that belong to mode k, of N points and K modes; wₖ: the mode's weight; n = Σₖ nₖ"
CONSERVATIVE = "too large for a sampler that is perfect, where the score is at its floor"

MODES = Component(
    "modes",
    "ganbench_metrics.modes:ModeCoverage",
    summary="Which known modes points fall on, how evenly, and how near",
    paper=PACGAN,
    needs={"data": "points", "modes": True},
    measures=(
        Measure(
            "tvd_modes",
            "lower",
            definition=f"{BELONGS} The score is the total variation distance between the shares of points on each mode "
            "and the modes' weights; points of no mode have a share of their own, whose weight is 0.",
            formula=f"TVD = ½·(Σₖ |nₖ/N − wₖ| + 1 − n/N);  {SHARES}",
            lowest=0.0,
            highest=1.0,
            mean="geometric",
            noise="Delta method for multinomial counts: √(Var(s)/N), s = ±½ by the sign of each share's difference; "
            f"{CONSERVATIVE}.",
            traps=(
                (
                    "A perfect sampler does not score 0: in the plane 1.1 % of its points lie beyond three deviations, "
                    "which alone gives 0.011, and the unevenness of N points adds to it: 0.017 on ring8 at 10,000."
                ),
                "Blind to the shape within a mode: all points of a mode may be the same one.",
            ),
        ),
        Measure(
            "modes_20pct",
            "higher",
            definition=f"{BELONGS} A mode counts as covered if at least a fifth of its fair share of points belongs to "
            "it. The perfect score is the number of modes; uniform noise over the data's range scores 0.",
            formula=f"|{{k : nₖ ≥ 0.2·wₖ·N}}|;  {SHARES}",
            unit="modes",
            lowest=0.0,
            noise="Closed form: the counts of modes as independent binomials with the shares that were seen.",
            traps=(
                "A mode at a fifth of its share counts as much as one at its full share: see tvd_modes for the rest.",
                "With fewer than 5/wₖ points, a single one covers mode k, and noise is credited again.",
            ),
        ),
        Measure(
            "modes_any",
            "higher",
            definition=f"{BELONGS} A mode counts as captured if one point belongs to it: the rule of the papers, here "
            "to be compared with their tables.",
            formula=f"|{{k : nₖ ≥ 1}}|;  {SHARES}",
            unit="modes",
            lowest=0.0,
            noise="Closed form: the counts of modes as independent binomials with the shares that were seen. A mode "
            "that was not seen adds nothing.",
            paper=PACGAN,
            traps=(
                (
                    "Uniform noise captures most modes by this rule: about 22 of the 25 of grid25 and 7 of the 8 of "
                    "ring8 with 2,500 points. Read it beside the row `noise`; modes_20pct does not have this fault."
                ),
                "It grows with the number of points: the papers take 2,500.",
            ),
        ),
        Measure(
            "high_quality",
            "higher",
            definition=f"{BELONGS} The score is the share of points that belong to a mode.",
            formula=f"n/N;  {SHARES}",
            lowest=0.0,
            highest=1.0,
            noise="Closed form for a share: √(p·(1 − p)/N).",
            paper=PACGAN,
            traps=(
                (
                    "The perfect sampler's score is not 1: it is P(χ²_D ≤ 9), in the plane 1 − exp(−4.5) = 98.9 %. "
                    "A higher score means points too near the centres."
                ),
                "Collapse onto a single mode's centre scores 1.",
            ),
        ),
        Measure(
            "kl_modes",
            "lower",
            definition=f"{BELONGS} The score is the Kullback-Leibler divergence of the shares of modes among the "
            "points that belong to one, from the modes' weights: the papers' reverse KL.",
            formula=f"KL = Σₖ (nₖ/n)·ln(nₖ/(n·wₖ));  {SHARES}",
            unit="nats",
            lowest=0.0,
            perfect=0.0,
            undefined="No point belongs to a mode, or one belongs to a mode whose weight is 0.",
            noise=f"Delta method for multinomial counts: √(Var(ln(nₖ/(n·wₖ)))/n); {CONSERVATIVE}.",
            paper=PACGAN,
            traps=(
                (
                    "N points of a perfect sampler score about (K − 1)/(2N), not 0: 0.00035 on ring8 with 10,000 "
                    "points, 0.0048 on grid25 with 2,500."
                ),
                (
                    "Points of no mode are left out: noise whose few hits are spread evenly scores well. Read "
                    "high_quality beside it."
                ),
            ),
        ),
    ),
)

SLICED_WASSERSTEIN = Component(
    "sliced-wasserstein",
    "ganbench_metrics.points:SlicedWasserstein",
    summary="How far points must be moved, along lines in many directions, to become the real ones",
    paper="arXiv:1902.00434",
    needs={"data": "points"},
    measures=(
        Measure(
            "sliced_w1",
            "lower",
            definition="Both sides are projected on a line, where the Wasserstein-1 distance is the mean distance "
            "between the sorted real and the sorted fake coordinates. The score is its mean over 64 directions: evenly "
            "spaced in the plane, drawn once and for all in higher dimensions.",
            formula="SW₁ = (1/P)·Σⱼ (1/N)·Σᵢ |r₍ᵢ₎(θⱼ) − f₍ᵢ₎(θⱼ)|;  x₍ᵢ₎(θ): the i-th smallest of ⟨x, θ⟩",
            unit="the data's own unit of length",
            lowest=0.0,
            perfect=0.0,
            mean="geometric",
            minimum=1,
            noise="Closed form: the standard errors of the points' influences on the score, of both sides; up to two "
            "thirds too large for a sampler that is perfect. None for a single point.",
            paper="arXiv:1902.00434",
            traps=(
                (
                    "N points of a perfect sampler do not score 0, but a constant times the data's width over √N: "
                    "compare with the rows `perfect` and `real_floor` at the same N."
                ),
                "It is in the data's unit: values of different data sets do not compare.",
                "Modes that are far apart outweigh their shape: it hardly sees the width of narrow modes.",
            ),
        ),
    ),
)

RBF_MMD = Component(
    "rbf-mmd",
    "ganbench_metrics.points:KernelDiscrepancy",
    summary="How well Gaussian kernels of five widths tell points from the real ones",
    paper="arXiv:0805.2368",
    needs={"data": "points"},
    measures=(
        Measure(
            "rbf_mmd2",
            "lower",
            definition="The unbiased estimate of the squared maximum mean discrepancy: how much more alike two points "
            "of the same side are than a real and a fake one. Alike means the mean of five Gaussian kernels; the "
            "widest has for its standard deviation the median distance between 1,000 of the real points, and each next "
            "one half of the one before.",
            formula="MMD² = mean_{i≠j} k(rᵢ, rⱼ) + mean_{i≠j} k(fᵢ, fⱼ) − 2·mean_{i,j} k(rᵢ, fⱼ);  "
            "k(x, y) = ⅕·Σₛ exp(−‖x − y‖²/(2s²)), s = m, m/2, m/4, m/8, m/16;  m: the median distance",
            lowest=None,
            highest=2.0,
            perfect=0.0,
            minimum=2,
            undefined="Fewer than two points a side.",
            noise="Jackknife of a U-statistic, to first order (arXiv:1906.02104): 2·√(Var(gᵣ)/N + Var(g_f)/N), g: a "
            "point's mean kernel with its own side less that with the other; about √2 too large for a perfect sampler.",
            paper="arXiv:0805.2368",
            traps=(
                (
                    "It is unbiased, so a perfect sampler scores below 0 half of the time: small negative values mean "
                    "0, and their logarithm means nothing."
                ),
                "Its scale depends on the kernels, hence on the data: values of different data sets do not compare.",
                "Beyond 10,000 points a side, 10,000 of them are used, evenly spaced, as n_real and n_fake say.",
            ),
        ),
    ),
)

LOG_LIKELIHOOD = Component(
    "log-likelihood",
    "ganbench_metrics.points:LogLikelihood",
    summary="How far the points' mean log-density, under the data's own density, is from that of real points",
    paper="arXiv:1511.01844",
    needs={"data": "points", "density": True},
    measures=(
        Measure(
            "log_likelihood_gap",
            "lower",
            definition="The natural logarithm of the data's known density, averaged over the fakes and over the "
            "held-out points: the score is the absolute difference of the two means. It is the log of a likelihood "
            "ratio per point, 0 for a perfect sampler. Points in empty space make it large, by d²/(2σ²) at distance d "
            "from a mode of deviation σ.",
            formula="|(1/N)·Σᵢ ln p(fᵢ) − (1/N)·Σᵢ ln p(rᵢ)|;  p: the density that the data were drawn from",
            unit="nats",
            lowest=0.0,
            perfect=0.0,
            mean="geometric",
            minimum=1,
            noise="Closed form for a difference of means: √(Var(ln p(f))/N + Var(ln p(r))/N); near 0, where "
            "the score is folded, by up to 1.7 times too large. None for a single point.",
            paper="arXiv:1511.01844",
            traps=(
                (
                    "It moves both ways: strays lower the fakes' mean, and points too near the centres raise it. "
                    "Collapse onto the centres gives D/2 nats, 1 in the plane. A generator with both faults can come "
                    "out near 0."
                ),
                (
                    "Blind to missing modes where modes are alike: one perfect mode of ring8 scores 0. Read "
                    "modes_20pct or sliced_w1 beside it."
                ),
                "A single far stray can decide it; it is the density of the data that is known, not the generator's.",
            ),
        ),
    ),
)

COMPONENTS: tuple[Component, ...] = (MODES, SLICED_WASSERSTEIN, RBF_MMD, LOG_LIKELIHOOD)
