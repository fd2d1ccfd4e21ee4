// A single-page application, and the API that it talks to: the tokens are in the JSON
// answers, the page keeps them and sends them along. Access tokens are JWTs, refresh
// tokens are random and good for one use.
//
// One thing is wrong with it, which happens: the page writes the notes of transfers as
// HTML (public/app.js).

import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import express from 'express';
import jwt from 'jsonwebtoken';

const REFRESH_SECONDS = 7 * 24 * 60 * 60;
const ALGORITHM = 'HS256';

const key = process.env.JWT_KEY || randomBytes(32).toString('base64url');
const accessSeconds = Number(process.env.ACCESS_SECONDS || 10 * 60);
const password = process.env.PASSWORD || 'correct horse battery staple';

const accounts = new Map(
  ['alice', 'bob', 'mallory'].map((id) => [id, { id, balance: 10_000, password, transfers: [] }]),
);
const refreshTokens = new Map();

const app = express();
app.disable('x-powered-by');
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))));
app.use(express.json({ limit: '8kb' }));

function tokensFor(id) {
  const refresh = randomBytes(32).toString('base64url');
  refreshTokens.set(refresh, { id, until: Date.now() + REFRESH_SECONDS * 1000 });
  return {
    token_type: 'Bearer',
    access_token: jwt.sign({ sub: id }, key, { algorithm: ALGORITHM, expiresIn: accessSeconds }),
    expires_in: accessSeconds,
    refresh_token: refresh,
  };
}

app.post('/api/login', (req, res) => {
  const { username, password } = req.body ?? {};
  const account = accounts.get(username);
  if (!account || account.password !== password) return res.status(401).json({ error: 'name or password is wrong' });
  res.json(tokensFor(account.id));
});

app.post('/api/refresh', (req, res) => {
  const { refresh_token: refresh } = req.body ?? {};
  const found = refreshTokens.get(refresh);
  refreshTokens.delete(refresh);
  if (!found || Date.now() > found.until) return res.status(401).json({ error: 'log in again' });
  res.json(tokensFor(found.id));
});

// The access token goes on until it expires.
app.post('/api/logout', (req, res) => {
  refreshTokens.delete(req.body?.refresh_token);
  res.status(204).end();
});

app.use('/api', (req, res, next) => {
  const [scheme, token] = (req.get('authorization') ?? '').split(' ');
  try {
    const { sub } = jwt.verify(scheme === 'Bearer' ? token : '', key, { algorithms: [ALGORITHM] });
    req.account = accounts.get(sub);
  } catch {
    return res.status(401).json({ error: 'not logged in' });
  }
  next();
});

app.get('/api/me', (req, res) => {
  const { id, balance, transfers } = req.account;
  res.json({ id, balance, transfers });
});

app.post('/api/transfer', (req, res) => {
  const { to, amount, note = '' } = req.body ?? {};
  const [from, receiver] = [req.account, accounts.get(to)];
  const isFine = receiver && receiver !== from && Number.isInteger(amount) && amount > 0 && amount <= from.balance;
  if (!isFine) return res.status(422).json({ error: 'that cannot be sent' });
  from.balance -= amount;
  receiver.balance += amount;
  for (const account of [from, receiver]) account.transfers.push({ from: from.id, to, amount, note: String(note) });
  res.json({ balance: from.balance });
});

app.post('/api/password', (req, res) => {
  const { current, next } = req.body ?? {};
  if (current !== req.account.password) return res.status(422).json({ error: 'the present password is wrong' });
  req.account.password = String(next);
  res.status(204).end();
});

const server = app.listen(Number(process.env.PORT || 8792), '127.0.0.1', (error) => {
  if (error) throw error;
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
server.keepAliveTimeout = 75_000;

process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
