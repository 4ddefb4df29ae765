// What the pages of line graphs share: numbers as text, the panel of details, the tab key's stop.
"use strict";
const shared = (() => {
  const MOST_ROWS = 40; // rows of a list of neighbours
  const count = d3.format(",");

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

  return { count, layerName, number, plural, showDetails, showHint, announce, mark, stopAt, focus };
})();
