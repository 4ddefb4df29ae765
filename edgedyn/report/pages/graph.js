// A line graph weight by weight, beside its network. The data block holds places and links; see
// edgedyn/report/linegraph/page.py. Weights are numbered as in edgedyn's NodeIndex.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const COLOURS = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5"];
  const MOST_HEADS = 450; // beyond these, resting links carry no arrow heads
  const MOST_TIPS = 120; // nor edges of the network beyond these
  const CLASSES = 5; // widths of resting links

  const colour = (node) => `var(${COLOURS[node.layer % COLOURS.length]})`;
  const { count, number, plural } = shared;

  // The graph ------------------------------------------------------------------------------------

  const nodes = data.edges.map(([x, y, from, to, bent], id) => ({ id, x, y, from, to, bent }));
  data.layers.forEach((layer, k) => {
    for (let id = layer.first; id < layer.first + layer.size; id++) {
      Object.assign(nodes[id], { layer: k, r: data.radii[k], incoming: [], outgoing: [] });
    }
  });
  const { source, target, multiplicity, strength } = data.links;
  const weights = strength ?? multiplicity;
  const links = source.map((s, k) => ({
    k,
    source: nodes[s],
    target: nodes[target[k]],
    weight: weights ? weights[k] : 1,
  }));
  for (const link of links) {
    link.source.outgoing.push(link);
    link.target.incoming.push(link);
  }
  const heaviest = d3.max(links, (link) => Math.abs(link.weight)) || 1;
  const share = (link) => Math.sqrt(Math.abs(link.weight) / heaviest);
  const vertices = data.vertices.map(([x, y, r, kind, name]) => ({ x, y, r, kind, name }));

  const shown = data.layers.map(() => true); // by the filter
  let hovered = null;
  let selected = null;

  // Shapes ---------------------------------------------------------------------------------------

  const bend = d3.line().curve(d3.curveNatural);
  function edgePath({ x, y, from, to, bent }) {
    const [a, b] = [vertices[from], vertices[to]];
    return bend(bent ? [[a.x, a.y], [x, y], [b.x, b.y]] : [[a.x, a.y], [b.x, b.y]]);
  }

  // From one place to another, short of both by some distance.
  function between(a, b, before, after) {
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const length = Math.hypot(dx, dy) || 1;
    const [ux, uy] = [dx / length, dy / length];
    const start = Math.min(before, length / 3);
    const end = Math.min(after, length / 3);
    const [x0, y0] = [a.x + ux * start, a.y + uy * start];
    return { x0, y0, x1: b.x - ux * end, y1: b.y - uy * end, ux, uy };
  }

  // A filled arrow head whose tip is at (x, y).
  function addHead(path, x, y, ux, uy, size) {
    const [bx, by] = [x - ux * size, y - uy * size];
    path.moveTo(x, y);
    path.lineTo(bx - uy * size * 0.45, by + ux * size * 0.45);
    path.lineTo(bx + uy * size * 0.45, by - ux * size * 0.45);
    path.closePath();
  }

  // Panels ---------------------------------------------------------------------------------------

  const view = `0 0 ${data.width} ${data.height}`;
  const figures = d3.selectAll(".plot");

  function makePanel(id, words) {
    const stage = d3.select(`#${id} .stage`);
    const over = stage.append("svg").attr("class", "over").attr("viewBox", view);
    over.attr("role", "listbox").attr("aria-label", words);
    return { stage, over };
  }

  const ga = makePanel("ga", "Weights as edges of the neural network; arrow keys move, Escape clears");
  const gb = makePanel("gb", "Weights as nodes of the line graph; arrow keys move, Escape clears");
  const hidden = (group) => group.attr("aria-hidden", "true");

  function drawHeadings(panel, columns) {
    const side = (x) => (x < 80 ? "start" : x > data.width - 80 ? "end" : "middle");
    const at = { start: 10, end: data.width - 10 };
    const lines = ([x, name, size, above = true]) => (above
      ? [{ x, y: 22, text: name }, { x, y: 41, text: size, count: true }]
      : [{ x, y: data.height - 10, text: `${size} ${name}`, count: true }]);
    hidden(panel.over.append("g")).selectAll("text").data(columns.flatMap(lines)).join("text")
      .attr("class", ({ count }) => (count ? "heading count" : "heading"))
      .attr("x", ({ x }) => at[side(x)] ?? x)
      .style("text-anchor", ({ x }) => side(x))
      .attr("y", ({ y }) => y)
      .text(({ text }) => text);
  }

  function layerGroups(parent, name) {
    return parent.append("g").attr("class", name).attr("role", "none")
      .selectAll("g").data(data.layers).join("g").attr("role", "none");
  }

  const ofLayer = (_, k) => nodes.filter((node) => node.layer === k);
  const labelled = (selection) => selection
    .attr("role", "option").attr("tabindex", -1).attr("data-node", ({ id }) => id)
    .attr("aria-selected", "false")
    .attr("aria-label", ({ id, layer }) => `${data.labels[id]}, ${data.layers[layer].name}`);

  function drawNetwork() {
    const { over } = ga;
    const curve = d3.linkHorizontal()
      .source(([a]) => vertices[a]).target(([, b]) => vertices[b])
      .x(({ x }) => x).y(({ y }) => y);
    hidden(over.append("g")).selectAll("path").data(data.joints).join("path")
      .attr("class", "joints").attr("d", curve);
    ga.groups = layerGroups(over, "edges");
    const thin = Math.max(0.5, Math.min(1.6, 60 / Math.sqrt(nodes.length) / 4));
    const edges = ga.groups.selectAll("path").data(ofLayer).join("path");
    labelled(edges).attr("class", "edge").attr("d", edgePath)
      .style("stroke", colour).style("stroke-width", thin).style("stroke-opacity", 0.75);
    if (nodes.length <= MOST_TIPS) {
      hidden(ga.groups.append("path")).attr("class", "tips").attr("d", (_, k) => tips(k))
        .style("fill", (_, k) => colour({ layer: k }));
    }
    ga.lit = hidden(over.append("g")).attr("class", "lit");
    const marks = hidden(over.append("g")).selectAll("path").data(vertices).join("path");
    marks.attr("class", ({ kind }) => `vertex ${kind}`)
      .attr("transform", ({ x, y }) => `translate(${x},${y})`)
      .attr("d", ({ kind, r }) => d3.symbol(kind === "neuron" ? d3.symbolCircle : d3.symbolSquare,
        (kind === "neuron" ? Math.PI : 3.2) * r ** 2)())
      .append("title").text(({ name }) => name);
    ga.labels = hidden(over.append("g")).attr("class", "lit");
    drawHeadings(ga, data.columns);
  }

  function tips(k) {
    const path = d3.pathRound(1);
    for (const node of nodes) {
      if (node.layer !== k) continue;
      const end = vertices[node.to];
      const { x1, y1, ux, uy } = between(node, end, 0, end.r + 1);
      addHead(path, x1, y1, ux, uy, Math.min(7, end.r));
    }
    return path.toString();
  }

  // One path for all links out of a node that are about as strong: far fewer elements than links.
  function drawLineGraph() {
    const { stage, over } = gb;
    const under = stage.insert("svg", "svg").attr("class", "under").attr("viewBox", view);
    under.attr("aria-hidden", "true");
    if (nodes.length <= 400) {
      const path = nodes.map(edgePath).join("");
      under.append("path").attr("class", "skeleton").attr("d", path);
    }
    const pairs = d3.groups(links, (l) => l.target.layer, (l) => l.source.layer)
      .flatMap(([a, sources]) => sources.map(([b, bundle]) => ({ a, b, bundle })));
    gb.pairs = under.selectAll("g").data(pairs).join("g");
    const rank = (link) => (weights ? Math.ceil(share(link) * CLASSES) : CLASSES);
    const fullest = weights ? Math.max(0.9, Math.min(2.4, 30 / Math.sqrt(links.length))) : 0.9;
    const fade = Math.max(0.03, Math.min(0.55, 3.6 / Math.sqrt(links.length)));
    gb.pairs.selectAll("path")
      .data(({ bundle }) => d3.flatGroup(bundle, (l) => l.source.id, rank))
      .join("path")
      .attr("class", ([, r]) => (r ? "resting" : "resting none"))
      .style("stroke-opacity", ([, r]) => fade * (0.5 + 0.5 * (r / CLASSES)))
      .style("stroke-width", ([, r]) => 0.4 + ((fullest - 0.4) * r) / CLASSES)
      .attr("d", ([, , fan]) => lines(fan));
    if (links.length <= MOST_HEADS) {
      gb.pairs.append("path").attr("class", "heads").style("fill-opacity", Math.min(1, 2 * fade))
        .attr("d", ({ bundle }) => heads(bundle.filter(rank)));
    }
    gb.lit = hidden(over.append("g")).attr("class", "lit");
    gb.groups = layerGroups(over, "nodes");
    labelled(gb.groups.selectAll("circle").data(ofLayer).join("circle")).attr("class", "node")
      .attr("cx", ({ x }) => x).attr("cy", ({ y }) => y).attr("r", ({ r }) => r)
      .style("fill", colour);
    gb.labels = hidden(over.append("g")).attr("class", "lit");
    drawHeadings(gb, data.bands);
  }

  function lines(bundle) {
    const path = d3.pathRound(1);
    for (const link of bundle) {
      path.moveTo(link.source.x, link.source.y);
      path.lineTo(link.target.x, link.target.y);
    }
    return path.toString();
  }

  function heads(bundle) {
    const path = d3.pathRound(1);
    for (const { source: a, target: b } of bundle) {
      const { x1, y1, ux, uy } = between(a, b, 0, b.r + 1);
      addHead(path, x1, y1, ux, uy, Math.max(3, Math.min(8, b.r * 1.2)));
    }
    return path.toString();
  }

  // What is chosen -------------------------------------------------------------------------------

  const chosen = () => hovered ?? selected;
  const visible = ({ layer }) => shown[layer];

  function showChosen() {
    const id = chosen();
    figures.classed("chosen", id !== null);
    const node = id === null ? null : nodes[id];
    const incoming = node ? node.incoming.filter((l) => visible(l.source)) : [];
    const outgoing = node ? node.outgoing.filter((l) => visible(l.target)) : [];
    const near = new Set([...incoming.map((l) => l.source), ...outgoing.map((l) => l.target)]);
    near.delete(node);
    lightEdges(node, [...near]);
    lightLinks(node, incoming, outgoing);
    lightNodes(node, [...near]);
    showDetails(node);
  }

  function lightEdges(node, near) {
    ga.lit.selectAll("path").data(node ? [...near, node] : []).join("path")
      .attr("d", edgePath)
      .style("stroke", (d) => (d === node ? "var(--ink)" : colour(d)))
      .style("stroke-width", (d) => (d === node ? 4 : near.length > 60 ? 1 : 2));
    label(ga, node, (d) => d.y - 10);
  }

  function lightLinks(node, incoming, outgoing) {
    const all = [...incoming, ...outgoing];
    gb.lit.selectAll("g").data(all).join(
      (enter) => {
        const group = enter.append("g");
        group.append("path").attr("class", "stroke");
        group.append("path").attr("class", "head");
        return group;
      },
    ).each(function (link) {
      const { x0, y0, x1, y1, ux, uy } =
        between(link.source, link.target, link.source.r + 2, link.target.r + 2);
      const size = Math.max(4, Math.min(9, link.target.r * 1.5));
      const fullest = Math.max(1, Math.min(3.4, link.target.r * 0.5));
      const wide = weights ? 0.6 + fullest * share(link) : all.length > 200 ? 0.8 : 1.5;
      const head = size + wide;
      const negative = link.weight < 0;
      const [stroke, tip] = this.children;
      const way = link.target === node ? "in" : "out";
      stroke.setAttribute("class", negative ? `link ${way} negative` : `link ${way}`);
      stroke.setAttribute("d", `M${x0},${y0}L${x1 - ux * head * 0.8},${y1 - uy * head * 0.8}`);
      stroke.style.strokeWidth = wide;
      const path = d3.pathRound(2);
      addHead(path, x1, y1, ux, uy, head);
      tip.setAttribute("d", path.toString());
      tip.style.fill = negative ? "var(--c1)" : "var(--ink)";
    });
  }

  function lightNodes(node, near) {
    const radius = ({ r }) => Math.max(r, 2.5);
    gb.labels.selectAll("circle.near").data(near).join("circle").attr("class", "near")
      .attr("cx", ({ x }) => x).attr("cy", ({ y }) => y).attr("r", radius).style("fill", colour);
    gb.labels.selectAll("circle.halo").data(node ? [node] : []).join("circle").attr("class", "halo")
      .attr("cx", ({ x }) => x).attr("cy", ({ y }) => y).attr("r", (d) => radius(d) + 3.5)
      .style("fill", colour);
    label(gb, node, (d) => d.y - radius(d) - 9);
  }

  function label(panel, node, y) {
    panel.labels.selectAll("text").data(node ? [node] : []).join("text").raise()
      .attr("x", ({ x }) => Math.max(40, Math.min(data.width - 40, x)))
      .attr("y", y).text(({ id }) => data.labels[id]);
  }

  // The panel below ------------------------------------------------------------------------------

  function facts(node) {
    const layer = data.layers[node.layer];
    const found = [
      ["layer", `${shared.layerName(node.layer + 1, layer.name)} (${layer.text})`],
      ["from", vertices[node.from].name],
      ["to", vertices[node.to].name],
    ];
    if (data.values) found.push(["value", number(data.values[node.id])]);
    found.push(["in-degree", degree(node.incoming)], ["out-degree", degree(node.outgoing)]);
    return found;
  }

  function degree(found) {
    const texts = [plural(found.length, "link")];
    if (multiplicity && found.length) {
      texts.push(`${count(d3.sum(found, ({ k }) => multiplicity[k]))} paths`);
    }
    if (strength && found.length) texts.push(`total strength ${number(total(found))}`);
    return texts.join(", ");
  }

  // Signed strengths that cancel leave rounding errors.
  function total(found) {
    const sum = d3.sum(found, ({ k }) => strength[k]);
    return Math.abs(sum) > 1e-12 * d3.sum(found, ({ k }) => Math.abs(strength[k])) ? sum : 0;
  }

  function showDetails(node) {
    if (node === null) {
      shared.showHint("Point at an edge of the network or at a node of the line graph, or tap it. "
        + "With the keyboard: [Tab] into a drawing, [↑] [↓] along a layer, [←] [→] from layer to "
        + "layer, [Esc] to clear.");
      return;
    }
    shared.showDetails(`Weight ${data.labels[node.id]}`, facts(node), [
      neighbours("in-links", "⇠ its gradient is made of", node.incoming, "source"),
      neighbours("out-links", "→ it enters the gradient of", node.outgoing, "target"),
    ]);
  }

  function neighbours(name, words, found, end) {
    const order = d3.sort(found, (a, b) => Math.abs(b.weight) - Math.abs(a.weight) || a.k - b.k);
    return {
      title: found.length
        ? `${name} ${words} ${plural(found.length, "weight")}`.replace(/^./, (c) => c.toUpperCase())
        : `No ${name}`,
      head: ["weight", ...(multiplicity ? ["paths"] : []), ...(strength ? ["P"] : [])],
      rows: order.map((link) => [
        data.labels[link[end].id],
        ...(multiplicity ? [count(multiplicity[link.k])] : []),
        ...(strength ? [number(strength[link.k])] : []),
      ]),
    };
  }

  // Pointer --------------------------------------------------------------------------------------

  // Points along an edge, made when first needed: both ends, and some between if it is bent.
  function polyline(node) {
    if (node.line) return node.line;
    const [a, b] = [vertices[node.from], vertices[node.to]];
    node.line = [a, b];
    if (node.bent) {
      const path = ga.over.select(`[data-node="${node.id}"]`).node();
      const length = path.getTotalLength();
      node.line = d3.range(9).map((k) => path.getPointAtLength((k / 8) * length));
    }
    return node.line;
  }

  function distance(x, y, a, b) {
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const along = ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy);
    const t = Math.max(0, Math.min(1, along));
    return Math.hypot(a.x + t * dx - x, a.y + t * dy - y);
  }

  ga.find = ([x, y]) => {
    let nearest = null;
    let least = 10;
    for (const node of nodes) {
      if (!visible(node)) continue;
      d3.pairs(polyline(node), (a, b) => {
        const away = distance(x, y, a, b);
        if (away < least) [nearest, least] = [node.id, away];
      });
    }
    return nearest;
  };

  gb.find = ([x, y]) => {
    gb.tree ??= d3.quadtree(nodes.filter(visible), (node) => node.x, (node) => node.y);
    return gb.tree.find(x, y, 16)?.id ?? null;
  };

  function hover(id) {
    if (id === hovered) return;
    hovered = id;
    showChosen();
  }

  function select(id) {
    selected = id;
    hovered = null;
    shared.mark([ga.over, gb.over], "node", id);
    showChosen();
    shared.announce(id === null ? null : facts(nodes[id]));
  }

  const stopAt = (id) => [ga, gb].forEach(({ over }) => shared.stopAt(over, "node", id));
  const focus = (panel, id) => shared.focus(panel.over, "node", id);

  function listen(panel) {
    // On the stage: Chromium's tab key stops at drawings that listen to the focus themselves.
    const find = (event) => panel.find(d3.pointer(event, panel.over.node()));
    panel.stage
      .on("pointermove", (event) => { if (event.pointerType !== "touch") hover(find(event)); })
      .on("pointerleave", () => hover(null))
      .on("mousedown", (event) => event.preventDefault()) // or the browser focuses what is on top
      .on("click", (event) => {
        const id = find(event);
        if (id === null) select(null);
        else if (!focus(panel, id)) select(id);
      })
      .on("focusin", (event) => select(d3.select(event.target).datum().id))
      .on("keydown", (event) => onKey(panel, event));
  }

  // Keyboard -------------------------------------------------------------------------------------

  function onKey(panel, event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const node = d3.select(event.target).datum();
    if (event.key === "Escape") return select(null);
    const next = moves[event.key]?.(node);
    if (!moves[event.key]) return;
    event.preventDefault();
    if (next && !focus(panel, next.id)) select(next.id);
  }

  const inLayer = (node, k) => {
    const { first, size } = data.layers[node.layer];
    return k >= first && k < first + size ? nodes[k] : null;
  };
  function acrossLayers(node, step) {
    let k = node.layer + step;
    while (k >= 0 && k < shown.length && (!shown[k] || !data.layers[k].size)) k += step;
    if (k < 0 || k >= shown.length) return null;
    const { first, size } = data.layers[k];
    return d3.least(nodes.slice(first, first + size), (d) => Math.abs(d.y - node.y));
  }
  const moves = {
    ArrowUp: (node) => inLayer(node, node.id - 1),
    ArrowDown: (node) => inLayer(node, node.id + 1),
    ArrowLeft: (node) => acrossLayers(node, -1),
    ArrowRight: (node) => acrossLayers(node, 1),
    Home: (node) => nodes[data.layers[node.layer].first],
    End: (node) => nodes[data.layers[node.layer].first + data.layers[node.layer].size - 1],
  };

  // Filter ---------------------------------------------------------------------------------------

  d3.selectAll("#filter input").on("change", (event) => {
    shown[Number(event.target.value)] = event.target.checked;
    const none = (hide) => (hide ? "none" : null);
    for (const { groups } of [ga, gb]) groups.style("display", (_, k) => none(!shown[k]));
    gb.pairs.style("display", ({ a, b }) => none(!shown[a] || !shown[b]));
    gb.tree = null;
    const kept = selected !== null && visible(nodes[selected]);
    const stop = kept ? nodes[selected] : nodes.find(visible);
    if (stop) stopAt(stop.id);
    if (kept) showChosen();
    else select(null);
  });
  document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());

  drawNetwork();
  drawLineGraph();
  listen(ga);
  listen(gb);
  figures.each(function () {
    shared.addTools(d3.select(this), { name: this.id, zooms: true });
  });
  stopAt(0);
  showChosen();
})();
