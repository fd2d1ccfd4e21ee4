// The process of examples/jwt-express. Each play begins with new ones: what was in the
// accounts, which passwords there were and which key signed is gone with the old.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('../jwt-express/server.mjs', import.meta.url));

export class Bank {
  #child = null;

  constructor({ port, password, accessSeconds }) {
    this.#env = { PORT: String(port), PASSWORD: password, ACCESS_SECONDS: String(accessSeconds) };
  }

  #env;

  /** Resolves when it listens. */
  async start() {
    const child = spawn(process.execPath, [SERVER], {
      env: { ...process.env, ...this.#env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    const ended = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`it ended (${signal ?? `exit code ${code}`})`);
    });
    ended.catch(() => {}); // once it listens, an end of it shows in what is asked of it
    await Promise.race([once(child.stdout, 'data'), ended]); // its one line: it listens
  }

  async stop() {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  }
}
