// Panels of a study's candidates: accuracy and beta_eff after each epoch, one against the other
// with the fitted line. The data block is that of edgedyn/report/study/page.py; null: not known.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const WIDTH = 340;
  const LEFT = 46;
  const RIGHT = 12;
  const TOP = 24;
  const HIGHEST = 1.3; // beyond these an arrow at the edge
  const HIGHEST_FIT = 2;
  const known = (x) => x !== null && x !== undefined;
  const minus = (text) => text.replace("-", "\u2212");
  const accuracy = (x) => (known(x) ? minus(x.toFixed(3)) : "unknown");
  const small = (x) => {
    const size = Math.abs(x);
    return minus(d3.format(size === 0 || (size >= 1e-3 && size < 1e5) ? ".4~g" : ".2~e")(x));
  };
  const withStd = (value, std) => accuracy(value) + (known(std) ? ` ± ${std.toFixed(3)}` : "");
  const shown = (values) => values.filter(known);
  const round = (x) => Number(x.toPrecision(3));
  let numbered = 0;

  // Scales ---------------------------------------------------------------------------------------

  const everything = data.rankings.flatMap(({ models }) => models);
  const finite = shown(everything.flatMap((m) => [
    ...m.accuracy, ...m.runs.flatMap((run) => run.accuracy), m.test, m.validation,
  ]));
  const predicted = shown(everything.map((m) => m.forecast));
  const lowest = Math.max(0, Math.min(...finite, 1, ...predicted) - 0.03);
  const highest = Math.max(1.02, ...predicted.map((p) => Math.min(p + 0.03, HIGHEST)));
  const end = data.epochs + Math.max(0.7, data.epochs * 0.06); // where predictions stand

  // One drawing ----------------------------------------------------------------------------------

  // Axes in a drawing; returns it with its scales and a group that is clipped to the frame.
  function frame(parent, { height, x, y, name, below }) {
    const bottom = height - (below ? 34 : 20);
    const svg = parent.append("svg").attr("viewBox", `0 0 ${WIDTH} ${height}`)
      .attr("aria-hidden", "true");
    const clip = `clip${numbered++}`;
    svg.append("clipPath").attr("id", clip).append("rect")
      .attr("x", LEFT).attr("y", TOP).attr("width", WIDTH - LEFT - RIGHT)
      .attr("height", bottom - TOP);
    const sx = d3.scaleLinear(x, [LEFT, WIDTH - RIGHT]);
    const sy = d3.scaleLinear(y, [bottom, TOP]);
    const ground = svg.append("g");
    const axes = svg.append("g").attr("class", "axes");
    for (const tick of sy.ticks(height > 160 ? 5 : 4)) {
      axes.append("path").attr("d", `M${LEFT} ${sy(tick)}H${WIDTH - RIGHT}`).attr("class", "grid");
      axes.append("text").attr("x", LEFT - 6).attr("y", sy(tick) + 4).attr("class", "left")
        .text(small(tick));
    }
    axes.append("path").attr("d", `M${LEFT} ${bottom}H${WIDTH - RIGHT}`);
    const title = svg.append("text").attr("x", 4).attr("y", 13).attr("class", "name");
    const [before, after] = name.split("\u03b2");
    title.text(after === undefined ? before : `${before}\u03b2`);
    if (after !== undefined) {
      lowerIndex(title);
      title.append("tspan").attr("dy", -3).text(after);
    }
    if (below) {
      const label = svg.append("text").attr("x", WIDTH - RIGHT).attr("y", height - 4);
      lowerIndex(label.attr("class", "left").text(below));
    }
    const inside = svg.append("g").attr("clip-path", `url(#${clip})`);
    return { svg, sx, sy, ground, axes, inside, marks: svg.append("g"), bottom };
  }

  function ticksBelow({ axes, bottom }, ticks, place, format) {
    for (const tick of ticks) {
      axes.append("path").attr("d", `M${place(tick)} ${bottom}v4`);
      axes.append("text").attr("x", place(tick)).attr("y", bottom + 15).text(format(tick));
    }
  }

  function lowerIndex(text) {
    text.append("tspan").attr("dy", 3).attr("font-size", "80%").text("eff");
  }

  function epochFrame(parent, options) {
    const one = frame(parent, { ...options, x: [0.5, end + 0.3] });
    const seen = one.sx(data.observed + 0.5) - one.sx(0.5);
    one.ground.append("rect").attr("class", "seen").attr("x", LEFT).attr("y", TOP)
      .attr("width", seen).attr("height", one.bottom - TOP);
    const ticks = d3.ticks(1, data.epochs, 6).filter((t) => Number.isInteger(t) && t >= 1);
    ticksBelow(one, ticks, one.sx, String);
    return one;
  }

  function shadeAbove({ ground, marks, sy }, text) {
    const [low, high] = sy.domain();
    if (high <= 1 || low >= 1) return;
    ground.append("rect").attr("class", "beyond").attr("x", LEFT).attr("y", TOP)
      .attr("width", WIDTH - LEFT - RIGHT).attr("height", sy(1) - TOP);
    if (!text) return;
    marks.append("text").attr("class", "odd").attr("x", WIDTH - RIGHT - 4).attr("y", TOP + 13)
      .text(text);
  }

  const curve = ({ sx, sy }) => d3.line().defined(known)
    .x((_, k) => sx(k + 1)).y((value) => sy(value));

  function drawCurve(one, values, runs) {
    for (const run of runs) {
      one.inside.append("path").attr("class", "run").attr("d", curve(one)(run));
    }
    one.inside.append("path").attr("class", "curve").attr("d", curve(one)(values));
    one.inside.append("g").selectAll("circle")
      .data(values.map((value, k) => ({ value, k })).filter(({ value }) => known(value)))
      .join("circle").attr("class", "point").attr("r", values.length > 25 ? 1.8 : 2.8)
      .attr("cx", ({ k }) => one.sx(k + 1)).attr("cy", ({ value }) => one.sy(value));
  }

  // A square with its interval, or an arrow where the value is beyond the frame.
  function drawPrediction({ marks, sx, sy }, x, value, std) {
    const [low, high] = sy.domain();
    const inside = (v) => Math.max(low, Math.min(high, v));
    if (known(std) && value - std < high && value + std > low) {
      marks.append("path").attr("class", "interval")
        .attr("d", `M${sx(x)} ${sy(inside(value - std))}V${sy(inside(value + std))}`);
    }
    if (value >= low && value <= high) {
      marks.append("rect").attr("class", "predicted").attr("width", 9).attr("height", 9)
        .attr("x", sx(x) - 4.5).attr("y", sy(value) - 4.5);
      return [sx(x), sy(value)];
    }
    const up = value > high ? 1 : -1;
    const tip = sy(inside(value));
    marks.append("path").attr("class", "predicted")
      .attr("d", `M${sx(x)} ${tip}l6 ${up * 10}h-12z`);
    const left = sx(x) > WIDTH / 2;
    marks.append("text").attr("class", left ? "value left" : "value")
      .attr("x", sx(x) + (left ? -9 : 9)).attr("y", tip + up * (left ? 5 : 25) + 4)
      .text(minus(value.toFixed(Math.abs(value) < 10 ? 2 : 1)));
    return [sx(x), tip + up * 5];
  }

  function drawStar({ marks, sx, sy }, x, value) {
    marks.append("path").attr("class", "final").attr("transform", `translate(${sx(x)},${sy(value)})`)
      .attr("d", d3.symbol(d3.symbolStar, 90)());
  }

  // The three drawings of a candidate ------------------------------------------------------------

  // Each returns where epochs (by index) and the prediction (index n) are, for pointing at them.

  function drawAccuracy(parent, model) {
    const one = epochFrame(parent, {
      height: 155, y: [lowest, highest], name: "validation accuracy, by epoch",
    });
    shadeAbove(one, "");
    drawCurve(one, model.accuracy, model.runs.map((run) => run.accuracy));
    if (known(model.test)) drawStar(one, data.epochs, model.test);
    const spots = model.accuracy.map((v, k) => (known(v) ? [one.sx(k + 1), one.sy(v)] : null));
    spots.push(known(model.forecast) ? drawPrediction(one, end, model.forecast, model.half) : null);
    return { one, spots, byColumn: true };
  }

  function drawBeta(parent, model) {
    const values = shown([...model.beta, ...model.runs.flatMap((run) => run.beta)]);
    const high = Math.max(0, ...values) || 1;
    const one = epochFrame(parent, {
      height: 130, y: [Math.min(0, ...values), high * 1.06], name: "\u03b2, by epoch",
    });
    drawCurve(one, model.beta, model.runs.map((run) => run.beta));
    model.beta.forEach((value, k) => {
      if (known(value) || model.statuses[k] === "no_probe") return;
      one.marks.append("path").attr("class", "missing")
        .attr("d", d3.symbol(d3.symbolTimes, 40)())
        .attr("transform", `translate(${one.sx(k + 1)},${one.bottom - 6})`);
    });
    const place = (v, k) => (known(v) ? [one.sx(k + 1), one.sy(v)] : null);
    return { one, spots: [...model.beta.map(place), null], byColumn: true };
  }

  function drawFit(parent, model) {
    const { fit } = model;
    const both = model.beta.map((b, k) => [b, model.accuracy[k], k])
      .filter(([b, a]) => known(b) && known(a));
    if (!fit || !both.length) return null;
    const used = both.filter(([, , k]) => k < data.observed);
    const right = Math.max(0, ...used.map(([b]) => b), d3.max(fit.grid));
    const left = Math.min(0, d3.min(fit.grid));
    const top = Math.min(HIGHEST_FIT, Math.max(fit.value, ...used.map(([, a]) => a), model.test ?? 0));
    const low = Math.max(-0.3, Math.min(fit.value, ...used.map(([, a]) => a), model.test ?? 1));
    const pad = 0.09 * (top - low) || 0.05;
    const one = frame(parent, {
      height: 215, x: [left - 0.04 * (right - left), right], y: [low - pad, top + pad],
      name: "accuracy against \u03b2", below: "\u03b2",
    });
    shadeAbove(one, fit.value > 1 ? "above 1: do not read it as an accuracy" : "");
    ticksBelow(one, one.sx.ticks(4), one.sx, small);
    one.axes.append("path").attr("class", "zero").attr("d", `M${one.sx(0)} ${TOP}V${one.bottom}`);
    if (fit.band.every(known)) {
      const area = d3.area().x((_, k) => one.sx(fit.grid[k]))
        .y0((s, k) => one.sy(fit.mean[k] - s)).y1((s, k) => one.sy(fit.mean[k] + s));
      one.inside.append("path").attr("class", "band").attr("d", area(fit.band));
    }
    const line = d3.line().x((_, k) => one.sx(fit.grid[k])).y((v) => one.sy(v));
    one.inside.append("path").attr("class", "line").attr("d", line(fit.mean));
    one.inside.append("g").selectAll("circle").data(both).join("circle")
      .attr("class", ([, , k]) => (k >= data.observed ? "later" : k + 1 < fit.first ? "hollow" : "point"))
      .attr("r", ([, , k]) => (k >= data.observed ? 2 : 3.6))
      .attr("cx", ([b]) => one.sx(b)).attr("cy", ([, a]) => one.sy(a));
    if (known(model.test)) drawStar(one, 0, model.test);
    const spots = model.accuracy.map(() => null);
    for (const [b, a, k] of both) {
      if (b <= right) spots[k] = [one.sx(b), one.sy(a)];
    }
    spots.push(drawPrediction(one, 0, fit.value, fit.std));
    return { one, spots, byColumn: false };
  }

  // Words ----------------------------------------------------------------------------------------

  function noAccuracy(value) {
    return value < 0 || value > 1 ? ", no accuracy" : "";
  }

  function facts(model) {
    const found = [];
    const { fit } = model;
    if (known(model.forecast)) found.push(`Forecast ${model.words}.`);
    if (fit) found.push(`The paper's line reads ${withStd(fit.value, fit.std)}${noAccuracy(fit.value)}.`);
    if (fit) {
      const from = fit.first > 1 ? `epochs ${fit.first} to ${data.observed}` : `${fit.n} epochs`;
      const reach = known(fit.reach)
        ? `, extended by ${small(round(fit.reach))} times their range` : "";
      found.push(`The line rests on ${from}${reach}.`);
    } else if (model.n_whole) found.push("Too few usable epochs for a line.");
    else found.push("Not observed long enough for a prediction.");
    if (known(model.test)) found.push(`At the end: ${accuracy(model.test)}.`);
    return found.join(" ");
  }

  // What is said of an epoch, or of the prediction.
  function describe(model, k) {
    if (k === model.accuracy.length) {
      const line = model.fit ? [`line at \u03b2_eff = 0: ${withStd(model.fit.value, model.fit.std)}`] : [];
      const own = known(model.forecast) ? [`forecast: ${model.words}`] : [];
      const odd = model.fit && noAccuracy(model.fit.value);
      return ["Prediction", ...own, ...line, ...(odd ? ["beyond 0 to 1: do not read it as an accuracy"] : []),
        ...(known(model.test) ? [`test accuracy at the end: ${accuracy(model.test)}`] : [])];
    }
    const status = model.statuses[k];
    const { fit } = model;
    const beta = model.beta[k];
    const value = known(beta) ? small(beta) : "none";
    const odd = status && status !== "ok" ? ` (${status.replaceAll("_", " ")})` : "";
    const role = k >= data.observed ? "not seen by the prediction"
      : fit && known(beta) && k + 1 < fit.first ? "left out of the line" : null;
    const onLine = fit && known(beta) ? [`line there: ${accuracy(fit.value + fit.slope * beta)}`] : [];
    const runs = model.runs.filter((run) => known(run.accuracy[k]))
      .map((run) => `seed ${run.seed}: ${accuracy(run.accuracy[k])}`);
    return [`Epoch ${k + 1}`, `validation accuracy: ${accuracy(model.accuracy[k])}`,
      `\u03b2_eff: ${value}${odd}`, ...onLine, ...runs.slice(0, 6), ...(role ? [role] : [])];
  }

  // Pointing -------------------------------------------------------------------------------------

  const tip = d3.select("#tip");

  function showTip(lines, [left, top]) {
    tip.attr("hidden", null);
    tip.selectChildren().remove();
    tip.append("b").text(lines[0]);
    for (const line of lines.slice(1)) tip.append("span").text(line);
    const box = tip.node().getBoundingClientRect();
    const room = document.documentElement.clientWidth - 8;
    const x = left + 14 + box.width > room ? left - box.width - 14 : left + 14;
    const y = top + box.height + 14 > window.innerHeight ? top - box.height - 10 : top + 12;
    tip.style("left", `${Math.max(4, Math.min(x, room - box.width))}px`)
      .style("top", `${Math.max(4, y)}px`);
  }

  function makeCard(place, model, id) {
    const card = place.append("article").attr("class", "card").attr("id", id);
    card.append("h3").text(known(model.rank) ? `${model.rank}. ${model.model}` : model.model);
    card.append("p").attr("class", "soft facts").text(facts(model));
    if (!model.accuracy.length) return;
    const drawings = card.append("div").attr("class", "drawings").attr("tabindex", 0)
      .attr("role", "group").attr("aria-roledescription", "chart")
      .attr("aria-label", `${model.model}: accuracy and neural capacitance epoch by epoch; ` +
        "left and right arrow keys move, Escape clears");
    const panels = [drawAccuracy, drawBeta, drawFit].map((draw) => draw(drawings, model))
      .filter((panel) => panel);
    for (const panel of panels) {
      panel.focus = panel.one.svg.append("g").attr("class", "focus").style("display", "none");
      if (panel.byColumn) panel.rule = panel.focus.append("path");
      panel.ring = panel.focus.append("circle").attr("r", 6.5);
    }
    const stops = d3.range(model.accuracy.length + 1)
      .filter((k) => panels.some(({ spots }) => spots[k]));
    let current = null;

    function choose(k, where) {
      current = k;
      for (const { one, spots, focus, ring, rule } of panels) {
        const spot = k === null ? null : spots[k];
        focus.style("display", spot ? null : "none");
        if (!spot) continue;
        ring.attr("cx", spot[0]).attr("cy", spot[1]);
        rule?.attr("d", `M${spot[0]} ${TOP}V${one.bottom}`);
      }
      if (k === null) return tip.attr("hidden", "");
      const lines = describe(model, k);
      showTip(lines, where ?? besides(k));
      if (!where) {
        document.getElementById("live").textContent = `${model.model}, ${lines.join("; ")}`;
      }
    }

    // In the window: beside the first drawing that has it.
    function besides(k) {
      const { one, spots } = panels.find((panel) => panel.spots[k]);
      const box = one.svg.node().getBoundingClientRect();
      return [box.right - 10, box.top + spots[k][1] * (box.width / WIDTH)];
    }

    function find({ one, spots, byColumn }, event) {
      const [x, y] = d3.pointer(event, one.svg.node());
      const away = (k) => (byColumn ? Math.abs(spots[k][0] - x)
        : Math.hypot(spots[k][0] - x, spots[k][1] - y));
      return d3.least(stops.filter((k) => spots[k]), away) ?? null;
    }

    for (const panel of panels) {
      panel.one.svg
        .on("pointermove pointerdown", (event) => {
          const k = find(panel, event);
          if (k !== null) choose(k, [event.clientX, event.clientY]);
        })
        .on("pointerleave", (event) => { if (event.pointerType !== "touch") choose(null); });
    }
    drawings.on("blur", () => choose(null)).on("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "Escape") return choose(null);
      const at = stops.indexOf(current);
      const next = { ArrowRight: at + 1, ArrowLeft: at < 0 ? stops.length - 1 : at - 1, Home: 0, End: stops.length - 1 };
      if (!(event.key in next)) return;
      event.preventDefault();
      choose(stops[Math.max(0, Math.min(stops.length - 1, next[event.key]))]);
    });
  }

  data.rankings.forEach(({ models }, k) => {
    const place = d3.select(`.cards[data-ranking="${k}"]`);
    models.forEach((model, n) => makeCard(place, model, `model-${k}-${n}`));
  });

  // Tapping elsewhere and scrolling take the tip away.
  window.addEventListener("scroll", () => tip.attr("hidden", ""), { passive: true });

  function openTarget() {
    const found = location.hash && document.getElementById(location.hash.slice(1));
    const around = found && found.closest("details");
    if (!around || around.open) return;
    around.open = true;
    found.scrollIntoView();
  }
  window.addEventListener("hashchange", openTarget);
  openTarget();
})();
