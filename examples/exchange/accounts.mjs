// Who has an account, and whether a password is theirs.

import { readFileSync } from 'node:fs';

import { decoyHash, verifyPassword } from './passwords.mjs';

const ACCOUNTS_FILE = new URL('./accounts.json', import.meta.url);

export function loadAccounts(file = ACCOUNTS_FILE) {
  return new Accounts(JSON.parse(readFileSync(file, 'utf8')));
}

class Accounts {
  #byName;
  #decoy = decoyHash();

  constructor(records) {
    this.#byName = new Map(records.map((record) => [record.name, record]));
  }

  /**
   * Whether there is an account of this name with this password. An unknown name costs
   * the same work as a known one, so the time does not tell which names exist.
   */
  async checkPassword(name, password) {
    const record = this.#byName.get(name);
    const matches = await verifyPassword(password, record?.password ?? this.#decoy);
    return record !== undefined && matches;
  }

  /** What each account holds when the process starts: name → currency → minor units. */
  openingBalances() {
    const balances = new Map();
    for (const { name, opening } of this.#byName.values()) {
      const amounts = Object.entries(opening).map(([currency, minor]) => [currency, BigInt(minor)]);
      balances.set(name, new Map(amounts));
    }
    return balances;
  }
}
