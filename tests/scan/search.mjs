// Finds thousands of patterns in hundreds of megabytes. Every pattern is at least PATTERN_BYTES_MIN
// long, so wherever it stands, eight bytes of it lie at a place that eight divides: only those
// places are looked at, and of each pattern the eight windows that can lie there are known. Of what
// is not there, a table of bits says so at once.

const WINDOW = 8;
export const PATTERN_BYTES_MIN = 2 * WINDOW - 1;
// So sparse that one window of other bytes in so many gets past it.
const BITS_PER_WINDOW = 32;

export class Search {
  #patterns;
  #bits;
  #keys;
  #table;

  // `patterns`: a list of bytes; what is found is told by its place in the list.
  constructor(patterns) {
    const short = patterns.find((pattern) => pattern.length < PATTERN_BYTES_MIN);
    if (short) throw new Error(`a pattern of ${short.length} bytes, and ${PATTERN_BYTES_MIN} are needed`);
    this.#patterns = patterns;
    const windows = Math.max(1, patterns.length * WINDOW);
    this.#bits = new Int32Array(powerOfTwo(windows * BITS_PER_WINDOW) / 32);
    // Open addressing; 0 is an empty place, and else one more than pattern × WINDOW + offset.
    this.#table = new Int32Array(powerOfTwo(windows * 2));
    this.#keys = new Int32Array(this.#table.length);
    for (const [index, pattern] of patterns.entries()) {
      for (let offset = 0; offset < WINDOW; offset += 1) {
        this.#insert(hash(pattern.readInt32LE(offset), pattern.readInt32LE(offset + 4)), index * WINDOW + offset + 1);
      }
    }
  }

  #insert(key, entry) {
    this.#bits[(key >>> 5) & (this.#bits.length - 1)] |= 1 << key;
    const mask = this.#table.length - 1;
    let at = key & mask;
    while (this.#table[at] !== 0) at = (at + 1) & mask;
    this.#table[at] = entry;
    this.#keys[at] = key;
  }

  // A list of { pattern, at }: which stands where, each once, in the order of the places.
  find(bytes) {
    const found = [];
    const words = wordsOf(bytes);
    const bits = this.#bits;
    const mask = bits.length - 1;
    for (let word = 0; word + 1 < words.length; word += 2) {
      const key = hash(words[word], words[word + 1]);
      if ((bits[(key >>> 5) & mask] & (1 << key)) !== 0) this.#look(bytes, word * 4, key, found);
    }
    return found.sort((a, b) => a.at - b.at);
  }

  #look(bytes, at, key, found) {
    const mask = this.#table.length - 1;
    for (let place = key & mask; this.#table[place] !== 0; place = (place + 1) & mask) {
      if (this.#keys[place] !== key) continue;
      const entry = this.#table[place] - 1;
      const pattern = this.#patterns[Math.floor(entry / WINDOW)];
      const begin = at - (entry % WINDOW);
      if (begin < 0 || begin + pattern.length > bytes.length) continue;
      if (pattern.compare(bytes, begin, begin + pattern.length) === 0) found.push({ pattern: Math.floor(entry / WINDOW), at: begin });
    }
  }
}

function hash(one, other) {
  const mixed = Math.imul(one, 0x9e3779b1) ^ Math.imul(other ^ (one >>> 15), 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

const powerOfTwo = (least) => 2 ** Math.max(5, Math.ceil(Math.log2(least)));

// The bytes, four by four, as the machine reads them: all that Node runs on are little-endian.
function wordsOf(bytes) {
  const isAligned = bytes.byteOffset % 4 === 0;
  const aligned = isAligned ? bytes : new Uint8Array(bytes);
  return new Int32Array(aligned.buffer, aligned.byteOffset, bytes.length >> 2);
}
