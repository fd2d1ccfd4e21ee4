// How many messages a thousand requests cause to Durable Objects and to KV, counted apart
// from what is measured: counting costs too, and there one cannot say who has asked nginx. The
// same load, one after the other, the gateway with a hand on its bindings.
import path from "node:path";

import { startEdges } from "../../tests/workerd/support/edges.mjs";
import { root } from "../support/project.mjs";
import { load } from "./load.mjs";

const SECONDS = 2;

// Sets `storeCalls` of each contender. Where each request is another session's they are not
// counted: here one session comes again and again.
export async function storeCalls(contenders, nginx) {
  for (const contender of contenders) contender.storeCalls = contender.fresh === undefined ? 0 : null;
  for (const contender of contenders.filter(({ usesKv }) => usesKv)) {
    contender.storeCalls = await counted(contender, contender.workerd.url, contender.cookie, () => nginx.asked());
  }
  const gateways = contenders.filter(({ warifu, fresh }) => warifu !== undefined && fresh === undefined);
  for (const build of new Set(gateways.map(({ build }) => build))) {
    const ofBuild = gateways.filter((contender) => contender.build === build);
    const site = await startEdges({ build: path.relative(root, build), edges: ofBuild.map(({ name, warifu }) => ({ name, ...warifu })) });
    try {
      for (const contender of ofBuild) {
        const edge = site.edges.find(({ name }) => name === contender.name);
        const { cookie } = await edge.mint({ subject: "alice" });
        const asked = async () => Object.values(await edge.counts()).reduce((sum, count) => sum + count, 0);
        contender.storeCalls = await counted(contender, edge.url, cookie, asked);
      }
    } finally {
      await site.close();
    }
  }
}

async function counted({ forged }, url, cookie, asked) {
  const loaded = (seconds) => load(new URL("/api/orders", url).href, { cookie: forged ?? cookie, seconds, refused: forged !== undefined });
  await loaded(1); // the first ones of an isolate ask more
  const before = await asked();
  const { requests } = await loaded(SECONDS);
  return (1_000 * ((await asked()) - before)) / requests;
}
