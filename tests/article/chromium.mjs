// A real Chromium, with nothing in it of anybody's.
import { existsSync } from "node:fs";
import path from "node:path";

import { chromium } from "playwright-core";

// $WARIFU_CHROMIUM, or what is on the PATH under one of its names.
function executable() {
  const named = process.env.WARIFU_CHROMIUM;
  if (named) return named;
  const folders = process.env.PATH.split(path.delimiter);
  const candidates = ["chromium", "chromium-browser", "google-chrome"].flatMap((name) => folders.map((folder) => path.join(folder, name)));
  const found = candidates.find((candidate) => existsSync(candidate));
  if (!found) throw new Error("`chromium` is missing on this machine: install it, or say in WARIFU_CHROMIUM where it is");
  return found;
}

export const launch = () =>
  chromium.launch({
    executablePath: executable(),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
