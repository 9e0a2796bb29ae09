"""What the metrics of features say of their scores: distances, shares among neighbours, and the Inception score."""

from __future__ import annotations

from dataclasses import replace

from ganbench.terms import Component, Measure

_GAUSSIANS = "μ and Σ are the mean and the covariance (over N − 1) of real and of fake features"
_DISTANCE = "‖μᵣ − μ_f‖² + tr Σᵣ + tr Σ_f − 2 tr (Σᵣ^½ Σ_f Σᵣ^½)^½"
_CLASSIFIER = (
    "Values are in the units of the classifier's features: another classifier gives another scale, and its name and "
    "weights' hash are part of the protocol."
)
_TEXTURE = (
    "It compares means and covariances only: two sets that agree in them are at distance 0, however they differ "
    "otherwise."
)

_FRECHET = Measure(
    "fcd_{extractor}",
    "lower",
    definition="Fréchet classifier distance: the squared 2-Wasserstein distance between two Gaussians, one fitted to "
    "the features of the held-out samples, one to those of the fakes; computed in float64. It is FID's formula on "
    "another network than FID's.",
    formula=f"{_DISTANCE}, where {_GAUSSIANS}",
    unit="squared feature units",
    lowest=0,
    mean="geometric",
    minimum=2,
    undefined="There are fewer than two samples on a side.",
    noise="Infinitesimal jackknife: the root of the variance of the samples' influences on the distance over their "
    "number, summed over reals and fakes. Against repeated sampling it is right to about a fifth where the generator "
    "is far from the data; near the floor, and with no more samples than dimensions, it is up to 1.8 times too large. "
    "Not estimated along a trial's curve.",
    paper="arXiv:1706.08500",
    traps=(
        (
            "It is biased upwards, by an amount that falls like 1/N and differs between generators: the perfect score "
            "is real_floor, not 0, and only scores with the same N compare."
        ),
        (
            "It is not below 0 but for rounding, where both sides are the same samples; such values are reported as "
            "they come out."
        ),
        _TEXTURE,
        _CLASSIFIER,
        "A generator that copies the training set is at the floor.",
    ),
)

_FID = replace(
    _FRECHET,
    name="fid_{extractor}_{count}",
    definition="Fréchet Inception distance: the squared 2-Wasserstein distance between two Gaussians, one fitted to "
    "the 2048 Inception features of the held-out samples, one to those of the fakes; computed in float64. Only the "
    "weights that define FID give a score of this name, and the name holds the number of samples.",
    traps=(
        *_FRECHET.traps[:3],
        "Papers compare 50,000 fakes with a training split, often of other size: look at n_real and split.",
        (
            "How pictures were resized, and whether they went through JPEG, moves FID by whole points: the extractor's "
            "own resizing is part of its definition, so give it pictures at their own size."
        ),
        "A generator that copies the training set is at the floor.",
    ),
)

_INFINITY = Measure(
    "fcd_infinity_{extractor}",
    "lower",
    definition="The Fréchet distance that infinitely many fakes would have: the distances of random subsets of the "
    "fakes, of 15 sizes from a tenth of them to all, are fitted by a line in 1/N, and this is where it meets 1/N = 0.",
    formula="a of the least-squares line d(n) = a + b/n through 15 sizes n, evenly spaced from max(N/10, min(2d, N/2)) "
    "to N",
    unit="squared feature units",
    minimum=30,
    undefined="There are fewer than 30 fakes, two for each point of the line, or fewer than two reals.",
    noise="The noise of the Fréchet distance of all samples and the standard error of the intercept, as the root of "
    "the sum of their squares.",
    paper="arXiv:1911.07023",
    traps=(
        (
            "Only the bias of the number of fakes is removed. That of the number of reals stays, which for a small "
            "held-out split is as large."
        ),
        (
            "It is less biased and varies more than the plain distance: where the true one was 0.0200, 30 trials with "
            "1,000 fakes of 18 features gave 0.0318 ± 0.0034 plain, and 0.0191 ± 0.0048 by this."
        ),
        "Where the true distance is near 0, values below 0 are right.",
        "With fewer samples than twice the dimensions the distances leave the line, and only part of the bias goes.",
        _CLASSIFIER,
    ),
)

_FID_INFINITY = replace(_INFINITY, name="fid_infinity_{extractor}", traps=_INFINITY.traps[:-1])

_KERNEL = Measure(
    "kid_{extractor}",
    "lower",
    definition="Kernel distance: the squared maximum mean discrepancy of real and fake features under a cubic "
    "polynomial kernel, estimated without bias in 100 random subsets of 1,000 samples a side and averaged; with 1,000 "
    "samples or fewer, in all of them at once. The number of samples is in the name where the features are FID's.",
    formula="mean over subsets of Σ_{i≠j} k(xᵢ, xⱼ)/(m(m − 1)) + Σ_{i≠j} k(yᵢ, yⱼ)/(m(m − 1)) − 2 Σ_{i,j} "
    "k(xᵢ, yⱼ)/m², where k(x, y) = (xᵀy/d + 1)³",
    perfect=0,
    minimum=2,
    undefined="There are fewer than two samples on a side.",
    noise="Delete-d jackknife over the subsets, s·√(m/(N − m) + 1/B) for the deviation s of B subsets of m of N "
    "samples; with a single subset, the jackknife that leaves out one sample at a time, which near a perfect generator "
    "is too large by up to a third. None for two samples, or where only one side is larger than a subset.",
    paper="arXiv:1801.01401",
    traps=(
        "Values a little below 0 are right for equal distributions: the estimate is unbiased.",
        (
            "The kernel is not invariant to scale: where features are much smaller than 1 or larger than √d, one of "
            "its terms decides alone. Scores of different extractors do not compare."
        ),
        (
            "It sees no more than the first three moments of the features, so a generator that matches these is at "
            "distance 0."
        ),
        "The deviation that other programs print is that of single subsets, not of the score.",
    ),
)

_SCORE = Measure(
    "isc_{extractor}",
    "higher",
    definition="Inception score: how sure the classifier is of each fake's class, and how evenly fakes fall on all "
    "classes. The exponential of the mean KL divergence between the class probabilities of a fake and their average "
    "over fakes, averaged over ten parts of the shuffled fakes. The number of samples is in the name where the network "
    "is FID's. Real samples play no part in it.",
    formula="mean over 10 splits of exp(1/n Σᵢ Σₖ pᵢₖ ln(pᵢₖ/p̄ₖ)), where pᵢₖ is the probability that fake i is of "
    "class k and p̄ₖ its mean over the split's n fakes",
    unit="effective classes",
    lowest=1,
    minimum=20,
    undefined="There are fewer than two fakes in a split.",
    noise="The deviation over splits over the root of their number.",
    paper="arXiv:1606.03498",
    traps=(
        "It never looks at real samples, so the perfect score is not known: compare with real_floor.",
        "One sharp picture of each class, repeated, has the highest score there is, the number of classes.",
        "It says nothing of data whose classes the classifier was not trained on, such as faces by Inception.",
        "It grows with the number of fakes: only scores with the same N compare.",
    ),
)

_PRECISION = Measure(
    "precision_{extractor}",
    "higher",
    definition="The share of fakes that lie within the manifold of the reals: the union of the balls around real "
    "samples, each up to the third nearest other real. A point on a ball's surface is inside.",
    formula="|{j : ∃ i : ‖yⱼ − xᵢ‖ ≤ ρ₃(xᵢ)}|/N for fakes y, reals x, and the distance ρ₃(xᵢ) of a real from its "
    "third nearest real",
    lowest=0,
    highest=1,
    minimum=4,
    undefined="There are no more than three samples on a side.",
    paper="arXiv:1904.06991",
    traps=(
        "It says nothing of diversity: one good picture, repeated, has precision 1.",
        "One real outlier has a large ball, within which anything counts as good: see density.",
        "The perfect score is real_floor, not 1, and depends on N and on the features' dimension.",
        (
            "Noise is not estimated: √(p(1 − p)/N) takes the manifold for given, and was 0.6 to 1.1 times the "
            "deviation over repeated samples of both sides."
        ),
    ),
)

_RECALL = replace(
    _PRECISION,
    name="recall_{extractor}",
    definition="The share of reals that lie within the manifold of the fakes: the union of the balls around fakes, "
    "each up to the third nearest other fake. A point on a ball's surface is inside.",
    formula="|{i : ∃ j : ‖xᵢ − yⱼ‖ ≤ ρ₃(yⱼ)}|/N for reals x, fakes y, and the distance ρ₃(yⱼ) of a fake from its "
    "third nearest fake",
    traps=(
        (
            "Fakes that are scattered widely have large balls, which hold the reals however bad the fakes are: noise "
            "can have a high recall. Coverage does not have this flaw."
        ),
        *_PRECISION.traps[2:],
    ),
)

_DENSITY = Measure(
    "density_{extractor}",
    "higher",
    definition="How many real balls a fake is in, on average, over the five that are expected of a fake among reals. "
    "A ball reaches from a real to its fifth nearest other real, the surface included. Above 1, fakes prefer where "
    "reals are dense.",
    formula="1/(5N) Σⱼ |{i : ‖yⱼ − xᵢ‖ ≤ ρ₅(xᵢ)}| for fakes y, reals x, and the distance ρ₅(xᵢ) of a real from its "
    "fifth nearest real",
    lowest=0,
    perfect=1,
    minimum=6,
    undefined="There are no more than five reals, or no fakes.",
    paper="arXiv:2002.09797",
    traps=(
        (
            "More is not always better: a generator that keeps to the middle of the data has a density well above 1, "
            "so read it with coverage."
        ),
        "It says nothing of diversity: one good picture, repeated, may have any density.",
        (
            "Noise is not estimated: the deviation over fakes alone was 0.5 to 0.9 times that over repeated samples of "
            "both sides."
        ),
    ),
)

_COVERAGE = Measure(
    "coverage_{extractor}",
    "higher",
    definition="The share of reals with a fake nearby: in the ball that reaches to the real's fifth nearest other "
    "real, the surface included. The best single number for diversity.",
    formula="|{i : ∃ j : ‖yⱼ − xᵢ‖ ≤ ρ₅(xᵢ)}|/N for reals x, fakes y, and the distance ρ₅(xᵢ) of a real from its "
    "fifth nearest real",
    lowest=0,
    highest=1,
    minimum=6,
    undefined="There are no more than five reals, or no fakes.",
    paper="arXiv:2002.09797",
    traps=(
        (
            "The perfect score is a little below 1: with as many fakes as reals it is 1 − 2⁻⁵ = 0.969 on average, and "
            "less with fewer fakes."
        ),
        "Bad pictures beside good ones cost nothing but the good ones that they replace: read it with precision.",
        "A generator that copies the training set is at the floor.",
        (
            "Noise is not estimated: √(p(1 − p)/N) takes the fakes for given, and was 0.6 to 0.9 times the "
            "deviation over repeated samples of both sides."
        ),
    ),
)

COMPONENTS = (
    Component(
        "frechet",
        "ganbench_metrics.frechet:Frechet",
        summary="Fréchet distance of features: FID where they are Inception's",
        paper="arXiv:1706.08500",
        needs={"features": True},
        measures=(_FID, _FRECHET),
    ),
    Component(
        "frechet-infinity",
        "ganbench_metrics.frechet:FrechetInfinity",
        summary="Fréchet distance of features, extrapolated to infinitely many fakes",
        paper="arXiv:1911.07023",
        needs={"features": True},
        measures=(_FID_INFINITY, _INFINITY),
    ),
    Component(
        "kernel",
        "ganbench_metrics.kernel:Kernel",
        summary="Kernel distance of features (KID): cubic MMD², unbiased",
        paper="arXiv:1801.01401",
        needs={"features": True},
        measures=(_KERNEL,),
    ),
    Component(
        "inception-score",
        "ganbench_metrics.inception_score:InceptionScore",
        summary="How sure a classifier is of each fake, and how evenly they fall on its classes",
        paper="arXiv:1606.03498",
        needs={"logits": True},
        measures=(_SCORE,),
    ),
    Component(
        "precision-recall",
        "ganbench_metrics.manifolds:PrecisionRecall",
        summary="Share of fakes among the reals, and of reals among the fakes, by nearest neighbours of features",
        paper="arXiv:1904.06991",
        needs={"features": True},
        measures=(_PRECISION, _RECALL),
    ),
    Component(
        "density-coverage",
        "ganbench_metrics.manifolds:DensityCoverage",
        summary="How many real neighbourhoods a fake is in, and how many hold a fake",
        paper="arXiv:2002.09797",
        needs={"features": True},
        measures=(_DENSITY, _COVERAGE),
    ),
)
