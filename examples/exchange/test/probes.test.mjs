import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startExchange } from './running.mjs';

const { send } = await startExchange();

test('/echo tells method, path and query as they came', async () => {
  const cases = [
    ['GET', '/echo', '/echo', ''],
    ['GET', '/echo/', '/echo/', ''],
    ['DELETE', '/echo/a/../%2e%2e//b;p=1?', '/echo/a/../%2e%2e//b;p=1', ''],
    ['PATCH', '/echo/%E5%89%B2?a=1&a=%zz?b', '/echo/%E5%89%B2', 'a=1&a=%zz?b'],
    ['OPTIONS', '/echo/x', '/echo/x', ''],
  ];
  for (const [method, target, path, query] of cases) {
    const answer = await send(method, target);
    assert.equal(answer.status, 200);
    const seen = answer.json();
    assert.deepEqual([seen.method, seen.path, seen.query, seen.body_bytes], [method, path, query, 0]);
  }
});

test('/echo leaves no header out', async () => {
  const headers = { 'X-A': ['1', '2'], Authorization: ['one', 'two'], Cookie: ['a=1', 'b=2'], Warifu_Subject: 'x' };
  const seen = (await send('GET', '/echo', { headers: { ...headers, ['__proto__']: 'p' } })).json();
  assert.equal(seen.headers['x-a'], '1, 2');
  assert.equal(seen.headers.authorization, 'one, two');
  assert.equal(seen.headers.cookie, 'a=1; b=2');
  assert.equal(seen.headers.warifu_subject, 'x');
  assert.equal(Object.getOwnPropertyDescriptor(seen.headers, '__proto__')?.value, 'p');
});

test('/echo counts a body of any kind', async () => {
  for (const type of ['application/json', 'application/x-www-form-urlencoded', 'application/octet-stream']) {
    const answer = await send('POST', '/echo/x', { headers: { 'Content-Type': type }, body: Buffer.alloc(300_001) });
    assert.equal(answer.json().body_bytes, 300_001);
  }
});

test('/stream sends its events one at a time', async () => {
  const answer = await send('GET', '/stream?chunks=4&pause_ms=30');
  assert.match(answer.headers['content-type'], /^text\/event-stream/);
  assert.equal(answer.chunks, 4);
  assert.deepEqual(answer.text.match(/^id: \d+$/gm), ['id: 1', 'id: 2', 'id: 3', 'id: 4']);
  assert.equal((await send('GET', '/stream?chunks=99999')).status, 400);
});

test('/cookies sets two cookies, in two headers', async () => {
  const answer = await send('GET', '/cookies');
  assert.deepEqual(answer.headers['set-cookie'].map((line) => line.split(';')[0]), ['probe-one=1', 'probe-two=2']);
});

test('/status answers with the status it is asked for', async () => {
  for (const code of [200, 204, 301, 304, 307, 404, 418, 500, 599]) {
    const answer = await send('POST', `/status/${code}`);
    assert.equal(answer.status, code);
    assert.equal(answer.headers.location !== undefined, code >= 300 && code < 400);
  }
  for (const code of ['101', '600', 'x', '-1']) assert.equal((await send('GET', `/status/${code}`)).status, 400);
});

test('/bytes sends so many bytes', async () => {
  for (const n of [0, 1, 65_536, 200_003]) {
    const answer = await send('GET', `/bytes/${n}`);
    assert.equal(answer.headers['content-length'], String(n));
    assert.equal(answer.bytes.length, n);
    assert.ok(answer.bytes.every((byte, i) => byte === i % 256));
  }
  const head = await send('HEAD', '/bytes/200003');
  assert.deepEqual([head.status, head.headers['content-length'], head.bytes.length], [200, '200003', 0]);
  assert.equal((await send('GET', '/bytes/99999999999')).status, 400);
});
