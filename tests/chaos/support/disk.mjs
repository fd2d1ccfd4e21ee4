// A disk that can be full. As root on Linux it is a small file system of its own in memory;
// elsewhere the process may write no file beyond its first page (RLIMIT_FSIZE, by prlimit).
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const SIZE_MIB = 48;
const PAGE = 4_096;

export function newDisk() {
  const folder = mkdtempSync(path.join(tmpdir(), "warifu-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE_MIB}m`, "tmpfs", folder], { stdio: "ignore" });
    return new Mounted(folder);
  } catch {
    return new Limited(folder);
  }
}

class Mounted {
  how = "a file system that is full";

  constructor(folder) {
    this.folder = folder;
    this.ballast = path.join(folder, "ballast");
    // A mount outlives whoever forgets it.
    process.on("exit", () => this.close());
  }

  fill() {
    const file = openSync(this.ballast, "a");
    for (const size of [1 << 20, PAGE]) {
      const block = Buffer.alloc(size);
      try {
        for (;;) writeSync(file, block);
      } catch (error) {
        if (error.code !== "ENOSPC") throw error;
      }
    }
    closeSync(file);
  }

  free() {
    truncateSync(this.ballast);
  }

  close() {
    if (this.isClosed) return;
    this.isClosed = true;
    execFileSync("umount", ["--lazy", this.folder]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

class Limited {
  how = "a process that may write no more";

  constructor(folder) {
    this.folder = folder;
  }

  fill(pid) {
    execFileSync("prlimit", ["--pid", String(pid), `--fsize=${PAGE}:unlimited`]);
  }

  free(pid) {
    execFileSync("prlimit", ["--pid", String(pid), "--fsize=unlimited:unlimited"]);
  }

  close() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
