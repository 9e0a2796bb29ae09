"""Read a component's source without importing it: where it is defined, and what its docstring tells."""

from __future__ import annotations

import ast
import importlib.util
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ganbench.errors import PluginError

SECTIONS = ("Formula", "Layers", "Shapes", "Paper", "Recipe", "Traps", "Parameters")
"""What a docstring is parted into: a paragraph or a line that begins with one of these words and a colon."""

_SECTION = re.compile(rf"^\s*({'|'.join(SECTIONS)}):[ \t]*", re.MULTILINE)


@dataclass(frozen=True)
class Definition:
    """The class or function that a target names: its file, its line, its docstring."""

    file: Path
    line: int
    docstring: str

    def sections(self) -> dict[str, str]:
        """What the docstring's sections hold, by name."""
        parts = _SECTION.split(self.docstring)
        return dict(zip(parts[1::2], (text.strip() for text in parts[2::2]), strict=True))


def definition_of(target: str) -> Definition:
    """Where `"module:attribute"` is defined. Raises PluginError where its source cannot be found."""
    module, _, attribute = target.partition(":")
    file = file_of(module)
    for node in ast.parse(file.read_bytes(), filename=str(file)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return Definition(file, node.lineno, ast.get_docstring(node) or "")
    raise PluginError(f"{file}: no class or function '{attribute}' is defined at its top level")


def line_given(target: str, method: str) -> int | None:
    """The line of the last `return` of the method, or the method's own; None where its source does not define it.

    A method that is inherited from a class of the same module is looked for there.
    """
    module, _, attribute = target.partition(":")
    body = ast.parse(file_of(module).read_bytes()).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    seen: set[str] = set()
    while attribute in classes and attribute not in seen:
        seen.add(attribute)
        for node in classes[attribute].body:
            if isinstance(node, ast.FunctionDef) and node.name == method:
                return max((item.lineno for item in _returns(node)), default=node.lineno)
        bases = [base.id for base in classes[attribute].bases if isinstance(base, ast.Name)]
        attribute = next((base for base in bases if base in classes), "")
    return None


def _returns(function: ast.FunctionDef) -> Iterator[ast.Return]:
    """The function's own, without those of functions inside of it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def file_of(module: str) -> Path:
    """The file of a module. Raises PluginError where there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:
        raise PluginError(f"{module}: cannot be found: {type(error).__name__}: {error}") from error
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise PluginError(f"{module}: has no Python source")
    return Path(spec.origin)


def line_of(error: BaseException, file: Path) -> tuple[Path, int] | None:
    """The innermost line of the component's own folder that an error passed through; None where it passed none.

    A line of the component's own file comes before one of a file beside it.
    """
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    frames = [frame for item in chain for frame in traceback.extract_tb(item.__traceback__)]
    own = [frame for frame in frames if Path(frame.filename) == file]
    beside = [frame for frame in frames if Path(frame.filename).is_relative_to(file.parent)]
    for frame in reversed(own or beside):
        if frame.lineno is not None:
            return Path(frame.filename), frame.lineno
    return None
