// The processes that `make dev` starts. They live and die together: when one ends, or
// when we are told to, all end, with whatever they have started themselves.

import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import { Failure } from './failure.mjs';
import { isFree } from './ports.mjs';

const LINES_KEPT = 20;
const GOODBYE_MS = 5_000;
/** For the last lines of a process to arrive after the news of its end. */
const LAST_WORDS_MS = 200;

export class Children {
  #running = new Map(); // name → process
  #ports = [];
  #step = null;
  #ending = false;
  #guard = null;
  #firstEnd = null;
  #reportEnd;

  constructor() {
    this.#firstEnd = new Promise((_, reject) => (this.#reportEnd = reject));
    this.#firstEnd.catch((error) => this.endAll(1, error.message));
  }

  /** Runs a command to its end, on our own terminal. */
  run(command, args) {
    return new Promise((resolve, reject) => {
      const step = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
      this.#step = step;
      step.on('error', (error) => reject(new Failure(`${command} cannot be started (${error.code})`)));
      step.on('exit', (code, signal) => {
        this.#step = null;
        if (code === 0) resolve();
        else reject(new Failure(`${command} failed (${signal ?? `status ${code}`}): see above`));
      });
    });
  }

  /**
   * Starts a process that is to stay, in a process group of its own. `readable` makes a
   * line of its output fit to be shown (null: it is not), `deadly` says of a line how
   * the process has come to its end with it though it is still there (null: it has not).
   */
  start(name, command, args, { port, env = {}, readable = (line) => line, deadly = () => null }) {
    this.#ports.push(port);
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const lines = [];
    const failure = (what) => {
      const last = lines.length === 0 ? 'It said nothing.' : ['Its last lines:', ...lines].join('\n  ');
      return new Failure(`the ${name} ${what}. ${last}`);
    };
    const take = (line) => {
      const shown = readable(line);
      if (shown === null) return;
      lines.push(shown);
      if (lines.length > LINES_KEPT) lines.shift();
      if (!this.#ending) console.log(`${name.padEnd(8)} | ${shown}`);
      const end = deadly(line);
      if (end !== null) this.#reportEnd(failure(end));
    };
    for (const stream of [child.stdout, child.stderr]) byLine(stream, take);
    child.on('error', (error) => this.#reportEnd(new Failure(`${name} cannot be started (${error.code})`)));
    if (child.pid === undefined) return;
    this.#running.set(name, child);
    child.on('exit', async (code, signal) => {
      this.#running.delete(name);
      killGroup(child.pid, 'SIGKILL'); // what it started and did not end itself
      if (this.#ending) return;
      await sleep(LAST_WORDS_MS);
      this.#reportEnd(failure(`ended (${signal ?? `exit code ${code}`})`));
    });
    this.#guardAnew();
  }

  /** The promise's outcome, or a failure as soon as a child ends. */
  whileAlive(promise) {
    return Promise.race([promise, this.#firstEnd]);
  }

  async endAll(status, why) {
    if (this.#ending) return;
    this.#ending = true;
    if (why) console.error(`\nwarifu: ${why}`);
    this.#step?.kill('SIGTERM');
    const pids = [...this.#running.values()].map((child) => child.pid);
    for (const pid of pids) killGroup(pid, 'SIGTERM');
    const deadline = Date.now() + GOODBYE_MS;
    while ((this.#running.size > 0 || this.#step) && Date.now() < deadline) await sleep(20);
    for (const pid of pids) killGroup(pid, 'SIGKILL');
    // Whoever starts us again at once finds the ports free.
    for (const port of this.#ports) {
      while (!(await isFree(port)) && Date.now() < deadline) await sleep(20);
    }
    this.#guard?.kill('SIGKILL');
    process.exit(status);
  }

  /** A shell that ends the groups if we are killed outright: then its input closes. */
  #guardAnew() {
    this.#guard?.kill('SIGKILL');
    const groups = [...this.#running.values()].map((child) => `-${child.pid}`);
    this.#guard = spawn('sh', ['-c', 'read -r _; kill -s KILL -- "$@"', 'guard', ...groups], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#guard.on('error', () => {});
  }
}

function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH' && error.code !== 'EPERM') throw error;
  }
}

function byLine(stream, take) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) take(line.trimEnd());
  });
  stream.on('end', () => rest && take(rest));
}
