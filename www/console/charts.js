// The pictures of the measures, drawn by uPlot (shared/vendor, copied there by scripts/build).

import uPlot from "../shared/vendor/uplot.js";
import { t } from "../shared/text.js";

const HEIGHT = 200;
const SERIES = ["--ink", "--accent", "--alarm", "--gain", "--soft"];
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 2]];
const drawn = new Map();

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const axis = (more) => ({
  stroke: () => colour("--soft"),
  grid: { stroke: () => colour("--line"), width: 1 },
  ticks: { stroke: () => colour("--line"), width: 1 },
  font: "12px system-ui, sans-serif",
  ...more,
});

/** Draws anew, or only the new values where nothing else has changed. */
function draw(place, shape, options, data) {
  const width = place.clientWidth || 320;
  const before = drawn.get(place);
  if (before?.shape === shape) {
    before.plot.setData(data);
    return;
  }
  before?.plot.destroy();
  const plot = new uPlot({ width, height: HEIGHT, cursor: { show: false }, ...options }, data, place);
  drawn.set(place, { shape, plot });
  if (before === undefined) {
    new ResizeObserver(() => place.clientWidth > 0 && drawn.get(place).plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.get(place).plot.redraw(false, true));
  }
}

/** One bar for each label; `line` is where the bound is among them. */
export function bars(place, { labels, values, line }) {
  const at = labels.map((_, i) => i);
  const options = {
    legend: { show: false },
    scales: { x: { time: false, range: [-0.6, labels.length - 0.4] }, y: { range: (_, __, max) => [0, Math.max(1, max * 1.15)] } },
    axes: [
      axis({ splits: () => at, values: () => labels, grid: { show: false }, label: t("kill_delay_axis"), labelFont: "12px system-ui, sans-serif", labelSize: 18, space: 1, rotate: labels.length > 9 ? -45 : 0, size: labels.length > 9 ? 56 : 30 }),
      axis({ incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 10_000], size: 44 }),
    ],
    series: [{}, { fill: () => colour("--accent"), stroke: () => colour("--accent"), paths: uPlot.paths.bars({ size: [0.7, 60] }), points: { show: false } }],
    hooks: {
      draw: [
        ({ ctx, valToPos, bbox }) => {
          const x = valToPos(line, "x", true);
          ctx.save();
          ctx.strokeStyle = colour("--alarm");
          ctx.lineWidth = 2 * devicePixelRatio;
          ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          ctx.setLineDash([]);
          ctx.fillStyle = colour("--alarm");
          ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
          const isLate = line > labels.length / 2;
          ctx.textAlign = isLate ? "end" : "start";
          ctx.textBaseline = "top";
          ctx.fillText(t("bound"), x + (isLate ? -5 : 5) * devicePixelRatio, bbox.top);
          ctx.restore();
        },
      ],
    },
  };
  draw(place, `bars ${labels} ${line}`, options, [at, values]);
}

/** A line for each name, over time; told apart by dashes as well as by colour. */
export function lines(place, { names, at, values }) {
  const options = {
    legend: { show: true, live: false },
    scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [axis({ size: 28 }), axis({ size: 52 })],
    series: [
      {},
      ...names.map((label, i) => ({
        label,
        stroke: () => colour(SERIES[i % SERIES.length]),
        dash: DASHES[i % DASHES.length],
        width: 2,
        points: { show: at.length < 3 },
      })),
    ],
  };
  draw(place, `lines ${names} ${at.length < 3}`, options, [at, ...values]);
}
