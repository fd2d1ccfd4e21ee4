// The text format of Prometheus (exposition format 0.0.4), as much of it as the gateway writes.

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*,?\s*/y;

/** Every sample: `{ name, labels, value }`. Throws at a line that is none. */
export function parse(text) {
  const samples = [];
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line === "" || line[0] === "#") continue;
    const match = SAMPLE.exec(line);
    if (match === null) throw new Error(`no sample: ${line}`);
    const [, name, labels, value] = match;
    samples.push({ name, labels: labelsOf(labels ?? ""), value: number(value) });
  }
  return samples;
}

function labelsOf(text) {
  const labels = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const match = LABEL.exec(text);
    if (match === null) throw new Error(`no labels: ${text}`);
    labels[match[1]] = match[2].replaceAll(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
  }
  return labels;
}

function number(text) {
  const value = { "+Inf": Infinity, "-Inf": -Infinity, NaN }[text] ?? Number(text);
  if (Number.isNaN(value) && text !== "NaN") throw new Error(`no number: ${text}`);
  return value;
}

/** The samples of a name, added up by one label. */
export function by(samples, name, label) {
  const sums = new Map();
  for (const sample of samples) {
    if (sample.name !== name) continue;
    const key = sample.labels[label] ?? "";
    sums.set(key, (sums.get(key) ?? 0) + sample.value);
  }
  return sums;
}

/** The buckets of a histogram, not cumulative: `{ to, count }`, in order, summed over other labels. */
export function buckets(samples, name) {
  const cumulative = by(samples, `${name}_bucket`, "le");
  const sorted = [...cumulative].map(([le, count]) => [number(le), count]).sort(([a], [b]) => a - b);
  return sorted.map(([to, count], i) => ({ to, count: count - (i === 0 ? 0 : sorted[i - 1][1]) }));
}

/** The one sample of a name, or undefined. */
export const value = (samples, name) => samples.find((sample) => sample.name === name)?.value;
