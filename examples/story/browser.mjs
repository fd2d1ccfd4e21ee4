// A browser as far as the story needs one: it keeps cookies by the rules of RFC 6265 and
// sends them back. Each person has one of their own; a thief's begins with copies.

import { once } from 'node:events';
import { request as ask } from 'node:http';

import { CookieJar } from 'tough-cookie';

const ANSWER_MS_MAX = 5_000;
// What browsers say when a page of the same site sends something.
const FROM_THE_PAGE = { 'sec-fetch-site': 'same-origin' };

export class Browser {
  #door;
  #jar = new CookieJar();

  /** `door` is where the application is reached: the `port` on this machine, and the `host` to ask for. */
  constructor(door) {
    this.#door = door;
  }

  /** The cookies that are sent to the application. */
  cookies() {
    return this.#jar.getCookies(this.#door.url);
  }

  /** A thief's copies of cookies of another browser. */
  async take(cookies) {
    for (const cookie of cookies) await this.#jar.setCookie(cookie.clone(), this.#door.url);
    return this;
  }

  /** Sends a request and follows nothing. Throws if no answer comes. */
  async send(method, path, { form, accept = 'text/html', headers = FROM_THE_PAGE } = {}) {
    const cookie = await this.#jar.getCookieString(this.#door.url);
    const body = form && new URLSearchParams(form).toString();
    const began = performance.now();
    const request = ask({
      host: '127.0.0.1', // whatever the resolver of this machine makes of the name
      port: this.#door.port,
      path,
      method,
      agent: false,
      timeout: ANSWER_MS_MAX,
      headers: {
        host: this.#door.host,
        accept,
        ...headers,
        ...(cookie === '' ? {} : { cookie }),
        ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) }),
      },
    });
    request.on('timeout', () => request.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })));
    request.end(body);
    const [answer] = await once(request, 'response');
    let text = '';
    answer.setEncoding('utf8');
    for await (const chunk of answer) text += chunk;
    for (const set of answer.headers['set-cookie'] ?? []) {
      await this.#jar.setCookie(set, this.#door.url, { ignoreError: true });
    }
    return { status: answer.statusCode, text, ms: performance.now() - began };
  }

  /** The same as a program does it, which is what a thief uses. */
  call(method, path, form) {
    return this.send(method, path, { form, accept: 'application/json', headers: {} });
  }
}
