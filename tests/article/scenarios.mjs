// What the article says of sessions in JWTs, each played on an application with its real
// parts: people, a thief, an operator. A scenario is told what door the application is
// behind only by what that door can do. It returns what it has seen, in words made of
// that, and whether the person at risk came to no harm.
import { createHmac } from "node:crypto";

import jwt from "jsonwebtoken";

import { Browser } from "./browser.mjs";
import { PASSWORD } from "./doors.mjs";

const inOrOut = (isIn) => (isIn ? "is logged in" : "is out");
const gone = (yen) => (yen === 0 ? "moves no money" : `moves ¥${yen}`);
const logIn = (door, name) => new Browser(door).logIn(name, PASSWORD);

// What a thief moves out of alice's account.
async function stolenBy(thief, alice) {
  const before = await alice.balance();
  await thief.transfer("mallory", 1000);
  return before - (await alice.balance());
}

export const scenarios = [
  {
    name: "One person has to be logged out",
    async run(door) {
      const [alice, bob] = [await logIn(door, "alice"), await logIn(door, "bob")];
      await door.end("alice");
      const [isAlice, isBob] = [await alice.isIn(), await bob.isIn()];
      return { holds: !isAlice && isBob, saw: `alice ${inOrOut(isAlice)}, bob ${inOrOut(isBob)}` };
    },
  },
  {
    name: "A session is stolen, and its owner logs out",
    async run(door) {
      const alice = await logIn(door, "alice");
      const thief = alice.copy();
      const before = await stolenBy(thief, alice);
      await alice.send("POST", "/logout");
      const after = await stolenBy(thief, await logIn(door, "alice"));
      return { holds: before > 0 && after === 0, saw: `the thief ${gone(before)} before, and ${gone(after)} after` };
    },
  },
  {
    name: "A session is stolen, and its owner changes the password",
    async run(door) {
      const alice = await logIn(door, "alice");
      const thief = alice.copy();
      const form = { current: PASSWORD, next: `${PASSWORD}, new` };
      const changed = await alice.send("POST", "/password", { form });
      if (changed.status !== 303) throw new Error(`change of password: ${changed.status} ${changed.text}`);
      const isIn = await alice.isIn();
      const [isThief, moved] = [await thief.isIn(), await stolenBy(thief, alice)];
      await alice.send("POST", "/password", { form: { current: form.next, next: PASSWORD } });
      return {
        holds: isIn && !isThief && moved === 0,
        saw: `the thief ${inOrOut(isThief)} and ${gone(moved)}; alice ${inOrOut(isIn)}`,
      };
    },
  },
  {
    name: "Tokens are refused by a list, and requests read no store",
    async run(door) {
      const [alice, bob] = [await logIn(door, "alice"), await logIn(door, "bob")];
      const copy = alice.copy();
      await alice.send("POST", "/logout");
      // So that the edge knows the feed as of now: where it does not, as many ask as come at once.
      await bob.isIn();
      const before = await door.reads();
      const count = async (browser) => {
        let [passed, left] = [0, REQUESTS];
        const one = async () => {
          while (left-- > 0) if (await browser.isIn()) passed += 1;
        };
        await Promise.all(Array.from({ length: AT_ONCE }, one));
        return passed;
      };
      const [live, dead] = [await count(bob), await count(copy)];
      const reads = (await door.reads()) - before;
      const few = reads < (2 * REQUESTS) / 100;
      return {
        holds: live === REQUESTS && dead === 0 && few,
        saw: `of ${REQUESTS} requests with a live session ${live} pass, of ${REQUESTS} with the one that was logged out ${dead}; ${few ? "fewer than one in a hundred reads" : `${reads} of them read`} a store`,
      };
    },
  },
  {
    name: "The key leaks",
    async run(door) {
      const alice = await logIn(door, "alice");
      const { application, gateway, site } = door.keys();
      const forged = jwt.sign({ sub: "alice", use: "access" }, application, { keyid: "1", expiresIn: "1h" });
      const thieves = [new Browser(door, new Map([["token", forged]]))];
      if (gateway) thieves.push(new Browser(door, new Map([forge(gateway, site, alice)])));
      let moved = 0;
      for (const thief of thieves) moved += await stolenBy(thief, alice);
      return { holds: moved === 0, saw: `who forges a token for alice ${gone(moved)}` };
    },
  },
  {
    name: "The key is one that can be guessed",
    key: "letmein",
    async run(door) {
      const mallory = await logIn(door, "mallory");
      const alice = await logIn(door, "alice");
      // Everything that mallory was given, against a list of words.
      const tokens = [...mallory.cookies.values()].filter((value) => value.split(".").length === 3);
      const words = ["password", "123456", "secret", "changeme", "letmein"];
      const found = words.find((word) => tokens.some((token) => verifies(token, word)));
      const forged = jwt.sign({ sub: "alice", use: "access" }, found ?? words[0], { keyid: "1", expiresIn: "1h" });
      const moved = await stolenBy(new Browser(door, new Map([["token", forged]])), alice);
      return {
        holds: found === undefined && moved === 0,
        saw: `mallory, from ${tokens.length === 0 ? "nothing" : "a token of her own"}, finds ${found ? "the key" : "nothing"} and ${gone(moved)}`,
      };
    },
  },
  {
    name: "A token says `alg: none`, and names a key that is not there",
    // The library as it was until December 2022 (CVE-2022-23540): where it is given no key, it
    // asks for no signature.
    library: "jsonwebtoken-8",
    async run(door) {
      const alice = await logIn(door, "alice");
      const options = { algorithm: "none", keyid: "no such key", expiresIn: "1h" };
      const forged = jwt.sign({ sub: "alice", use: "access" }, null, options);
      const moved = await stolenBy(new Browser(door, new Map([["token", forged]])), alice);
      return { holds: moved === 0, saw: `who sends one for alice ${gone(moved)}` };
    },
  },
];

const REQUESTS = 300;
// Fewer than the reads that are allowed, since a slow machine can know the feed too late once.
const AT_ONCE = 4;

function verifies(token, key) {
  try {
    return jwt.verify(token, key) !== undefined;
  } catch {
    return false;
  }
}

// A token of the gateway's with a MAC that is right, and a secret that no session has: what
// whoever has the gateway's key can make.
function forge({ kid, key }, site, alice) {
  const [[name, theirs]] = [...alice.cookies].filter(([name]) => name.startsWith("__Host-"));
  const real = Buffer.from(theirs, "base64url");
  const mac = (bytes) =>
    createHmac("sha256", Buffer.from(key, "base64url")).update(`warifu/1 token\0${site}\0`).update(bytes).digest().subarray(0, 16);
  const [body, tag] = [real.subarray(0, -16), real.subarray(-16)];
  if (body[1] !== kid || !mac(body).equals(tag)) throw new Error("this is not how the gateway makes its tokens");
  const forged = Buffer.from(body);
  forged[forged.length - 1] ^= 1;
  return [name, Buffer.concat([forged, mac(forged)]).toString("base64url")];
}
