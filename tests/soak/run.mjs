// A run that never was, for the judge and the report.

// The same numbers each time (mulberry32), so that no run of this is unlucky.
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// What an hour leaves behind, a sample each ten seconds. `leak`: kilobytes a minute, by place.
export function run({ leak = {}, seconds = 3_600, ...changed } = {}) {
  const draw = random(7);
  const noise = (width) => (draw() - 0.5) * width;
  const at = (name, minutes) => ((leak[name] ?? 0) * minutes) / 1e3;
  const samples = Array.from({ length: seconds / 10 }, (_, index) => {
    const minutes = (index + 1) / 6;
    const heap = (name) => ({ used: 1.3 + noise(0.2) + at(name, minutes), wasm: 2.1, collected: index % 3 === 0 });
    return {
      seconds: minutes * 60,
      // As garbage comes and goes, by tens of megabytes.
      anonymous_mib: 300 + noise(80) + at("workerd", minutes),
      per_second: 500 + noise(100),
      p99_ms: 150 + noise(50),
      workerd_cpu: 0.95,
      own_cpu: 0.15,
      origin_cpu: 0.02,
      machine_cpu: 1.9,
      edges: { "edge-1": { cached: 20_000, evictions: 5_000 }, "edge-2": { cached: 20_000, evictions: 4_000 } },
      heap_mb: { objects: heap("objects"), "edge-1": heap("edge-1"), "edge-2": heap("edge-2") },
    };
  });
  return {
    date: "2026-11-29",
    versions: { workerd: "1.2.3", nginx: "1.22.1", node: "22.0.0", undici: "7.0.0" },
    samples,
    kinds: { check: { count: 1e6, p50: 60, p90: 80, p99: 150, p999: 300, max: 400 } },
    delay_ms: { count: 9_000, p50: 1, p90: 400, p99: 950, p999: 1_000, max: 1_050 },
    findings: { counts: {}, kept: [] },
    requests: 2e6,
    unavailable: 0,
    ends: 10_000,
    served: 0,
    edges: 2,
    options: { seconds, sessions: 1e6, clients: 32 },
    flooded: { refused: 30_000, limited: 100_000 },
    store: { living: 1e6, missing: 0, extra: 0, perhaps: 0, bytes: { databases: 4e8, logs: 2e8 } },
    ...changed,
  };
}
