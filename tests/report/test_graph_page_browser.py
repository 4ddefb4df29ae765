"""Pages about line graphs in a real browser: pointer, keyboard, filter, paper."""

from xml.etree import ElementTree

import numpy as np
import pytest
from browser import SIZES, goto, require_browser
from graph_cases import GRAPHS, MARKUP, perceptron, residual
from page_reader import data_of

import edgedyn as ed
from edgedyn.report.files import write_line_graph

require_browser()

TOOLS = 5  # buttons of each drawing: three to zoom, two to download
GRAPH = ed.line_graph([4, 5, 4, 3])
LARGE = ed.line_graph(
    ed.linegraph.Network.sequential(
        (20, 20, 3),
        [
            ed.linegraph.Conv2D(8, 3),
            ed.linegraph.Conv2D(16, 3),
            ed.linegraph.Flatten(),
            ed.linegraph.Dense(10),
        ],
    )
)


@pytest.fixture
def show(open_page, tmp_path):
    """Return a function that writes a page and opens it."""

    def show(graph, size="desktop", **options):
        write_line_graph(tmp_path / "gb.html", graph, **options)
        return open_page(tmp_path / "gb.html", size)

    return show


def place(page, panel, node):
    """Return where a node of G_B, or the middle of an edge of G_A, is in the window."""
    data = page.evaluate("JSON.parse(document.getElementById('data').textContent)")
    x, y, start, end, bent = data["edges"][node]
    if panel == "ga" and not bent:
        (xa, ya), (xb, yb) = (data["vertices"][v][:2] for v in (start, end))
        x, y = xa + 0.35 * (xb - xa), ya + 0.35 * (yb - ya)  # where few edges cross
    box = page.locator(f"#{panel} .over").bounding_box()
    scale = box["width"] / data["width"]
    return box["x"] + x * scale, box["y"] + y * scale


def title(page):
    found = page.locator("#details h2")
    return found.inner_text() if found.count() else None


def chosen(page):
    """Return what is marked as chosen in both drawings."""
    marked = page.locator("[aria-selected=true]")
    return [int(e.get_attribute("data-node")) for e in marked.all()]


def focused(page):
    return page.evaluate(
        "[document.activeElement.closest('figure')?.id, +document.activeElement.dataset.node]"
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "name",
    [n if n in ("cnn", "biases") else pytest.param(n, marks=pytest.mark.slow) for n in GRAPHS],
)
def test_pages_load(name, size, show):
    page = show(GRAPHS[name], size)
    width = page.evaluate("document.scrollingElement.scrollWidth")
    assert width <= SIZES[size][0]
    assert page.locator("#ga .edge").count() == GRAPHS[name].n_nodes
    assert page.locator("#gb .node").count() == GRAPHS[name].n_nodes
    drawn = page.locator("path").evaluate_all("all => all.map(path => path.getAttribute('d'))")
    assert not any("NaN" in path for path in drawn)
    assert page.locator("noscript").count() == 1
    assert "GRADIENTS FLOW BACKWARDS" in page.locator(".legend").inner_text().upper()


@pytest.mark.slow
@pytest.mark.parametrize("panel", ["ga", "gb"])
def test_hovering_shows_a_weight_and_its_links(panel, show):
    page = show(GRAPH)
    graph, into, out = GRAPH.to_networkx(), GRAPH.in_degree(), GRAPH.out_degree()
    for node in (0, 19, 22, 39, 40, 51):
        page.mouse.move(*place(page, panel, node))
        layer, (i, j) = GRAPH.index.locate(node)
        assert title(page) == f"Weight W{'₀₁₂₃'[layer]}[{i}, {j}]"
        assert page.locator("#gb .link.in").count() == into[node]
        assert page.locator("#gb .link.out").count() == out[node]
        assert page.locator("#ga .lit path").count() == 1 + into[node] + out[node]
        assert page.locator("#details tbody tr").count() == into[node] + out[node]
        names = set(page.locator("#details tbody td:first-child").all_inner_texts())
        near = set(graph.predecessors(node)) | set(graph.successors(node))
        labels = page.evaluate("JSON.parse(document.getElementById('data').textContent).labels")
        assert names == {labels[k] for k in near}
        assert (
            f"{into[node] or 'no'} link" in page.locator("dt:text('in-degree') + dd").inner_text()
        )
    page.mouse.move(2, 2)
    assert title(page) is None and page.locator(".link").count() == 0


@pytest.mark.slow
def test_links_point_from_the_later_layer_to_the_earlier_one(show):
    page = show(GRAPH)
    page.mouse.move(*place(page, "gb", 30))
    starts = page.locator("#gb .link").evaluate_all(
        "all => all.map(path => path.getAttribute('d').match(/-?[\\d.]+/g).map(Number))"
    )
    assert len(starts) == 7
    assert all(x1 < x0 for x0, _, x1, _ in starts)


@pytest.mark.slow
def test_a_click_keeps_a_weight_until_escape(show):
    page = show(GRAPH)
    page.mouse.click(*place(page, "gb", 22))
    page.mouse.move(2, 2)
    assert chosen(page) == [22, 22] and focused(page) == ["gb", 22]
    page.mouse.move(*place(page, "gb", 0))
    assert title(page) == "Weight W₁[0, 0]"  # as long as the pointer is there
    page.mouse.move(2, 2)
    assert title(page) == "Weight W₂[0, 2]"
    page.keyboard.press("Escape")
    assert title(page) is None and chosen(page) == []


@pytest.mark.slow
def test_the_keyboard_reaches_every_weight(show):
    page = show(GRAPH)
    for _ in range(3 + TOOLS + 1):  # three layers' boxes, then the first drawing and its buttons
        page.keyboard.press("Tab")
    seen = []
    for layer in range(1, 4):
        page.keyboard.press("Home")
        nodes = GRAPH.index.layer_slice(layer)
        for _ in range(nodes.start, nodes.stop):
            seen.append(focused(page))
            page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
    assert seen == [["ga", k] for k in range(GRAPH.n_nodes)]
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")  # no further
    assert focused(page) == ["ga", 40]
    page.keyboard.press("End")
    assert focused(page) == ["ga", 51]
    for _ in range(TOOLS + 1):  # the same weight in the other drawing
        page.keyboard.press("Tab")
    assert focused(page) == ["gb", 51]
    page.keyboard.press("ArrowLeft")
    node = focused(page)[1]
    assert GRAPH.index.locate(node).layer == 2 and chosen(page) == [node, node]
    live = page.locator("#live").inner_text()
    assert "in-degree: 3 links" in live and "out-degree: 4 links" in live
    page.keyboard.press("Escape")
    assert chosen(page) == [] and page.locator("#live").inner_text() == "Nothing chosen."
    assert page.locator("[tabindex='0']").count() == 2  # one stop in each drawing


@pytest.mark.slow
def test_the_layer_filter(show):
    page = show(GRAPH)
    page.mouse.click(*place(page, "gb", 22))
    page.locator("#filter input").nth(2).focus()
    page.keyboard.press("Space")
    assert page.locator("#gb .node:visible").count() == 20 + 20
    shown = page.locator("#ga .edges > g").evaluate_all("all => all.map(g => g.style.display)")
    assert shown == ["", "", "none"]
    assert (page.locator("#gb .link.in").count(), page.locator("#gb .link.out").count()) == (0, 4)
    page.mouse.move(*place(page, "gb", 45))
    assert title(page) == "Weight W₂[0, 2]"  # the hidden one is not found
    page.locator("#ga [data-node='22']").focus()
    page.keyboard.press("ArrowRight")
    assert focused(page) == ["ga", 22]
    page.locator("#filter input").nth(1).focus()
    page.keyboard.press("Space")
    assert title(page) is None  # it was in that layer
    assert page.locator("#gb .under path:visible").count() <= 1  # nothing but the edges behind
    page.locator("#filter input").nth(1).press("Space")
    page.locator("#filter input").nth(2).press("Space")
    assert page.locator("#gb .node:visible").count() == GRAPH.n_nodes


@pytest.mark.slow
def test_strengths_and_values_are_shown(show):
    interaction, values = perceptron("signed")
    page = show(interaction, values=values)
    node = interaction.graph.index.id(2, (1, 2))
    page.mouse.move(*place(page, "gb", node))
    column = (interaction.operator @ np.eye(interaction.graph.n_nodes))[:, node]
    table = page.locator("#details table").nth(1)
    labels = data_of(page.content())["labels"]
    shown = dict(row.split("\t") for row in table.locator("tbody tr").all_inner_texts())
    assert len(shown) == 5
    for name, text in shown.items():
        found = float(text.replace("\u2212", "-"))
        assert found == pytest.approx(column[labels.index(name)], rel=1e-3, abs=1e-12)
    value = page.locator("dt:text('value') + dd").inner_text()
    assert float(value.replace("\u2212", "-")) == pytest.approx(values[node], rel=1e-3)
    negative = page.locator("#gb .link.negative").count()
    into = (interaction.operator @ np.eye(interaction.graph.n_nodes))[node]
    assert negative == (column < 0).sum() + (into < 0).sum()


@pytest.mark.slow
@pytest.mark.parametrize("graph", [residual(MARKUP), LARGE], ids=["weights", "layers"])
def test_a_name_that_is_markup_does_nothing(graph, show):
    page = show(graph, name=MARKUP)
    assert page.title() == f"Line graph of {MARKUP}"
    assert page.locator("h1").inner_text() == f"Line graph of {MARKUP}"
    page.locator("#gb [role=option]").nth(30 if graph is not LARGE else 1).focus()
    assert page.locator("#details h2").count() == 1
    assert page.evaluate("[window.hacked, document.images.length]") == [None, 0]


@pytest.mark.slow
def test_no_other_script_runs_and_nothing_is_fetched(browser, tmp_path):
    write_line_graph(tmp_path / "gb.html", GRAPH)
    page = goto(browser.new_page(), tmp_path / "gb.html")  # not watched: it will complain
    sent = []
    page.on("requestfinished", lambda request: sent.append(request.url))
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            const image = document.createElement("img");
            image.src = "http://127.0.0.1:9/x.png";
            document.body.append(script, image);
            return fetch("http://127.0.0.1:9/").catch(() => null);
        }"""
    )
    assert page.evaluate("window.hacked") is None and sent == []
    page.close()


@pytest.mark.slow
def test_without_javascript(browser, tmp_path):
    write_line_graph(tmp_path / "gb.html", GRAPH)
    page = goto(browser.new_page(java_script_enabled=False), tmp_path / "gb.html")
    assert page.locator("noscript p").inner_text().startswith("The drawings need JavaScript")
    page.locator("details.table summary").click()
    assert page.locator("details.table tbody tr:visible").count() == GRAPH.n_nodes
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("graph", [GRAPH, LARGE], ids=["weights", "layers"])
def test_pages_print(graph, show):
    page = show(graph)
    assert page.pdf(format="A4").startswith(b"%PDF-")
    page.emulate_media(media="print")
    assert page.locator("#filter").is_hidden()
    assert page.locator(".legend").is_visible() and page.locator("#gb svg").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("#details").is_hidden()  # nothing is chosen
    page.locator("#gb [role=option]").nth(1).focus()
    assert page.locator("#details").is_visible()


@pytest.mark.slow
def test_few_elements_for_many_links(show):
    # Resting links share paths, and choosing a weight draws its own links only.
    graph = ed.line_graph([20, 25, 20])
    page = show(graph)
    assert graph.n_links == 10_000
    assert page.locator("#gb .under path").count() <= graph.n_nodes
    before = page.locator("#gb *").count()
    page.mouse.move(*place(page, "gb", 700))
    assert page.locator("#gb .link").count() == 20
    assert page.locator("#gb *").count() - before <= 5 * 20


# Layer by layer ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_layers_load(size, show):
    page = show(LARGE, size)
    assert "layer by layer" in page.locator(".notice").first.inner_text()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= SIZES[size][0]
    for panel in ("ga", "gb"):
        assert page.locator(f"#{panel} .box").count() == 3
        assert page.locator(f"#{panel} .arrows:not(.lit) .line").count() == 2
    assert page.locator("#degrees .curve").count() == 4  # two curves and their legend
    axis = page.locator("#degrees .upright")
    line = axis.locator("path").bounding_box()
    for label in axis.locator("text").all():
        box = label.bounding_box()
        assert not box["width"] or box["x"] + box["width"] < line["x"] + line["width"]
    drawn = page.locator("path").evaluate_all("all => all.map(path => path.getAttribute('d'))")
    assert not any("NaN" in path for path in drawn)


@pytest.mark.slow
def test_layers_by_pointer_and_keyboard(show):
    page = show(LARGE)
    page.locator("#gb [data-layer='1']").hover()
    assert title(page) == "layer 2"
    (a, b, first), (_, _, second) = LARGE.layer_links()
    assert (a, b) == (1, 2)
    assert page.locator("#details td:nth-child(2)").all_inner_texts() == [
        f"{second:,}",
        f"{first:,}",
    ]
    page.mouse.move(2, 2)
    assert title(page) is None
    page.locator("#words").focus()
    for _ in range(TOOLS + 1):
        page.keyboard.press("Tab")
    page.keyboard.press("End")
    assert title(page) == "layer 3"
    assert page.evaluate("document.activeElement.dataset.layer") == "2"
    page.keyboard.press("ArrowUp")
    assert title(page) == "layer 2" and page.locator("#gb .lit .line").count() == 2
    assert "links in: " in page.locator("#live").inner_text()
    page.keyboard.press("Escape")
    assert title(page) is None


@pytest.mark.slow
def test_layers_by_name(show):
    page = show(LARGE)
    page.locator("#words").fill("ER 2")
    assert page.locator("#ga .box.out").count() == 2
    assert page.locator("#gb .arrows:not(.lit) .line:visible").count() == 0
    for _ in range(TOOLS + 1):
        page.keyboard.press("Tab")
    assert title(page) == "layer 2"
    page.keyboard.press("ArrowDown")
    assert title(page) == "layer 2"
    page.locator("#words").fill("nothing")
    assert page.locator("#ga .box.out").count() == 3
    page.locator("#words").fill("")
    assert page.locator("#ga .box.out").count() == 0


# Zoom and download -------------------------------------------------------------------------------


def download(page, panel, words, folder):
    with page.expect_download() as found:
        page.get_by_label(words).nth(panel).click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("graph", [GRAPH, LARGE], ids=["weights", "layers"])
def test_drawings_are_downloaded(graph, show, browser, tmp_path):
    from PIL import Image

    page = show(graph)
    page.get_by_label("Zoom in").nth(1).click()  # what is saved is whole all the same
    drawing = download(page, 1, "Download as SVG", tmp_path)
    assert drawing.name.startswith("Line-graph-of-") and drawing.name.endswith("-gb.svg")
    root = ElementTree.parse(drawing).getroot()
    text = drawing.read_text(encoding="utf-8")
    assert "var(" not in text and "class=" not in text  # it needs no style sheet
    _, _, width, height = map(float, root.get("viewBox").split())
    assert "".join(root.itertext()).count("layer ") == graph.n_layers
    picture = Image.open(download(page, 1, "Download as PNG", tmp_path))
    assert picture.size == (round(2 * width), round(2 * height))
    assert len(picture.convert("RGB").getcolors(2**24)) > 10


@pytest.mark.slow
@pytest.mark.parametrize("graph", [GRAPH, LARGE], ids=["weights", "layers"])
def test_zoom(graph, show):
    page = show(graph)
    box = page.locator("#gb .over").bounding_box()
    frame = page.locator("#gb .stage").bounding_box()
    page.get_by_label("Zoom in").nth(1).click()
    assert page.locator("#gb .over").bounding_box()["width"] == pytest.approx(1.5 * box["width"])
    assert page.locator("#gb .stage").bounding_box() == frame
    assert page.locator("#gb .stage").evaluate("stage => stage.scrollLeft") > 0
    option = page.locator("#gb [role=option]").nth(1)
    option.scroll_into_view_if_needed()
    option.hover()
    assert title(page) is not None  # the pointer finds it where it now is
    page.get_by_label("Whole drawing").nth(1).click()
    assert page.locator("#gb .over").bounding_box()["width"] == box["width"]
    page.get_by_label("Zoom out").nth(1).click()
    assert page.locator("#gb .over").bounding_box()["width"] == box["width"]
    page.locator("#gb .stage").hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    assert page.locator("#gb .over").bounding_box()["width"] > box["width"]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_texts_fit_their_boxes(size, show):
    layers = ed.linegraph
    network = layers.Network.sequential(
        (30, 30, 512),
        [layers.Conv2D(512, 3), layers.Conv2DTranspose(512, 3), layers.DepthwiseConv2D(3)],
    )
    tensor = network.output
    network.add(layers.Conv2D(5, 1), tensor, name="a_very_long_name_that_no_box_can_hold_" * 3)
    page = show(ed.line_graph(network), size)
    boxes = page.locator(".box")
    assert boxes.count() == 8
    for box in boxes.all():
        frame = box.locator("rect").bounding_box()
        for text in box.locator("text").all():
            inner = text.bounding_box()
            assert frame["x"] < inner["x"]
            assert inner["x"] + inner["width"] < frame["x"] + frame["width"]
    assert "convolution 3 × 3, 512 → 512 channels" in page.locator("#ga").inner_text()
    letters = page.locator(".box text").first.bounding_box()["height"]
    assert letters > 11  # pixels


@pytest.mark.slow
def test_counts_are_spelt_as_in_figures(show):
    from edgedyn.report.figures.graphs import short

    page = show(LARGE)
    shown = page.locator("#gb .arrows:not(.lit) .label").all_text_contents()
    assert shown == [short(n) for *_, n in LARGE.layer_links()]
