"""The parameter corners of a component: each allowed value, with another one beside it where it cannot stand alone."""

from __future__ import annotations

from dataclasses import replace

from ganbench.choices import resolve
from ganbench.conformance.findings import NotChecked
from ganbench.conformance.grounds import Ground
from ganbench.conformance.networks import build, smallest
from ganbench.conformance.subjects import MADE_SMALL, Subject, subjects
from ganbench.errors import ChoiceError, PluginError
from ganbench.plugins import Offer
from ganbench.terms import Kind

BUILT_ALONE: tuple[Kind, ...] = ("loss", "penalty", "augmentation", "method", "metric")
"""The kinds that are built of their parameters and nothing else."""


def corners(offer: Offer, ground: Ground) -> list[Subject]:
    """The component with its defaults, then with each other value; one that is refused takes the first that helps.

    What nothing helps stays as it is, for a check to say so.
    """
    found = list(subjects(offer, ground))
    accepted = [subject for subject in found if not refused(subject)]
    return [subject if subject in accepted else _helped(subject, accepted) for subject in found]


def refused(subject: Subject) -> bool:
    """Whether the component itself says that these parameters do not go together."""
    try:
        if subject.kind in MADE_SMALL:
            for shape in smallest(subject):
                build(subject, shape, roused=False)
        elif subject.kind in BUILT_ALONE:
            subject.ground.workshop.make(subject.kind, subject.choice)
    except (NotChecked, ChoiceError):
        return True
    except PluginError as error:
        return isinstance(error.__cause__, ChoiceError)
    except Exception:  # noqa: BLE001 - a check finds it again, and says what it is
        return False
    return False


def _helped(subject: Subject, others: list[Subject]) -> Subject:
    own = dict(subject.choice.parameters)
    for other in others:
        added = {name: value for name, value in other.choice.parameters if name not in own}
        if not added:
            continue
        choice = replace(subject.choice, parameters=(), defaults=()).with_parameters(**own, **added)
        resolved = resolve(subject.registry, subject.kind, choice)
        both = replace(subject, choice=resolved, corner=f"{subject.corner}, {other.corner}")
        if not refused(both):
            return both
    return subject
