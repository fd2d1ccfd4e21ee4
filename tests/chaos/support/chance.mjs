// Chance that repeats: what is drawn depends on the seed and on what it is drawn for, and on
// nothing that happens meanwhile.
import { createHash } from "node:crypto";

export class Chance {
  #path;
  #drawn = 0;

  constructor(...path) {
    this.#path = path.join("/");
  }

  // Another one, for a purpose of its own.
  of(...path) {
    return new Chance(this.#path, ...path);
  }

  // From 0 to below 1.
  next() {
    const digest = createHash("sha256").update(`${this.#path}#${(this.#drawn += 1)}`).digest();
    return digest.readUIntBE(0, 6) / 2 ** 48;
  }

  between(least, most) {
    return least + this.next() * (most - least);
  }

  whole(least, most) {
    return Math.floor(this.between(least, most + 1));
  }

  one(list) {
    return list[Math.floor(this.next() * list.length)];
  }

  // One of { name: weight }.
  weighed(weights) {
    let left = this.next() * Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    for (const [name, weight] of Object.entries(weights)) if ((left -= weight) < 0) return name;
  }
}
