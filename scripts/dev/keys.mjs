// Keys for development, made once: secrets in .dev.vars, which wrangler gives to the
// Worker, and the plain admin key in .warifu/. What is there already stays.

import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ADMIN_ID = 'dev';
const SCOPES = ['sessions:read', 'sessions:write', 'mint', 'revoke', 'verify', 'metrics'];

export function ensureKeys(root) {
  const directory = join(root, '.warifu');
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o700);
  const adminKeyFile = join(directory, 'dev-admin-key');
  if (!existsSync(adminKeyFile)) writeSecret(adminKeyFile, randomKey());
  const sha256 = createHash('sha256').update(readFileSync(adminKeyFile, 'utf8').trim()).digest('hex');

  const file = join(root, '.dev.vars');
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  let after = before;
  if (valueOf(before, 'WARIFU_KEYS') === null) {
    after = withValue(after, 'WARIFU_KEYS', [{ kid: 1, key: randomKey() }]);
  }
  const admins = adminsOf(before);
  if (admins === null) {
    console.log('setup: WARIFU_ADMIN_KEYS in .dev.vars is no JSON list in single quotes; it stays as it is');
  } else if (!admins.some((admin) => admin.id === ADMIN_ID && admin.sha256 === sha256)) {
    const others = admins.filter((admin) => admin.id !== ADMIN_ID);
    after = withValue(after, 'WARIFU_ADMIN_KEYS', [...others, { id: ADMIN_ID, sha256, scopes: SCOPES }]);
  }
  if (after !== before) {
    writeSecret(file, after);
    console.log('setup: development keys in .dev.vars and .warifu/dev-admin-key');
  }
}

/** The admin keys that the file has; null if they cannot be read. */
function adminsOf(text) {
  try {
    const admins = JSON.parse(valueOf(text, 'WARIFU_ADMIN_KEYS') ?? '[]');
    return Array.isArray(admins) ? admins : null;
  } catch {
    return null;
  }
}

function valueOf(text, name) {
  const line = text.match(new RegExp(`^${name}=(.*)$`, 'm'));
  return line && line[1].trim().replace(/^'(.*)'$/, '$1');
}

function withValue(text, name, value) {
  const line = `${name}='${JSON.stringify(value)}'`;
  const others = text.split('\n').filter((other) => other !== '' && !other.startsWith(`${name}=`));
  return [...others, line, ''].join('\n');
}

function randomKey() {
  return randomBytes(32).toString('base64url');
}

function writeSecret(file, text) {
  writeFileSync(file, text, { mode: 0o600 });
  chmodSync(file, 0o600); // it may have been there, with another mode
}
