"""What parts are made with, and how: components imported, called with what was chosen, and blamed by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ganbench.environment import settle
from ganbench.inspection import check_data
from ganbench.objective import blame
from ganbench.plugins import Offer, Registry, Source
from ganbench.protocols import Data, Places
from ganbench.provenance import origin_of
from ganbench.terms import PACKING, Choice, Job, Kind, Precision, Trial


@dataclass(frozen=True)
class Workshop:
    """What a job is built with: none of it may change a result on the same kind of device."""

    registry: Registry
    places: Places
    device: torch.device

    def label(self, kind: Kind, choice: Choice) -> str:
        """A component in the words of a message: what it is and whose."""
        offer = self.registry.find(kind, choice)
        return f"{kind} '{choice}' of {Source(offer.plugin, offer.owner, offer.version)}"

    def offers(self, job: Job) -> list[Offer]:
        """What each of a job's parts is offered by. Raises ChoiceError where a part is not to be had."""
        kinds: list[tuple[Kind, Choice]] = [("dataset", job.dataset)]
        kinds += [("metric", choice) for choice in job.evaluation.metrics]
        kinds += [("extractor", job.evaluation.extractor)] if job.evaluation.extractor else []
        if isinstance(job, Trial):
            kinds += job.variant.parts
        return [self.registry.find(kind, choice) for kind, choice in kinds]

    def sources(self, job: Job) -> list[dict[str, str]]:
        """The plugins that a job's parts come from, each with its owner, its version and the hash of its code."""
        found = {offer.plugin: offer for offer in self.offers(job)}
        return sorted(map(origin_of, found.values()), key=lambda origin: origin["plugin"])

    def make(self, kind: Kind, choice: Choice, *arguments: object) -> Any:
        """Import a component's target and call it with `arguments` and the choice's parameters."""
        target = self.registry.load(kind, choice)
        parameters = {name: value for name, value in choice.all_parameters().items() if name != PACKING}
        with blame(self.label(kind, choice)):
            return target(*arguments, **parameters)


def open_workshop(
    registry: Registry, places: Places, device: str = "cpu", precision: Precision = "float32"
) -> Workshop:
    """A workshop in this process, which from now on computes as trials do: with one thread, and the same every time."""
    workshop = Workshop(registry, places, torch.device(device))
    settle(workshop.device, precision)
    return workshop


def load_data(workshop: Workshop, choice: Choice) -> Data:
    """The data set, on the CPU. Raises PluginError where it is not as its contract states."""
    data = workshop.make("dataset", choice, workshop.places)
    component = workshop.registry.find("dataset", choice).component
    return check_data(workshop.label("dataset", choice), component, choice, data)
