// For the tests: an exchange on a port of its own, and a client that sends what it is told
// to send, byte for byte. (`fetch` would tidy up paths and headers.)

import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { after } from 'node:test';

import { loadAccounts } from '../accounts.mjs';
import { createApp } from '../app.mjs';
import { Ledger } from '../ledger.mjs';

export const ALICE = { 'Warifu-Subject': 'alice', 'Warifu-Session': 'AQEAAy2kPp8hVq0dWm5Xng', 'Warifu-Level': '1' };

/** Starts an exchange that ends with the test file; gives its ledger and a `send`. */
export async function startExchange() {
  const accounts = loadAccounts();
  const ledger = new Ledger(accounts.openingBalances());
  const server = createServer(createApp({ accounts, ledger }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address();
  return { ledger, send: (method, path, options) => send(port, method, path, options) };
}

async function send(port, method, path, { headers = {}, form, body } = {}) {
  const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
  if (form) {
    outgoing.setHeader('Content-Type', 'application/x-www-form-urlencoded');
    body = new URLSearchParams(form).toString();
  }
  outgoing.end(body);
  const [incoming] = await once(outgoing, 'response');
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  return {
    status: incoming.statusCode,
    headers: incoming.headers,
    bytes,
    chunks: chunks.length,
    text: bytes.toString(),
    json: () => JSON.parse(bytes.toString()),
  };
}
