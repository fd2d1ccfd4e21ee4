// The figure of cost.mjs: the processor time of one request, a bar for each contender.
import { View, parse } from "vega";
import { compile } from "vega-lite";

// Light colours, and the dark ones that take their place.
const INK = ["#1f2328", "#e6edf3"];
const DIM = ["#57606a", "#8b949e"];
const GRID = ["#d0d7de", "#30363d"];
const GROUPS = { "without a check": ["#8c959f", "#6e7681"], peers: ["#9a6700", "#d29922"], warifu: ["#0969da", "#58a6ff"] };

export async function draw({ contenders, date, versions }) {
  const values = contenders.map(({ says, group, cpu_us: { median, low, high }, to_bare }) => ({
    says,
    group,
    median,
    low,
    high,
    label: to_bare ? `${median.toFixed(0)} µs, ${to_bare.median.toFixed(2)}×` : `${median.toFixed(0)} µs`,
  }));
  const end = Math.max(...values.map(({ high }) => high)) * 1.25;
  const y = { field: "says", type: "nominal", sort: null, axis: { title: null, labelLimit: 420, ticks: false, domain: false, labelPadding: 8 } };
  const scale = { domain: [0, end], nice: false };
  const spec = {
    width: 330,
    height: { step: 25 },
    autosize: { type: "pad" },
    data: { values },
    encoding: { y },
    layer: [
      {
        mark: { type: "bar", height: 15 },
        encoding: {
          x: { field: "median", type: "quantitative", scale, axis: { title: "µs of processor time for one request", tickCount: 5 } },
          color: {
            field: "group",
            type: "nominal",
            scale: { domain: Object.keys(GROUPS), range: Object.values(GROUPS).map(([light]) => light) },
            legend: null,
          },
        },
      },
      { mark: { type: "rule", color: INK[0], strokeWidth: 1.5 }, encoding: { x: { field: "low", type: "quantitative" }, x2: { field: "high" } } },
      {
        mark: { type: "text", align: "left", dx: 8, fontSize: 12, color: INK[0] },
        encoding: { x: { field: "high", type: "quantitative" }, text: { field: "label" } },
      },
    ],
    config: {
      background: null,
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: {
        domainColor: DIM[0],
        gridColor: GRID[0],
        tickColor: DIM[0],
        labelColor: INK[0],
        labelFontSize: 12,
        titleColor: INK[0],
        titleFontSize: 13,
        titleFontWeight: "normal",
        titlePadding: 10,
      },
    },
  };
  const svg = await new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
  const dark = [INK, DIM, GRID, ...Object.values(GROUPS)].flatMap(([light, instead]) =>
    ["fill", "stroke"].map((what) => `[${what}="${light}"] { ${what}: ${instead} }`),
  );
  const described = values.map(({ says, label }) => `${says}: ${label}`).join("; ");
  const describes = [
    "<title>Processor time of workerd for one request</title>",
    `<desc>Medians with the quartiles, ${date}, workerd ${versions.workerd}. ${described.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</desc>`,
    `<style>@media (prefers-color-scheme: dark) { ${dark.join(" ")} }</style>`,
  ];
  return fitted(svg).replace(/^<svg[^>]*>/, (tag) => tag + describes.join(""));
}

// 720 wide.
function fitted(svg) {
  const [, width, height] = svg.match(/viewBox="0 0 (\d+) (\d+)"/).map(Number);
  const tag = `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="720" height="${Math.round((height * 720) / width)}" viewBox="0 0 ${width} ${height}">`;
  return `${svg.replace(/^<svg[^>]*>/, tag)}\n`;
}
