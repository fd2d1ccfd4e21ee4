// Where this project is, and what its wrangler.toml says.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { parse } from "smol-toml";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const project = parse(readFileSync(path.join(root, "wrangler.toml"), "utf8"));
