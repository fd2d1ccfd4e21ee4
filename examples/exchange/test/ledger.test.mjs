import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Ledger, TransferRefused } from '../ledger.mjs';
import { formatAmount, parseAmount } from '../money.mjs';
import { submitTransfer } from '../transfer-form.mjs';

const AT = new Date('2026-01-02T03:04:05Z');
const CODES = ['JPY', 'USD'];

function openLedger() {
  return new Ledger(
    new Map([
      ['alice', new Map([['JPY', 1000n], ['USD', 5000n]])],
      ['bob', new Map([['JPY', 0n], ['USD', 250n]])],
    ]),
  );
}

test('a transfer takes from one and gives to the other', () => {
  const ledger = openLedger();
  ledger.transfer({ from: 'alice', to: 'bob', currency: 'USD', amount: 1n, at: AT });
  assert.equal(ledger.balances('alice').get('USD'), 4999n);
  assert.equal(ledger.balances('bob').get('USD'), 251n);
  assert.deepEqual(ledger.transfers('bob', 5), [{ from: 'alice', to: 'bob', currency: 'USD', amount: 1n, at: AT }]);
});

test('whatever is asked, no money is made or lost and nobody owes', () => {
  const random = seeded(20260102);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const below = (limit) => BigInt(Math.floor(random() * limit));
  const ledger = openLedger();
  const totals = CODES.map((code) => ledger.total(code));
  let done = 0;

  for (let i = 0; i < 5000; i += 1) {
    const amounts = [-1n, 0n, 1n, below(100), below(6000), 10n ** 30n, 5, '5', undefined];
    const order = {
      from: pick(['alice', 'bob', 'carol']),
      to: pick(['alice', 'bob', 'carol', '__proto__']),
      currency: pick(['JPY', 'USD', 'EUR']),
      amount: pick(amounts),
      at: AT,
    };
    const before = snapshot(ledger);
    try {
      ledger.transfer(order);
      done += 1;
    } catch (error) {
      assert.ok(error instanceof TransferRefused, error);
      assert.deepEqual(snapshot(ledger), before);
    }
    assert.deepEqual(CODES.map((code) => ledger.total(code)), totals);
    for (const name of ['alice', 'bob']) {
      for (const amount of ledger.balances(name).values()) assert.ok(amount >= 0n);
    }
  }
  assert.ok(done > 100, `only ${done} transfers went through`);
});

test('the balances that the ledger gives out are copies', () => {
  const ledger = openLedger();
  ledger.balances('alice').set('JPY', 10n ** 9n);
  assert.equal(ledger.balances('alice').get('JPY'), 1000n);
  assert.equal(ledger.balances('carol'), null);
});

test('amounts are read exactly or not at all', () => {
  assert.equal(parseAmount('1500', 'JPY'), 1500n);
  assert.equal(parseAmount(' 12.5 ', 'USD'), 1250n);
  assert.equal(parseAmount('0.07', 'USD'), 7n);
  assert.equal(parseAmount('999999999999.99', 'USD'), 99999999999999n);
  for (const text of ['', '-1', '+1', '1,000', '1e3', '.5', '5.', '1.234', '0x10', 'NaN', '١', '1 0', '9'.repeat(13)]) {
    assert.equal(parseAmount(text, 'USD'), null, JSON.stringify(text));
  }
  assert.equal(parseAmount('1.0', 'JPY'), null);
});

test('amounts are written with their currency', () => {
  assert.equal(formatAmount(1234567n, 'JPY'), '¥1,234,567');
  assert.equal(formatAmount(123456789n, 'USD'), '$1,234,567.89');
  assert.equal(formatAmount(5n, 'USD'), '$0.05');
  assert.equal(formatAmount(0n, 'JPY'), '¥0');
});

test('the form says which field is wrong', () => {
  const submit = (fields, from = 'alice') => {
    const written = { to: 'bob', currency: 'USD', amount: '1', ...fields };
    const problems = submitTransfer({ ledger: openLedger(), from, fields: written, at: AT });
    return problems && Object.keys(problems);
  };
  assert.equal(submit({}), null);
  assert.equal(submit({ to: ' bob ', amount: '50.00' }), null);
  assert.deepEqual(submit({ to: '' }), ['to']);
  assert.deepEqual(submit({ to: 'carol' }), ['to']);
  assert.deepEqual(submit({ to: 'alice' }), ['to']);
  assert.deepEqual(submit({ currency: 'EUR' }), ['currency']);
  assert.deepEqual(submit({ currency: '', to: '' }), ['to', 'currency']);
  assert.deepEqual(submit({ amount: '-1' }), ['amount']);
  assert.deepEqual(submit({ amount: '0.00' }), ['amount']);
  assert.deepEqual(submit({ amount: '50.01' }), ['amount']);
  assert.deepEqual(submit({}, 'carol'), ['form']);
});

function snapshot(ledger) {
  return [ledger.balances('alice'), ledger.balances('bob'), ledger.transfers('alice', 10_000)];
}

/** Mulberry32: the same sequence from the same seed. */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
