"use strict";
(() => {
  const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false };
  const all = (selector) => [...document.querySelectorAll(selector)];
  for (const script of all("figure script[type='application/json']")) {
    const { data, layout } = JSON.parse(script.textContent);
    Plots.draw(script.parentNode.querySelector(".plot"), data, layout, CONFIG);
  }
  for (const slider of all("input[type=range]")) {
    const shown = document.querySelector(`output[for="${slider.id}"]`);
    slider.addEventListener("input", () => {
      const value = Number(slider.value);
      shown.value = `${value > 0 ? "+" : ""}${value} ${slider.dataset.unit}`.trim();
    });
  }
  matchMedia("print").addEventListener("change", () => { Plots.theme(); Plots.fit(); });
  document.documentElement.dataset.drawn = "yes";
})();
