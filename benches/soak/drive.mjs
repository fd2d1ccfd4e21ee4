// The load: workers that each do one deed after the other, without a pause, so that the
// site is as busy as so many clients can make it; and looks that are due later.
import * as hdr from "hdr-histogram-js";

import { check, firstCheck, flood, gone, guess, logsIn, neighbour, publicPage, raise, read, rotate, strictCheck, update, withoutCookie } from "./deeds.mjs";
import { ENDS, end } from "./ends.mjs";

// How often each is done, of a thousand deeds. Deeds that change something make several
// requests, so these are not the shares of requests; those are in the report.
const MIX = [
  [510, check],
  [110, firstCheck],
  [40, strictCheck],
  [40, publicPage],
  [20, withoutCookie],
  [120, flood],
  [20, neighbour],
  [50, gone],
  [30, read],
  [3, guess],
  [14, logsIn],
  [10, rotate],
  [2, raise],
  [10, update],
];
// Ends, each of them in its turn.
const ENDING = 21;

export class Drive {
  #due = new Set();

  constructor(client, people) {
    const delays = hdr.build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000, numberOfSignificantValueDigits: 3 });
    this.world = { client, people, delays, ends: 0, served: 0, flooded: { refused: 0, limited: 0 }, later: this.#later.bind(this) };
  }

  // Ends when `seconds` are over and everything that was begun has been looked at.
  async run({ seconds, clients }) {
    const until = performance.now() + seconds * 1_000;
    await Promise.all(Array.from({ length: clients }, () => this.#work(until)));
    while (this.#due.size > 0) await Promise.all(this.#due);
  }

  async #work(until) {
    const kinds = Object.keys(ENDS);
    const all = MIX.reduce((sum, [share]) => sum + share, ENDING);
    while (performance.now() < until) {
      let at = Math.random() * all;
      const found = MIX.find(([share]) => (at -= share) < 0);
      await this.#guard(() => (found ? found[1](this.world) : end(this.world, kinds[Math.floor(Math.random() * kinds.length)])));
      this.#refill();
    }
  }

  // Who has ended makes room for somebody of the stock.
  #refill() {
    const { people } = this.world;
    while (people.size < people.wanted) people.add(people.fromStock());
  }

  #later(ms, look) {
    const done = new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
      .then(() => this.#guard(look))
      .finally(() => this.#due.delete(done));
    this.#due.add(done);
  }

  // A deed that throws has found an answer that nobody thought of.
  async #guard(deed) {
    try {
      await deed();
    } catch (error) {
      this.world.client.wrong("threw", error.stack);
    }
  }
}
