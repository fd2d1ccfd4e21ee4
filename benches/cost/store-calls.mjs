// How many messages a thousand requests cause to Durable Objects, counted apart from
// what is measured: counting costs too. The same load, the gateway with a hand on its
// bindings.
import { startEdges } from "../../tests/workerd/support/edges.mjs";

import { load } from "./load.mjs";

// Sets `storeCalls` of each contender. Where each request is another session's they are not
// counted: here one session comes again and again.
export async function storeCalls(contenders, { build }) {
  const gateways = contenders.filter(({ warifu, script }) => warifu !== undefined && script === undefined);
  for (const contender of contenders) {
    const sum = (what) => contender.turns.reduce((sum, turn) => sum + turn[what], 0);
    contender.storeCalls = contender.script === undefined ? (1_000 * sum("kv")) / sum("requests") : null;
  }
  if (gateways.length === 0) return;
  const site = await startEdges({ build, edges: gateways.map(({ name, warifu }) => ({ name, ...warifu })) });
  try {
    for (const contender of gateways) {
      const edge = site.edges.find(({ name }) => name === contender.name);
      const { cookie } = await edge.mint({ subject: "alice" });
      const asked = async () => Object.values(await edge.counts()).reduce((sum, count) => sum + count, 0);
      const before = await asked();
      const shown = contender.forged === undefined ? cookie : contender.forged;
      const { requests } = await load(new URL("/api/orders", edge.url).href, { cookie: shown, seconds: 2, refused: contender.forged !== undefined });
      contender.storeCalls = (1_000 * ((await asked()) - before)) / requests;
    }
  } finally {
    await site.close();
  }
}
