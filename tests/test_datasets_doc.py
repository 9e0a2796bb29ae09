"""The page of data sets says what their components declare, and every example on it can be read."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from ganbench.choices import parse_choice
from ganbench.decoding import EXTENSIONS, MINIMUM
from ganbench.signatures import parameters_of
from ganbench.terms import Component

PAGE = (Path(__file__).parent.parent / "docs" / "datasets.md").read_text(encoding="utf-8")
PACKAGES = ("ganbench_points", "ganbench_digits", "ganbench_torchvision", "ganbench_files")
COMPONENTS: list[Component] = [
    component for package in PACKAGES for component in importlib.import_module(package).ganbench_datasets()
]


def points() -> list[Component]:
    return [component for component in COMPONENTS if component.gives["data"] == "points"]


def images() -> list[Component]:
    return [component for component in COMPONENTS if component.gives["data"] == "images"]


def table(head: str, rows: list[list[str]]) -> str:
    columns = head.split(" | ")
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines).replace("  ", " ")


def size(component: Component) -> str:
    """(1, "{resolution}", "{resolution}") as 1 × R × R with the resolution that is used where none is stated."""
    defaults = {item.name: item for item in parameters_of(component.target, "dataset")}
    cells = []
    for part in component.gives["shape"]:
        item = defaults.get(str(part).strip("{}"))
        cells.append(str(part) if item is None else "R" if item.required else str(item.default))
    return " × ".join(cells)


def number(value: object) -> str:
    return "as stated" if isinstance(value, str) else f"{value:,}" if value else "none"


def counts(component: Component) -> list[str]:
    return [f"{count:,}" for count in component.gives.get("splits", ())] or ["the rest", "half"]


def parameter(component: Component) -> str:
    """The resolutions to choose from."""
    written = {item.name: item.annotation for item in parameters_of(component.target, "dataset")}
    choices = re.fullmatch(r"Literal\[(.*)\]", written.get("resolution", ""))
    return choices[1] if choices else "any" if "resolution" in written else "fixed"


def expected_tables() -> dict[str, str]:
    return {
        "points": table(
            "name | shape | modes | classes | train | held out | N | what it is",
            [
                [
                    f"`{c.name}`",
                    size(c),
                    number(c.gives["modes"]),
                    number(c.gives["classes"]),
                    *counts(c),
                    f"{c.gives['samples']:,}",
                    c.summary.partition(":")[0],
                ]
                for c in points()
            ],
        ),
        "images": table(
            "name | shape | resolutions | classes | train | held out | N | extractor",
            [
                [
                    f"`{c.name}`",
                    size(c),
                    parameter(c),
                    number(c.gives["classes"]),
                    *counts(c),
                    f"{c.gives['samples']:,}",
                    f"`{c.gives['extractor']}`",
                ]
                for c in images()
            ],
        ),
        "sources": table(
            "name | licence | how to obtain",
            [[f"`{c.name}`", c.gives["licence"], c.gives["source"]] for c in COMPONENTS],
        ),
    }


@pytest.mark.parametrize("name", ["points", "images", "sources"])
def test_the_tables_are_what_the_components_declare(name):
    expected = expected_tables()[name]
    assert expected in PAGE, f"put this into docs/datasets.md:\n\n{expected}"


def test_every_data_set_is_in_the_tables_of_what_it_is_and_of_how_to_get_it():
    for component in COMPONENTS:
        assert PAGE.count(f"\n| `{component.name}` |") == 2


def test_every_component_states_its_contract_in_full():
    for component in COMPONENTS:
        missing = {"data", "shape", "classes", "modes", "extractor", "samples", "licence", "source"} - set(
            component.gives
        )
        assert not missing, component.name


def test_the_examples_name_data_sets_and_parameters_that_exist():
    known = {component.name: component for component in COMPONENTS}
    blocks = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    written = [item for block in blocks for item in tomllib.loads(block)["datasets"]]
    assert {"folder", "npz", "tar", "celeba"} <= {parse_choice(item).name for item in written}
    for item in written:
        choice = parse_choice(item)
        parameters = {item.name: item for item in parameters_of(known[choice.name].target, "dataset")}
        assert {name for name, _ in choice.parameters} <= set(parameters)
        assert {name for name, item in parameters.items() if item.required} <= {name for name, _ in choice.parameters}


def test_every_parameter_of_a_folder_an_npz_and_a_tar_is_explained_with_its_default():
    section = PAGE.partition("## Your own images")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", section, re.MULTILINE))
    own = {
        c.name: {p.name: p for p in parameters_of(c.target, "dataset")}
        for c in COMPONENTS
        if c.name in ("folder", "npz", "tar")
    }
    everything = {**own["folder"], **own["npz"], **own["tar"]}
    assert set(rows) == set(everything)
    for name, item in everything.items():
        stated = "required" if item.required else f"`{item.default}`" if item.default != "" else "none"
        assert rows[name] == stated, name


def test_the_kinds_of_files_and_the_smallest_number_are_told():
    for extension in EXTENSIONS:
        assert f"`{extension}`" in PAGE
    assert f"at least {MINIMUM} images" in PAGE
