import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ALICE, startExchange } from './running.mjs';

const PASSWORD = 'correct horse battery staple';
const { ledger, send } = await startExchange();

test('the front page is the same for everybody', async () => {
  const page = await send('GET', '/', { headers: ALICE });
  assert.equal(page.status, 200);
  assert.ok(!page.text.includes('alice'));
});

test('the right password asks the gateway for a session', async () => {
  const answer = await send('POST', '/login', {
    form: { username: 'alice', password: PASSWORD, return_to: '/transfer?x=1' },
  });
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.location, '/transfer?x=1');
  assert.equal(answer.headers['warifu-command'], 'do=start, sub="alice", level=1');
});

test('nobody is sent to another site after the log-in', async () => {
  const form = { username: 'bob', password: PASSWORD, return_to: '//other.example/' };
  const answer = await send('POST', '/login', { form });
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.location, '/account');
});

test('a wrong password gives the form again, and no command', async () => {
  const attempts = [
    { username: 'alice', password: 'wrong', return_to: '/transfer' },
    { username: '"><script>', password: PASSWORD, return_to: '/transfer' },
    {},
  ];
  for (const form of attempts) {
    const answer = await send('POST', '/login', { form });
    assert.equal(answer.status, 401);
    assert.equal(answer.headers['warifu-command'], undefined);
    assert.match(answer.text, /role="alert"/);
    assert.match(answer.text, form.return_to ? /name="return_to" value="\/transfer"/ : /value="\/account"/);
    assert.ok(!answer.text.includes('<script'));
  }
});

test('a body that is no form is a failed log-in; one that is too large is refused', async () => {
  const json = await send('POST', '/login', { headers: { 'Content-Type': 'application/json' }, body: '{}' });
  assert.equal(json.status, 401);
  const large = await send('POST', '/login', { form: { username: 'a'.repeat(10_000) } });
  assert.equal(large.status, 413);
});

test('the log-in page carries return_to on, and explains a step-up', async () => {
  const plain = await send('GET', '/login?return_to=%2Ftransfer');
  assert.match(plain.text, /name="return_to" value="\/transfer"/);
  assert.doesNotMatch(plain.text, /once more/);
  const stepUp = await send('GET', '/login?step_up=2&return_to=/transfer', { headers: ALICE });
  assert.match(stepUp.text, /once more/);
  assert.match(stepUp.text, /<form class="card" method="post" action="\/login">/);
});

test('whoever is logged in is told so, and can go on', async () => {
  const page = await send('GET', '/login?return_to=/transfer', { headers: ALICE });
  assert.match(page.text, /logged in as <strong>alice/);
  assert.match(page.text, /href="\/transfer">Go on/);
});

test('signing out asks the gateway to end the session', async () => {
  const answer = await send('POST', '/signout', { headers: ALICE });
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.location, '/');
  assert.equal(answer.headers['warifu-command'], 'do=end');
});

test('without a subject the pages of a customer are refused', async () => {
  const nobodies = [{}, { 'Warifu-Subject': '' }, { 'Warifu-Subject': '%zz' }, { 'Warifu-Subject': ['alice', 'bob'] }];
  const pages = [['GET', '/account'], ['GET', '/api/me'], ['GET', '/transfer'], ['POST', '/transfer'], ['POST', '/signout']];
  for (const headers of nobodies) {
    for (const [method, path] of pages) {
      const answer = await send(method, path, { headers: { 'Remote-User': 'alice', ...headers } });
      assert.equal(answer.status, 401, `${method} ${path} ${JSON.stringify(headers)}`);
      assert.equal(answer.headers['warifu-command'], undefined);
    }
  }
});

test('other spellings of a path are other pages', async () => {
  for (const path of ['/ACCOUNT', '/account/', '/Transfer', '/%61ccount']) {
    assert.equal((await send('GET', path, { headers: ALICE })).status, 404, path);
  }
});

test('the account page shows who, which session, and the money', async () => {
  const page = await send('GET', '/account', { headers: ALICE });
  assert.equal(page.status, 200);
  for (const text of ['alice', ALICE['Warifu-Session'], '¥1,000,000', '$5,000.00', 'action="/signout"', 'href="/transfer"']) {
    assert.ok(page.text.includes(text), text);
  }
});

test('a subject without an account is welcome, and escaped', async () => {
  const headers = { 'Warifu-Subject': '%3Cb%3E%20%E5%89%B2%E7%AC%A6' };
  const page = await send('GET', '/account', { headers });
  assert.equal(page.status, 200);
  assert.ok(page.text.includes('&lt;b&gt; 割符'));
  assert.equal((await send('GET', '/transfer', { headers })).status, 200);
  const refused = await send('POST', '/transfer', { headers, form: { to: 'bob', currency: 'JPY', amount: '1' } });
  assert.equal(refused.status, 422);
});

test('/api/me tells what arrived', async () => {
  const headers = { 'Warifu-Subject': 'caf%C3%A9%25', 'Warifu-Session': 's', 'Warifu-Level': '2', 'X-Thing': ['1', '2'] };
  const me = (await send('GET', '/api/me', { headers })).json();
  assert.equal(me.subject, 'café%');
  assert.equal(me.session, 's');
  assert.equal(me.level, 2);
  assert.equal(me.headers['warifu-subject'], 'caf%C3%A9%25');
  assert.equal(me.headers['x-thing'], '1, 2');
});

test('a transfer moves money once; a refused one moves none', async () => {
  const before = ledger.balances('alice').get('USD');
  const form = { to: 'bob', currency: 'USD', amount: '12.50' };
  const done = await send('POST', '/transfer', { headers: ALICE, form });
  assert.equal(done.status, 303);
  assert.equal(done.headers.location, '/account');
  assert.equal(ledger.balances('alice').get('USD'), before - 1250n);

  const refused = await send('POST', '/transfer', { headers: ALICE, form: { ...form, amount: '99999999' } });
  assert.equal(refused.status, 422);
  assert.match(refused.text, /aria-invalid="true"/);
  assert.match(refused.text, /value="99999999"/);
  assert.equal(ledger.balances('alice').get('USD'), before - 1250n);
});

test('pages have a strict policy and leave caching to others; assets may be kept', async () => {
  const page = await send('GET', '/account', { headers: ALICE });
  assert.match(page.headers['content-security-policy'], /^default-src 'none'; style-src 'self';/);
  assert.equal(page.headers['cache-control'], undefined);
  assert.equal(page.headers.etag, undefined);
  const style = await send('GET', '/assets/style.css');
  assert.equal(style.status, 200);
  assert.equal(style.headers['cache-control'], 'public, max-age=3600');
  assert.equal((await send('GET', '/assets/../accounts.json')).status, 404);
  assert.equal((await send('GET', '/assets/%2e%2e/accounts.json')).status, 404);
});
