from __future__ import annotations

import contextlib
import importlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ganbench.choices import DEEPEST, LONGEST, parse_choice, parse_objective, resolve
from ganbench.errors import ChoiceError, PluginError
from ganbench.plugins import Offer, Registry, discover
from ganbench.terms import Choice, Component, content_key

PARTS = """
def critic(shape: tuple[int, ...], *, width: int = 32, norm: Literal["batch", "none"] = "batch",
           clip: float | None = None, slopes: tuple[float, ...] = (0.2,)): ...
def penalty(*, gamma: float): ...
def strange(*, width: Tensor): ...
"""


@pytest.fixture
def registry(tmp_path, monkeypatch):
    (tmp_path / "parts_of_choices.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()

    def offer(kind, name):
        component = Component(name, f"parts_of_choices:{name}", summary="For a test")
        return Offer(kind, component, plugin="parts", owner="test-parts", version="1.0")

    return Registry((offer("discriminator", "critic"), offer("penalty", "penalty"), offer("loss", "strange")))


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("dcgan", Choice("dcgan")),
        (" wgan-gp ", Choice("wgan-gp")),
        ("dcgan()", Choice("dcgan")),
        ("3d.gan(a=1)", Choice("3d.gan", (("a", 1),))),
        ("my-gans:dcgan(width=32)", Choice("dcgan", (("width", 32),), owner="my-gans")),
        ("my_gan.py:dcgan", Choice("dcgan", owner="my_gan.py")),
        ("d( b = 2 , a = 1.0 )", Choice("d", (("a", 1.0), ("b", 2)))),
        ("d(a=-1, b=1e-3, c=+.5, d=2.)", Choice("d", (("a", -1), ("b", 0.001), ("c", 0.5), ("d", 2.0)))),
        ("d(a=true, b=false, c=none)", Choice("d", (("a", True), ("b", False), ("c", None)))),
        ("d(a=layer, b=8x8, c=v1.2)", Choice("d", (("a", "layer"), ("b", "8x8"), ("c", "v1.2")))),
        (
            r"""d(a="q\"(,é", b='c:\x', c="true", d='')""",
            Choice("d", (("a", 'q"(,é'), ("b", "c:\\x"), ("c", "true"), ("d", ""))),
        ),
        ("d(a=[1, [2.5, x], []])", Choice("d", (("a", (1, (2.5, "x"), ())),))),
    ],
)
def test_what_is_written_is_what_is_meant(text, choice):
    parsed = parse_choice(text)
    assert parsed == choice
    assert repr(parsed) == repr(choice)


def test_a_table_means_the_same_as_the_text():
    table = {"name": "my-gans:dcgan", "width": 32, "sizes": [1, [2.0]], "norm": "layer", "deep": True}
    assert parse_choice(table) == parse_choice("my-gans:dcgan(width=32, sizes=[1, [2.0]], norm=layer, deep=true)")


def test_an_objective_is_a_loss_and_its_penalties():
    expected = (Choice("nonsaturating"), (Choice("r1", (("gamma", 0.1),)), Choice("r2")))
    assert parse_objective("nonsaturating + r1(gamma=0.1) + r2") == expected
    assert parse_objective("nonsaturating+r1(gamma=0.1)+r2") == expected
    assert parse_objective({"name": "nonsaturating", "penalties": ["r1(gamma=0.1)", {"name": "r2"}]}) == expected
    assert parse_objective({"name": "wgan-gp", "weight": 5}) == (Choice("wgan-gp", (("weight", 5),)), ())
    assert parse_objective("hinge(a=1e+5)") == (Choice("hinge", (("a", 1e5),)), ())


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "expected a name, found the end"),
        ("(a=1)", 1, "expected a name, found '('"),
        ("-gan", 1, "expected a name, found '-'"),
        ("owner:", 7, "expected a name after the owner, found the end"),
        ("dcgan(", 7, "expected a parameter's name, found the end"),
        ("dcgan(width)", 12, "expected '=', found ')'"),
        ("dcgan(width=)", 13, "expected a value, found ')'"),
        ("dcgan(a=1 b=2)", 11, "expected ',' or ')', found 'b'"),
        ("dcgan(a=1,)", 11, "expected a parameter's name, found ')'"),
        ("dcgan(a=1, a=2)", 13, "parameter 'a' is set twice"),
        ("dcgan(a=[1)", 11, "expected ',' or ']', found ')'"),
        ("dcgan(a=1) x", 12, "expected the end, found 'x'"),
        ("hinge + r1", 7, "expected the end, found '+'"),
        ("dcgan(a=1e999)", 9, "'1e999' is no finite number, and other text needs quotes"),
        ("dcgan(a=--1)", 9, "'--1' is no finite number, and other text needs quotes"),
        ("dcgan(a=__import__)", 9, "needs quotes"),
        ('dcgan(a="x)', 9, "the string that starts here does not end"),
        ("dcgan(a='x)", 9, "the string that starts here does not end"),
        (r'dcgan(a="\x")', 9, "expected a string that JSON can read"),
        (f"d(a={'[' * (DEEPEST + 1)}", DEEPEST + 6, "more than 8 lists in lists"),
    ],
)
def test_what_cannot_be_read_is_shown_with_the_column(text, column, problem):
    with pytest.raises(ChoiceError) as caught:
        parse_choice(text)
    assert f"'{text}', column {column}: " in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (3, "expected a name.*got 3"),
        ("x" * (LONGEST + 1), "has 1001 characters; at most 1000"),
        ({"width": 3}, "expected a table with a name, got the keys width"),
        ({}, "expected a table with a name"),
        ({"name": ["a"]}, r"expected a name.*got \['a'\]"),
        ({"name": "dcgan(width=3)"}, "column 6: expected the end: in a table, parameters are keys"),
        ({"name": "dcgan", "width": {"a": 1}}, "parameter 'width': expected a number.*got {'a': 1}"),
        ({"name": "dcgan", "width": float("nan")}, "parameter 'width': expected a finite number, got nan"),
        ({"name": "dcgan", "width": 2**63}, "parameter 'width': expected an integer of at most 64 bits"),
        (f"dcgan(width={'9' * 400})", "column 13: expected an integer of at most 64 bits"),
        (f"dcgan(width={2**63})", "column 13: expected an integer of at most 64 bits"),
    ],
)
def test_what_is_no_choice_at_all_is_refused(written, problem):
    with pytest.raises(ChoiceError, match=problem):
        parse_choice(written)


def test_an_objective_that_is_cut_short_is_refused():
    with pytest.raises(ChoiceError, match=r"'hinge \+', column 8: expected a name, found the end"):
        parse_objective("hinge +")
    with pytest.raises(ChoiceError, match="penalties: expected a list of penalties, got 'r1'"):
        parse_objective({"name": "hinge", "penalties": "r1"})


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
finite = st.floats(allow_nan=False, allow_infinity=False)
single = st.booleans() | st.none() | st.integers(-(2**63), 2**63 - 1) | finite | st.text(max_size=20) | names
values = st.recursive(single, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
parameters = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True), values, max_size=4)
choices = st.builds(
    lambda name, owner, items: Choice(name, tuple(sorted(items.items())), owner), names, st.just("") | names, parameters
)


@given(choices)
@example(Choice("d", (("a", "none"), ("b", "1e5"), ("c", "true"), ("d", "\ud800\U0001f600\x00\u2028"))))
@example(Choice("d", (("self", 1e-05), ("z", 1e16))))
def test_a_choice_is_read_back_from_its_own_text(choice):
    text = str(choice)
    if len(text) <= LONGEST:
        assert repr(parse_choice(text)) == repr(choice)


@given(st.text(alphabet="ab1-.+:(),=[]\"'\\ en", max_size=30) | st.text(max_size=30))
def test_any_text_is_a_choice_or_a_choice_error(text):
    with contextlib.suppress(ChoiceError):
        loss, penalties = parse_objective(text)
        assert parse_objective(" + ".join(map(str, (loss, *penalties)))) == (loss, penalties)


def test_a_resolved_choice_has_every_parameter_as_its_type_says(registry):
    resolved = resolve(registry, "discriminator", parse_choice("critic(slopes=[1], clip=2, packing=3)"))
    assert resolved.parameters == (("clip", 2.0), ("packing", 3), ("slopes", (1.0,)))
    assert resolved.defaults == (("norm", "batch"), ("width", 32))
    assert repr(resolved.get("clip")) == "2.0"


def test_setting_a_parameter_to_its_default_changes_nothing(registry):
    plain = resolve(registry, "discriminator", Choice("critic"))
    spelt_out = resolve(registry, "discriminator", parse_choice("critic(width=32, packing=1, clip=none, slopes=[0.2])"))
    assert spelt_out == plain
    assert plain.parameters == ()
    assert dict(plain.defaults) == {"clip": None, "norm": "batch", "packing": 1, "slopes": (0.2,), "width": 32}
    assert resolve(registry, "discriminator", plain) == plain


def test_none_is_the_word_where_the_parameter_has_that_word_and_nothing_elsewhere(registry):
    bare = resolve(registry, "discriminator", parse_choice("critic(norm=none)"))
    table = resolve(registry, "discriminator", parse_choice({"name": "critic", "norm": "none", "clip": "none"}))
    assert bare.parameters == table.parameters == (("norm", "none"),)
    assert bare.get("clip") is None
    assert table.get("clip") is None
    assert resolve(registry, "discriminator", parse_choice(str(bare))) == bare


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("discriminator", "critic(widht=3)", "discriminator 'critic': no parameter 'widht'. Did you mean 'width'?"),
        (
            "discriminator",
            "critic(width=wide)",
            "discriminator 'critic': parameter 'width': expected an integer, got 'wide'",
        ),
        ("discriminator", "critic(norm=bach)", "got 'bach'. Did you mean 'batch'?"),
        ("discriminator", "critic(width=none)", "parameter 'width': expected an integer, got None"),
        ("discriminator", "critic(packing=0)", "parameter 'packing': expected 1 or more"),
        ("penalty", "penalty", "penalty 'penalty': gamma must be set"),
        ("penalty", "penalty(gamma=1, packing=2)", "no parameter 'packing'"),
        ("penalty", "critic", "no penalty named 'critic'. There is a discriminator of that name."),
    ],
)
def test_what_does_not_fit_the_component_is_refused(registry, kind, text, problem):
    with pytest.raises(ChoiceError) as caught:
        resolve(registry, kind, parse_choice(text))
    assert problem in str(caught.value)


def test_a_component_whose_parameters_cannot_be_read_is_blamed_on_its_owner(registry):
    blame = r"loss 'strange' of plugin 'parts' \(distribution test-parts 1.0\): parts_of_choices, line 5: .*'Tensor'"
    with pytest.raises(PluginError, match=blame):
        resolve(registry, "loss", Choice("strange"))


def test_a_plugin_file_that_changed_gives_another_choice(tmp_path):
    path = tmp_path / "mine.py"
    source = (
        "from ganbench import Component, hookimpl\n"
        "@hookimpl\n"
        "def ganbench_losses():\n"
        "    yield Component('mine', ':Mine', summary='Mine')\n"
        "class Mine:\n"
        "    def __init__(self, weight: float = 1.0): ...\n"
    )
    path.write_text(source)
    before = resolve(discover([path]), "loss", Choice("mine"))
    path.write_text(source + "# another sign\n")
    after = resolve(discover([path]), "loss", Choice("mine"))
    assert (before.name, str(before)) == (after.name, str(after))
    assert content_key(before) != content_key(after)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("folder:cats", "cats"),
        ("folder:/a/b c/d(resolution=64)", "/a/b c/d"),
        ("folder: ~/x.y (resolution=64)", "~/x.y"),
        ('npz:"a(b)+c.npz"(resolution=64)', "a(b)+c.npz"),
        ("tar:'it is'(resolution=64)", "it is"),
        ("folder:C:/pictures", "C:/pictures"),
    ],
)
def test_data_in_files_are_written_with_their_path(written, path):
    choice = parse_choice(written)
    assert choice.get("path") == path
    assert choice.owner == ""
    assert parse_choice(str(choice)) == choice
    assert ("resolution", 64) in choice.parameters or "resolution" not in written


def test_a_path_in_a_table_meets_the_other_keys():
    assert parse_choice({"name": "folder:cats", "resolution": 64}) == parse_choice("folder(path=cats, resolution=64)")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("folder:", "expected a path, found the end"),
        ("folder:(resolution=64)", "expected a path"),
        ("folder:cats(path=dogs)", "parameter 'path' is set twice"),
        ('folder:"cats', "does not end"),
    ],
)
def test_a_path_that_cannot_be_read_is_refused(written, problem):
    with pytest.raises(ChoiceError, match=problem):
        parse_choice(written)
