// Who is there: the sessions that the load asks for, those that have ended, and what became
// of the stock. A session is either asked for, by any number of readers, or held by one
// deed that changes it; so it is known at any time what each answer has to be.
export class People {
  // Asked for all the time.
  #busy = [];
  // Cookies of sessions that have ended, the newest in the place of the oldest.
  #gone = [];
  #buried = 0;
  ended = new Set(); // ids
  begun = new Set(); // ids of log-ins
  // Those of whom an answer that failed has left unknown what they are: ids.
  unknown = new Set();
  // Log-ins without an answer: how many sessions there may be more.
  perhaps = 0;
  #serial = 0;
  #taken = 0;

  constructor(stock, { busy, gone = 20_000 }) {
    this.stock = stock;
    this.wanted = busy;
    this.mostGone = gone;
    for (let count = 0; count < busy; count += 1) this.add(this.fromStock());
  }

  get size() {
    return this.#busy.length;
  }

  newSubject() {
    return `soak-${(this.#serial += 1)}`;
  }

  // One of the first half of the stock; from then on it is the caller's.
  fromStock() {
    if (this.#taken >= this.stock.size / 2) throw new Error(`half of the stock of ${this.stock.size} is used up`);
    const session = this.stock.session(this.#taken);
    this.#taken += 1;
    return session;
  }

  // One of the other half, to be asked for now and then: nobody changes those.
  anyOfStock() {
    const half = Math.ceil(this.stock.size / 2);
    return this.stock.session(half + Math.floor(Math.random() * (this.stock.size - half)));
  }

  add(session) {
    session.readers ??= 0;
    session.place = this.#busy.push(session) - 1;
  }

  // Lets `read` look at one of those that are asked for; nobody changes it meanwhile.
  async reading(read) {
    const session = this.#busy[Math.floor(Math.random() * this.#busy.length)];
    session.readers += 1;
    try {
      return await read(session);
    } finally {
      session.readers -= 1;
      if (session.readers === 0) session.left?.();
    }
  }

  // One that is the caller's alone, until it is added again or buried.
  async take() {
    const session = this.#busy[Math.floor(Math.random() * this.#busy.length)];
    const last = this.#busy.pop();
    if (last !== session) {
      this.#busy[session.place] = last;
      last.place = session.place;
    }
    if (session.readers > 0) await new Promise((left) => (session.left = left));
    session.left = undefined;
    return session;
  }

  // From now on edges that have not heard of it may still accept it.
  end({ id }) {
    this.ended.add(id);
  }

  // From now on nobody may.
  bury(cookie) {
    this.#gone[this.#buried % this.mostGone] = cookie;
    this.#buried += 1;
  }

  // Cookies of those that are asked for, and of a thousand that have ended.
  cookies() {
    return [...this.#busy.map(({ cookie }) => cookie), ...this.#gone.slice(-1_000)];
  }

  // A cookie that opens nothing any more; undefined while there is none.
  anyGone() {
    return this.#gone[Math.floor(Math.random() * this.#gone.length)];
  }
}
