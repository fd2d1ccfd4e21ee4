// What the browser of whoever watches gets: the page, the events, and two buttons.

import { fileURLToPath } from 'node:url';

import express from 'express';

const folder = (path) => fileURLToPath(new URL(path, import.meta.url));

// Everything is here; nothing of it may be framed, and it frames the bank's page only.
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
// The bank's own HTML, as it is, but for looking at only: no script, no form, no link leads out of it.
const POLICY_OF_BANK = "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
const BEAT_MS = 15_000;

/** `listeners` are the open streams of events. */
export function createApp({ play, listeners, port }) {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);

  app.use((req, res, next) => {
    // Another name that leads to this machine is somebody else's page.
    const hosts = ['127.0.0.1', 'localhost', '[::1]'].flatMap((name) => [`${name}:${port}`, ...(port === 80 ? [name] : [])]);
    if (!hosts.includes(req.headers.host)) return res.status(421).json({ error: 'not served under this name' });
    res.set({
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    next();
  });

  app.get('/events', (req, res) => {
    res.set('content-type', 'text/event-stream').flushHeaders();
    const tell = (name, data) => res.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    tell('state', play.state());
    listeners.add(tell);
    const beat = setInterval(() => res.write(':\n\n'), BEAT_MS);
    res.on('close', () => {
      clearInterval(beat);
      listeners.delete(tell);
    });
  });

  // Only the page itself may press.
  const own = (req, res, next) => {
    if (req.headers['sec-fetch-site'] === 'same-origin') next();
    else res.status(403).json({ error: 'only the page itself may do that' });
  };
  app.post('/begin', own, async (req, res) => res.status((await play.begin()) ? 204 : 409).end());
  app.post('/not-me', own, async (req, res) => res.status((await play.report()) ? 204 : 409).end());

  app.get('/bank/:side', async (req, res) => {
    const page = await Promise.resolve(play.page(req.params.side)).catch(() => undefined);
    res.set('content-security-policy', POLICY_OF_BANK);
    if (page === undefined) return res.status(503).type('text').send('The bank does not answer.');
    res.status(page.status).type('html').send(page.text);
  });

  const files = { cacheControl: false, lastModified: false };
  app.use('/shared', express.static(folder('../../www/shared'), files));
  app.use('/', express.static(folder('public'), files));
  return app;
}
