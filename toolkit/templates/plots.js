"use strict";
// Figures in the colours of the page: of light, dark and print.
const Plots = (() => {
  const drawn = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const themed = (layout) => {
    const ink = colour("--ink"), family = getComputedStyle(document.body).fontFamily;
    const made = { ...layout, font: { color: ink, family, size: 11 }, hoverlabel: { bgcolor: colour("--shade"), font: { color: ink } } };
    for (const axis of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      made[axis] = { ...layout[axis], gridcolor: colour("--grid"), linecolor: colour("--rule") };
    }
    return made;
  };
  const inked = (trace) => {
    const ink = { color: colour("--ink") };
    return trace.meta === "ink" ? { ...trace, marker: { ...trace.marker, ...ink }, line: { ...trace.line, ...ink } } : trace;
  };
  const draw = (plot, traces, layout, config) => {
    drawn.set(plot, config);
    return Plotly.react(plot, traces.map(inked), themed(layout), config);
  };
  const theme = () => drawn.forEach((config, plot) => draw(plot, plot.data, plot.layout, config));
  const fit = () => drawn.forEach((_, plot) => plot.offsetParent && Plotly.Plots.resize(plot));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
  return { colour, draw, theme, fit, all: () => [...drawn.keys()] };
})();
