// Draws the domain's chart over the SVG that the server sent. Every text in it is drawn as text, on a canvas.
"use strict";
(() => {
  let chart = null;
  const number = (value) => value === null || value === undefined ? "–" : value.toLocaleString("en-US");

  function draw() {
    const place = document.getElementById("chart");
    const source = document.getElementById("chart-data");
    if (chart) { chart.dispose(); chart = null; }
    if (!place || !source || !window.echarts) return;
    const data = JSON.parse(source.textContent);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue("--" + name).trim();
    const font = getComputedStyle(document.body).fontFamily;
    place.replaceChildren();
    chart = echarts.init(place, null, { renderer: "canvas" });

    const lines = (index) => data.pass[index] === null
      ? [data.days[index], data.shaded[index] ? "Covered by a report over several days" : "No report about this day"]
      : [
        data.days[index],
        number(data.pass[index]) + " pass",
        number(data.fail[index]) + " fail",
        ...(data.quarantined[index] ? [number(data.quarantined[index]) + " quarantined"] : []),
        ...(data.rejected[index] ? [number(data.rejected[index]) + " rejected"] : []),
        number(data.reports[index]) + (data.reports[index] === 1 ? " report" : " reports"),
        ...(data.covers[index] > 1 ? ["covers " + data.covers[index] + " days"] : []),
        number(data.before[index]) + " in all, " + data.days.length + " days earlier",
      ];
    const bar = (name, key) => ({
      name, type: "bar", stack: "result", data: data[key], itemStyle: { color: colour(key) },
      barCategoryGap: data.days.length > 14 ? "20%" : "40%", barMinHeight: 1, emphasis: { disabled: true }, cursor: "pointer",
    });
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: font, color: colour("soft") },
      aria: { enabled: true },
      grid: { left: 56, right: 2, top: 8, bottom: 24, outerBoundsMode: "none" },
      tooltip: {
        trigger: "axis", renderMode: "richText", axisPointer: { type: "shadow", shadowStyle: { color: colour("fwd"), opacity: 0.12 } },
        backgroundColor: colour("card"), borderColor: colour("line"), textStyle: { color: colour("ink"), fontSize: 12, fontFamily: font },
        confine: true, formatter: (items) => lines(items[0].dataIndex).join("\n"),
      },
      xAxis: {
        type: "category", data: data.labels, axisTick: { show: false }, axisLine: { lineStyle: { color: colour("line") } },
        axisLabel: { color: colour("soft"), hideOverlap: true, interval: Math.max(0, Math.round(data.days.length / (place.clientWidth < 500 ? 3 : 6)) - 1) },
      },
      yAxis: {
        type: "value", min: 0, max: data.top, interval: data.top / 4, axisLabel: { color: colour("soft"), formatter: number },
        splitLine: { lineStyle: { color: colour("line") } },
      },
      series: [
        {
          ...bar("pass", "pass"),
          markArea: {
            silent: true, itemStyle: { color: colour("fwd"), opacity: 0.12 },
            data: data.shaded.flatMap((shaded, index) => shaded ? [[{ xAxis: index }, { xAxis: index }]] : []),
          },
        },
        bar("fail", "fail"),
        {
          name: "before", type: "line", data: data.before, symbol: "none", connectNulls: false, silent: true,
          lineStyle: { color: colour("fwd"), width: 1 }, itemStyle: { color: colour("fwd") }, z: 3,
        },
      ],
    });
    chart.getZr().on("click", (event) => {
      const point = [event.offsetX, event.offsetY];
      if (!chart.containPixel("grid", point)) return;
      const link = data.links[chart.convertFromPixel({ seriesIndex: 0 }, point)[0]];
      if (link) location.assign(link);
    });
  }

  document.addEventListener("DOMContentLoaded", draw);
  document.addEventListener("htmx:afterSettle", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", () => { if (chart) chart.resize(); });
})();
