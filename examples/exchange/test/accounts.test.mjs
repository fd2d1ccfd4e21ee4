import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { loadAccounts } from '../accounts.mjs';
import { decoyHash, hashPassword, verifyPassword } from '../passwords.mjs';

const PASSWORD = 'correct horse battery staple';
const file = readFileSync(new URL('../accounts.json', import.meta.url), 'utf8');

test('alice and bob have the password of the demonstration, nobody else does', async () => {
  const accounts = loadAccounts();
  const attempts = [
    ['alice', PASSWORD, true],
    ['bob', PASSWORD, true],
    ['alice', `${PASSWORD} `, false],
    ['alice', '', false],
    ['Alice', PASSWORD, false],
    ['__proto__', PASSWORD, false],
  ];
  await Promise.all(
    attempts.map(async ([name, password, expected]) => {
      assert.equal(await accounts.checkPassword(name, password), expected, `${name}, ${password}`);
    }),
  );
});

test('the file has hashes, each with its own salt, and not the password', () => {
  assert.ok(!file.includes('horse'));
  const salts = JSON.parse(file).map(({ password }) => password.salt);
  assert.equal(new Set(salts).size, salts.length);
});

test('an unknown name costs the same work as a known one', () => {
  const work = ({ algorithm, N, r, p, salt, hash }) => [algorithm, N, r, p, salt.length, hash.length];
  for (const { password } of JSON.parse(file)) assert.deepEqual(work(password), work(decoyHash()));
});

test('a new hash fits its own password only', async () => {
  const stored = JSON.parse(JSON.stringify(await hashPassword('pässword')));
  assert.equal(await verifyPassword('pässword', stored), true);
  assert.equal(await verifyPassword('password', stored), false);
});
