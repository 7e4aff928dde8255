"""The page in a real browser: Chromium, without a window."""

import re
import shutil

import pytest

from tests.helpers.pages import AUDIT, NASTY, advice_page, inputs, pictures
from toolkit.io import files
from toolkit.reporting import audit, comparison

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    files.write_file(folder / "index.html", comparison.comparison_page(inputs(folder)))
    files.write_file(folder / "audit.html", audit.audit_page(AUDIT, pictures(), NASTY))
    files.write_file(folder / "advice.html", advice_page(folder / "advised" / "train"))
    return folder


@pytest.fixture
def address(pages, request):
    return (pages / f"{getattr(request, 'param', 'index')}.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium or google-chrome on the PATH")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser, address):
    """Open the page; whatever the browser then complains about or asks for fails the test."""
    contexts, heard = [], []

    def opened(viewport=None, **options):
        context = browser.new_context(viewport=viewport or WIDE, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url[:200]))
        page.on("dialog", lambda dialog: heard.append(dialog.message))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    pictures = "data:image/jpeg;base64,"
    assert {text for text in heard if not text.startswith(pictures)} == {address}


ALL = pytest.mark.parametrize("address", ["index", "audit", "advice"], indirect=True)


@ALL
def test_it_opens_from_disk_without_a_complaint_or_a_request(show):
    """The fixture listens; the policy's own violations are console messages."""
    page = show()
    titles = (f"Audit of {NASTY}", f"{NASTY}: which remedy helps")
    assert "augmented" in page.title() or page.title() in titles
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")


@ALL
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_scrolls_sideways(show, viewport):
    page = show(viewport)
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


@ALL
@pytest.mark.parametrize(
    ("viewport", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["light", "dark"]
)
def test_an_accessibility_checker_finds_nothing_serious(show, viewport, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = show(viewport, color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    found = axe.run(page).response["violations"]
    grave = [
        (rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"][:3]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert grave == []


def arms(page):
    return page.locator("table.sortable[aria-label^='Each arm']")


def column(page, number):
    rows = arms(page).locator("tbody tr")
    return [
        float(text.split()[0].replace("\u2212", "-"))
        for text in rows.locator(f":nth-child({number})").all_inner_texts()
    ]


def head(page, number):
    return arms(page).locator(f"thead th:nth-child({number})")


def test_a_click_on_a_columns_name_sorts_and_another_turns_the_order(show):
    page = show()
    head(page, 4).get_by_role("button", name="G-mean").click()
    assert column(page, 4) == sorted(column(page, 4))
    assert head(page, 4).get_attribute("aria-sort") == "ascending"
    head(page, 4).get_by_role("button").click()
    assert column(page, 4) == sorted(column(page, 4), reverse=True)
    assert head(page, 4).get_attribute("aria-sort") == "descending"
    assert head(page, 1).get_attribute("aria-sort") == "none"


def test_the_keyboard_sorts_as_well(show):
    page = show()
    head(page, 4).get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert column(page, 4) == sorted(column(page, 4))


def test_the_pointer_is_told_the_numbers_and_they_go_when_it_goes(show):
    page = show()
    tip, chart = page.locator(".tip"), page.locator("svg.plot").first
    assert tip.is_hidden()
    chart.hover()
    assert re.search(r"[+\u2212]\d\.\d{3} \(", tip.inner_text())
    page.locator("h1").hover()
    assert tip.is_hidden()


def test_the_pointer_finds_what_is_nearest_on_a_curve(show):
    page = show()
    chart = page.locator("#training").locator("xpath=..").locator("svg.plot").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + box["height"] / 2)
    assert page.locator(".tip").inner_text().startswith("epoch 4\noriginal ")


def test_arrow_keys_reach_what_the_pointer_finds(show):
    page = show()
    tip, chart = page.locator(".tip"), page.locator("svg.plot").first
    page.keyboard.press("Tab")  # the browser shows focus from here on
    chart.focus()
    first = tip.inner_text()
    page.keyboard.press("ArrowDown")
    second = tip.inner_text()
    assert first != second
    page.keyboard.press("ArrowUp")
    assert tip.inner_text() == first
    page.keyboard.press("End")
    assert tip.inner_text() not in (first, second)
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_tooltips_show_nasty_names_as_text(show):
    page = show()
    chart = page.locator("section[aria-labelledby=data] svg.plot").first
    chart.focus()
    page.keyboard.press("Home")
    assert "<img src=x onerror=alert(1)>" in page.locator(".tip").inner_text()


def test_everything_can_be_read_without_a_script(show):
    """What the page says is the same."""
    scripted, plain = (
        show(java_script_enabled=enabled).locator("body").inner_text() for enabled in (True, False)
    )
    assert plain.split() == scripted.split()


def test_without_a_script_charts_keep_the_browsers_own_tooltips(show):
    page = show(java_script_enabled=False)
    assert page.locator("svg.plot title").count() > 100
    assert page.locator("table").count() > 20


OVERLAPS = """charts => charts.flatMap(chart => {
  const texts = [...chart.querySelectorAll("text")];
  const boxes = texts.map(text => [text, text.getBoundingClientRect()]);
  return boxes.flatMap(([one, a], at) => boxes.slice(at + 1).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4
  ).map(([other]) => one.textContent + " | " + other.textContent));
})"""


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_words_lie_on_other_words_in_a_chart(show, viewport):
    assert show(viewport).locator("svg.plot").evaluate_all(OVERLAPS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_take_their_colors_from_the_page(show, scheme):
    page = show(color_scheme=scheme)
    word = page.locator("svg.plot text").first.evaluate("e => getComputedStyle(e).fill")
    assert word == page.locator("p.soft").first.evaluate("e => getComputedStyle(e).color")


def test_paper_is_white_whatever_the_screen_is(show):
    page = show(color_scheme="dark")
    page.emulate_media(media="print")
    back = page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
    assert back == "rgb(255, 255, 255)"
