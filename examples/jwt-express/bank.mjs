// The accounts, in memory: passwords as scrypt hashes, whole yen.

import { randomBytes, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const scrypt = promisify(scryptCallback);
const PASSWORD_CHARS_MIN = 12;

export async function openBank({ people = ['alice', 'bob', 'mallory'], password }) {
  const accounts = new Map();
  for (const name of people) {
    accounts.set(name, { id: name, name, balance: 10_000, password: await hash(password) });
  }

  return {
    account: (id) => accounts.get(id),

    async withPassword(name, password) {
      const account = accounts.get(name);
      const fits = await verify(String(password), account?.password ?? (await hash('')));
      return account && fits ? account : undefined;
    },

    /** What is wrong with it; undefined: it is done. */
    transfer(from, to, amount) {
      const yen = /^\d{1,9}$/.test(amount) ? Number(amount) : 0;
      const receiver = accounts.get(to);
      if (!receiver || receiver === from) return 'There is no such account.';
      if (yen < 1 || yen > from.balance) return 'That is not an amount you can send.';
      from.balance -= yen;
      receiver.balance += yen;
      return undefined;
    },

    async changePassword(account, current, next) {
      if (!(await verify(String(current), account.password))) return 'The present password is wrong.';
      if (typeof next !== 'string' || next.length < PASSWORD_CHARS_MIN) return 'The new password is too short.';
      account.password = await hash(next);
      return undefined;
    },
  };
}

async function hash(password) {
  const salt = randomBytes(16);
  return { salt, key: await scrypt(password, salt, 32) };
}

async function verify(password, { salt, key }) {
  return timingSafeEqual(await scrypt(password, salt, 32), key);
}
