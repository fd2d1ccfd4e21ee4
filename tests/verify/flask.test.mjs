// Only in CI, since it needs Python; scripts/setup ci installs what it imports.
import path from "node:path";

import { verifies } from "./support.mjs";

const venv = process.env.WARIFU_FLASK ?? "";

verifies("flask", {
  command: path.join(venv, "bin/python"),
  args: (port) => ["-m", "flask", "--app", "app", "run", "--port", String(port)],
  env: { PYTHONDONTWRITEBYTECODE: "1" },
  missing: `there is no Python environment at "${venv}": run scripts/setup ci, and scripts/test verify-flask`,
});
