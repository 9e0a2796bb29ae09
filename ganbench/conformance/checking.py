"""The checks by name and kind, carried out one by one: what a failed one makes pointless is passed over."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ganbench.conformance import (
    augmentation_checks,
    data_checks,
    documented,
    method_checks,
    network_checks,
    objective_checks,
    resuming_checks,
    trace_checks,
    training_checks,
)
from ganbench.conformance.corners import corners
from ganbench.conformance.findings import Breach, Finding, NoPartners, NotChecked, told
from ganbench.conformance.grounds import Ground
from ganbench.conformance.reading import definition_of, file_of, line_given, line_of
from ganbench.conformance.registration import Plugin, TorchAtRegistration, check_registration
from ganbench.conformance.selection import Selection
from ganbench.conformance.subjects import Subject
from ganbench.errors import GanbenchError
from ganbench.hookspecs import PROJECT
from ganbench.plugins import Offer
from ganbench.terms import KINDS, Kind

REGISTRATION = "registration"


@dataclass(frozen=True)
class Check:
    """One thing that is checked. `after` names checks without which it means nothing; `corners`: of every corner."""

    name: str
    run: Callable[[Subject], None]
    after: tuple[str, ...] = ()
    corners: bool = True

    @property
    def meaning(self) -> str:
        """What it looks for, in a sentence."""
        return " ".join((self.run.__doc__ or "").split())


_DOCUMENTED = Check("documented", documented.check_documented, corners=False)


def _trained(*after: str) -> tuple[Check, ...]:
    return (
        Check("trains", training_checks.check_trains, after),
        Check("resumes", resuming_checks.check_resumes, (*after, "trains"), corners=False),
        Check("together", training_checks.check_together, (*after, "trains"), corners=False),
        Check("cuda", training_checks.check_cuda, (*after, "trains"), corners=False),
    )


def _networks(*own: Check) -> tuple[Check, ...]:
    """What is checked of a network, with what is checked of one kind only."""
    before = ("shapes", "inputs", *(check.name for check in own))
    return (
        _DOCUMENTED,
        Check("shapes", network_checks.check_shapes),
        Check("inputs", trace_checks.check_inputs, ("shapes",)),
        *own,
        Check("labels", network_checks.check_labels, before),
        Check("batch", network_checks.check_batch, before),
        Check("gradients", trace_checks.check_gradients, before),
        Check("random", trace_checks.check_random, before),
        Check("host", trace_checks.check_host, before),
        Check("device", trace_checks.check_device, before),
        Check("state", trace_checks.check_state, (*before, "random")),
    )


_OBJECTIVE = (
    _DOCUMENTED,
    Check("terms", objective_checks.check_terms),
    Check("inputs", objective_checks.check_inputs, ("terms",)),
    Check("gradients", objective_checks.check_gradients, ("terms", "inputs")),
    Check("random", objective_checks.check_random, ("terms", "inputs")),
    Check("per-sample", objective_checks.check_per_sample, ("terms", "inputs", "random")),
    Check("memory", objective_checks.check_memory, ("terms", "inputs")),
    Check("host", objective_checks.check_host, ("terms", "inputs", "gradients")),
    Check("device", objective_checks.check_device, ("terms", "inputs")),
)
_ENDS = ("terms", "inputs", "gradients", "memory")

CHECKS: dict[Kind, tuple[Check, ...]] = {
    "generator": (*_networks(), *_trained("shapes", "inputs", "gradients", "state")),
    "discriminator": (
        *_networks(Check("heads", network_checks.check_heads, ("shapes", "inputs"))),
        Check("double-backward", trace_checks.check_double_backward, ("shapes", "inputs", "gradients", "random")),
        *_trained("shapes", "inputs", "heads", "gradients", "state"),
    ),
    "loss": (
        *_OBJECTIVE,
        Check("direction", objective_checks.check_direction, ("terms", "inputs", "gradients")),
        *_trained(*_ENDS),
    ),
    "penalty": (*_OBJECTIVE, *_trained(*_ENDS)),
    "augmentation": (
        _DOCUMENTED,
        Check("shapes", augmentation_checks.check_shapes),
        Check("inputs", augmentation_checks.check_inputs, ("shapes",)),
        Check("gradients", augmentation_checks.check_gradients, ("shapes", "inputs")),
        Check("per-sample", augmentation_checks.check_per_sample, ("shapes", "inputs")),
        Check("random", augmentation_checks.check_random, ("shapes", "inputs")),
        Check("memory", augmentation_checks.check_memory, ("shapes", "inputs")),
        Check("host", augmentation_checks.check_host, ("shapes", "inputs", "gradients")),
        Check("device", augmentation_checks.check_device, ("shapes", "inputs")),
        *_trained("shapes", "inputs", "gradients", "memory"),
    ),
    "method": (
        _DOCUMENTED,
        Check("turns", method_checks.check_turns),
        Check("random", method_checks.check_random, ("turns",)),
        Check("host", method_checks.check_host, ("turns",)),
        *_trained("turns"),
    ),
    "dataset": (
        _DOCUMENTED,
        Check("data", data_checks.check_data),
        Check("repeats", data_checks.check_repeats, ("data",)),
        Check("disjoint", data_checks.check_disjoint, ("data",)),
    ),
    "metric": (
        _DOCUMENTED,
        Check("scores", data_checks.check_scores),
        Check("random", data_checks.check_metric_random, ("scores",), corners=False),
    ),
    "extractor": (_DOCUMENTED, Check("features", data_checks.check_features)),
    "executor": (_DOCUMENTED, Check("built", data_checks.check_executor)),
}
"""By kind, what is checked and in which order."""

assert CHECKS.keys() == set(KINDS)


@dataclass
class Checker:
    """Checks components on one ground, and remembers what it found, so that nothing is checked twice."""

    ground: Ground
    _found: dict[tuple[str, str, str, str], Finding] = field(default_factory=dict)
    _corners: dict[tuple[str, str, str], list[Subject]] = field(default_factory=dict)

    def check(self, offer: Offer, check: Check) -> Finding:
        """What the check finds of the component; skipped where another one, that it builds on, has failed."""
        key = (offer.kind, offer.owner, offer.component.name, check.name)
        if key not in self._found:
            self._found[key] = self._checked(offer, check)
        return self._found[key]

    def _checked(self, offer: Offer, check: Check) -> Finding:
        begun = time.perf_counter()
        for before in (other for other in CHECKS[offer.kind] if other.name in check.after):
            if self.check(offer, before).verdict == "fail":
                reason = f"the check '{before.name}' failed, without which this one means nothing"
                return replace(_bare(offer, check.name), verdict="skipped", reason=reason)
        found = self._carried_out(offer, check)
        return replace(found, seconds=time.perf_counter() - begun)

    def _carried_out(self, offer: Offer, check: Check) -> Finding:
        """The check of each corner: the first that fails is what was found, then one that could not be made."""
        bare, reasons = _bare(offer, check.name), list[NotChecked]()
        try:
            cornered = self._corners_of(offer)
        except GanbenchError as error:
            return _unreadable(bare, error, offer)
        count = len(cornered) if check.corners else 1
        for subject in cornered[:count]:
            try:
                check.run(subject)
            except NotChecked as error:
                reasons.append(error)
            except Breach as breach:
                return _breached(bare, breach, subject)
            except Exception as error:  # noqa: BLE001 - whatever a plugin's code does wrong is what was looked for
                return replace(_raised(bare, error, offer), choice=str(subject.choice))
        if len(reasons) < count:
            return bare
        if check.corners and isinstance(reasons[0], NoPartners):
            return _breached(bare, reasons[0].breach, cornered[0])
        return replace(bare, verdict="skipped", reason=str(reasons[0]))

    def _corners_of(self, offer: Offer) -> list[Subject]:
        key = (offer.kind, offer.owner, offer.component.name)
        if key not in self._corners:
            self._corners[key] = corners(offer, self.ground)
        return self._corners[key]


def check_plugin(plugin: str, found: Plugin, offers: tuple[Offer, ...]) -> Finding:
    """Whether the plugin registers without torch."""
    begun = time.perf_counter()
    owner = next((offer.owner for offer in offers if offer.plugin == plugin), "")
    bare = Finding("plugin", Path(plugin).name, owner, REGISTRATION, "pass")
    if found.module.endswith(".py"):
        return replace(
            bare, verdict="skipped", reason="a plugin file may import torch: it is loaded only when asked for"
        )
    try:
        check_registration(found)
    except Breach as breach:
        file = breach.file if isinstance(breach, TorchAtRegistration) else _source(found)
        bare = _failed(bare, breach, file, breach.line)
    return replace(bare, seconds=time.perf_counter() - begun)


def check_all(selection: Selection, ground: Ground) -> Iterator[Finding]:
    """Everything that there is to check of a selection, one finding after the other."""
    for plugin, found in selection.plugins.items():
        yield check_plugin(plugin, found, selection.offers)
    checker = Checker(ground)
    for offer in selection.offers:
        for check in CHECKS[offer.kind]:
            yield checker.check(offer, check)


def _bare(offer: Offer, check: str) -> Finding:
    return Finding(offer.kind, offer.component.name, offer.owner, check, "pass")


def _breached(bare: Finding, breach: Breach, subject: Subject) -> Finding:
    place = line_of(breach, subject.file)
    if breach.line or place is None:
        given = line_given(subject.component.target, breach.method) if breach.method else None
        place = subject.file, breach.line or given or subject.definition.line
    return replace(_failed(bare, breach, *place), choice=str(subject.choice))


def _unreadable(bare: Finding, error: GanbenchError, offer: Offer) -> Finding:
    """What the first check says of a component whose parameters cannot be read; the others mean nothing."""
    first = CHECKS[offer.kind][0].name
    if bare.check != first:
        return replace(bare, verdict="skipped", reason=f"its parameters cannot be read, as the check '{first}' tells")
    module = offer.component.target.partition(":")[0]
    placed = re.match(rf"{re.escape(module)}, line (\d+): ", str(error))
    if placed is None:
        return _raised(bare, error, offer)
    breach = Breach(
        str(error)[placed.end() :],
        "parameters that can be read from the source: each with an annotation, and a literal that fits as its default",
        "write each as `margin: float = 1.0`",
    )
    return _failed(bare, breach, file_of(module), int(placed[1]))


def _raised(bare: Finding, error: Exception, offer: Offer) -> Finding:
    """A failure for an error that the component's code, or the core on its account, raised."""
    breach = Breach(told(error), "no error", "the line that is named raised it, or was given what it cannot use")
    try:
        file = file_of(offer.component.target.partition(":")[0])
    except GanbenchError:
        return _failed(bare, breach, Path(offer.component.target), None)
    place = line_of(error, file)
    return _failed(bare, breach, *(place or (file, _defined(offer))))


def _defined(offer: Offer) -> int | None:
    try:
        return definition_of(offer.component.target).line
    except (GanbenchError, SyntaxError):
        return None


def _failed(bare: Finding, breach: Breach, file: Path, line: int | None) -> Finding:
    return replace(
        bare,
        verdict="fail",
        file=_shown(file),
        line=line,
        expected=breach.expected,
        found=_MODULE_OF_FILE.sub(r"\1.py", breach.found),
        mend=breach.mend,
    )


_MODULE_OF_FILE = re.compile(rf"\b{PROJECT}_file_(\w+)_[0-9a-f]{{12}}\b")
"""What the module of a plugin file is called, which its author need not know."""


def _shown(file: Path) -> str:
    """The path from here, where it lies below; else the whole of it."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_absolute() and file.is_relative_to(here) else str(file)


def _source(plugin: Plugin) -> Path:
    if plugin.module.endswith(".py"):
        return Path(plugin.module)
    try:
        return file_of(plugin.module)
    except GanbenchError:
        return Path(plugin.module)
