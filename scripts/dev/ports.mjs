// Ports of the loopback address: which ones, whether they are free, who answers there.

import { randomInt } from 'node:crypto';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { Failure } from './failure.mjs';

const POLL_MS = 100;
const ANSWER_MS_MAX = 5_000;

export function portFrom(variable, fallback) {
  const given = process.env[variable] || String(fallback);
  const port = Number(given);
  if (!/^\d+$/.test(given) || port < 1 || port > 65535) {
    throw new Failure(`${variable} is "${given}", which is no port: a number from 1 to 65535 is`);
  }
  return port;
}

export async function assertFree(variable, port) {
  const code = await listenError(port);
  if (code === null) return;
  const why = code === 'EADDRINUSE' ? 'is taken by another process' : `cannot be used (${code})`;
  throw new Failure(`port ${port} ${why}: choose another with ${variable}=, for example make dev ${variable}=${port < 65000 ? port + 100 : port - 100}`);
}

export async function isFree(port) {
  return (await listenError(port)) === null;
}

/** One that nobody uses at the moment, of those that no system gives to connections by itself. */
export async function freePort() {
  for (;;) {
    const port = randomInt(10_240, 32_768);
    if (await isFree(port)) return port;
  }
}

function listenError(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error.code));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(null)));
  });
}

/** Asks until `good` likes the answer. */
export async function answers(who, url, msMax, good) {
  const deadline = Date.now() + msMax;
  let last = 'no answer';
  while (Date.now() < deadline) {
    try {
      const answer = await ask(url);
      if (good(answer)) return;
      last = `status ${answer.status}: ${answer.body.slice(0, 200)}`;
    } catch (error) {
      last = error.code ?? error.message;
    }
    await sleep(POLL_MS);
  }
  throw new Failure(`${who} did not answer at ${url} within ${msMax / 1000} s (${last})`);
}

function ask(url) {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: ANSWER_MS_MAX }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode, body }));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`silent for ${ANSWER_MS_MAX / 1000} s`)));
    request.on('error', reject);
  });
}
