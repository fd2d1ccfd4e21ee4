// The Worker in workerd, without anything in front of it: the bytes of a request reach the
// runtime as they were sent.
import { UNLIMITED, client, newKeys, raw } from "./gateway.mjs";
import { gatewayOf, startWorkers } from "./miniflare.mjs";

export async function startBare({ warifu, adminKeys = [], originKeys, build = "build-test" }) {
  const configured = { limits: UNLIMITED, ...warifu };
  const keys = newKeys();
  let served;
  const { logs, door, close } = await startWorkers({ warifu: configured, keys, originKeys, adminKeys }, async (scan) => {
    // With doors in the place of the applications' addresses, which are what it signs for.
    served = await scan.behind(configured);
    const bindings = {
      WARIFU: served,
      WARIFU_KEYS: keys,
      ...(adminKeys.length === 0 ? {} : { WARIFU_ADMIN_KEYS: JSON.stringify(adminKeys.map(({ entry }) => entry)) }),
      ...(originKeys === undefined ? {} : { WARIFU_ORIGIN_KEYS: originKeys }),
    };
    return [{ name: "warifu", ...gatewayOf({ build }), bindings }];
  });
  const { url, dial } = await door("warifu");
  return { url, served, fetch: client(url, dial), raw: (text) => raw(dial(), text), logs: () => logs.join("\n"), close };
}
