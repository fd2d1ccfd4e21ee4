// Only in CI, since it compiles for a while.
import path from "node:path";

import { root } from "../workerd/support/gateway.mjs";
import { verifies } from "./support.mjs";

verifies("axum", {
  command: "cargo",
  args: () => ["run", "--quiet", "--locked"],
  env: { CARGO_TARGET_DIR: process.env.CARGO_TARGET_DIR ?? path.join(root, "target/verify") },
  missing: "`cargo` is missing on this machine: install Rust from https://rustup.rs",
  seconds: 400,
});
