"""Pages about studies in a real browser: pointer, keyboard, sorting, download, paper."""

import csv

import pytest
from browser import SIZES, goto, require_browser
from page_reader import data_of
from report_cases import MARKUP, nasty, record, three, write_study

from edgedyn.commands.report import write_report

require_browser()


def above(folder):
    """Write a study with a prediction that is no accuracy, and degenerate epochs."""
    odd = ["ok", "ill_conditioned", "ok", "ok", "ok"]
    betas = [0.5, float("nan"), 0.32, 0.26, 0.2]
    far = [record("far", 3.0), record("above", 1.2), record("odd", 0.7, betas=betas, statuses=odd)]
    return write_study(folder, far)


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
@pytest.mark.parametrize("name", STUDIES)
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


def test_rows_without_a_value_come_last(show):
    page = show(nasty)
    button = page.locator("#ranking button", has_text="Forecast")
    for _ in range(2):
        button.click()
        assert names(page)[-1] == "failed"


def test_the_ranking_downloads(show, tmp_path):
    page = show()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download CSV").click()
    assert waiting.value.suggested_filename == "ranking.csv"
    waiting.value.save_as(tmp_path / "ranking.csv")
    with (tmp_path / "ranking.csv").open(newline="") as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["vgg", "resnet", "mlp"]


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


def test_a_link_opens_what_it_leads_to(show):
    page = show(sizes)
    hidden = page.locator("#model-1-1")
    assert not hidden.is_visible()
    page.locator("#ranking a[href='#model-1-1']").click()
    hidden.wait_for(state="visible")
    assert hidden.locator(".run").count() == 4  # two seeds, two drawings


def test_touching_shows_values(browser, tmp_path):
    context = browser.new_context(viewport={"width": 420, "height": 900}, has_touch=True)
    page = goto(context.new_page(), write_report(three(tmp_path)))
    page.touchscreen.tap(*spot(page, "model-0-0", 0, 3))
    assert page.locator("#tip b").inner_text() == "Epoch 4"
    context.close()


def test_without_javascript(browser, tmp_path):
    page = browser.new_page(java_script_enabled=False)
    goto(page, write_report(three(tmp_path)))
    assert names(page) == ["vgg", "resnet", "mlp"]
    assert page.locator("#ranking table .dots").count() == 4
    assert page.locator("#ranking button").count() == 0
    assert "need JavaScript" in page.locator("noscript").inner_text()
    page.close()


def test_pages_print(show):
    page = show()
    assert page.pdf(format="A4").startswith(b"%PDF-")
    page.set_viewport_size({"width": 704, "height": 1000})  # A4 without its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 704
    assert page.locator("nav").is_hidden() and page.locator(".button").is_hidden()
    for name in ("#ranking table", "#model-0-0 svg >> nth=0", "#provenance pre >> nth=0"):
        assert page.locator(name).is_visible()
