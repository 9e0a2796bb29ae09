"""What is said of the scores of classes, bins, two-sample tests, memorisation and conditional accuracy."""

from __future__ import annotations

from ganbench.terms import Component, Measure

_CLASS_OF = "The class of an image, real or fake, is the one with the extractor's largest logit."

_HISTOGRAMS = "where r is the class histogram of the N held-out images and f that of the N fakes."

_CLASSES = (
    Measure(
        "tvd_classes",
        "lower",
        definition="Total variation distance between the class histograms of held-out images and of fakes: the share "
        f"of fakes that would have to change their class for the two to be equal. {_CLASS_OF}",
        formula=f"½ Σₖ |fₖ − rₖ|, {_HISTOGRAMS}",
        lowest=0,
        highest=1,
        perfect=0,
        noise="The deviation over resampled histograms of both sides. Near 0 it is too large, by up to a third.",
        traps=(
            (
                "It sees nothing but the number of images in each class: blurred, repeated and memorised images leave "
                "it as it is."
            ),
            (
                "It is never 0 between finite samples: with K equally frequent classes its floor is about √((K − "
                "1)/(πN)), 0.056 for 10 classes and 898 images."
            ),
            "It inherits the classifier's errors: noise has classes, too.",
        ),
    ),
    Measure(
        "kl_classes",
        "lower",
        definition="Kullback–Leibler divergence of the fakes' class histogram from that of held-out images. "
        f"{_CLASS_OF}",
        formula=f"Σₖ fₖ ln(fₖ / rₖ), {_HISTOGRAMS}",
        unit="nats",
        lowest=0,
        perfect=0,
        undefined="A fake is of a class that no held-out image is of.",
        noise="By the delta method for both sides' histograms; where they are nearly equal, by the χ² distribution.",
        paper="arXiv:1611.02163",
        traps=(
            (
                "Its floor is (K − 1)/N for K classes and N samples a side, since both histograms are estimated: 0.010 "
                "for 10 classes and 898 images."
            ),
            "A class without fakes costs little: of K equally frequent ones, ln(K/(K − 1)).",
        ),
    ),
    Measure(
        "classes_covered",
        "higher",
        definition="The number of classes in which at least a fifth of the fair share of fakes falls, counting only "
        "fakes within the manifold of the held-out images of the class: no farther from one of them, in features, than "
        f"its third nearest neighbour of that class is. The fair share is that of the held-out images. {_CLASS_OF}",
        formula="#{k : #{fake i of class k : ∃ real j of class k : ‖xᵢ − xⱼ‖ ≤ ρ₃(xⱼ)} ≥ 0.2 · N rₖ > 0}",
        unit="classes",
        lowest=0,
        paper="arXiv:1904.06991",
        traps=(
            (
                "Perfect is the number of classes that occur among the held-out images, less those that chance leaves "
                "out where a class has only a few of them."
            ),
            (
                "It is blind to small faults: digits that are blurred by half a pixel keep all ten classes, by one "
                "pixel one or two."
            ),
            "Repeated and memorised images cover their classes.",
        ),
    ),
    Measure(
        "classes_any",
        "higher",
        definition=f"The number of classes that at least one fake is of: the papers' count of modes. {_CLASS_OF}",
        formula="#{k : fₖ > 0}",
        unit="classes",
        lowest=0,
        paper="arXiv:1611.02163",
        traps=(
            (
                "One image is enough, whatever it looks like: uniform noise reaches most of ten classes, and where the "
                "classes are many, a classifier's errors add some: a generator that makes 100 of the 1,000 of stacked "
                "MNIST is credited with 123 at 99.9 % accuracy a digit, and with 509 at 98 %. Rank by "
                "`classes_covered`."
            ),
            (
                "Perfect depends on N: of 1,000 equally frequent classes, 26,000 perfect samples leave none out, 2,600 "
                "leave out 74."
            ),
        ),
    ),
)

_BINS = (
    Measure(
        "ndb_{extractor}",
        "lower",
        definition="The share of bins in which real and fake samples differ significantly. Bins are the cells of "
        "k-means centres of the training samples' features: 100 of them, or as many as leave 20 held-out samples to a "
        "bin on average. In each, the shares of held-out and of fake samples are compared by a two-proportion z-test "
        "at 5 %.",
        formula="#{k : |rₖ − fₖ| > 1.96 √(p̄ₖ(1 − p̄ₖ)(1/N + 1/N))}/K, where rₖ and fₖ are the shares of held-out and "
        "of fake samples in bin k, and p̄ₖ their mean",
        lowest=0,
        highest=1,
        perfect=0.05,
        minimum=40,
        undefined="There are fewer than 40 samples a side, or fewer than two training samples.",
        noise="√(p(1 − p)/K), with half a bin of either kind added to p: as if bins were independent, which near a "
        "perfect generator is too small by up to a third.",
        paper="arXiv:1805.12462",
        traps=(
            "A perfect generator gets 0.05, for the test errs that often; below that there is nothing to gain.",
            "It grows with N, for then smaller differences are significant: compare at equal N only.",
            (
                "Repeated pictures are seen only as far as they fill some bins more than others: in the 29 bins of 599 "
                "digits, every picture twice gives 0.10, and 20 repeated ones 0.74."
            ),
        ),
    ),
    Measure(
        "jsd_{extractor}",
        "lower",
        definition="Jensen–Shannon divergence between the histograms of held-out and of fake samples over the bins of "
        "`ndb_{extractor}`.",
        formula="½ Σₖ rₖ ln(rₖ/mₖ) + ½ Σₖ fₖ ln(fₖ/mₖ), where m = (r + f)/2",
        unit="nats",
        lowest=0,
        highest=0.6931471805599453,
        perfect=0,
        minimum=40,
        undefined="There are fewer than 40 samples a side, or fewer than two training samples.",
        noise="By the delta method for both histograms; where they are nearly equal, by the χ² distribution.",
        paper="arXiv:1805.12462",
        traps=(
            "Its floor is (K − 1)/(4N) for K bins and N samples a side: 0.012 for 44 bins and 898 samples.",
            "It is ln 2 at most, however far away the fakes are.",
        ),
    ),
)

_DETECTABILITY = (
    Measure(
        "c2st_logistic_{extractor}",
        "lower",
        definition="How often a logistic regression tells real from fake samples. It is trained on the features of "
        "half of the held-out and half of the fake samples, scaled to mean 0 and variance 1 (L2 penalty, C = 1), and "
        "tested on the other halves; both sides count alike. Of more than 10,000 samples a side, 10,000 are used, "
        "evenly spaced. Points are their own features.",
        formula="½ (share of real test samples taken for real + share of fake test samples taken for fake)",
        lowest=0,
        highest=1,
        perfect=0.5,
        minimum=20,
        undefined="There are fewer than 20 samples a side.",
        noise="√(a(1 − a)/n) for accuracy a on n test samples, with half a sample of either kind added to a: the "
        "halving and the training are not counted.",
        paper="arXiv:1610.06545",
        traps=(
            (
                "It sees what shifts a weighted sum of features, so memorised pictures leave it at 0.5; and in the "
                "plane it is all but blind: uniform noise scores 0.51 against the points of `ring8`."
            ),
            (
                "Repeated pictures are in both halves, and it sees them as far as it can learn them by heart: of 599 "
                "digits, 200 that repeat score 0.54, and 20 score 0.87; more features or fewer samples raise that."
            ),
            (
                "An extractor that was trained on the training split tells it from other images: on digits, "
                "`real_floor` scores 0.53."
            ),
            "Below 0.5 is chance, not quality.",
        ),
    ),
    Measure(
        "c2st_1nn_{extractor}",
        "lower",
        definition="How often the nearest other sample, of the held-out and the fake ones together, is of a sample's "
        "own side (leave-one-out 1-nearest-neighbour classification, Euclidean distance of features). Where several "
        "are equally near, each counts in proportion. Points are their own features.",
        formula="½ (share of real samples whose nearest neighbour is real + share of fakes whose nearest neighbour is "
        "fake)",
        lowest=0,
        highest=1,
        perfect=0.5,
        minimum=20,
        undefined="There are fewer than 20 samples a side.",
        noise="√(a(1 − a)/N) for accuracy a, with half an outcome of either kind added: of the 2N outcomes N count, "
        "since two samples that are each other's nearest share theirs.",
        paper="arXiv:1806.07755",
        traps=(
            (
                "Any repetition is seen, for a copy is its own side's nearest neighbour: every picture twice gives "
                "0.83 on digits, however good the pictures are."
            ),
            (
                "Below 0.5 the fakes lie nearer to the held-out samples than those do to each other: copies of "
                "held-out samples give 0."
            ),
            "Memorised training images leave it at 0.5.",
        ),
    ),
)

_MEMORISATION = (
    Measure(
        "memorised_{extractor}",
        "lower",
        definition="How much more often than chance allows the nearest real sample to a fake, in features, is a "
        "training sample. Training and held-out samples come from one distribution: to a generator that has seen "
        "neither, they are exchangeable, and the nearest of M training and N held-out samples is a training sample "
        "with probability e = M/(M + N). 0 is no copying, 1 is a training sample as the nearest to every fake. Of "
        "samples equally near, chance decides.",
        formula="(s − e)/(1 − e), where s is the share of fakes whose nearest neighbour is a training sample",
        highest=1,
        perfect=0,
        minimum=20,
        undefined="There are fewer than 20 fakes, held-out samples or training samples.",
        noise="√(p(1 − p)/n)/(1 − e): n counts fakes that share their nearest sample as one ((Σ c)²/Σ c² for groups of "
        "c), and p is s drawn towards e by one outcome.",
        paper="arXiv:2004.05675",
        traps=(
            (
                "The row `real_floor` repeats training samples, so it scores 1: that is what copying looks like. A "
                "generator that scores 0 did not copy; one below 0 did so by chance, or has been fitted to the "
                "held-out samples."
            ),
            (
                "It cannot tell what is copied: one training image repeated for ever scores 1, and so does, by chance, "
                "any collapse whose few pictures lie nearest to training samples; the noise then is large."
            ),
            (
                "The lowest value is −M/N. Exchangeability needs splits drawn at random from one distribution: "
                "CIFAR-10's duplicates, or a video cut into both splits, break it."
            ),
        ),
    ),
)

_CONDITIONAL = (
    Measure(
        "conditional_accuracy_{extractor}",
        "higher",
        definition="The share of fakes that are of the class that was asked for. The class of an image is the one with "
        "the extractor's largest logit.",
        formula="#{i : argmaxₖ logitₖ(xᵢ) = cᵢ}/N, where cᵢ is the class that was asked for",
        lowest=0,
        highest=1,
        undefined="No classes were asked for: the generator is unconditional.",
        noise="√(a(1 − a)/N) for accuracy a, with half an image of either kind added to a.",
        traps=(
            (
                "Perfect is the extractor's own accuracy on real images, not 1: `real_floor` shows it, though where "
                "the extractor was trained on the training split, too high."
            ),
            "It sees neither quality nor variety: one good picture for each class scores as high as real images.",
            "A generator that ignores the class scores 1/K, for K equally frequent ones.",
        ),
    ),
)

COMPONENTS: tuple[Component, ...] = (
    Component(
        "classes",
        "ganbench_metrics.coverage:ClassCoverage",
        summary="Which classes images fall in, by a classifier, and how evenly",
        paper="arXiv:1611.02163",
        needs={"data": "images", "features": True, "classes": True},
        measures=_CLASSES,
    ),
    Component(
        "bins",
        "ganbench_metrics.bins:Bins",
        summary="How evenly samples fall on k-means bins of the training features (NDB, JSD)",
        paper="arXiv:1805.12462",
        needs={"features": True, "training": True},
        measures=_BINS,
    ),
    Component(
        "detectability",
        "ganbench_metrics.detectability:Detectability",
        summary="How well two classifiers tell real from fake: 0.5 if not at all (C2ST)",
        paper="arXiv:1610.06545",
        needs={"features": "images"},
        measures=_DETECTABILITY,
    ),
    Component(
        "memorisation",
        "ganbench_metrics.memorisation:Memorisation",
        summary="Whether fakes are nearer to training samples than to held-out ones",
        paper="arXiv:2004.05675",
        needs={"features": True, "training": True},
        measures=_MEMORISATION,
    ),
    Component(
        "conditional-accuracy",
        "ganbench_metrics.conditional:ConditionalAccuracy",
        summary="How often an image is of the class that was asked for",
        needs={"data": "images", "features": True, "classes": True, "labels": True},
        measures=_CONDITIONAL,
    ),
)
