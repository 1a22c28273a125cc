"""report.html opened and clicked in Chromium: sorting, light and dark, details; no network is asked."""

import shutil

import pytest

from ser.scoring.report.report import write_results
from ser.scoring.score import score_experiment
from tests.scoring.builder import System, make_data, make_experiment

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'ser-recipes[test]'")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium on the PATH")
    with api.sync_playwright() as playwright:
        # Root, as in a container, has no sandbox to put the browser in; the page is our own.
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("browser")
    data = make_data(root / "data" / "all", speakers=4, each=14)
    systems = {
        "plain": System("mean", "fbank", 0.4, speed=900.0),
        "layers": System("layer weights", "hubert_base", 0.8, layers=13, parameters=94_000_000, speed=8.0),
        "more": System("layer weights", "wavlm_base", 0.6, layers=13, parameters=95_000_000, speed=7.0),
    }
    folders = [make_experiment(root / "exp" / name, data, system) for name, system in systems.items()]
    for folder in folders:
        score_experiment(folder, data.path, draws=30)
    write_results(folders, root, "Title", "cmd")
    return root / "report.html"


@pytest.fixture
def page(browser, report):
    """The page in light colours; it fails the test when it asks for anything else, or its script fails."""
    context = browser.new_context(color_scheme="light", viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(120_000)  # a busy machine is no failure
    found, asked, errors = context.new_page(), [], []
    found.on("request", lambda request: asked.append(request.url))
    found.on("pageerror", lambda error: errors.append(error))
    found.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    found.goto(report.as_uri())
    yield found
    context.close()
    assert asked == [report.as_uri()] and errors == []


def column(table, name):
    """The shown numbers of a column, from the top down."""
    heads = table.locator("thead th").all_inner_texts()
    at = next(i for i, head in enumerate(heads) if head.split("\n")[0].strip(" ↓↑") == name)
    rows = table.locator("tbody tr:not(.detail)")
    return [rows.nth(i).locator("th, td").nth(at).inner_text().split("\n")[0] for i in range(rows.count())]


def test_a_click_sorts_down_and_another_up(page):
    table = page.locator("table.results").first
    head = table.locator("th", has=page.get_by_role("button", name="WA", exact=True))
    button = head.get_by_role("button")
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    down = column(table, "WA")
    assert down == sorted(down, key=float, reverse=True) and len(set(down)) == 3
    button.click()
    assert head.get_attribute("aria-sort") == "ascending" and column(table, "WA") == down[::-1]
    assert table.locator("th[aria-sort]").count() == 1


def test_the_keyboard_sorts_names(page):
    table = page.locator("table.results").first
    table.get_by_role("button", name="System").focus()
    page.keyboard.press("Enter")
    names = table.locator("tbody .upstream").all_inner_texts()
    assert names == ["fbank", "hubert_base", "wavlm_base"]
    assert table.locator("th").first.get_attribute("aria-sort") == "ascending"


def test_a_row_is_expanded_and_its_details_go_with_it(page):
    table = page.locator("table.results").first
    row = table.locator("tbody tr:not(.detail)", has_text="wavlm_base")
    button = row.locator(".more")
    detail = page.locator(f"#{button.get_attribute('aria-controls')}")
    assert detail.is_hidden() and button.get_attribute("aria-expanded") == "false"
    button.click()
    assert detail.is_visible() and button.get_attribute("aria-expanded") == "true"
    assert "optimizer.lr 0.01" in detail.inner_text() and "13 layers" in detail.inner_text()
    for _ in range(2):
        table.get_by_role("button", name="Parameters").click()
        after = row.evaluate("row => row.nextElementSibling.id")
        assert after == detail.get_attribute("id") and detail.is_visible()
    button.click()
    assert detail.is_hidden()


def test_dark_and_light_again_and_every_mark_changes_with_them(page):
    marks = ".panel .dot, .interval, .speaker, .layers .best"
    colours = f"""() => [document.body, ...document.querySelectorAll('{marks}')]
        .map(e => getComputedStyle(e)).map(s => [s.backgroundColor, s.fill, s.stroke, s.color].join())"""
    button = page.locator(".scheme")
    light = page.evaluate(colours)
    button.click()
    dark = page.evaluate(colours)
    assert button.get_attribute("aria-pressed") == "true" and len(dark) > 20
    assert all(one != other for one, other in zip(light, dark, strict=True))
    button.click()
    assert page.evaluate(colours) == light and button.get_attribute("aria-pressed") == "false"


def test_a_system_in_dark_begins_dark(browser, report):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".scheme").get_attribute("aria-pressed") == "true"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 27)"
    context.close()


def test_a_speaker_is_followed_from_system_to_system(page):
    section = page.locator("section section").first
    section.locator(".chips button").first.click()
    followed = section.locator("circle.followed")
    assert followed.count() == 3
    assert section.locator(".chips button").first.get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out_of_the_page(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
        const box = svg.closest('figure').getBoundingClientRect();
        const outside = t => t.width && (t.left < box.left || t.right > box.right + 1);
        const texts = [...svg.querySelectorAll('text')].map(t => t.getBoundingClientRect());
        return texts.some(outside) ? [svg.outerHTML] : [];
    })"""
    assert page.evaluate(cut) == []


def test_the_forest_s_numbers_stand_above_its_lines_and_its_table_fits(page):
    table = page.locator("table.results").first
    middle = "marks => marks.map(m => m.getBoundingClientRect()).map(b => b.left + b.width / 2)"
    numbers = table.locator("thead .axis text").evaluate_all(middle)
    lines = table.locator("tbody .strip").first.locator("line.grid").evaluate_all(middle)
    assert len(numbers) > 1 and numbers == pytest.approx(lines, abs=1)
    assert table.evaluate("t => t.scrollWidth <= t.closest('.scroll').clientWidth")
