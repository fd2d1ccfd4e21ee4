// A small bank: Express and jsonwebtoken, the tokens in cookies. The server keeps
// accounts, and nothing about who is logged in: that is in the tokens.

import cookieParser from 'cookie-parser';
import express from 'express';
import jwt from 'jsonwebtoken';

import * as pages from './pages.mjs';

const REFRESH_SECONDS = 7 * 24 * 60 * 60;
const KEY_ID = '1';
const COOKIE = { httpOnly: true, sameSite: 'lax', path: '/' };

/**
 * `key` signs the tokens, an access token is good for `accessSeconds`, and `secure` says
 * whether browsers send the cookies over https only.
 */
export function createApp({ bank, key, accessSeconds, secure = false }) {
  const app = express();
  app.disable('x-powered-by');
  app.use(cookieParser());
  app.use(express.urlencoded({ extended: false, limit: '8kb' }));

  // A token names its key, so that there can be another one while tokens of the old are about.
  const keys = new Map([[KEY_ID, key]]);
  const keyOf = (header, found) => found(null, keys.get(header.kid));

  function logIn(res, id) {
    const token = jwt.sign({ sub: id, use: 'access' }, key, { keyid: KEY_ID, expiresIn: accessSeconds });
    const refresh = jwt.sign({ sub: id, use: 'refresh' }, key, { keyid: KEY_ID, expiresIn: REFRESH_SECONDS });
    res.cookie('token', token, { ...COOKIE, secure, maxAge: accessSeconds * 1000 });
    res.cookie('refresh', refresh, { ...COOKIE, secure, maxAge: REFRESH_SECONDS * 1000 });
  }

  /** Whose a token is; undefined: it is none of ours, or over, or for something else. */
  function subjectOf(token, use) {
    return new Promise((resolve) => {
      jwt.verify(token, keyOf, (error, claims) => resolve(error || claims.use !== use ? undefined : claims.sub));
    });
  }

  /** Who is logged in. An access token that is over is made anew while the refresh token is good. */
  async function authenticate(req, res, next) {
    let id = await subjectOf(req.cookies.token, 'access');
    if (id === undefined) {
      id = await subjectOf(req.cookies.refresh, 'refresh');
      if (id !== undefined) logIn(res, id);
    }
    req.account = bank.account(id);
    next();
  }

  function required(req, res, next) {
    if (req.account) next();
    else if (req.method === 'GET' && req.accepts(['json', 'html']) === 'html') res.redirect(303, '/login');
    else res.status(401).json({ error: 'not logged in' });
  }

  app.get('/', (req, res) => res.redirect(303, '/account'));

  app.get('/login', (req, res) => res.send(pages.logIn()));

  app.post('/login', async (req, res) => {
    const { username, password } = req.body ?? {};
    const account = await bank.withPassword(username, password);
    if (!account) return res.status(401).send(pages.logIn('Name or password is wrong.'));
    logIn(res, account.id);
    res.redirect(303, '/account');
  });

  // Forgets the cookies. What was copied of them is as good as before.
  app.post('/logout', (req, res) => {
    res.clearCookie('token', COOKIE);
    res.clearCookie('refresh', COOKIE);
    res.redirect(303, '/login');
  });

  app.use(authenticate, required);

  app.get('/account', (req, res) => res.send(pages.account(req.account)));

  app.get('/api/me', (req, res) => {
    const { id, name, balance } = req.account;
    res.json({ id, name, balance });
  });

  app.post('/transfer', (req, res) => {
    const problem = bank.transfer(req.account, req.body?.to, req.body?.amount);
    if (problem) return res.status(422).send(pages.account(req.account, problem));
    res.redirect(303, '/account');
  });

  app.post('/password', async (req, res) => {
    const problem = await bank.changePassword(req.account, req.body?.current, req.body?.next);
    if (problem) return res.status(422).send(pages.account(req.account, problem));
    res.redirect(303, '/account');
  });

  return app;
}
