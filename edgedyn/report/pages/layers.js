// A large line graph layer by layer, beside its network. The data block holds layers and the
// numbers of links between them; see edgedyn/report/linegraph/page.py. Layers count from 0 here.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { number, plural, short } = shared;
  const { layers } = data;
  const LINES = layers.length <= 40 ? 2 : 1; // of text in a box
  const ROOM = Math.max(300, d3.select("#ga .stage").node().clientWidth);
  const NARROW = ROOM < 480; // a phone: as wide as it is, so that letters keep their size
  const WIDTH = NARROW ? ROOM : 560;
  const LEFT = LINES === 2 ? 8 : 70; // of it, on a phone, for numbers of links
  const BOX = NARROW ? { x: LEFT, width: WIDTH - LEFT - 76 } : { x: 120, width: 300 };
  const BULGE = NARROW ? 44 : 150; // of arcs past other layers, at most
  const INSIDE = BOX.width - 14; // for text
  const HEIGHT = LINES === 2 ? 38 : 22;
  const PITCH = HEIGHT + (LINES === 2 ? 24 : 12);
  const MOST_LABELS = 40; // pairs of layers beyond which only the chosen ones are labelled

  const boxes = layers.map((layer, k) => ({ ...layer, k, y: 14 + PITCH * k, incoming: [], outgoing: [] }));
  const pairs = data.pairs.map(([target, source, n, text]) =>
    ({ target: boxes[target], source: boxes[source], n, text }));
  for (const pair of pairs) {
    pair.source.outgoing.push(pair);
    pair.target.incoming.push(pair);
  }
  const [least, most] = d3.extent(pairs, ({ n }) => n);
  const wide = d3.scaleLog().domain(least < most ? [least, most] : [least / 10, least])
    .range([1, pairs.length > MOST_LABELS ? 3 : 6]);

  let words = "";
  const visible = ({ name }) => name.toLowerCase().includes(words);
  const shownPair = ({ target, source }) => visible(target) && visible(source);
  let hovered = null;
  let selected = null;

  // Shapes: an arrow from one box to the next, or an arc beside the boxes between them -------------

  function arrow(from, to, width) {
    const head = 5 + width;
    const step = Math.sign(to.k - from.k);
    if (Math.abs(to.k - from.k) === 1) {
      const x = BOX.x + BOX.width / 2;
      const start = from.y + (step > 0 ? HEIGHT : 0);
      const end = to.y + (step > 0 ? 0 : HEIGHT);
      const at = LINES === 2 ? { x: x + width / 2 + 6 } : { x: BOX.x - 8, side: "end" };
      return {
        line: `M${x},${start}V${end - step * head}`,
        tip: tip(x, end, 0, step, head),
        label: { ...at, y: (start + end) / 2 + 4 },
      };
    }
    const x = BOX.x + BOX.width;
    const [start, end] = [from.y + HEIGHT / 2, to.y + HEIGHT / 2];
    const bulge = Math.min(BULGE, 14 + 0.06 * BULGE * Math.abs(to.k - from.k));
    const line = `M${x},${start}C${x + bulge},${start} ${x + bulge},${end} ${x + head},${end}`;
    const label = { x: x + 0.75 * bulge + width / 2 + 6, y: (start + end) / 2 + 4 };
    return { line, tip: tip(x, end, -1, 0, head), label };
  }

  function tip(x, y, ux, uy, size) {
    const [bx, by, half] = [x - ux * size, y - uy * size, size * 0.5];
    return `M${x},${y}L${bx - uy * half},${by + ux * half}L${bx + uy * half},${by - ux * half}Z`;
  }

  // Panels ---------------------------------------------------------------------------------------

  const height = 28 + PITCH * layers.length - (PITCH - HEIGHT);

  function makePanel(id, label, ends, width, text) {
    const stage = d3.select(`#${id} .stage`);
    const svg = stage.append("svg").attr("class", "over")
      .attr("viewBox", `0 0 ${WIDTH} ${height}`).attr("role", "listbox").attr("aria-label", label);
    const panel = { stage, svg, ends, width, text };
    panel.arrows = svg.append("g").attr("class", "arrows").attr("aria-hidden", "true");
    drawArrows(panel.arrows, panel, pairs, pairs.length <= MOST_LABELS);
    panel.lit = svg.append("g").attr("class", "lit arrows").attr("aria-hidden", "true");
    panel.boxes = svg.append("g").attr("role", "none").selectAll("g").data(boxes).join("g")
      .attr("class", "box").attr("role", "option").attr("aria-selected", "false")
      .attr("tabindex", -1).attr("data-layer", ({ k }) => k)
      .attr("aria-label", ({ name, k }) => `layer ${k + 1}, ${name}`)
      .attr("transform", ({ y }) => `translate(${BOX.x},${y})`);
    panel.boxes.append("rect").attr("width", BOX.width).attr("height", HEIGHT).attr("rx", 5);
    panel.boxes.append("text").attr("class", "name").attr("x", BOX.width / 2)
      .attr("y", LINES === 2 ? 16 : 15).text(({ name }) => name);
    if (LINES === 2) {
      panel.boxes.append("text").attr("x", BOX.width / 2).attr("y", 31)
        .text((box) => (id === "ga" ? box.text : box.nodes));
    }
    panel.boxes.selectAll("text").each(fit);
    return panel;
  }

  // Cut a text that is wider than its box; the details below have it whole.
  function fit() {
    const text = this.textContent;
    for (let n = text.length - 1; n > 0 && this.getComputedTextLength() > INSIDE; n--) {
      this.textContent = `${text.slice(0, n)}…`;
    }
  }

  function drawArrows(group, { ends, width, text }, found, labels) {
    const shapes = found.map((pair) => ({ pair, width: width(pair), ...arrow(...ends(pair), width(pair)) }));
    const key = (name) => group.selectAll(`.${name}`).data(shapes).join(name === "label" ? "text" : "path")
      .attr("class", name);
    key("line").attr("d", ({ line }) => line).style("stroke-width", (shape) => shape.width);
    key("tip").attr("d", (shape) => shape.tip);
    key("label").attr("x", ({ label }) => label.x).attr("y", ({ label }) => label.y)
      .style("text-anchor", ({ label }) => label.side ?? "start")
      .text(({ pair }) => (labels ? text(pair) : ""));
  }

  const ga = makePanel("ga", "Layers of the neural network; arrow keys move, Escape clears",
    ({ target, source }) => [target, source], () => 1.6, () => "");
  const gb = makePanel("gb", "Layers of the line graph; arrow keys move, Escape clears",
    ({ target, source }) => [source, target], ({ n }) => wide(n), ({ n }) => short(n));
  const panels = [ga, gb];

  // What is chosen -------------------------------------------------------------------------------

  function facts(box) {
    const name = shared.layerName(box.k + 1, box.name);
    const found = [["layer", `${name} (${box.text})`], ["nodes", box.nodes]];
    found.push(["links in", `${box.links_in}, ${number(box.mean_in)} a node on average`]);
    found.push(["links out", `${box.links_out}, ${number(box.mean_out)} a node on average`]);
    if (data.strength) {
      found.push(["strength in", number(box.strength_in)], ["strength out", number(box.strength_out)]);
    }
    return found;
  }

  function showChosen() {
    const k = hovered ?? selected;
    const box = k === null ? null : boxes[k];
    d3.selectAll(".plot").classed("chosen", box !== null);
    const around = box ? [...box.incoming, ...box.outgoing].filter(shownPair) : [];
    const near = new Set(around.flatMap(({ target, source }) => [target, source]));
    for (const panel of panels) {
      drawArrows(panel.lit, panel, around, around.length <= MOST_LABELS);
      panel.boxes.classed("picked", (d) => d === box).classed("near", (d) => near.has(d));
    }
    if (box === null) {
      shared.showHint("Point at a layer, or tap it. With the keyboard: [Tab] into a drawing, [↑] [↓] "
        + "from layer to layer, [Esc] to clear.");
      return;
    }
    const list = (title, found, end) => ({
      title: `${title} ${plural(found.length, "layer")}`,
      head: ["layer", "links"],
      rows: d3.sort(found, (pair) => -pair.n).map((pair) => [pair[end].name, pair.text]),
    });
    shared.showDetails(box.name, facts(box), [
      list("Receives links from", box.incoming, "source"),
      list("Sends links to", box.outgoing, "target"),
    ]);
  }

  function hover(k) {
    if (k === hovered) return;
    hovered = k;
    showChosen();
  }

  function select(k) {
    selected = k;
    hovered = null;
    shared.mark(panels.map(({ svg }) => svg), "layer", k);
    showChosen();
    shared.announce(k === null ? null : facts(boxes[k]));
  }

  // Pointer, keyboard, filter ----------------------------------------------------------------------

  const under = (event) => {
    const box = event.target.closest("[data-layer]");
    const d = box && d3.select(box).datum();
    return d && visible(d) ? d.k : null;
  };

  function step(k, by) {
    for (let next = k + by; next >= 0 && next < boxes.length; next += by) {
      if (visible(boxes[next])) return next;
    }
    return null;
  }
  const moves = {
    ArrowUp: (k) => step(k, -1),
    ArrowDown: (k) => step(k, 1),
    Home: () => step(-1, 1),
    End: () => step(boxes.length, -1),
  };

  for (const { stage, svg } of panels) {
    stage // not the drawing: Chromium's tab key stops at drawings that listen to the focus
      .on("pointermove", (event) => { if (event.pointerType !== "touch") hover(under(event)); })
      .on("pointerleave", () => hover(null))
      .on("mousedown", (event) => event.preventDefault())
      .on("click", (event) => {
        const k = under(event);
        if (k === null) select(null);
        else if (!shared.focus(svg, "layer", k)) select(k);
      })
      .on("focusin", (event) => select(d3.select(event.target).datum().k))
      .on("keydown", (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey) return;
        if (event.key === "Escape") select(null);
        if (!moves[event.key]) return;
        event.preventDefault();
        const next = moves[event.key](d3.select(event.target).datum().k);
        if (next !== null && !shared.focus(svg, "layer", next)) select(next);
      });
  }

  d3.select("#words").on("input", (event) => {
    words = event.target.value.trim().toLowerCase();
    for (const panel of panels) {
      panel.boxes.classed("out", (box) => !visible(box)).attr("aria-disabled", (box) => !visible(box));
      panel.arrows.selectAll("*").style("display", ({ pair }) => (shownPair(pair) ? null : "none"));
    }
    const first = step(-1, 1);
    if (selected !== null && visible(boxes[selected])) showChosen();
    else select(null);
    if (selected === null && first !== null) panels.forEach(({ svg }) => shared.stopAt(svg, "layer", first));
  });
  document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());

  // Degrees --------------------------------------------------------------------------------------

  function drawDegrees() {
    const stage = d3.select("#degrees .stage");
    // As wide as there is room, so that letters keep their size on a phone.
    const width = Math.max(300, Math.min(760, stage.node().clientWidth));
    const tall = 300;
    const margin = { top: 40, right: 20, bottom: 44, left: 64 };
    const curves = [
      { name: "in-degree", points: data.degrees.in, style: "in" },
      { name: "out-degree", points: data.degrees.out, style: "out" },
    ].filter(({ points }) => points.length);
    if (!curves.length) return;
    const all = curves.flatMap(({ points }) => points);
    const [low, high] = d3.extent(all, ([degree]) => degree);
    const x = d3.scaleLog().domain([low / 1.5, 1.2 * high])
      .range([margin.left, width - margin.right]);
    const y = d3.scaleLog().domain([d3.min(all, ([, share]) => share), 1]).nice()
      .range([tall - margin.bottom, margin.top]);
    const svg = stage.append("svg").attr("viewBox", `0 0 ${width} ${tall}`)
      .attr("role", "img").attr("aria-label", "Share of nodes with at least a degree");
    const logTicks = (axis, n) => axis.ticks(n, short).tickSizeOuter(0);
    svg.append("g").attr("class", "axis").attr("transform", `translate(0,${tall - margin.bottom})`)
      .call(logTicks(d3.axisBottom(x), width < 500 ? 4 : 6));
    svg.append("g").attr("class", "axis upright").attr("transform", `translate(${margin.left},0)`)
      .call(d3.axisLeft(y).ticks(5, "~g").tickSizeOuter(0));
    svg.append("text").attr("x", (margin.left + width - margin.right) / 2).attr("y", tall - 8).text("degree");
    svg.append("text").attr("class", "side").attr("transform", `translate(16,${(tall - margin.bottom) / 2})rotate(-90)`)
      .text("share of nodes at or above");
    const line = d3.line(([degree]) => x(degree), ([, share]) => y(share)).curve(d3.curveStepBefore);
    curves.forEach(({ name, points, style }, k) => {
      const path = [[x.domain()[0], points[0][1]], ...points];
      svg.append("path").attr("class", `curve ${style}`).attr("d", line(path));
      const start = margin.left + 8 + 130 * k;
      svg.append("path").attr("class", `curve ${style}`).attr("d", `M${start},16h30`);
      svg.append("text").attr("class", "curve-name").attr("x", start + 36).attr("y", 20).text(name);
    });
  }

  drawDegrees();
  d3.selectAll(".plots figure").each(function () {
    shared.addTools(d3.select(this), { name: this.id, zooms: true });
  });
  if (!d3.select("#degrees svg").empty()) {
    shared.addTools(d3.select("#degrees"), { name: "degrees", zooms: false });
  }
  panels.forEach(({ svg }) => shared.stopAt(svg, "layer", 0));
  showChosen();
})();
