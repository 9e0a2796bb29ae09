import fabricate
import pytest

from ganbench.headings import headings
from ganbench.standings import rankings
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_results

FACTS = [{"name": "fcd_digits", "direction": "lower", "meaning": "A distance (arXiv:1706.08500)."}]


def test_every_column_is_explained_and_scores_with_their_paper(tmp_path):
    store = fabricate.write_suite(tmp_path / "quick")
    ranking = rankings(board(load_results(store.path)))[0]
    columns = {column.key: column for column in headings(ranking, FACTS, ["coverage_digits", "tvd_digits"])}
    assert list(columns) == [
        "rank", "variant", "score", "interval", "seeds", "curve", "ok", "speed", "coverage_digits", "tvd_digits",
    ]  # fmt: skip
    assert all(column.about for column in columns.values())
    assert (columns["score"].title, columns["score"].note) == ("fcd_digits", "lower is better")
    assert not columns["score"].falling
    assert columns["speed"].falling
    assert columns["score"].about == (
        "A distance (arXiv:1706.08500). Lower is better. The geometric mean over the seeds that have a score."
    )
    assert "logarithmic" in columns["interval"].about


@pytest.mark.parametrize("noise", [None, 0.1])
def test_what_was_only_evaluated_has_no_columns_of_training(tmp_path, noise):
    first, *others = fabricate.image_scores(2.0)
    scores = (type(first)(**{**vars(first), "noise": noise}), *others)
    fabricate.commit(Store(tmp_path), fabricate.submission("mine"), fabricate.Outcome(scores))
    keys = [column.key for column in headings(board(load_results(tmp_path)), FACTS, ["tvd_digits"])]
    assert keys == ["variant", "score", *(["noise"] if noise else []), "tvd_digits"]
