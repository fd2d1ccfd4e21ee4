import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('../server.mjs', import.meta.url));

test('says where it listens, and ends cleanly on either signal', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const server = start('0');
    await once(server.child.stdout, 'data');
    assert.match(server.output(), /^exchange: listening on http:\/\/127\.0\.0\.1:\d+\n$/);
    server.child.kill(signal);
    assert.deepEqual(await server.ended, [0, null]);
  }
});

test('a stream under way does not keep it', async () => {
  const server = start('0');
  await once(server.child.stdout, 'data');
  const [url] = /http:\S+/.exec(server.output());
  const [stream] = await once(get(`${url}/stream?chunks=1000`), 'response');
  stream.on('error', () => {}).resume();
  server.child.kill('SIGTERM');
  assert.deepEqual(await server.ended, [0, null]);
});

test('says in one line why it cannot listen', async () => {
  const first = start('0');
  await once(first.child.stdout, 'data');
  const port = /:(\d+)\n/.exec(first.output())[1];
  for (const [value, reason] of [[port, /is taken; choose another with ORIGIN_PORT\n$/], ['http', /no port number\n$/]]) {
    const second = start(value);
    assert.deepEqual(await second.ended, [1, null]);
    assert.match(second.output(), reason);
    assert.equal(second.output().split('\n').length, 2);
  }
  first.child.kill('SIGTERM');
  await first.ended;
});

function start(port) {
  const child = spawn(process.execPath, [SERVER], {
    env: { ...process.env, ORIGIN_PORT: port },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const pipe of [child.stdout, child.stderr]) pipe.setEncoding('utf8').on('data', (data) => (text += data));
  return { child, output: () => text, ended: once(child, 'close') };
}
