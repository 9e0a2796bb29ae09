from __future__ import annotations

import pytest

from ganbench.errors import (
    ChoiceError,
    DataError,
    GanbenchError,
    PluginError,
    ResultsError,
    SuiteError,
    printable,
    suggest,
)


def test_the_nearest_name_comes_before_all_that_are_known():
    assert suggest("hing", ["wgan", "hinge", "lsgan"]) == " Did you mean 'hinge'? Known: hinge, lsgan, wgan"


def test_a_name_far_from_all_others_gets_no_guess():
    assert suggest("zzzz", ["wgan", "hinge"]) == " Known: hinge, wgan"


def test_capitals_do_not_hide_the_nearest_name():
    assert suggest("WGAN-GP", ["wgan-gp", "hinge"]).startswith(" Did you mean 'wgan-gp'?")
    assert suggest("mnist", ["MNIST"]) == " Did you mean 'MNIST'? Known: MNIST"


def test_a_name_known_twice_is_listed_once():
    assert suggest("x", iter(["wgan", "wgan"])) == " Known: wgan"


def test_where_nothing_is_known_that_is_said():
    assert suggest("hinge", []) == " Known: none"


@pytest.mark.parametrize("error", [SuiteError, ChoiceError, PluginError, DataError, ResultsError])
def test_every_error_that_a_user_can_mend_is_caught_as_one(error):
    with pytest.raises(GanbenchError, match=r"^what happened$"):
        raise error("what happened")


def test_what_could_steer_a_terminal_is_shown_as_a_mark_and_lines_stay():
    assert printable("a\x1b[31m\x9bb\r\u202ec\nd é") == "a�[31m�b��c\nd é"
