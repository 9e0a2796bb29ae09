"""Read the typed parameters of a component from its source, without importing it, and check values against them."""

from __future__ import annotations

import ast
import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from ganbench.errors import ChoiceError, GanbenchError, PluginError, suggest
from ganbench.terms import PACKING, Kind, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAMEWORK: Mapping[str, tuple[str, ...]] = {
    "generator": ("latent_dim", "shape"),
    "discriminator": ("shape",),
    "dataset": ("places",),
    "extractor": ("places",),
    "executor": ("workers",),
}
"""By kind, the first parameters of a target: those that ganbench fills in."""

OPTIONAL: Mapping[str, str] = {"generator": "classes", "discriminator": "classes", "extractor": "data"}
"""By kind, what ganbench fills in after those where the target takes it: the number of classes, for networks that can
use labels, and the data, for an extractor that is trained on their labels."""

RESERVED: Mapping[str, tuple[str, ...]] = {
    "discriminator": ("name", PACKING),
    "loss": ("name", "penalties"),
    "method": ("name", "penalties"),
}
"""By kind, what a component cannot call a parameter, for it means something else in a suite; `name` for every kind."""

SUPPORTED = "int, float, bool, str, Literal[...], tuple[X, ...], X | None"

_Placed = ast.stmt | ast.expr | ast.arg

_SIMPLE: Mapping[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_EXPECTED = {"int": "an integer", "float": "a number", "bool": "true or false", "str": "a string"}
# Bases that bring no parameters of their own: Python's, torch's, and the protocols of ganbench.
_PLAIN_BASES = {"object", "ABC", "Generic", "Protocol", "Module"} | {
    "Generator", "Discriminator", "Loss", "Penalty", "Augmentation", "Method", "Dataset", "Metric", "ExtractorLoader",
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One parameter of a component: `annotation` as its author wrote it, `accepts` as the type that it stands for."""

    name: str
    annotation: str
    accepts: Any
    default: Value = None
    required: bool = False


def parameters_of(target: str, kind: Kind) -> tuple[Parameter, ...]:
    """The parameters that a user may set of the class or function `"module:attribute"`, in the order of its source.

    Raises PluginError, with module and line, for what cannot be read without running it.
    """
    module, _, attribute = target.partition(":")
    source = _source(module)
    definition = source.definitions.get(attribute)
    if definition is None:
        known = suggest(attribute, source.definitions)
        raise PluginError(f"{module}: no class or function '{attribute}' is defined at its top level.{known}")
    declared = _without_framework(source, definition, kind)
    for item in declared:
        if item.name in RESERVED.get(kind, ("name",)):
            raise source.error(item.place, f"parameter '{item.name}': the name is ganbench's own; choose another")
    return tuple(_parameter(source, item) for item in declared)


def check_value(parameter: Parameter, value: Value) -> Value:
    """`value` as the type that the parameter has: an int becomes a float where one is expected, a list a tuple.

    Raises ChoiceError that names the parameter, what came and what was expected.
    """
    from pydantic import ValidationError

    try:
        checked: Value = _adapter(parameter.accepts).validate_python(_frozen(value))
    except ValidationError:
        expected = _EXPECTED.get(parameter.annotation, parameter.annotation)
        allowed = [str(item) for item in _literals(parameter.accepts)]
        hint = f".{suggest(str(value), allowed)}" if allowed else ""
        raise ChoiceError(f"parameter '{parameter.name}': expected {expected}, got {value!r}{hint}") from None
    return checked


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


@functools.cache
def _adapter(accepts: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(accepts, config=ConfigDict(strict=True, allow_inf_nan=False))


def _literals(accepts: Any) -> list[Any]:
    if get_origin(accepts) is Literal:
        return list(get_args(accepts))
    return [value for part in get_args(accepts) for value in _literals(part)]


@dataclass(frozen=True)
class _Source:
    """A module as text: its top-level classes and functions, and the expressions that its top-level names stand for."""

    module: str
    definitions: Mapping[str, ast.ClassDef | ast.FunctionDef]
    constants: Mapping[str, ast.expr]

    def error(self, node: _Placed, problem: str) -> PluginError:
        """The error that names the module and the line of `node`."""
        return PluginError(f"{self.module}, line {node.lineno}: {problem}")


@dataclass(frozen=True)
class _Declared:
    """A parameter as the source declares it; `default` is None where there is none."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    place: _Placed


def _source(module: str) -> _Source:
    path = _path_of(module)
    return _parsed(module, path, path.stat().st_mtime_ns)


def _path_of(module: str) -> Path:
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:
        raise PluginError(f"{module}: cannot be found: {type(error).__name__}: {error}") from error
    if spec is None:
        raise PluginError(f"{module}: there is no such module")
    if spec.origin is None or not spec.origin.endswith(".py") or not Path(spec.origin).is_file():
        raise PluginError(f"{module}: has no Python source to read parameters from")
    return Path(spec.origin)


@functools.lru_cache(maxsize=256)
def _parsed(module: str, path: Path, modified_ns: int) -> _Source:
    del modified_ns  # only tells one state of the file from the next
    try:
        body = ast.parse(path.read_bytes(), filename=str(path)).body
    except (SyntaxError, ValueError) as error:
        raise PluginError(f"{module}: is not Python: {error}") from error
    definitions = {node.name: node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    constants: dict[str, ast.expr] = {}
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                constants[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                constants[name] = value
    return _Source(module, definitions, constants)


def _without_framework(source: _Source, definition: ast.ClassDef | ast.FunctionDef, kind: Kind) -> list[_Declared]:
    if isinstance(definition, ast.FunctionDef):
        declared = _arguments(source, definition)
    else:
        declared = _of_class(source, definition)
    framework = FRAMEWORK.get(kind, ())
    leading = tuple(item.name for item in declared[: len(framework)])
    if leading != framework:
        wanted, got = ", ".join(framework), ", ".join(leading) or "nothing"
        raise source.error(definition, f"'{definition.name}', a {kind}, must first take {wanted}; it takes {got}")
    rest = declared[len(framework) :]
    return rest[1:] if rest and rest[0].name == OPTIONAL.get(kind) else rest


def _of_class(source: _Source, definition: ast.ClassDef) -> list[_Declared]:
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return _arguments(source, node)[1:]  # without self
    inherited = [item for base in definition.bases for item in _of_base(source, definition, base)]
    if not any(_last_name(decorator) == "dataclass" for decorator in definition.decorator_list):
        return inherited
    fields = {item.name: item for item in inherited}
    fields.update((item.name, item) for item in _fields(source, definition))
    return list(fields.values())


def _of_base(source: _Source, definition: ast.ClassDef, base: ast.expr) -> list[_Declared]:
    name = _last_name(base)
    if isinstance(found := source.definitions.get(name), ast.ClassDef) and found is not definition:
        return _of_class(source, found)
    if name in _PLAIN_BASES:
        return []
    raise source.error(
        base,
        f"'{definition.name}' takes its parameters from the base class '{ast.unparse(base)}' of another module: "
        "give it an __init__ of its own, so that they can be read",
    )


def _arguments(source: _Source, function: ast.FunctionDef) -> list[_Declared]:
    arguments = function.args
    for star in (arguments.vararg, arguments.kwarg):
        if star is not None:
            raise source.error(
                star, f"'{star.arg}' takes any arguments: name each parameter, so that it can be checked"
            )
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = zip(
        [*positional, *arguments.kwonlyargs], [*defaults, *arguments.defaults, *arguments.kw_defaults], strict=True
    )
    return [_Declared(argument.arg, argument.annotation, default, argument) for argument, default in pairs]


def _fields(source: _Source, definition: ast.ClassDef) -> list[_Declared]:
    """The fields of a dataclass that its constructor takes."""
    declared = []
    for node in definition.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        annotated = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
        if _last_name(annotated) in ("ClassVar", "KW_ONLY"):
            continue
        if isinstance(node.value, ast.Call):
            raise source.error(node, f"field '{node.target.id}': its default must be a literal, not a call")
        declared.append(_Declared(node.target.id, node.annotation, node.value, node))
    return declared


def _parameter(source: _Source, declared: _Declared) -> Parameter:
    who = f"parameter '{declared.name}'"
    if declared.annotation is None:
        raise source.error(declared.place, f"{who} has no annotation; supported: {SUPPORTED}")
    annotation = ast.unparse(declared.annotation)
    try:
        accepts = _type(source, who, declared.annotation)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        raise _unsupported(source, who, declared.annotation) from None
    if declared.default is None:
        return Parameter(declared.name, annotation, accepts, required=True)
    bare = Parameter(declared.name, annotation, accepts)
    try:
        default = check_value(bare, _literal(source, declared.default))
    except (ValueError, TypeError, RecursionError):
        raise source.error(
            declared.default, f"{who}: the default '{ast.unparse(declared.default)}' is not a literal"
        ) from None
    except GanbenchError as error:
        raise source.error(declared.default, f"the default does not fit its annotation: {error}") from None
    return Parameter(declared.name, annotation, accepts, default)


def _literal(source: _Source, node: ast.expr) -> Any:
    """What a literal says, with the module's constants in the place of their names."""
    match node:
        case ast.Name(id=name) if name in source.constants:
            return _literal(source, source.constants[name])
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_literal(source, item) for item in items)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_literal(source, operand)
    return ast.literal_eval(node)


def _type(source: _Source, who: str, node: ast.expr) -> Any:
    """The type that an annotation stands for; aliases of the same module are followed."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return _type(source, who, ast.copy_location(ast.parse(text, mode="eval").body, node))
        case ast.Name(id=name) if name in _SIMPLE:
            return _SIMPLE[name]
        case ast.Name(id=name) if name in source.constants:
            return _type(source, who, source.constants[name])
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_type(source, who, left), _type(source, who, right)]  # noqa: UP007  # known at run time only
        case ast.Subscript(value=generic, slice=inside):
            return _generic(source, who, _last_name(generic), inside, node)
    raise _unsupported(source, who, node)


def _generic(source: _Source, who: str, name: str, inside: ast.expr, node: ast.expr) -> Any:
    parts = list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
    if name == "Literal":
        values = tuple(_literal(source, part) for part in parts)
        if all(isinstance(value, bool | int | str | None) for value in values):
            return Literal[values]
    if name == "Optional":
        return Union[_type(source, who, inside), None]  # noqa: UP007  # known at run time only
    if name in ("tuple", "Tuple"):
        any_length = len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is ...
        types = [_type(source, who, part) for part in (parts[:1] if any_length else parts)]
        return GenericAlias(tuple, (*types, ...) if any_length else tuple(types))
    raise _unsupported(source, who, node)


def _unsupported(source: _Source, who: str, node: ast.expr) -> PluginError:
    return source.error(node, f"{who}: annotation '{ast.unparse(node)}' is not supported; supported: {SUPPORTED}")


def _last_name(node: ast.expr) -> str:
    """`Module` of `nn.Module`, `Generic` of `Generic[T]`, `dataclass` of `dataclass(frozen=True)`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=inner) | ast.Call(func=inner):
            return _last_name(inner)
    return ""
