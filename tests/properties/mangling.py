"""What bad input is made of: valid data in which something is replaced, valid files in which bytes are, and odd values.

`tried` is the Hypothesis profile that every property here runs under; see conftest.py.
"""

from __future__ import annotations

import contextlib
import copy
import os

from hypothesis import settings
from hypothesis import strategies as st

tried = settings.get_profile("soak" if os.environ.get("GANBENCH_SOAK") == "1" else "short")

HOSTILE = (
    "\x1b[31mred\x1b[0m", "\x9b2J", "a\x00b", "<script>alert(1)</script>", "\u202eevil", "a\nb", "../../etc/passwd",
    "/", "x" * 300, "{{ 7 * 7 }}", "__class__", "", " ", "\U0001f600", "'", '"', "[bold]", "%s", "nan", "-0", "1e999",
)  # fmt: skip
"""Texts that mean something to whatever shows or reads them without care."""

texts = st.sampled_from(HOSTILE) | st.text(max_size=20)
numbers = (
    st.integers(-3, 100)
    | st.sampled_from([2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**40, 1e-320, 1e308, -1e308, 0.1])
    | st.floats(allow_nan=False, allow_infinity=False)
)
scalars = st.none() | st.booleans() | numbers | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
"""What JSON can say, without the constants that are none of it."""


@contextlib.contextmanager
def well_or_refused(kind, named):
    """What is done inside ends well, or in an error of that kind that says `named`."""
    try:
        yield
    except kind as error:
        if named not in str(error):
            raise AssertionError(f"{named!r} is not named by: {error}") from error


@st.composite
def replaced(draw, valid):
    """`valid`, made of dictionaries and lists, with one or two parts of it replaced, removed or joined by another."""
    data = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 2))):
        holder, key = draw(st.sampled_from(_places(data)))
        what = draw(st.sampled_from(("replaced", "replaced", "replaced", "removed", "joined")))
        if what == "replaced":
            holder[key] = draw(json_values)
        elif what == "removed":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(texts)] = draw(json_values)
        else:
            holder.append(draw(json_values))
        if not _places(data):
            break
    return data


def _places(data):
    """Every part of `data` by what holds it and where."""
    inside = list(data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ())
    return [(data, key) for key, _ in inside] + [place for _, value in inside for place in _places(value)]


@st.composite
def damaged(draw, valid):
    """The bytes of one of `valid` with a few of them overwritten, cut out, doubled or added."""
    content = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        content[start:end] = draw(
            st.just(b"") | st.binary(max_size=6) | st.just(bytes(content[start:end]) * 2) | st.sampled_from(TOKENS)
        )
    return bytes(content[: draw(st.sampled_from([len(content), len(content), len(content) // 2]))])


TOKENS = (
    b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"9" * 5000, b"null", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe",
    b"\xef\xbb\xbf", b"\\ud800", b"\x00", b"\x1b[2J", b"0x" + b"f" * 200, b"1979-05-27T07:32:00Z", b'"""', b"'''", b"#",
)  # fmt: skip
