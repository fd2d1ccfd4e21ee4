// The process: listen on the loopback address, and end cleanly when told to.

import { createServer } from 'node:http';

import { loadAccounts } from './accounts.mjs';
import { createApp } from './app.mjs';
import { Ledger } from './ledger.mjs';

const HOST = '127.0.0.1';
const PORT_DEFAULT = '8790';
const HEADER_BYTES_MAX = 64 * 1024;
const KEEP_ALIVE_MS = 75_000;
const GOODBYE_MS = 500;

const port = process.env.ORIGIN_PORT || PORT_DEFAULT;
if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) {
  fail(`ORIGIN_PORT is "${port}", which is no port number`);
}

const accounts = loadAccounts();
const app = createApp({ accounts, ledger: new Ledger(accounts.openingBalances()) });

// The proxy in front limits headers; a lower limit here would hide what the proxy does.
const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, app);

// Longer than a proxy keeps an idle connection, so that it is never the one closed here
// on which the proxy is just sending the next request.
server.keepAliveTimeout = KEEP_ALIVE_MS;

server.on('error', (error) => {
  fail(
    error.code === 'EADDRINUSE'
      ? `port ${port} of ${HOST} is taken; choose another with ORIGIN_PORT`
      : `cannot listen on ${HOST}:${port} (${error.code})`,
  );
});

server.listen(Number(port), HOST, () => {
  console.log(`exchange: listening on http://${HOST}:${server.address().port}`);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    server.close();
    // Requests under way get a moment; a stream that would never end does not keep us.
    setTimeout(() => server.closeAllConnections(), GOODBYE_MS).unref();
  });
}

function fail(why) {
  console.error(`exchange: ${why}`);
  process.exit(1);
}
