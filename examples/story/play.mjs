// The play: both sides at the same time, in the same rhythm, from the theft until nothing more
// can be taken on either. There is one, whoever watches: the accounts are the application's,
// and there is one alice.

import { AMOUNT, Side } from './side.mjs';

const INTERVAL_MS = 500;

export class Play {
  #began = 0;
  #timer = null;
  #tell;
  #phase = 'waiting'; // opening, running, over
  #number = 0;
  #reported = false;
  #sides;

  /** `tell` hears of whatever changes: the whole state, or what is new on one side. */
  constructor({ doors, accessSeconds, tell }) {
    this.#tell = tell;
    this.accessSeconds = accessSeconds;
    const clock = () => performance.now() - this.#began;
    this.#sides = Object.fromEntries(
      doors.map((door) => [door.name, new Side({ door, accessSeconds, clock, tell: (side, transfer) => this.#changed(door.name, side, transfer) })]),
    );
  }

  get #all() {
    return Object.values(this.#sides);
  }

  /** All that there is to know. */
  state() {
    return {
      play: this.#number,
      phase: this.#phase,
      elapsed: this.#phase === 'waiting' || this.#phase === 'opening' ? 0 : performance.now() - this.#began,
      reported: this.#reported,
      access_seconds: this.accessSeconds,
      interval_ms: INTERVAL_MS,
      amount: AMOUNT,
      sides: Object.fromEntries(Object.entries(this.#sides).map(([name, side]) => [name, side.state])),
    };
  }

  /** Begins, or begins again. False: one is on. */
  async begin() {
    if (this.#phase === 'opening' || this.#phase === 'running') return false;
    this.#phase = 'opening';
    this.#number += 1;
    this.#reported = false;
    this.#tellAll();
    await Promise.all(this.#all.map((side) => side.open()));
    this.#began = performance.now();
    for (const side of this.#all) side.begin();
    this.#phase = 'running';
    this.#tellAll();
    this.#timer = setInterval(() => this.#turn(), INTERVAL_MS);
    return true;
  }

  #turn() {
    if (this.#all.every((side) => side.isSpent)) {
      clearInterval(this.#timer);
      this.#phase = 'over';
      for (const side of this.#all) side.giveUp();
      this.#tellAll();
      return;
    }
    for (const side of this.#all) side.rob();
  }

  /** 'This wasn't me', on both sides at once. False: there is nothing to report, or it has been. */
  async report() {
    if (this.#phase !== 'running' || this.#reported) return false;
    this.#reported = true;
    await Promise.all(this.#all.filter((side) => side.state.opening !== null).map((side) => side.report()));
    return true;
  }

  /** What alice sees on a side; undefined: nothing is open there. */
  page(name) {
    return this.#phase === 'running' || this.#phase === 'over' ? this.#sides[name]?.page() : undefined;
  }

  async close() {
    clearInterval(this.#timer);
    await Promise.all(this.#all.map((side) => side.close()));
  }

  #tellAll() {
    this.#tell('state', this.state());
  }

  #changed(name, { state: { transfers, ...summary } }, transfer) {
    this.#tell('side', { play: this.#number, name, reported: this.#reported, summary, transfer });
  }
}
