from __future__ import annotations

import importlib
import itertools
import math
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganbench.errors import ChoiceError, PluginError
from ganbench.signatures import Parameter, check_value, parameters_of

numbering = itertools.count()


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """A function that writes a module and gives its name; the module must never be imported."""
    written = []
    monkeypatch.syspath_prepend(tmp_path)

    def write(source):
        name = f"unimported_{next(numbering)}"
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n" + textwrap.dedent(source))
        importlib.invalidate_caches()
        written.append(name)
        return name

    yield write
    assert not set(written) & set(sys.modules)


def facts(parameters):
    return [(parameter.name, parameter.default, parameter.required) for parameter in parameters]


def test_every_supported_annotation_is_read_with_its_default(write_module):
    module = write_module("""
        WIDTH = 32
        SIZES = (WIDTH, 64)
        Norm = Literal["batch", "layer"]
        class Loss:
            def __init__(self, a: int, b: float = -1, c: bool = True, d: str = "x", e: Literal["p", 2] = 2,
                         f: tuple[int, ...] = SIZES, g: float | None = None, h: Optional[int] = WIDTH,
                         *, i: Norm = "layer", j: "tuple[float, float]" = (0.5, 1), k: typing.Literal["q"] = "q"): ...
    """)
    parameters = parameters_of(f"{module}:Loss", "loss")
    assert facts(parameters) == [
        ("a", None, True),
        ("b", -1.0, False),
        ("c", True, False),
        ("d", "x", False),
        ("e", 2, False),
        ("f", (32, 64), False),
        ("g", None, False),
        ("h", 32, False),
        ("i", "layer", False),
        ("j", (0.5, 1.0), False),
        ("k", "q", False),
    ]
    assert isinstance(parameters[1].default, float)
    assert parameters[6].annotation == "float | None"


def test_what_the_framework_fills_in_is_left_out(write_module):
    module = write_module("""
        def generator(latent_dim: int, shape: tuple[int, ...], width: int = 8) -> Module: ...
        def discriminator(shape, *, width: int = 8): ...
        def load(places: Places, noise: float = 0.5): ...
    """)
    assert facts(parameters_of(f"{module}:generator", "generator")) == [("width", 8, False)]
    assert facts(parameters_of(f"{module}:discriminator", "discriminator")) == [("width", 8, False)]
    assert facts(parameters_of(f"{module}:load", "dataset")) == [("noise", 0.5, False)]
    assert facts(parameters_of(f"{module}:load", "extractor")) == [("noise", 0.5, False)]
    with pytest.raises(PluginError, match=r"line 4: .*must first take latent_dim, shape; it takes shape, width"):
        parameters_of(f"{module}:discriminator", "generator")


@pytest.mark.parametrize(
    ("kind", "framework"), [("generator", "latent_dim, shape"), ("discriminator", "shape"), ("extractor", "places")]
)
def test_what_a_network_is_told_of_classes_and_an_extractor_of_data_is_no_parameter(write_module, kind, framework):
    optional = "data" if kind == "extractor" else "classes"
    module = write_module(f"""
        def told({framework}, {optional}, *, width: int = 8): ...
        def by_default({framework}, {optional}=0, width: int = 8): ...
        def plain({framework}, width: int = 8): ...
    """)
    for name in ("told", "by_default", "plain"):
        assert facts(parameters_of(f"{module}:{name}", kind)) == [("width", 8, False)]


def test_a_loss_may_call_its_parameter_classes(write_module):
    module = write_module("""
        def loss(classes: int = 10): ...
    """)
    assert facts(parameters_of(f"{module}:loss", "loss")) == [("classes", 10, False)]


def test_an_executor_is_told_how_many_workers_there_are(write_module):
    module = write_module("""
        def pool(workers, patience: float = 2.0): ...
        def wrong(patience: float = 2.0): ...
    """)
    assert facts(parameters_of(f"{module}:pool", "executor")) == [("patience", 2.0, False)]
    with pytest.raises(PluginError, match="'wrong', a executor, must first take workers; it takes patience"):
        parameters_of(f"{module}:wrong", "executor")


def test_fields_of_dataclasses_are_parameters_those_of_base_classes_first(write_module):
    module = write_module("""
        @dataclass(frozen=True)
        class Weighted:
            weight: float = 10
            kind: ClassVar[str] = "penalty"
            def compute(self): ...
        @dataclasses.dataclass
        class Penalty(Weighted):
            every: int = 1
            weight: float = 5.0
        class Plain(Penalty): ...
    """)
    assert facts(parameters_of(f"{module}:Penalty", "penalty")) == [("weight", 5.0, False), ("every", 1, False)]
    assert facts(parameters_of(f"{module}:Plain", "penalty")) == [("weight", 5.0, False), ("every", 1, False)]


def test_the_constructor_of_a_base_class_in_the_same_module_counts(write_module):
    module = write_module("""
        class Base(nn.Module):
            def __init__(self, slope: float = 0.2): ...
        class Derived(Base): ...
        class Bare(nn.Module): ...
        class Typed(Loss, Protocol[T]): ...
    """)
    assert facts(parameters_of(f"{module}:Derived", "loss")) == [("slope", 0.2, False)]
    assert parameters_of(f"{module}:Bare", "loss") == ()
    assert parameters_of(f"{module}:Typed", "loss") == ()


@pytest.mark.parametrize(
    ("definition", "complaint"),
    [
        ("def f(a: Tensor): ...", "parameter 'a': annotation 'Tensor' is not supported; supported: int, float"),
        ("def f(a: int | Tensor = 1): ...", "annotation 'Tensor' is not supported"),
        ("def f(a: list[int] = ()): ...", r"annotation 'list\[int\]' is not supported"),
        ("def f(a: tuple[..., int]): ...", r"annotation '\.\.\.' is not supported"),
        ("def f(a: Literal[0.5] = 0.5): ...", r"annotation 'Literal\[0.5\]' is not supported"),
        ("def f(a: 'int ||'): ...", "is not supported"),
        ("def f(a: A): ...\nA = B\nB = A", "annotation 'A' is not supported"),
        ("def f(a=1): ...", "parameter 'a' has no annotation"),
        ("def f(a: int = max(1, 2)): ...", r"parameter 'a': the default 'max\(1, 2\)' is not a literal"),
        ("def f(a: int = OTHER): ...", "the default 'OTHER' is not a literal"),
        ("def f(a: int = 1.5): ...", "the default does not fit its annotation: parameter 'a': expected an integer"),
        ("def f(**options): ...", "'options' takes any arguments"),
        ("def f(*sizes): ...", "'sizes' takes any arguments"),
        ("def f(name: str = 'x'): ...", "parameter 'name': the name is ganbench's own"),
        ("def f(penalties: str = 'x'): ...", "parameter 'penalties': the name is ganbench's own"),
        ("class f(elsewhere.Base): ...", "parameters from the base class 'elsewhere.Base' of another module"),
        ("@dataclass\nclass f:\n    a: int = field(default=1)", "field 'a': its default must be a literal"),
    ],
)
def test_what_cannot_be_read_is_refused_with_module_and_line(write_module, definition, complaint):
    module = write_module(definition)
    with pytest.raises(PluginError, match=rf"{module}, line \d: .*{complaint}"):
        parameters_of(f"{module}:f", "loss")


def test_a_target_that_is_not_there_is_refused_with_the_nearest_name(write_module):
    module = write_module("class Hinge: ...\nwrapped = Hinge")
    with pytest.raises(PluginError, match=r"no class or function 'Hinges' is defined.*Did you mean 'Hinge'"):
        parameters_of(f"{module}:Hinges", "loss")
    with pytest.raises(PluginError, match=r"no class or function 'wrapped'"):
        parameters_of(f"{module}:wrapped", "loss")
    with pytest.raises(PluginError, match=r"nowhere_at_all: there is no such module"):
        parameters_of("nowhere_at_all:Hinge", "loss")
    with pytest.raises(PluginError, match=r"nowhere_at_all.inner: cannot be found"):
        parameters_of("nowhere_at_all.inner:Hinge", "loss")
    with pytest.raises(PluginError, match=r"itertools: has no Python source"):
        parameters_of("itertools:count", "loss")
    with pytest.raises(PluginError, match=r"is not Python: invalid syntax"):
        parameters_of(f"{write_module('class')}:Hinge", "loss")


def test_a_changed_file_is_read_again(write_module, tmp_path):
    module = write_module("def f(a: int = 1): ...")
    assert facts(parameters_of(f"{module}:f", "loss")) == [("a", 1, False)]
    path = tmp_path / f"{module}.py"
    path.write_text("def f(a: int = 2): ...")
    assert facts(parameters_of(f"{module}:f", "loss")) == [("a", 2, False)]


@pytest.mark.parametrize(
    ("accepts", "value", "expected"),
    [
        (float, 3, 3.0),
        (int, 3, 3),
        (tuple[float, ...], [1, 2.5], (1.0, 2.5)),
        (tuple[tuple[int, ...], ...], [[1], []], ((1,), ())),
        (float | None, None, None),
        (bool, False, False),
        (int | float, 2, 2),
    ],
)
def test_values_are_coerced_without_loss(accepts, value, expected):
    checked = check_value(Parameter("p", "?", accepts), value)
    assert checked == expected
    assert repr(checked) == repr(expected)


@pytest.mark.parametrize(
    ("annotation", "accepts", "value", "complaint"),
    [
        ("int", int, True, "parameter 'p': expected an integer, got True"),
        ("int", int, 2.0, "expected an integer, got 2.0"),
        ("int", int, "2", "expected an integer, got '2'"),
        ("float", float, True, "expected a number, got True"),
        ("float", float, math.inf, "expected a number, got inf"),
        ("float", float, 10**400, "expected a number, got 1000"),
        ("bool", bool, 1, "expected true or false, got 1"),
        ("str", str, 3, "expected a string, got 3"),
        ("tuple[int, ...]", tuple[int, ...], (1, True), r"expected tuple\[int, ...\], got \(1, True\)"),
        ("tuple[int, ...]", tuple[int, ...], 1, r"expected tuple\[int, ...\], got 1"),
    ],
)
def test_values_of_another_type_are_refused_with_what_came_and_what_was_expected(annotation, accepts, value, complaint):
    with pytest.raises(ChoiceError, match=complaint):
        check_value(Parameter("p", annotation, accepts), value)


def test_a_near_miss_among_literals_is_named(write_module):
    module = write_module("def f(norm: Literal['batch', 'layer'] | None = None): ...")
    (norm,) = parameters_of(f"{module}:f", "penalty")
    assert check_value(norm, "batch") == "batch"
    with pytest.raises(ChoiceError, match=r"got 'bacth'. Did you mean 'batch'"):
        check_value(norm, "bacth")


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text() | st.none())
def test_a_value_is_accepted_by_its_own_type_alone_but_for_integers_as_floats(value):
    simple = {"int": int, "float": float, "bool": bool, "str": str}
    accepted = set()
    for annotation, accepts in simple.items():
        try:
            checked = check_value(Parameter("p", annotation, accepts), value)
        except ChoiceError:
            continue
        assert checked == value or (annotation == "float" and abs(value) > 2**53)
        accepted.add(annotation)
    own = {annotation for annotation, accepts in simple.items() if type(value) is accepts}
    assert own <= accepted <= own | ({"float"} if type(value) is int else set())
