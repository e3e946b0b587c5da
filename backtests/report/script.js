(async () => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const data = (id) => JSON.parse(byId(id).textContent);
  const CONFIG = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

  const { colour, theme, fit } = Plots;
  const draw = (plot, traces, layout) => Plots.draw(plot, traces, layout, CONFIG);

  // Versions that are drawn.
  const boxes = all(".chips input");
  const chosen = () => new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const chooses = (plot) => !plot.closest("[data-version]") && plot.id !== "product-plot";
  const visible = (trace, shown) => !trace.meta || trace.meta === "ink" || shown.has(trace.meta);
  const hide = () => {
    const shown = chosen();
    for (const element of all("figure[data-version], .versions [data-version]")) {
      element.hidden = !shown.has(element.dataset.version);
    }
    return shown;
  };
  const show = () => {
    const shown = hide();
    for (const plot of Plots.all().filter(chooses)) {
      Plotly.restyle(plot, { visible: plot.data.map((trace) => visible(trace, shown)) });
    }
    fit();
  };

  // Tables that sort by a click on a title: numbers, then words; what is unknown comes last.
  const value = (row, column) => row.cells[column].dataset.sort;
  const order = (a, b) => {
    if (a === undefined || b === undefined) return 0;
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  };
  const sort = (button) => {
    const title = button.closest("th"), body = button.closest("table").tBodies[0];
    const turn = title.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    all("th[aria-sort]", title.parentNode).forEach((other) => other.setAttribute("aria-sort", "none"));
    title.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
    const rows = [...body.rows], column = title.cellIndex;
    const known = rows.filter((row) => value(row, column) !== undefined);
    known.sort((a, b) => turn * order(value(a, column), value(b, column)));
    body.append(...known, ...rows.filter((row) => value(row, column) === undefined));
  };

  // Any two versions.
  const cell = (row, text, key, number = true) => {
    const made = row.insertCell();
    made.textContent = text;
    if (number) made.className = "number";
    if (key !== null) made.dataset.sort = key;
    return made;
  };
  const signed = (x, digits) => (x > 0 ? "+" : "") + x.toFixed(digits).replace("-", "−");
  const pairs = () => {
    const [version, against] = [byId("pair-version").value, byId("pair-against").value];
    const body = byId("table-pairs").tBodies[0];
    body.replaceChildren();
    for (const one of data("pair-data")) {
      const [title, unit, digits, a, b, ownA, ownB, gap, low, high, better, rows] = one;
      const turned = a === against && b === version;
      if (!turned && !(a === version && b === against)) continue;
      const row = body.insertRow(), turn = turned ? -1 : 1;
      const ends = low === null ? [null, null] : turned ? [-high, -low] : [low, high];
      cell(row, unit ? `${title} (${unit})` : title, title, false);
      for (const score of turned ? [ownB, ownA] : [ownA, ownB]) cell(row, score.toFixed(Math.max(digits, 3)), score);
      const shown = cell(row, signed(turn * gap, digits), turn * gap);
      if (ends[0] !== null && ends[1] < 0) shown.classList.add("best");
      if (ends[0] !== null && ends[0] > 0) shown.classList.add("bad");
      for (const end of ends) cell(row, end === null ? "–" : signed(end, digits), end);
      const share = turned ? 1 - better : better;
      cell(row, share.toFixed(3), share);
      cell(row, rows.toLocaleString("en"), rows);
    }
    all("th[aria-sort]", byId("table-pairs")).forEach((th) => th.setAttribute("aria-sort", "none"));
  };
  const startPairs = () => {
    const names = [...new Set(data("pair-data").flatMap((one) => [one[4], one[3]]))];
    const listed = boxes.map((box) => box.value).filter((name) => names.includes(name));
    for (const id of ["pair-version", "pair-against"]) {
      byId(id).append(...listed.map((name) => new Option(name, name)));
      byId(id).addEventListener("change", pairs);
    }
    byId("pair-version").value = listed[listed.length - 1];
    pairs();
  };

  // Forecast and actual weeks of a product.
  const WEEK = 7 * 86400e3;
  const starts = (day, first, count) =>
    Array.from({ length: count }, (_, i) => new Date(Date.parse(day) + (first + i) * WEEK).toISOString().slice(0, 10));
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const units = (x) => x.toLocaleString("en", { maximumFractionDigits: x < 10 ? 1 : 0 });
  const options = (id, values) => {
    const before = byId(id).value;
    byId(id).replaceChildren(...values.map((name) => new Option(name, name)));
    if (values.includes(before)) byId(id).value = before;
  };
  const fan = (x, rows, ink) => {
    const last = rows.length - 2; // quantiles come first, the mean last
    const bands = [0, 1, 2].map((i) => ({
      x: [...x, ...[...x].reverse()], y: [...rows[last - i], ...[...rows[i]].reverse()],
      fill: "toself", mode: "lines", line: { width: 0 }, fillcolor: ink + ["2e", "3d", "57"][i],
      name: ["90 %", "80 %", "50 %"][i], hoverinfo: "skip",
    }));
    const line = { color: ink, width: 2 };
    return [...bands,
      { x, y: rows[3], mode: "lines", line, name: "median", hovertemplate: "median %{y}<extra></extra>" },
      { x, y: rows[rows.length - 1], mode: "lines", line: { ...line, width: 1.5, dash: "dot" }, name: "mean", hovertemplate: "mean %{y}<extra></extra>" }];
  };
  const product = () => {
    const held = data("product-data"), one = held.products[Number(byId("product").value)];
    options("product-date", Object.keys(one.actual).sort());
    const day = byId("product-date").value;
    options("product-version", boxes.map((box) => box.value).filter((name) => (one.fans[name] || {})[day]));
    const version = byId("product-version").value, rows = one.fans[version][day];
    const actual = one.actual[day], before = one.before[day] || [], x = starts(day, 0, actual.length);
    const ink = { color: colour("--ink") };
    const traces = [
      ...fan(x, rows, held.colours[version]),
      { x: starts(day, -before.length, before.length), y: before, mode: "lines+markers", meta: "ink", name: "before", line: { ...ink, width: 1 }, marker: { ...ink, size: 4 }, hovertemplate: "%{x}: %{y:,} units<extra>before</extra>" },
      { x, y: actual, mode: "markers", meta: "ink", name: "actual", marker: { ...ink, size: 9, symbol: "circle" }, hovertemplate: "%{x}: %{y:,} units<extra>actual</extra>" },
    ];
    const edge = { type: "line", xref: "x", yref: "y domain", x0: day, x1: day, y0: 0, y1: 1, line: { color: "rgba(128,128,128,.7)", width: 1, dash: "dash" } };
    draw(byId("product-plot"), traces, {
      height: 360, margin: { l: 8, r: 10, t: 40, b: 8 }, hovermode: "closest", showlegend: true,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, xanchor: "left" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", shapes: [edge],
      xaxis: { automargin: true, type: "date", title: { text: "week from", standoff: 6 } },
      yaxis: { automargin: true, rangemode: "tozero", zeroline: false, title: { text: "units per week", standoff: 6 } },
    });
    byId("product-title").textContent = `${one.name} as of ${day}, ${version}`;
    byId("product-note").textContent = `${actual.length} weeks together: expected ${units(sum(rows[rows.length - 1]))}, actual ${units(sum(actual))} units.`;
  };

  // Plotly is packed; a browser that cannot unpack it still has the tables.
  const unpack = async () => {
    const bytes = Uint8Array.from(atob(byId("plotly").textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  };

  // Figures are drawn one by one, so that the page can be read meanwhile; to print, at once.
  const waiting = all("figure script");
  const drawNext = () => {
    const script = waiting.shift(), plot = script.previousElementSibling, shown = chosen();
    const { data: traces, layout } = JSON.parse(script.textContent);
    draw(plot, chooses(plot) ? traces.map((trace) => ({ ...trace, visible: visible(trace, shown) })) : traces, layout);
  };
  const drawOn = () => {
    if (waiting.length) {
      drawNext();
      setTimeout(drawOn);
    } else {
      document.documentElement.dataset.drawn = "yes";
    }
  };
  hide();
  all(".sortable").forEach((table) => table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sort(button);
  }));
  if (byId("pair-data")) startPairs();
  boxes.forEach((box) => box.addEventListener("change", show));
  try {
    await unpack();
  } catch {
    byId("undrawn").hidden = false;
    return;
  }
  if (byId("product-data")) {
    const held = data("product-data"), days = held.products.flatMap((one) => Object.keys(one.actual));
    options("product-date", [...new Set(days)].sort().slice(-1));
    ["product", "product-date", "product-version"].forEach((id) => byId(id).addEventListener("change", product));
    product();
  }
  matchMedia("print").addEventListener("change", () => {
    while (waiting.length) drawNext();
    theme();
    fit();
  });
  drawOn();
})();
