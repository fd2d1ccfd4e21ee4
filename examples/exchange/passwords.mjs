// Password hashes: scrypt, a salt for each, compared in constant time.

import { randomBytes, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const scrypt = promisify(scryptCallback);

// One of the settings that OWASP's Password Storage Cheat Sheet holds to be equally
// strong, and the second leanest in memory: 16 MiB for each log-in under way.
const PARAMETERS = { N: 2 ** 14, r: 8, p: 5 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const MEMORY_BYTES_MAX = 256 * 1024 * 1024;

/** A new hash, in the form in which `accounts.json` keeps it. */
export async function hashPassword(password) {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, PARAMETERS, HASH_BYTES);
  return {
    algorithm: 'scrypt',
    ...PARAMETERS,
    salt: salt.toString('base64'),
    hash: hash.toString('base64'),
  };
}

/** Whether `password` is the one that `stored` was made from. */
export async function verifyPassword(password, stored) {
  const expected = Buffer.from(stored.hash, 'base64');
  const actual = await derive(password, Buffer.from(stored.salt, 'base64'), stored, expected.length);
  return timingSafeEqual(actual, expected);
}

/** A hash that no known password fits: to be verified against where there is no account. */
export function decoyHash() {
  return {
    algorithm: 'scrypt',
    ...PARAMETERS,
    salt: randomBytes(SALT_BYTES).toString('base64'),
    hash: randomBytes(HASH_BYTES).toString('base64'),
  };
}

function derive(password, salt, { N, r, p }, length) {
  return scrypt(password, salt, length, { N, r, p, maxmem: MEMORY_BYTES_MAX });
}
