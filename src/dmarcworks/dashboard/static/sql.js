// The SQL page: Ctrl+Enter runs the statement, a click on a name inserts it, the chart. Values from reports are drawn as text.
"use strict";
(() => {
  const form = document.getElementById("editor");
  const text = document.getElementById("text");
  let chart = null;

  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    if (event.target === text) {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      form.requestSubmit(document.getElementById("run"));
    } else if (event.target.name === "name") {
      // Enter in the name's field saves; without this it would press the form's first button.
      event.preventDefault();
      form.requestSubmit(document.getElementById("save"));
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (!button) return;
    text.focus();
    text.setRangeText(button.dataset.insert, text.selectionStart, text.selectionEnd, "end");
  });

  // After a run move the focus to the result, for screen readers too.
  const found = document.getElementById("found");
  if (found) found.focus({ preventScroll: false });

  function draw() {
    const place = document.getElementById("drawn");
    const source = document.getElementById("drawn-data");
    if (chart) { chart.dispose(); chart = null; }
    if (!place || !source || !window.echarts) return;
    const data = JSON.parse(source.textContent);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue("--" + name).trim();
    const font = getComputedStyle(document.body).fontFamily;
    // A series named after a result has its colour; the others get the remaining ones.
    const known = { pass: "pass", passed: "pass", successful: "pass", fail: "fail", failed: "fail", quarantine: "quar", reject: "rej", none: "fwd" };
    const spare = ["accent", "quar", "rej", "fwd", "pass", "fail"].filter((name) => !data.series.some((one) => known[one.name] === name));
    const number = (value) => value === null || value === undefined ? "–" : value.toLocaleString("en-US");
    const short = (label) => label.length > 18 ? label.slice(0, 17) + "…" : label;
    chart = echarts.init(place, null, { renderer: "canvas" });
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: font, color: colour("soft") },
      aria: { enabled: true },
      legend: { show: data.series.length > 1, top: 0, left: 0, itemWidth: 10, itemHeight: 10, textStyle: { color: colour("soft"), fontFamily: font } },
      grid: { left: 72, right: 8, top: data.series.length > 1 ? 32 : 8, bottom: 24, outerBoundsMode: "none" },
      tooltip: {
        trigger: "axis", renderMode: "richText", confine: true, backgroundColor: colour("card"), borderColor: colour("line"),
        textStyle: { color: colour("ink"), fontSize: 12, fontFamily: font },
        formatter: (items) => [items[0].name, ...items.map((item) => number(item.value) + " " + item.seriesName)].join("\n"),
      },
      xAxis: {
        type: "category", data: data.labels, axisTick: { show: false }, axisLine: { lineStyle: { color: colour("line") } },
        axisLabel: { color: colour("soft"), hideOverlap: true, formatter: short },
      },
      yAxis: { type: "value", axisLabel: { color: colour("soft"), formatter: number }, splitLine: { lineStyle: { color: colour("line") } }, splitNumber: 4 },
      series: data.series.map((one) => {
        const paint = colour(known[one.name] || spare.shift() || "fwd");
        return data.kind === "line"
          ? { name: one.name, type: "line", data: one.values, symbol: "none", connectNulls: false, lineStyle: { color: paint, width: 1.5 }, itemStyle: { color: paint } }
          : { name: one.name, type: "bar", stack: data.series.length > 1 ? "all" : null, data: one.values, itemStyle: { color: paint }, barMaxWidth: 48, emphasis: { disabled: true } };
      }),
    });
  }

  document.addEventListener("DOMContentLoaded", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", () => { if (chart) chart.resize(); });
})();
