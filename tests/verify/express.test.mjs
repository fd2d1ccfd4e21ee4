import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { root } from "../workerd/support/gateway.mjs";
import { verifies } from "./support.mjs";

verifies("express", { command: process.execPath, args: () => ["app.mjs"], missing: "there is no Node" });

test("the packages that the example names are those that it was tested with", () => {
  const { dependencies } = JSON.parse(readFileSync(path.join(root, "examples/verify/express/package.json"), "utf8"));
  for (const [name, version] of Object.entries(dependencies)) {
    const installed = JSON.parse(readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8"));
    assert.equal(installed.version, version, name);
  }
});
