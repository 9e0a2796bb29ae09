from __future__ import annotations

import contextlib
import functools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from properties.mangling import damaged, json_values, texts, tried, well_or_refused

from ganbench.choices import LONGEST, parse_choice, parse_objective, resolve
from ganbench.errors import ChoiceError, PluginError
from ganbench.plugins import discover
from ganbench.terms import KINDS, Choice

VALID = (
    b"mlp", b"ganbench:mlp(width=16, depth=2)", b"hinge + r1(gamma=0.1) + diffaugment", b'folder:"a b"(resolution=64)',
    b"""mlp(a="x\\u00e9", b='y', c=[1, [2.5e-3, none], true], d=none)""", b"nonsaturating+r1(gamma=1e-3)",
)  # fmt: skip

registry = functools.cache(discover)
finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
values = st.recursive(
    st.booleans() | st.none() | st.integers(-(2**63), 2**63 - 1) | finite | texts | names,
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)
parameters = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True), values, max_size=4)
choices = st.builds(
    lambda name, owner, items: Choice(name, tuple(sorted(items.items())), owner), names, st.just("") | names, parameters
)


@tried
@given(choices)
@example(Choice("folder", (("path", 'a"b\\c'),)))
@example(Choice("a", (("x", -0.0), ("y", 2**63 - 1))))
def test_a_choice_that_is_written_is_read_back_the_same(choice):
    if len(str(choice)) <= LONGEST:
        assert repr(parse_choice(str(choice))) == repr(choice)


@tried
@given(st.lists(choices, min_size=1, max_size=3))
def test_an_objective_that_is_written_is_read_back_the_same(parts):
    written = " + ".join(map(str, parts))
    if len(written) <= LONGEST:
        loss, added = parse_objective(written)
        assert repr([loss, *added]) == repr(parts)


@tried
@given(damaged(VALID).map(lambda content: content.decode(errors="replace")) | st.text(max_size=60))
def test_whatever_text_comes_it_is_a_choice_that_can_be_written_or_a_choice_error_that_shows_it(text):
    spaced = text if len(text) + 3 > LONGEST else f"  {text} "
    for parse in (parse_choice, parse_objective):
        with well_or_refused(ChoiceError, text[:38]):
            assert parse(text) == parse(spaced)


@tried
@given(
    st.dictionaries(st.sampled_from(["name", "penalties", "width", ""]) | texts, json_values, max_size=4)
    | json_values
    | st.fixed_dictionaries({"name": st.sampled_from(["mlp", "a:b", "folder:x"])}, optional={"width": json_values})
)
def test_whatever_a_table_holds_it_is_a_choice_or_a_choice_error(written):
    for parse in (parse_choice, parse_objective):
        with contextlib.suppress(ChoiceError):
            parse(written)


def _offered(kind):
    return sorted(offer.component.name for offer in registry().offers if offer.kind == kind)


@tried
@given(st.data())
def test_whatever_parameters_a_component_is_given_it_is_resolved_once_and_for_all_or_a_choice_error(data):
    kind = data.draw(st.sampled_from(KINDS))
    plain = data.draw(st.sampled_from(_offered(kind)))
    with contextlib.suppress(ChoiceError):
        plain_parts = resolve(registry(), kind, Choice(plain)).all_parameters()
        known = st.sampled_from(sorted(plain_parts) or ["width"])
        given_values = data.draw(st.dictionaries(known | names, values, max_size=3))
        choice = Choice(plain, tuple(sorted(given_values.items())))
        resolved = resolve(registry(), kind, choice)
        assert resolve(registry(), kind, resolved) == resolved
        assert resolve(registry(), kind, parse_choice(str(resolved))) == resolved


@tried
@given(names | texts, st.sampled_from(KINDS))
def test_a_name_that_nothing_has_is_answered_with_those_that_there_are(name, kind):
    if name not in {offer.component.name for offer in registry().offers}:
        with pytest.raises((ChoiceError, PluginError), match=r"Known: |Did you mean"):
            resolve(registry(), kind, Choice(name))
