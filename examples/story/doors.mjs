// The two doors to the same application. What differs between them, and what alice can do
// at each when somebody has her cookie, is here and nowhere else.

import jwt from 'jsonwebtoken';

const PASSWORD = 'correct horse battery staple';
const NEXT_PASSWORD = 'incorrect zebra charger paperclip';

/** As it is: the session is in a JWT, in a cookie of the browser. */
export function plainDoor({ port }) {
  const host = `127.0.0.1:${port}`;
  return {
    name: 'plain',
    bankPort: port,
    password: PASSWORD,
    passwordAfter: NEXT_PASSWORD,
    port,
    host,
    url: `http://${host}/`,
    // The access token alone, which is less than there is: with the refresh token, which is in the
    // browser as well, a thief makes new ones for a week, and for another with each of them.
    stolen: (cookies) => cookies.filter(({ key }) => key === 'token'),
    /** When the copy is over, as it says itself; Unix seconds. */
    expiresAt: ([token]) => jwt.decode(token.value).exp,
    // All that the application offers to who is logged in.
    notMe: [
      { what: 'password', method: 'POST', path: '/password', form: { current: PASSWORD, next: NEXT_PASSWORD }, good: 303 },
      { what: 'logout', method: 'POST', path: '/logout', form: {}, good: 303 },
    ],
  };
}

/** Behind the gateway: the tokens stay there, the browser has a cookie that says nothing. */
export function guardedDoor({ bankPort, gatewayPort, host }) {
  return {
    name: 'guarded',
    bankPort,
    password: PASSWORD,
    passwordAfter: PASSWORD, // it was not stolen
    port: gatewayPort,
    host,
    url: `http://${host}/`,
    stolen: (cookies) => cookies, // all there is
    expiresAt: () => null,
    // What the button of the account page sends.
    notMe: [{ what: 'not_me', method: 'POST', path: '/_warifu/me/not-me', good: 200 }],
    /** So that no session of an earlier play is left at the gateway. */
    leave: { method: 'POST', path: '/_warifu/logout' },
  };
}
