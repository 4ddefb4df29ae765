"""Pages about studies in a real browser: pointer, keyboard, sorting, download, paper."""

import csv
import re

import pytest
from browser import SIZES, goto, require_browser
from page_reader import data_of
from report_cases import BETA, MARKUP, nasty, record, three, write_study

from edgedyn.commands.report import write_report

require_browser()


def above(folder):
    """Write a study with a prediction that is no accuracy, and degenerate epochs."""
    odd = ["ok", "ill_conditioned", "ok", "ok", "ok"]
    betas = [0.5, float("nan"), 0.32, 0.26, 0.2]
    to_three = [(2.1 + 0.8 * b) / 5 for b in BETA[:5]]  # accuracies on a line that reaches 3 at 0
    far = record("far", 0.9, wiggle=0.0, betas=to_three)
    some = [far, record("above", 1.1), record("odd", 0.7, betas=betas, statuses=odd)]
    return write_study(folder, some)


def sizes(folder):
    records = [
        record(name, final, 8, test=final, n_train=n, seed=seed)
        for n in (100, 400)
        for seed in (0, 1)
        for name, final in (("vgg", 0.8), ("mlp", 0.6), ("cnn", 0.7))
    ]
    return write_study(folder, records, n_train=(100, 400), seeds=(0, 1))


def failures(folder):
    records = [record(name, 0.5, k, status="failed", reason="boom") for k, name in enumerate("ab")]
    return write_study(folder, records)


STUDIES = {f.__name__: f for f in (three, above, sizes, failures, nasty)}


def slow(value):
    """Leave a case to the second tier."""
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.fixture
def show(open_page, tmp_path):
    """Return a function that writes a study's report and opens it."""

    def show(study=three, size="desktop"):
        return open_page(write_report(study(tmp_path / "study")), size)

    return show


def spot(page, card, drawing, k):
    """Return where a drawing's k-th circle is in the window."""
    circle = page.locator(f"#{card} svg").nth(drawing).locator("g circle.point").nth(k)
    return middle(page, circle)


def middle(page, element):
    """Return where an element is in the window, once that has scrolled there."""
    element.scroll_into_view_if_needed()
    # Scrolling takes the tip away: let that be over.
    page.evaluate("new Promise(end => requestAnimationFrame(() => requestAnimationFrame(end)))")
    box = element.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def names(page):
    return page.locator("#ranking tbody th").all_inner_texts()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [n if n == "three" else slow(n) for n in STUDIES])
def test_pages_load(name, size, show):
    page = show(STUDIES[name], size)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= SIZES[size][0]
    drawn = page.locator("path").evaluate_all("all => all.map(path => path.getAttribute('d'))")
    assert drawn and not any("NaN" in path or "undefined" in path for path in filter(None, drawn))
    models = [m for r in data_of(page.content())["rankings"] for m in r["models"]]
    assert page.locator(".card").count() == len(models)
    whole = sum(bool(m["fit"]) for m in models)
    assert page.locator(".card svg").count() == 3 * whole + 2 * sum(
        bool(m["accuracy"]) and not m["fit"] for m in models
    )
    text = page.locator("body").inner_text()
    assert "NaN" not in text and "undefined" not in text and "null" not in text


@pytest.mark.slow
@pytest.mark.parametrize("drawing", [0, 1, 2])
def test_hovering_shows_values(drawing, show):
    page = show()
    model = data_of(page.content())["rankings"][0]["models"][0]
    page.mouse.move(*spot(page, "model-0-0", drawing, 2 if drawing < 2 else 0))
    k = 2 if drawing < 2 else model["fit"]["first"] - 1
    tip = page.locator("#tip").inner_text()
    assert tip.startswith(f"Epoch {k + 1}\n")
    assert f"validation accuracy: {model['accuracy'][k]:.3f}" in tip
    assert f"β_eff: {model['beta'][k]:g}" in tip
    line = model["fit"]["value"] + model["fit"]["slope"] * model["beta"][k]
    assert f"line there: {line:.3f}" in tip
    assert page.locator("#model-0-0 .focus:visible").count() == 3  # in all of its drawings
    page.mouse.move(2, 2)
    assert page.locator("#tip").is_hidden() and page.locator(".focus:visible").count() == 0


@pytest.mark.slow
def test_predictions_that_are_no_accuracy(show):
    page = show(above)
    for card in ("model-0-0", "model-0-1"):
        fit = page.locator(f"#{card} svg").nth(2)
        assert "above 1: do not read it as an accuracy" in fit.text_content()
        facts = page.locator(f"#{card} .facts").inner_text()
        assert "no accuracy. The line rests" in facts
    assert page.locator("#model-0-0 text.value").all_text_contents() == ["3.00"]
    square = page.locator("#model-0-1 svg").nth(2).locator("rect.predicted")
    page.mouse.move(*middle(page, square))
    tip = page.locator("#tip").inner_text()
    assert tip.startswith("Prediction\n") and "beyond 0 to 1: do not read it as" in tip
    assert page.locator("#model-0-0 svg").nth(2).locator("path.predicted").count() == 1  # an arrow
    # The degenerate epoch is marked, and has no place beside the line.
    assert page.locator("#model-0-2 .missing").count() == 1
    assert page.locator("#model-0-2 svg").nth(2).locator("g circle:not(.focus *)").count() == 4


@pytest.mark.slow
def test_the_keyboard_goes_through_epochs(show):
    page = show()
    page.locator("#model-0-1 .drawings").focus()
    seen = []
    for key in ["ArrowRight"] * 3 + ["ArrowLeft", "End", "ArrowRight", "Home", "ArrowLeft"]:
        page.keyboard.press(key)
        seen.append(page.locator("#tip b").inner_text())
    assert (
        seen == ["Epoch 1", "Epoch 2", "Epoch 3", "Epoch 2"] + ["Prediction"] * 2 + ["Epoch 1"] * 2
    )
    live = page.locator("#live").inner_text()
    assert live.startswith("resnet, Epoch 1; validation accuracy: ")
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.card').id") == "model-0-2"
    assert page.locator("#tip").is_hidden()


@pytest.mark.slow
def test_sorting(show):
    page = show()
    sorted_by = page.locator("#ranking th[aria-sort]")
    assert (sorted_by.count(), sorted_by.inner_text()) == (1, "Place")
    page.get_by_role("button", name="Candidate").first.click()
    assert names(page) == ["mlp", "resnet", "vgg"]
    assert (sorted_by.inner_text(), sorted_by.get_attribute("aria-sort")) == (
        "Candidate",
        "ascending",
    )
    page.keyboard.press("Enter")  # the button keeps the focus
    assert names(page) == ["vgg", "resnet", "mlp"]
    assert sorted_by.get_attribute("aria-sort") == "descending"
    page.locator("#ranking button", has_text="test").click()
    assert names(page) == ["mlp", "vgg", "resnet"]


@pytest.mark.slow
def test_rows_without_a_value_come_last(show):
    page = show(nasty)
    button = page.locator("#ranking button", has_text="Forecast")
    for _ in range(2):
        button.click()
        assert names(page)[-1] == "failed"


@pytest.mark.slow
def test_the_ranking_downloads(show, tmp_path):
    page = show()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download CSV").click()
    assert waiting.value.suggested_filename == "ranking.csv"
    waiting.value.save_as(tmp_path / "ranking.csv")
    with (tmp_path / "ranking.csv").open(newline="") as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["vgg", "resnet", "mlp"]


@pytest.mark.slow
def test_a_name_that_is_markup_does_nothing(show):
    page = show(nasty)
    assert page.title() == f"Which model for {MARKUP}?"
    assert MARKUP in names(page)
    assert MARKUP in " ".join(page.locator(".card h3").all_inner_texts())
    for card in page.locator(".drawings").all():
        card.focus()
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
    assert MARKUP in page.locator("#warnings").inner_text()
    assert page.evaluate("[window.hacked, document.images.length]") == [None, 0]


@pytest.mark.slow
def test_a_link_opens_what_it_leads_to(show):
    page = show(sizes)
    hidden = page.locator("#model-1-1")
    assert not hidden.is_visible()
    page.locator("#ranking a[href='#model-1-1']").click()
    hidden.wait_for(state="visible")
    assert hidden.locator(".run").count() == 4  # two seeds, two drawings


@pytest.mark.slow
def test_touching_shows_values(browser, tmp_path):
    context = browser.new_context(viewport={"width": 420, "height": 900}, has_touch=True)
    page = goto(context.new_page(), write_report(three(tmp_path)))
    page.touchscreen.tap(*spot(page, "model-0-0", 0, 3))
    assert page.locator("#tip b").inner_text() == "Epoch 4"
    context.close()


# Every pair of words in one drawing whose boxes share more than a pixel each way.
OVERLAPS = """
drawings => drawings.flatMap(drawing => {
  const shown = [...drawing.querySelectorAll("text")].map(
    text => [text.textContent, text.getBoundingClientRect()]).filter(([, box]) => box.width);
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  return shown.flatMap(([name, box], k) => shown.slice(k + 1)
    .filter(([, other]) => meet(box, other)).map(([other]) => [name, other]));
})
"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [slow("three"), "above", slow("sizes")])
def test_no_words_lie_over_each_other(name, size, show):
    page = show(STUDIES[name], size)
    for closed in page.locator("details:not([open]) > summary").all():
        closed.click()
    assert page.locator("svg text:visible").count() > 10
    assert page.locator("svg").evaluate_all(OVERLAPS) == []


def test_a_phone_shows_name_and_forecast_and_says_that_the_table_goes_on(show):
    page = show(size="phone")
    table = page.locator("#ranking .wide")
    hint = table.evaluate("e => getComputedStyle(e, '::before').content")
    assert "scroll it sideways" in hint
    assert table.evaluate("e => e.scrollWidth > e.clientWidth")
    width = SIZES["phone"][0]

    def inside(cell):
        box = page.locator(f"#ranking tbody tr:first-child {cell}").bounding_box()
        return box["x"] >= 0 and box["x"] + box["width"] <= width

    assert inside("th") and inside("td:nth-child(3)")  # the forecast, with its interval
    forecast = page.locator("#ranking tbody tr:first-child td:nth-child(3)").inner_text()
    assert re.fullmatch(r"0\.\d+\s\(0\.\d+ to 0\.\d+\)", forecast)
    table.evaluate("e => e.scrollLeft = e.scrollWidth")
    assert inside("th")  # whose values they are
    assert page.evaluate("document.scrollingElement.scrollLeft") == 0


# Contrast of every visible word with the first opaque colour behind it (WCAG 2).
CONTRAST = """
() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = parts(colour).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0) return colour;
    }
  };
  const words = [...document.body.querySelectorAll("*")].filter(e => e.checkVisibility()
    && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
    && !["SCRIPT", "STYLE"].includes(e.tagName) && e.getBoundingClientRect().width > 1);
  return words.map(e => {
    const style = getComputedStyle(e);
    const pair = [light(e instanceof SVGElement ? style.fill : style.color), light(behind(e))];
    return [(Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05), e.textContent.slice(0, 40)];
  });
}
"""


@pytest.mark.parametrize("scheme", [slow("light"), "dark"])
@pytest.mark.parametrize("name", ["three", slow("above")])
def test_words_can_be_read_in_light_and_dark(name, scheme, open_page, tmp_path):
    page = open_page(write_report(STUDIES[name](tmp_path / "study")), color_scheme=scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    found = page.evaluate(CONTRAST)
    assert len(found) > 50
    assert [pair for pair in found if pair[0] < 4.5] == []


@pytest.mark.slow
def test_without_javascript(browser, tmp_path):
    page = browser.new_page(java_script_enabled=False)
    goto(page, write_report(three(tmp_path)))
    assert names(page) == ["vgg", "resnet", "mlp"]
    assert page.locator("#ranking table .dots").count() == 4
    assert page.locator("#ranking button").count() == 0
    assert "need JavaScript" in page.locator("noscript").inner_text()
    page.close()


@pytest.mark.slow
def test_pages_print(show):
    page = show()
    assert page.pdf(format="A4").startswith(b"%PDF-")
    page.set_viewport_size({"width": 704, "height": 1000})  # A4 without its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 704
    assert page.locator("nav").is_hidden() and page.locator(".button").is_hidden()
    for name in ("#ranking table", "#model-0-0 svg >> nth=0", "#provenance pre >> nth=0"):
        assert page.locator(name).is_visible()
