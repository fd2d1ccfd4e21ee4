// The process. PORT; JWT_KEY, with which tokens are signed, without which they are worth
// nothing after a restart; ACCESS_SECONDS, for which an access token is good; PASSWORD.

import { randomBytes } from 'node:crypto';

import { createApp } from './app.mjs';
import { openBank } from './bank.mjs';

const key = process.env.JWT_KEY || randomBytes(32).toString('base64url');
const accessSeconds = Number(process.env.ACCESS_SECONDS || 10 * 60);
const bank = await openBank({ password: process.env.PASSWORD || 'correct horse battery staple' });

const server = createApp({ bank, key, accessSeconds }).listen(Number(process.env.PORT || 8791), '127.0.0.1', (error) => {
  if (error) throw error;
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
// Longer than whoever keeps connections to us open, so that none is closed under a request.
server.keepAliveTimeout = 75_000;

process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
