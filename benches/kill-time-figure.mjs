// The figure of kill-time.mjs: for each time after the acknowledgement, the share
// of kills that held everywhere by then.
import { View, parse } from "vega";
import { compile } from "vega-lite";

// Light colours, and the dark ones that take their place.
const INK = ["#1f2328", "#e6edf3"];
const DIM = ["#57606a", "#8b949e"];
const GRID = ["#d0d7de", "#30363d"];
const LINES = [["#0969da", "#58a6ff"], ["#9a6700", "#d29922"]];
const LIMIT = ["#cf222e", "#ff7b72"];

// A step is half a percent; the last one is the slowest kill.
const STEPS = 200;

// `groups`: sorted delays in milliseconds, by name.
export async function draw(groups, { bound_ms, acknowledged, edges, date }) {
  const end = bound_ms * 1.1;
  const steps = Object.entries(groups).flatMap(([group, delays]) => [
    ...Array.from({ length: STEPS }, (_, step) => (step + 1) / STEPS).map((share) => ({
      group,
      ms: delays[Math.ceil(share * delays.length) - 1],
      share,
    })),
    { group, ms: end, share: 1 },
  ]);
  const names = Object.keys(groups);
  const limit = { data: { values: [{ ms: bound_ms, says: `the bound, ${bound_ms} ms` }] } };
  const x = { field: "ms", type: "quantitative" };
  const spec = {
    width: 640,
    height: 260,
    autosize: { type: "pad" },
    layer: [
      {
        data: { values: steps },
        mark: { type: "line", interpolate: "step-after", strokeWidth: 2 },
        encoding: {
          x: { ...x, scale: { domain: [0, end], nice: false }, axis: { title: "milliseconds after the acknowledgement", tickCount: 6 } },
          y: {
            field: "share",
            type: "quantitative",
            scale: { domain: [0, 1] },
            axis: { title: "kills that hold at all edges", format: "%", tickCount: 5 },
          },
          color: {
            field: "group",
            type: "nominal",
            scale: { domain: names, range: LINES.map(([light]) => light) },
            legend: { title: null, orient: "none", legendX: 440, legendY: 190, symbolStrokeWidth: 3, symbolSize: 300 },
          },
        },
      },
      { ...limit, mark: { type: "rule", color: LIMIT[0], strokeWidth: 2, strokeDash: [6, 4] }, encoding: { x } },
      {
        ...limit,
        mark: { type: "text", color: LIMIT[0], align: "right", dx: -8, fontSize: 13 },
        encoding: { x, y: { value: 90 }, text: { field: "says" } },
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
        labelColor: DIM[0],
        labelFontSize: 13,
        titleColor: INK[0],
        titleFontSize: 13,
        titleFontWeight: "normal",
        titlePadding: 10,
      },
      legend: { labelColor: INK[0], labelFontSize: 13 },
    },
  };
  const svg = await new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
  const dark = [INK, DIM, GRID, ...LINES, LIMIT].flatMap(([light, instead]) =>
    ["fill", "stroke"].map((what) => `[${what}="${light}"] { ${what}: ${instead} }`),
  );
  const describes = [
    "<title>How long a killed session is still accepted somewhere</title>",
    `<desc>${acknowledged} kills at ${edges} edges, ${date}: for each time after the acknowledgement, the share of kills that hold at all edges.`,
    ` All do before the bound of ${bound_ms} ms.</desc>`,
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
