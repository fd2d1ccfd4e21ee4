// One side of the story: alice, the thief, and what is known of both. Whatever is told of it
// is what an answer said.

import { Bank } from './bank.mjs';
import { Browser } from './browser.mjs';

/** Little enough that a token's minute does not empty the account, which holds ¥10,000. */
export const AMOUNT = 80;
/** After so many refusals in a row the thief has understood. */
const REFUSALS_ENOUGH = 4;
const SILENCES_ENOUGH = 10;

/** What a transfer came to, by its status. 303 leads back to the account: it is done. */
function outcomeOf(status) {
  if (status === 303) return 'taken';
  if (status === 422) return 'empty'; // the bank: that is not an amount you can send
  if (status === 401 || status === 403) return 'refused';
  return 'no_answer'; // none, or one that says nothing of the transfer
}

export class Side {
  #door;
  #bank;
  #clock;
  #tell;
  #alice = null;
  #thief = null;
  #inRow;
  #isBusy = false;
  #expiresAt = null; // of the copied token, in Unix seconds

  /** `clock` gives the milliseconds of the play; `tell` hears of each change, and of each transfer. */
  constructor({ door, accessSeconds, clock, tell }) {
    this.#door = door;
    this.#bank = new Bank({ port: door.bankPort, password: door.password, accessSeconds });
    this.#clock = clock;
    this.#tell = tell;
    this.#forget();
  }

  #forget() {
    this.#inRow = { outcome: null, count: 0 };
    this.state = {
      url: this.#door.url,
      opening: null, // what alice had
      balance: null, // what she has, as the application said last
      expires: null, // when the copied token is over, in milliseconds of the play; null: it does not say
      steps: [], // what alice has done about it
      reported: null, // when she began with it
      refused_at: null, // when the first refusal came
      thief: 'waiting', // busy, refused, gone
      problem: null, // why nothing comes from this side
      transfers: [],
    };
  }

  /** A new bank, alice logged in, and the thief with a copy of her cookie. */
  async open() {
    const { leave } = this.#door;
    if (this.#alice !== null && leave) await this.#alice.send(leave.method, leave.path).catch(() => {});
    await this.close();
    this.#forget();
    this.#alice = new Browser(this.#door);
    this.#thief = new Browser(this.#door);
    try {
      await this.#bank.start();
      const { status } = await this.#logIn(this.#door.password);
      const stolen = this.#door.stolen(await this.#alice.cookies());
      if (stolen.length === 0) throw new Error(`the log-in was answered with ${status}, and set no cookie`);
      await this.#thief.take(stolen);
      this.#expiresAt = this.#door.expiresAt(stolen);
      await this.#look();
      if (this.state.balance === null) throw new Error('the account could not be read');
      this.state.opening = this.state.balance;
      this.state.thief = 'busy';
    } catch (error) {
      this.state.problem = error.code ?? error.message;
      this.state.thief = 'gone';
    }
  }

  /** The play's clock runs from now on. */
  begin() {
    if (this.#expiresAt !== null) this.state.expires = this.#clock() + this.#expiresAt * 1_000 - Date.now();
  }

  #logIn(password) {
    return this.#alice.send('POST', '/login', { form: { username: 'alice', password } });
  }

  /** Alice looks at her account. Between her log-out and her next log-in she sees nothing. */
  async #look() {
    try {
      const { status, text } = await this.#alice.call('GET', '/api/me');
      if (status === 200) this.state.balance = JSON.parse(text).balance;
    } catch {
      // That nothing answers is seen in the transfers.
    }
  }

  /** The page that alice sees. */
  async page() {
    const { status, text } = await this.#alice.send('GET', '/account');
    return { status, text };
  }

  /** The thief's next transfer, if the last has been answered. */
  async rob() {
    if (this.#isBusy || this.state.thief === 'gone') return;
    this.#isBusy = true;
    const at = this.#clock();
    let [status, why] = [null, null];
    try {
      ({ status } = await this.#thief.call('POST', '/transfer', { to: 'mallory', amount: String(AMOUNT) }));
    } catch (error) {
      why = error.code ?? error.message;
    }
    const ms = this.#clock() - at;
    const outcome = outcomeOf(status);
    const { state } = this;
    this.#inRow = { outcome, count: outcome === this.#inRow.outcome ? this.#inRow.count + 1 : 1 };
    state.problem = outcome === 'no_answer' ? (why ?? `status ${status}`) : null;
    if (outcome === 'refused') state.refused_at ??= at + ms;
    state.thief = outcome === 'taken' ? 'busy' : 'refused';
    await this.#look();
    const transfer = { at, ms, status, outcome, why, balance: state.balance };
    state.transfers.push(transfer);
    this.#isBusy = false;
    this.#tell(this, transfer);
  }

  /** Whether the thief has seen that there is nothing more to be had. */
  get isSpent() {
    const { outcome, count } = this.#inRow;
    if (this.state.thief === 'gone' || outcome === 'empty') return true;
    return (outcome === 'refused' && count >= REFUSALS_ENOUGH) || (outcome === 'no_answer' && count >= SILENCES_ENOUGH);
  }

  giveUp() {
    this.state.thief = 'gone';
    this.#tell(this, null);
  }

  /** 'This wasn't me': whatever there is at this door, and then alice logs in again. */
  async report() {
    this.state.reported = this.#clock();
    this.#tell(this, null);
    for (const { what, method, path, form, good } of this.#door.notMe) {
      if (!(await this.#step({ what, method, path, good }, () => this.#alice.send(method, path, { form })))) return;
    }
    const again = { what: 'login', method: 'POST', path: '/login', good: 303 };
    await this.#step(again, () => this.#logIn(this.#door.passwordAfter));
  }

  async #step(step, send) {
    const at = this.#clock();
    let [status, why] = [null, null];
    try {
      ({ status } = await send());
    } catch (error) {
      why = error.code ?? error.message;
    }
    this.state.steps.push({ ...step, at, ms: this.#clock() - at, status, why });
    this.#tell(this, null);
    return status === step.good;
  }

  close() {
    return this.#bank.stop();
  }
}
