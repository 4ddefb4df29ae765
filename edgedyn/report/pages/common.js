// What the pages of line graphs share: numbers as text, the panel of details, the tab key's stop,
// zoom and download of drawings.
"use strict";
const shared = (() => {
  const MOST_ROWS = 40; // rows of a list of neighbours
  const ZOOM = { step: 1.5, most: 12 };
  const count = d3.format(",");
  // 62.4 k, as in the package's figures.
  const short = (n) => (Math.abs(n) < 1000 ? d3.format(".3~g")(n)
    : d3.format(".3~s")(n).replace(/[kMGTPE]$/, " $&"));

  function number(x) {
    if (x === null || x === undefined) return "unknown";
    const size = Math.abs(x);
    return d3.format(size === 0 || (size >= 1e-3 && size < 1e6) ? ".4~g" : ".3~e")(x);
  }

  const plural = (n, word) => `${n === 0 ? "no" : count(n)} ${word}${n === 1 ? "" : "s"}`;

  // The number, and the name if there is one.
  const layerName = (k, name) => (name === `layer ${k}` ? `${k}` : `${k}: ${name}`);

  // A title, pairs of a term and a text, and lists: {title, head, rows, more}, rows of texts.
  function showDetails(title, facts, lists) {
    const panel = d3.select("#details").classed("empty", false);
    panel.selectChildren().remove();
    panel.append("h2").text(title);
    const columns = panel.append("div").attr("class", "columns");
    const terms = columns.append("dl");
    for (const [term, text] of facts) {
      terms.append("dt").text(term);
      terms.append("dd").text(text);
    }
    for (const { title: words, head, rows } of lists) {
      const box = columns.append("div");
      box.append("h3").text(words);
      if (!rows.length) continue;
      const table = box.append("div").attr("class", "rows").append("table");
      table.append("thead").append("tr").selectAll("th").data(head).join("th")
        .attr("scope", "col").text(String);
      table.append("tbody").selectAll("tr").data(rows.slice(0, MOST_ROWS)).join("tr")
        .selectAll("td").data((row) => row).join("td").text(String);
      const more = rows.length - MOST_ROWS;
      if (more > 0) box.append("p").attr("class", "soft").text(`and ${count(more)} more`);
    }
  }

  // Words and, in square brackets, keys.
  function showHint(text) {
    const panel = d3.select("#details").classed("empty", true);
    panel.selectChildren().remove();
    const hint = panel.append("p").attr("class", "soft");
    for (const part of text.split(/(\[[^\]]+\])/)) {
      const key = part.startsWith("[");
      hint.append(key ? "kbd" : "span").text(key ? part.slice(1, -1) : part);
    }
  }

  function announce(facts) {
    const text = facts ? facts.map((pair) => pair.join(": ")).join("; ") : "Nothing chosen.";
    document.getElementById("live").textContent = text;
  }

  // Mark what is chosen, and let the tab key stop there: once in each drawing.
  function mark(panels, key, id) {
    for (const panel of panels) {
      panel.selectAll('[aria-selected="true"]').attr("aria-selected", "false");
      if (id === null) continue;
      panel.select(`[data-${key}="${id}"]`).attr("aria-selected", "true");
      stopAt(panel, key, id);
    }
  }

  function stopAt(panel, key, id) {
    panel.selectAll('[tabindex="0"]').attr("tabindex", -1);
    panel.select(`[data-${key}="${id}"]`).attr("tabindex", 0);
  }

  // Give an element the focus, which chooses it; false where it has it already.
  function focus(panel, key, id) {
    const element = panel.select(`[data-${key}="${id}"]`).node();
    if (document.activeElement === element) return false;
    element.focus();
    return true;
  }

  // Zoom -------------------------------------------------------------------------------------------

  // The drawing grows inside its frame, which scrolls: fingers, wheels and keys know how.
  function zoomable(stage) {
    const frame = stage.node();
    let scale = 1;
    return (factor, at) => {
      const next = factor === null ? 1 : Math.max(1, Math.min(ZOOM.most, scale * factor));
      const { left, top } = frame.getBoundingClientRect();
      const [x, y] = at ? [at.clientX - left, at.clientY - top]
        : [frame.clientWidth / 2, frame.clientHeight / 2];
      const [px, py] = [(frame.scrollLeft + x) / scale, (frame.scrollTop + y) / scale];
      if (scale === 1) frame.style.height = `${frame.getBoundingClientRect().height}px`;
      stage.classed("zoomed", next > 1).selectAll("svg").style("width", `${100 * next}%`);
      if (next === 1) frame.style.height = "";
      scale = next;
      frame.scrollTo(px * scale - x, py * scale - y);
    };
  }

  // Download ---------------------------------------------------------------------------------------

  const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "opacity",
    "stroke-dasharray", "stroke-linejoin", "paint-order", "display", "font-family", "font-size",
    "font-weight", "text-anchor"];

  // A drawing with what style sheets say of it written into it: whole, whatever the zoom.
  function standalone(stage) {
    const drawings = [...stage.node().querySelectorAll("svg")];
    const [, , width, height] = drawings[0].getAttribute("viewBox").split(" ").map(Number);
    const whole = d3.create("svg:svg").attr("xmlns", "http://www.w3.org/2000/svg")
      .attr("viewBox", `0 0 ${width} ${height}`).attr("width", width).attr("height", height);
    const paper = getComputedStyle(document.body).backgroundColor;
    whole.append("rect").attr("width", width).attr("height", height).attr("fill", paper);
    for (const drawing of drawings) {
      const copy = drawing.cloneNode(true);
      const [from, to] = [drawing, copy].map((root) => [...root.querySelectorAll("*")]);
      from.forEach((element, k) => dress(to[k], getComputedStyle(element)));
      const layer = whole.append("g").attr("opacity", getComputedStyle(drawing).opacity).node();
      layer.append(...copy.childNodes);
    }
    return { text: new XMLSerializer().serializeToString(whole.node()), width, height };
  }

  function dress(element, look) {
    for (const name of [...element.attributes].map((attribute) => attribute.name)) {
      if (/^(aria-|data-|class$|style$|role$|tabindex$)/.test(name)) element.removeAttribute(name);
    }
    for (const name of LOOKS) element.setAttribute(name, look.getPropertyValue(name));
  }

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function saveSvg(stage, name) {
    save(new Blob([standalone(stage).text], { type: "image/svg+xml" }), `${name}.svg`);
  }

  // Twice as many pixels as the drawing is wide, but no more than canvases hold.
  async function savePng(stage, name) {
    const { text, width, height } = standalone(stage);
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const scale = Math.min(2, 8192 / Math.max(width, height));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [Math.ceil(width * scale), Math.ceil(height * scale)];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(blob, `${name}.png`));
  }

  // Buttons beside a drawing's heading.
  function addTools(figure, { name, zooms }) {
    const stage = figure.select(".stage");
    const title = document.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60);
    const file = `${title}-${name}`;
    const bar = figure.select("figcaption").append("div").attr("class", "tools screen");
    const button = (text, words, act) => bar.append("button").attr("type", "button")
      .attr("aria-label", words).attr("title", words).text(text).on("click", act);
    if (zooms) {
      const zoom = zoomable(stage);
      button("+", "Zoom in", () => zoom(ZOOM.step));
      button("−", "Zoom out", () => zoom(1 / ZOOM.step));
      button("1:1", "Whole drawing", () => zoom(null));
      stage.node().addEventListener("wheel", (event) => {
        if (!event.ctrlKey) return; // pinches on a touchpad have it, too
        event.preventDefault();
        zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, event);
      }, { passive: false });
    }
    button("SVG", "Download as SVG", () => saveSvg(stage, file));
    button("PNG", "Download as PNG", () => savePng(stage, file));
  }

  return { addTools, short, count, layerName, number, plural, showDetails, showHint, announce, mark, stopAt, focus };
})();
