// The balance over time, drawn by uPlot (shared/vendor, copied there by scripts/build).

import uPlot from "/shared/vendor/uplot.js";
import { inTenths, t, yen } from "./text.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const axis = (more) => ({
  stroke: () => colour("--soft"),
  grid: { stroke: () => colour("--line"), width: 1 },
  ticks: { show: false },
  font: "12px system-ui, sans-serif",
  ...more,
});

export class Chart {
  #place;
  #plot;
  #marks = [];
  #seconds = 60;

  /** `ink` is the colour of the line. */
  constructor(place, ink) {
    this.#place = place;
    const options = {
      ...this.#size(),
      padding: [10, 6, 0, 0],
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: false, range: () => [0, this.#seconds] }, y: { range: [0, 10_500] } },
      axes: [
        axis({ size: 24, space: 45, values: (_, splits) => splits.map((second) => (second === 0 ? "0" : `${second} s`)) }),
        axis({ size: 46, splits: [0, 2_500, 5_000, 7_500, 10_000], values: (_, splits) => splits.map((amount) => yen(amount).replace(/,?000$/, "k").replace(/,?500$/, ".5k")) }),
      ],
      series: [{}, { stroke: () => colour(ink), fill: () => `${colour(ink)}1c`, width: 3, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) }],
      hooks: { draw: [(plot) => this.#drawMarks(plot)] },
    };
    this.#plot = new uPlot(options, [[], []], place);
    new ResizeObserver(() => place.clientWidth > 0 && this.#plot.setSize(this.#size())).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw(false, true));
  }

  #size() {
    const width = this.#place.clientWidth || 320;
    return { width, height: width < 260 ? 130 : 190 };
  }

  draw({ opening, balance, transfers, reported, expires }, { elapsed, access_seconds: seconds }) {
    const at = [0, ...transfers.map(({ at, ms }) => (at + ms) / 1_000)];
    const amounts = [opening, ...transfers.map((transfer) => transfer.balance)];
    this.#seconds = Math.max(seconds + 5, Math.ceil((at.at(-1) + 2) / 5) * 5);
    this.#marks = [
      ...(expires === null ? [] : [{ at: expires / 1_000, label: t("chart_expiry"), ink: "--soft", end: true }]),
      ...(reported === null ? [] : [{ at: reported / 1_000, label: t("chart_press"), ink: "--ink", end: false }]),
    ];
    this.#plot.setData(opening === null ? [[], []] : [at, amounts]);
    const label = opening === null ? t("waiting") : t("chart", { opening: yen(opening), balance: yen(balance), at: inTenths(elapsed) });
    this.#place.setAttribute("aria-label", label);
  }

  /** When something happened that decides about the line: an upright one, with its name. */
  #drawMarks({ ctx, valToPos, bbox }) {
    const px = devicePixelRatio;
    for (const { at, label, ink, end } of this.#marks) {
      const x = valToPos(at, "x", true);
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour(ink);
      ctx.lineWidth = 1.5 * px;
      ctx.setLineDash(end ? [4 * px, 4 * px] : []);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.font = `600 ${12 * px}px system-ui, sans-serif`;
      const isLate = end || x > bbox.left + bbox.width * 0.6;
      const next = this.#marks.map((mark) => valToPos(mark.at, "x", true)).filter((other) => other > x);
      const room = isLate ? x - bbox.left : Math.min(bbox.left + bbox.width, ...next) - x;
      if (ctx.measureText(label).width + 10 * px > room) {
        ctx.restore();
        continue; // on a narrow screen the line has to do
      }
      ctx.textAlign = isLate ? "end" : "start";
      ctx.textBaseline = "bottom";
      ctx.fillText(label, x + (isLate ? -5 : 5) * px, bbox.top + bbox.height - (end ? 4 : 20) * px);
      ctx.restore();
    }
  }
}
