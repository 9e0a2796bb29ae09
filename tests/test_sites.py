"""The page as a folder: what lies in it, what it replaces, and what it leaves alone."""

import re
import webbrowser

import fabricate
import pytest
from typer.testing import CliRunner

from ganbench import cli
from ganbench.errors import ResultsError
from ganbench.sites import MARKER, write_site
from ganbench.statistics import board
from ganbench.store import Store
from ganbench.tables import load_results


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    """No plots, which take long to make and are the same in a folder."""
    monkeypatch.setattr("ganbench.page.plots", lambda *_: [])


@pytest.fixture
def results(tmp_path):
    store = Store(tmp_path / "quick")
    for seed in range(2):
        fabricate.whole_trial(store, fabricate.trial(seed=seed), fabricate.Outcome(fabricate.image_scores(3.0 + seed)))
    return store.path


def site(results, folder):
    table = load_results(results)
    return write_site(folder, table, board(table))


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_site_has_an_index_scripts_pictures_details_and_the_numbers(results, tmp_path):
    folder = tmp_path / "public" / "site"
    assert site(results, folder) == folder / "index.html"
    names = files(folder)
    assert {".nojekyll", "index.html", "leaderboard.md", "table.csv", MARKER} <= set(names)
    assert len([name for name in names if re.fullmatch(r"pictures/[0-9a-f]{32}\.png", name)]) == 2 * 3
    assert len([name for name in names if re.fullmatch(r"details/trial-[0-9a-f]{64}\.js", name)]) == 2
    assert "details/variant-0-0.js" in names
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert {name for name in names if name.startswith("assets/")} == set(re.findall(r'<script src="([^"]+)"', index))
    assert "script-src 'self';" in index
    assert "data:image" not in index
    assert str(tmp_path) not in index + (folder / "table.csv").read_text(encoding="utf-8")


def test_a_site_is_replaced_and_nothing_of_the_old_one_stays(results, tmp_path):
    folder = tmp_path / "site"
    site(results, folder)
    before = set(files(folder))
    store = Store(tmp_path / "other")
    fabricate.whole_trial(store, fabricate.trial(seed=7), fabricate.Outcome(fabricate.image_scores(2.0)))
    site(store.path, folder)
    after = set(files(folder))
    assert {name for name in before & after if name.startswith(("pictures/", "details/trial"))} == set()
    assert len([name for name in after if name.startswith("details/trial")]) == 1
    site(results, folder)
    assert set(files(folder)) == before


@pytest.mark.parametrize("name", ["notes.txt", "assets/mine.js", "pictures/cat.png", "details/trial-1.js", "runs/a"])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_folder_that_holds_anything_else_is_refused_and_left_alone(results, tmp_path, name, earlier):
    folder = tmp_path / "site"
    if earlier:
        site(results, folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("precious", encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(
        ResultsError, match=rf"holds '({re.escape(name)}|{name.split('/')[0]})', which no earlier --site wrote"
    ):
        site(results, folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_folder_with_the_names_of_a_site_but_no_mark_is_refused(results, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("my own page", encoding="utf-8")
    with pytest.raises(ResultsError, match=r"holds 'index\.html'"):
        site(results, tmp_path / "site")
    assert (tmp_path / "site" / "index.html").read_text(encoding="utf-8") == "my own page"


def test_a_link_in_a_site_leads_nowhere(results, tmp_path):
    site(results, tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "site" / "pictures").rename(elsewhere)
    (tmp_path / "site" / "pictures").symlink_to(elsewhere)
    before = files(elsewhere)
    with pytest.raises(ResultsError, match="holds 'pictures'"):
        site(results, tmp_path / "site")
    assert files(elsewhere) == before


def test_a_file_is_no_folder_for_a_site(results, tmp_path):
    (tmp_path / "site").write_text("", encoding="utf-8")
    with pytest.raises(ResultsError, match="is a file, expected a folder"):
        site(results, tmp_path / "site")


def test_a_site_that_was_cut_short_is_finished_by_the_same_command(results, tmp_path, monkeypatch):
    folder = tmp_path / "site"
    site(results, folder)
    whole = files(folder)
    old = (folder / "index.html").read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("ganbench.sites.render_markdown", fail)
        with pytest.raises(ResultsError, match="No space left"):
            site(results, folder)
    assert (folder / "index.html").read_bytes() == old  # which still finds all that it refers to
    assert set(files(folder)) >= set(whole)
    site(results, folder)
    assert files(folder) == whole


def test_results_without_trials_make_a_site_too(tmp_path):
    (tmp_path / "quick" / "runs").mkdir(parents=True)
    site(tmp_path / "quick", tmp_path / "site")
    assert "No trials are recorded here yet." in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


# The command


@pytest.fixture
def shown(monkeypatch):
    addresses = []
    monkeypatch.setattr(webbrowser, "open", lambda address: addresses.append(address) or True)
    return addresses


def call(*arguments):
    return CliRunner().invoke(cli.app, ["leaderboard", *map(str, arguments)])


def test_open_alone_writes_the_page_into_the_results_and_shows_it(results, shown):
    assert call(results, "--open").exit_code == 0
    assert shown == [(results / "leaderboard.html").resolve().as_uri()]
    assert (results / "leaderboard.html").is_file()


def test_open_shows_the_file_or_the_folder_that_was_asked_for(results, shown, tmp_path):
    call(results, "--html", tmp_path / "page.html", "--open")
    call(results, "--site", tmp_path / "site", "--open")
    assert shown == [(tmp_path / name).resolve().as_uri() for name in ("page.html", "site/index.html")]
    assert not (results / "leaderboard.html").exists()


def test_without_open_no_browser_is_started(results, shown, tmp_path):
    done = call(results, "--html", tmp_path / "page.html", "--site", tmp_path / "site")
    assert (done.exit_code, shown) == (0, [])
    assert f"Leaderboard: {(tmp_path / 'site' / 'index.html').resolve()}" in done.stderr


def test_where_no_browser_can_be_opened_that_is_said(results, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    done = call(results, "--open")
    assert done.exit_code == 0
    assert "No browser could be opened" in done.stderr
