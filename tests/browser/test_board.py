"""The board in a browser: what a reader can do with it, by mouse, by keyboard, on a phone and on paper."""

import re

import pytest

DIGITS = "#ranking-0"
ROWS = f"{DIGITS} table.board tbody tr"


def names(page, rows=ROWS):
    return [text.strip() for text in page.locator(f"{rows} .variant bdi").all_inner_texts()]


def numbers(page, column, rows=ROWS):
    cells = page.locator(f"{rows} td.{column}").all_inner_texts()
    return [float(cell.strip("()").replace(",", "")) for cell in cells if cell not in ("", "–")]


def pill(page, name):
    return page.locator("#controls .pill").filter(has_text=re.compile(f"^{re.escape(name)}$"))


def sort_by_score(page, direction):
    """Click on the heading, and wait until the table is sorted: it answers a little later."""
    heading = page.locator(f"{DIGITS} thead .score")
    heading.locator(".dt-column-title").click(position={"x": 5, "y": 5})
    sorted_by(page, direction)


def sorted_by(page, direction):
    page.locator(f'{DIGITS} thead .score[aria-sort="{direction}"]').wait_for()


def fragment(page):
    return page.evaluate("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")


def test_the_board_opens_in_the_order_of_ranks_and_asks_for_nothing(suite_page, opened):
    page = opened(suite_page)
    assert names(page)[0] == "real data"
    assert names(page)[1] == "dcgan / relativistic"
    assert names(page)[-1] == "noise"
    assert page.locator(f"{DIGITS} thead .rank").get_attribute("aria-sort") == "ascending"


def test_it_can_be_read_without_scripts(suite_page, opened):
    page = opened(suite_page, java_script_enabled=False)
    assert names(page)[1] == "dcgan / relativistic"
    assert page.locator("#controls").is_hidden()
    assert page.locator(".copies").first.is_hidden()


def test_a_click_on_a_heading_sorts_by_its_numbers_and_the_ranks_come_back(suite_page, opened):
    page = opened(suite_page)
    before = names(page)
    sort_by_score(page, "ascending")
    assert numbers(page, "score") == sorted(numbers(page, "score"))
    assert names(page)[-1] == "noise"  # 188 after 14.0: by value, not by letters
    sort_by_score(page, "descending")
    assert numbers(page, "score") == sorted(numbers(page, "score"), reverse=True)
    assert fragment(page) == {"sort-0": "score.desc"}
    page.locator("#reset").click()
    assert names(page) == before
    assert fragment(page) == {}


def test_what_has_no_number_comes_last_whichever_way_a_column_is_sorted(suite_page, opened):
    page = opened(suite_page)
    for direction in ("asc", "desc"):
        page.evaluate(f"ganbench.state.set({{'sort-0': 'interval.{direction}'}})")
        known = [text != "" for text in page.locator(f"{ROWS} td.interval").all_inner_texts()]
        assert known == sorted(known, reverse=True)
        assert any(known)
        assert not all(known)


def test_what_is_better_comes_first_and_boards_are_sorted_apart(suite_page, opened):
    page = opened(suite_page)
    heading = page.locator(f"{DIGITS} thead th[data-key=coverage_digits]")
    assert heading.inner_text().splitlines()[-1] == "higher is better"
    heading.locator(".dt-column-title").click(position={"x": 5, "y": 5})
    page.locator(f'{DIGITS} thead [data-key=coverage_digits][aria-sort="descending"]').wait_for()
    assert fragment(page) == {"sort-0": "coverage_digits.desc"}
    assert page.locator("#ranking-1 thead .rank").get_attribute("aria-sort") == "ascending"
    assert page.get_by_role("button", name="coverage_digits, higher is better: Activate").count() == 1


def test_the_question_mark_explains_a_column_and_does_not_sort(suite_page, opened):
    page = opened(suite_page)
    page.get_by_role("button", name="What is fcd_digits").first.click()
    about = page.locator("[popover]:popover-open")
    assert "arXiv:1706.08500" in about.inner_text()
    assert names(page)[0] == "real data"
    assert fragment(page) == {}
    page.keyboard.press("Escape")
    assert page.locator("[popover]:popover-open").count() == 0


def test_a_search_leaves_the_rows_that_fit(suite_page, opened):
    page = opened(suite_page)
    page.get_by_label("Search").fill("hinge")
    assert names(page) == ["dcgan / hinge", "mlp / hinge"]
    assert fragment(page) == {"q": "hinge"}
    assert page.locator("#said").inner_text() == "3 of 17 rows shown"
    page.get_by_label("Search").fill("nothing is called so")
    assert "No row of this board fits" in page.locator(f"{DIGITS} table.board").inner_text()


def test_pills_choose_data_sets_families_and_how_it_ended(suite_page, opened):
    page = opened(suite_page)
    page.locator("#families summary").click()
    pill(page, "digits").click()
    assert page.locator("#ranking-1").is_hidden()
    assert page.locator(DIGITS).is_visible()
    pill(page, "hinge").click()
    pill(page, "wgan").click()
    assert names(page) == ["real data", "dcgan / hinge", "dcgan / wgan", "mlp / hinge", "noise"]
    pill(page, "with failures").click()
    assert names(page) == ["mlp / hinge"]
    assert fragment(page) == {"dataset": "digits", "family": "loss%3Ahinge,loss%3Awgan", "status": "failed"}
    assert pill(page, "hinge").get_attribute("aria-pressed") == "true"
    pill(page, "with failures").click()
    assert pill(page, "with failures").get_attribute("aria-pressed") == "false"
    pill(page, "evaluated only").click()
    assert names(page) == []
    page.locator("#reset").click()
    assert page.locator("#ranking-1").is_visible()


def test_a_link_to_a_saved_view_restores_it(suite_page, opened):
    page = opened(suite_page)
    page.get_by_label("Search").fill("dcgan")
    page.locator("#families summary").click()
    pill(page, "complete").click()
    sort_by_score(page, "ascending")
    sort_by_score(page, "descending")
    again = opened(suite_page, page.evaluate("location.hash"))
    assert names(again) == names(page)
    assert names(again)[-1] == "dcgan / relativistic"
    assert again.get_by_label("Search").input_value() == "dcgan"
    assert pill(again, "complete").get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize(
    "odd", ["#sort-0=nothing.up&at=x&budget=y&view=nowhere&family=z&status=%E0%A4%A", "#a=%", "#nowhere", "#=&="]
)
def test_a_fragment_that_this_page_did_not_write_does_no_harm(suite_page, opened, odd):
    page = opened(suite_page, odd)
    assert page.locator("#controls").is_visible()


def test_a_link_within_the_page_keeps_what_was_chosen(suite_page, opened):
    page = opened(suite_page, "#q=hinge")
    page.get_by_role("link", name="3 failed").click()
    assert fragment(page) == {"q": "hinge"}
    assert page.locator("#ranking-0-failures").evaluate("node => node === document.activeElement")


def test_the_slider_shows_the_boards_at_smaller_budgets(suite_page, opened):
    page = opened(suite_page)
    full = numbers(page, "score")
    slider = page.get_by_role("slider", name="Budget")
    assert page.locator("#at-shown").inner_text() == "all of it"
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert fragment(page)["budget"] == "kimg"
    assert "kimg" in page.locator("#at-shown").inner_text()
    assert "interpolated" in page.locator("#at-told").inner_text()
    assert names(page)[0] == "real data"
    best = [score for score in numbers(page, "score") if 0.61 < score < 188]
    assert best[0] > min(score for score in full if score > 0.61)  # fewer images, a larger distance
    assert page.locator(f"{DIGITS} [data-copy]").first.is_disabled()
    assert page.locator(f"{ROWS} :is(.other, .speed, .noise)").first.is_hidden()  # they are those of the full budget
    assert page.locator(f"{ROWS} .strip title").first.text_content() == "The mean and its interval at this budget"
    page.keyboard.press("End")
    assert numbers(page, "score") == full
    assert page.locator(f"{ROWS} .speed").first.is_visible()
    assert page.locator(f"{ROWS} .strip title").first.text_content().startswith("Seeds: ")
    assert "at" not in fragment(page)
    assert page.locator(f"{DIGITS} [data-copy]").first.is_enabled()


def test_ranks_among_some_of_the_variants_say_so(partial_page, opened):
    page = opened(partial_page)
    page.locator("#at").focus()
    page.keyboard.press("ArrowLeft")
    board = page.locator("section.ranking")
    assert board.locator(".uncut").inner_text().startswith("Ranked among 2 of 3 variants")
    gone = board.locator("tr.unrecorded")
    assert gone.locator("td.interval").all_inner_texts() == ["ended before"]
    page.keyboard.press("End")
    assert board.locator(".uncut").is_hidden()


def test_a_row_that_was_not_recorded_at_a_budget_is_dimmed_and_has_a_dash(suite_page, opened):
    page = opened(suite_page, "#budget=device_seconds&at=0.001")
    dim = page.locator(f"{ROWS}.unrecorded")
    assert dim.count() > 0
    assert set(dim.locator("td.score").all_inner_texts()) == {"–"}
    assert page.locator(f"{ROWS}.reference.unrecorded").count() == 0


def test_the_axis_of_plots_is_not_that_of_the_budget(suite_page, opened):
    page = opened(suite_page, "#budget=steps&at=800")
    shown = page.locator("#at-shown").inner_text()
    page.locator(".axes [data-axis=device_seconds]").first.click()
    assert page.locator("#at-shown").inner_text() == shown
    assert page.locator("#axis").input_value() == "steps"


def test_every_axis_has_stops_and_a_saved_one_is_restored(suite_page, opened):
    page = opened(suite_page)
    axes = page.locator("#axis option").evaluate_all("options => options.map((option) => option.value)")
    assert axes == ["kimg", "steps", "device_seconds", "petaflops"]
    for axis in axes:
        page.locator("#axis").select_option(axis)
        page.locator("#at").focus()
        page.keyboard.press("ArrowLeft")
        again = opened(suite_page, page.evaluate("location.hash"))
        assert again.locator("#at-shown").inner_text() == page.locator("#at-shown").inner_text() != "all of it"
        assert numbers(again, "score") == numbers(page, "score")


@pytest.mark.parametrize("allowed", [True, False], ids=["clipboard", "no clipboard"])
def test_the_visible_rows_are_copied_in_their_order(suite_page, opened, allowed):
    page = opened(suite_page, "#q=hinge&sort-0=score.desc", permissions=["clipboard-read", "clipboard-write"])
    if not allowed:
        page.evaluate("""() => {
            window.copied = [];
            Object.defineProperty(navigator, "clipboard", { value: undefined });
            document.addEventListener("copy", () => window.copied.push(document.activeElement.value));
        }""")
    taken = "window.copied.at(-1)" if not allowed else "navigator.clipboard.readText()"
    found = {}
    for form in ("CSV", "LaTeX", "Markdown"):
        page.locator(DIGITS).get_by_role("button", name=f"Copy as {form}").click()
        page.locator(f"{DIGITS} .copied").filter(has_text=f"2 rows copied as {form}").wait_for()
        found[form] = page.evaluate(taken)
    head, *rows = found["CSV"].splitlines()
    assert head.startswith("dataset,protocol,kind,rank,variant,")
    assert [row.split(",")[4] for row in rows] == ["mlp / mlp / hinge", "dcgan / dcgan / hinge"]
    assert found["LaTeX"].startswith(r"\begin{tabular}{rl")
    assert found["LaTeX"].count("hinge") == 2
    assert found["LaTeX"].rstrip().endswith(r"\end{tabular}")
    assert re.findall(r"\| (\w+ / hinge) \|", found["Markdown"]) == ["mlp / hinge", "dcgan / hinge"]


def test_the_keyboard_alone_sorts_and_filters(suite_page, opened):
    page = opened(suite_page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the boards"
    page.keyboard.press("Enter")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.className + ' ' + document.activeElement.textContent")
        reached.append(focused)
        if focused.startswith("pill") and "with failures" in focused:
            page.keyboard.press("Space")
            assert names(page) == ["mlp / hinge", "dcgan / minimax"]
            page.keyboard.press("Space")
        if page.evaluate("document.activeElement.closest('th.score') && document.activeElement.role === 'button'"):
            page.keyboard.press("Enter")
            sorted_by(page, "ascending")
            assert numbers(page, "score") == sorted(numbers(page, "score"))
            break
    else:
        pytest.fail(f"no way to sort by keyboard among {reached}")


def test_paper_shows_the_board_without_its_controls(suite_page, opened):
    page = opened(suite_page)
    page.emulate_media(media="print")
    assert page.locator("#controls").is_hidden()
    assert page.locator(".copies").first.is_hidden()
    assert page.locator(f"{DIGITS} table.board").is_visible()
    assert page.pdf()[:5] == b"%PDF-"


def test_a_long_board_has_pages_on_the_screen_and_none_on_paper(long_page, opened):
    page = opened(long_page)
    assert len(names(page)) == 100
    page.locator(".dt-paging").get_by_role("link", name="Next").or_(
        page.locator(".dt-paging").get_by_role("button", name="Next")
    ).click()
    assert len(names(page)) == 20
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(names(page)) == 120
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(names(page)) == 100


@pytest.mark.parametrize("width", [400, 768, 1440])
def test_no_width_makes_the_page_scroll_sideways(suite_page, hostile_page, opened, width):
    for path in (suite_page, hostile_page):
        page = opened(path, width=width)
        if page.locator("#families").count():
            page.locator("#families summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1440])
def test_axe_finds_nothing(suite_page, opened, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(suite_page, width=width, scheme=scheme, bypass_csp=True)
    page.locator("#families summary").click()
    page.locator("details:not(#families) summary").first.click()
    for shown in ("budget=kimg&at=50&q=d", ""):
        page.evaluate(f"location.hash = '{shown}'")
        found = axe.run(page).response["violations"]
        assert [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]] == []


def test_nothing_moves_for_those_who_asked_for_that(suite_page, opened):
    page = opened(suite_page, reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_hostile_names_are_shown_as_text(hostile_page, hostile_names, opened):
    page = opened(hostile_page)
    shown = " ".join(names(page, "table.board tbody tr"))
    for name in hostile_names:
        assert name.replace("\u202e", "\ufffd") in shown
    assert page.locator("main img:not([src^='data:']), main script:not([type]), [onerror], [onclick]").count() == 0


def test_hostile_names_are_searched_filtered_and_copied_as_text(hostile_page, hostile_names, opened):
    page, rows = opened(hostile_page), "[data-dataset=digits] tbody tr:not(.reference)"
    for name in hostile_names:
        told = name.replace("\u202e", "\ufffd")
        page.evaluate("name => ganbench.state.set({q: name})", told)
        assert any(told in shown for shown in names(page, rows))
    page.locator("#reset").click()
    page.locator("#families summary").click()
    for name in hostile_names:
        page.evaluate("ganbench.state.set({family: null})")
        told = re.sub(r"\(.*?\)", "", name).replace("\u202e", "\ufffd")
        page.locator('[data-filter="loss"]').filter(has_text=re.compile(f"^{re.escape(told)}$")).click()
        assert len(names(page, rows)) == 1
    again = opened(hostile_page, page.evaluate("location.hash"))
    assert names(again, rows) == names(page, rows)
    for form in ("CSV", "LaTeX", "Markdown"):
        page.locator("[data-dataset=digits]").get_by_role("button", name=f"Copy as {form}").click()
        page.locator("[data-dataset=digits] .copied").filter(has_text=f"1 row copied as {form}").wait_for()
