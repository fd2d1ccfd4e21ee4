// The money, in memory: what everybody holds, and the transfers that moved it.
//
// Whatever it is asked, the sum in each currency stays what it was at the start, and
// nobody holds less than nothing. A refused transfer changes nothing.

const TRANSFERS_KEPT = 1000;

/** Why a transfer was refused; `reason` is one of the words that `transfer` uses below. */
export class TransferRefused extends Error {
  constructor(reason) {
    super(`transfer refused: ${reason}`);
    this.reason = reason;
  }
}

export class Ledger {
  #balances = new Map();
  #transfers = [];

  /** `opening`: name → currency → minor units, all maps. */
  constructor(opening) {
    for (const [name, amounts] of opening) this.#balances.set(name, new Map(amounts));
  }

  /** A copy of what `name` holds, currency → minor units; null if `name` has no account. */
  balances(name) {
    const amounts = this.#balances.get(name);
    return amounts ? new Map(amounts) : null;
  }

  /** The last `count` transfers that `name` sent or got, newest first. */
  transfers(name, count) {
    return this.#transfers
      .filter(({ from, to }) => from === name || to === name)
      .slice(-count)
      .reverse();
  }

  /** All there is of a currency. */
  total(currency) {
    let sum = 0n;
    for (const amounts of this.#balances.values()) sum += amounts.get(currency) ?? 0n;
    return sum;
  }

  /** Moves money, or throws `TransferRefused`. `amount` is a BigInt of minor units. */
  transfer({ from, to, currency, amount, at }) {
    const source = this.#balances.get(from);
    const target = this.#balances.get(to);
    if (source === undefined) throw new TransferRefused('no_account');
    if (target === undefined) throw new TransferRefused('unknown_recipient');
    if (from === to) throw new TransferRefused('same_account');
    if (!source.has(currency) || !target.has(currency)) throw new TransferRefused('unknown_currency');
    if (typeof amount !== 'bigint' || amount <= 0n) throw new TransferRefused('not_positive');
    if (source.get(currency) < amount) throw new TransferRefused('insufficient_funds');

    source.set(currency, source.get(currency) - amount);
    target.set(currency, target.get(currency) + amount);
    this.#transfers.push(Object.freeze({ from, to, currency, amount, at }));
    if (this.#transfers.length > TRANSFERS_KEPT) this.#transfers.shift();
  }
}
