// The figure of the soak: requests, their p99, and memory over the time of the run.
import { View, parse } from "vega";
import { compile } from "vega-lite";

// Light colours, and the dark ones that take their place.
const INK = ["#1f2328", "#e6edf3"];
const DIM = ["#57606a", "#8b949e"];
const GRID = ["#d0d7de", "#30363d"];
const LINES = [["#0969da", "#58a6ff"], ["#9a6700", "#d29922"], ["#8250df", "#bc8cff"]];
const SHADE = ["#f6f8fa", "#161b22"];

export async function draw({ samples, options, date, versions }, warmUp) {
  const length = options.seconds / 60;
  const during = samples.filter(({ seconds }) => seconds <= options.seconds);
  const at = (value) => during.map((sample) => ({ minute: sample.seconds / 60, value: value(sample) }));
  const isolates = Object.keys(during[0].heap_mb);
  const collected = during.filter(({ heap_mb }) => Object.values(heap_mb).every((heap) => heap.collected));
  const living = collected.flatMap(({ seconds, heap_mb }) =>
    isolates.map((isolate) => ({ minute: seconds / 60, value: heap_mb[isolate].used + heap_mb[isolate].wasm, isolate })),
  );
  const panels = [
    panel(at(({ per_second }) => per_second), "requests a second"),
    panel(at(({ p99_ms }) => p99_ms), "p99, ms"),
    panel(at(({ anonymous_mib }) => anonymous_mib * 1.048576), "workerd, MB"),
    panel(living, "one isolate, MB", {
      field: "isolate",
      type: "nominal",
      scale: { domain: isolates, range: LINES.map(([light]) => light) },
      legend: { title: null, orient: "none", legendX: 560, legendY: 70, symbolStrokeWidth: 3, symbolSize: 200 },
    }),
  ];
  // What is not judged, since caches are filling.
  const shade = { data: { values: [{ from: 0, to: length * warmUp }] }, mark: { type: "rect", color: SHADE[0] }, encoding: { x: { field: "from", type: "quantitative" }, x2: { field: "to" } } };
  const x = (title) => ({ field: "minute", type: "quantitative", scale: { domain: [0, length], nice: false }, axis: { title, tickCount: 6 } });
  const spec = {
    resolve: { scale: { color: "independent" }, legend: { color: "independent" } },
    vconcat: panels.map(({ data, color, title }, index) => ({
      width: 640,
      height: 110,
      layer: [
        shade,
        {
          data: { values: data },
          mark: { type: "line", strokeWidth: 1.5, ...(color ? {} : { color: LINES[0][0] }) },
          encoding: {
            x: x(index === panels.length - 1 ? "minutes" : null),
            y: { field: "value", type: "quantitative", scale: { domainMin: 0 }, axis: { title, tickCount: 4 } },
            ...(color ? { color } : {}),
          },
        },
      ],
    })),
    config: {
      background: null,
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: { domainColor: DIM[0], gridColor: GRID[0], tickColor: DIM[0], labelColor: DIM[0], labelFontSize: 12, titleColor: INK[0], titleFontSize: 13, titleFontWeight: "normal", titlePadding: 10 },
      legend: { labelColor: INK[0], labelFontSize: 12 },
    },
  };
  const svg = await new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
  const dark = [INK, DIM, GRID, SHADE, ...LINES].flatMap(([light, instead]) => ["fill", "stroke"].map((what) => `[${what}="${light}"] { ${what}: ${instead} }`));
  const describes = [
    "<title>Requests, their p99, and memory over the time of the soak</title>",
    `<desc>${date}, workerd ${versions.workerd}, ${options.sessions} sessions, ${length} minutes; the shaded part is the warm-up, which is not judged.</desc>`,
    `<style>@media (prefers-color-scheme: dark) { ${dark.join(" ")} }</style>`,
  ];
  return fitted(svg).replace(/^<svg[^>]*>/, (tag) => tag + describes.join(""));
}

const panel = (data, title, color) => ({ data, title, color });

// 720 wide.
function fitted(svg) {
  const [, width, height] = svg.match(/viewBox="0 0 (\d+) (\d+)"/).map(Number);
  const tag = `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="720" height="${Math.round((height * 720) / width)}" viewBox="0 0 ${width} ${height}">`;
  return `${svg.replace(/^<svg[^>]*>/, tag)}\n`;
}
