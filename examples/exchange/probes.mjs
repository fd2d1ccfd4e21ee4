// Routes that have nothing to do with an exchange. They let one watch what a gateway in
// front does to requests and answers: what it adds, removes, changes, and whether it waits
// for the end of a body before it passes on the beginning.
//
//   any /echo, /echo/…   what arrived: method, path, query, headers, size of the body
//   GET /stream          a text/event-stream, one event at a time (?chunks=5&pause_ms=200)
//   GET /cookies         an answer with two Set-Cookie headers
//   any /status/:code    an answer with this status; with a Location from 300 to 399
//   GET /bytes/:n        n bytes, each its own position modulo 256, with Content-Length
//
// They change nothing, need nobody, and take no more than the limits below; but /echo shows
// a request to whoever sent it, so an application of your own had better leave them out.

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import express from 'express';

import { headersAsReceived } from './identity.mjs';

const STREAM_CHUNKS_MAX = 1000;
const STREAM_PAUSE_MS_MAX = 10_000;
const BYTES_MAX = 256 * 1024 * 1024;
const PATTERN = Buffer.from(Uint8Array.from({ length: 64 * 1024 }, (_, i) => i % 256));

export function probes() {
  const router = express.Router({ caseSensitive: true, strict: true });
  router.use('/echo', echo);
  router.get('/stream', stream);
  router.get('/cookies', cookies);
  router.all('/status/:code', status);
  router.get('/bytes/:n', bytes);
  return router;
}

async function echo(req, res) {
  let bodyBytes = 0;
  for await (const chunk of req) bodyBytes += chunk.length;

  // As on the wire: nothing decoded, nothing resolved.
  const [path, ...query] = req.originalUrl.split('?');
  res.json({
    method: req.method,
    path,
    query: query.join('?'),
    headers: headersAsReceived(req),
    body_bytes: bodyBytes,
  });
}

async function stream(req, res) {
  const chunks = bounded(req.query.chunks, 5, STREAM_CHUNKS_MAX);
  const pause = bounded(req.query.pause_ms, 200, STREAM_PAUSE_MS_MAX);
  if (chunks === null || pause === null) return refuse(res);

  res.set('Content-Type', 'text/event-stream');
  res.flushHeaders();
  async function* events() {
    for (let i = 1; i <= chunks; i += 1) {
      yield `id: ${i}\ndata: ${new Date().toISOString()}\n\n`;
      if (i < chunks) await sleep(pause);
    }
  }
  await send(req, res, events());
}

function cookies(req, res) {
  res.append('Set-Cookie', 'probe-one=1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax');
  res.append('Set-Cookie', 'probe-two=2; Path=/; Max-Age=60; HttpOnly; SameSite=Lax');
  res.json({ cookies: ['probe-one', 'probe-two'] });
}

function status(req, res) {
  const code = bounded(req.params.code, 0, 599);
  if (code === null || code < 200) return refuse(res);
  if (code >= 300 && code < 400) res.set('Location', '/echo/redirected');
  res.status(code).type('text/plain').send(`${code}\n`);
}

async function bytes(req, res) {
  const count = bounded(req.params.n, 0, BYTES_MAX);
  if (count === null) return refuse(res);

  res.set({ 'Content-Type': 'application/octet-stream', 'Content-Length': count });
  function* pieces() {
    for (let left = count; left > 0; left -= PATTERN.length) yield PATTERN.subarray(0, left);
  }
  await send(req, res, pieces());
}

/** Sends no faster than it is read. That the reader goes away is no failure of ours. */
async function send(req, res, pieces) {
  if (req.method === 'HEAD') return res.end();
  try {
    await pipeline(Readable.from(pieces, { objectMode: false }), res);
  } catch (error) {
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}

function refuse(res) {
  res.status(400).json({ error: 'a number is missing or out of range' });
}

/** A whole number from 0 to `max`; `fallback` where nothing is given, null for all else. */
function bounded(text, fallback, max) {
  if (text === undefined) return fallback;
  return /^\d{1,10}$/.test(text) && Number(text) <= max ? Number(text) : null;
}
