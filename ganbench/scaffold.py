"""Write a new plugin as a distribution of its own: a component that works, its tests, and all that packaging needs."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ganbench
from ganbench.errors import ChoiceError, GanbenchError
from ganbench.plugins import discover
from ganbench.terms import NAME, Kind

FILES = {
    "README.md": "README.md.j2",
    "pyproject.toml": "pyproject.toml.j2",
    "LICENSE": "LICENSE",
    ".gitignore": "gitignore.j2",
    ".github/workflows/tests.yml": "tests.yml.j2",
    "try.toml": "{kind}/try.toml.j2",
    "{package}/__init__.py": "{kind}/__init__.py.j2",
    "{package}/{kind}.py": "{kind}/component.py.j2",
    "tests/test_{kind}.py": "{kind}/test.py.j2",
    "tests/test_conformance.py": "test_conformance.py.j2",
}
"""What a distribution is made of: the place of each file, and the template in `ganbench/skeletons` for it."""

LOADED = ("dataset", "extractor")
"""The kinds whose target is a function, `load`; that of the others is a class."""


@dataclass(frozen=True)
class Naming:
    """What a component's name becomes in a distribution: `my-GAN`, a loss, is MyGANLoss in ganbench_my_gan.loss."""

    kind: Kind
    name: str

    @property
    def slug(self) -> str:
        """The name as a suite and a distribution may be called: lower case, with single hyphens."""
        return re.sub(r"[-_.]+", "-", self.name).strip("-").lower()

    @property
    def identifier(self) -> str:
        """The same as a part of Python's names."""
        return self.slug.replace("-", "_")

    @property
    def distribution(self) -> str:
        """What is installed."""
        return f"ganbench-{self.slug}"

    @property
    def package(self) -> str:
        """What is imported."""
        return f"ganbench_{self.identifier}"

    @property
    def attribute(self) -> str:
        """The class or function that the component's target names; a class keeps the capitals of the name."""
        if self.kind in LOADED:
            return "load"
        words = [self.name, self.kind] if self.name[0].isalpha() else [self.kind, self.name]
        return "".join(part[:1].upper() + part[1:] for word in words for part in re.split(r"[-_.]+", word))

    @property
    def score(self) -> str:
        """What a metric's score is called."""
        return f"mean_gap_{self.identifier}"

    def words(self) -> dict[str, str]:
        """All of these for templates, and the version of ganbench that the distribution asks for."""
        told = ("kind", "name", "slug", "identifier", "distribution", "package", "attribute", "score")
        return {**{word: getattr(self, word) for word in told}, "ganbench_version": ganbench.__version__}


def default_folder(name: str) -> Path:
    """Where a distribution is written unless the user says otherwise: `./ganbench-my-loss`."""
    return Path(Naming("loss", name).distribution)


def write_plugin(kind: Kind, name: str, folder: Path) -> list[Path]:
    """Write a distribution that offers the component `name` into `folder`; gives the files in the order of writing.

    Raises ChoiceError for a name that cannot be had, and GanbenchError for a folder that has something in it.
    """
    naming = Naming(kind, name)
    _check_name(naming)
    _check_folder(folder)
    rendered = _rendered(naming)
    try:
        for path, text in rendered.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise GanbenchError(f"{folder}: cannot be written ({error.strerror}). Pass --dir DIR") from error
    return [folder / path for path in rendered]


def _check_name(naming: Naming) -> None:
    kind, name = naming.kind, naming.name
    if not NAME.fullmatch(name):
        raise ChoiceError(
            f"{kind} '{name}': a name has letters, digits, '.', '_' and '-', and starts with a letter or a digit"
        )
    owners = [offer.owner for offer in discover().offers if (offer.kind, offer.component.name) == (kind, name)]
    if owners:
        raise ChoiceError(
            f"{kind} '{name}': the name is taken by {' and '.join(owners)}, and suites would have to write "
            f"'{owners[0]}:{name}' for that one. Choose another name"
        )
    if importlib.util.find_spec(naming.package) is not None:
        raise ChoiceError(
            f"{kind} '{name}': its package would be {naming.package}, which is there. Choose another name"
        )


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise GanbenchError(f"{folder}: is a file, expected a new or an empty folder. Pass --dir DIR")
    if folder.is_dir() and any(folder.iterdir()):
        raise GanbenchError(f"{folder}: is not empty, and nothing is overwritten. Pass --dir DIR, a new folder")


def _rendered(naming: Naming) -> dict[str, str]:
    """The text of each file, by its place in the folder."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ganbench", "skeletons"), autoescape=False, undefined=StrictUndefined,  # noqa: S701
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    words: dict[str, Any] = naming.words()
    return {
        place.format(**words): environment.get_template(template.format(**words)).render(words)
        for place, template in FILES.items()
    }
