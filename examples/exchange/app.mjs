// The routes of the exchange.

import { fileURLToPath } from 'node:url';

import express from 'express';

import { endSession, headersAsReceived, identityOf, requireIdentity, startSession } from './identity.mjs';
import * as pages from './pages.mjs';
import { probes } from './probes.mjs';
import { safeReturnTo } from './return-to.mjs';
import { submitTransfer } from './transfer-form.mjs';

const ASSETS = fileURLToPath(new URL('./assets', import.meta.url));
const ASSETS_MAX_AGE = '1h';
const FORM_BYTES_MAX = 8 * 1024;
const FORM_FIELDS_MAX = 10;
const TRANSFERS_SHOWN = 10;

export function createApp({ accounts, ledger }) {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag'); // pages are made anew for every request
  // One spelling per route: a proxy that guards /transfer must not be passed by /TRANSFER.
  app.enable('case sensitive routing');
  app.enable('strict routing');

  app.use(securityHeaders);
  app.use('/assets', express.static(ASSETS, { index: false, redirect: false, maxAge: ASSETS_MAX_AGE }));
  app.use(probes());

  const form = express.urlencoded({
    extended: false,
    limit: FORM_BYTES_MAX,
    parameterLimit: FORM_FIELDS_MAX,
  });

  app.get('/', (req, res) => {
    res.send(pages.home());
  });

  app.get('/login', (req, res) => {
    const returnTo = safeReturnTo(req.query.return_to);
    const stepUp = req.query.step_up !== undefined;
    const identity = identityOf(req);
    if (identity && !stepUp) {
      res.send(pages.alreadyLoggedIn({ subject: identity.subject, returnTo }));
    } else {
      res.send(pages.login({ returnTo, stepUp, username: identity?.subject }));
    }
  });

  app.post('/login', form, async (req, res) => {
    const username = field(req, 'username');
    const returnTo = safeReturnTo(field(req, 'return_to'));
    if (!(await accounts.checkPassword(username, field(req, 'password')))) {
      res.status(401).send(pages.login({ returnTo, username, failed: true }));
      return;
    }
    startSession(res, username);
    res.redirect(303, returnTo);
  });

  app.post('/signout', requireIdentity, (req, res) => {
    endSession(res);
    res.redirect(303, '/');
  });

  app.get('/account', requireIdentity, (req, res) => {
    const { identity } = res.locals;
    res.send(
      pages.account({
        identity,
        balances: ledger.balances(identity.subject),
        transfers: ledger.transfers(identity.subject, TRANSFERS_SHOWN),
      }),
    );
  });

  app.get('/api/me', requireIdentity, (req, res) => {
    const { subject, session, level } = res.locals.identity;
    res.json({ subject, session, level, headers: headersAsReceived(req) });
  });

  app.get('/transfer', requireIdentity, (req, res) => {
    const { subject } = res.locals.identity;
    res.send(pages.transfer({ subject, balances: ledger.balances(subject) }));
  });

  app.post('/transfer', requireIdentity, form, (req, res) => {
    const { subject } = res.locals.identity;
    const fields = {
      to: field(req, 'to'),
      currency: field(req, 'currency'),
      amount: field(req, 'amount'),
    };
    const problems = submitTransfer({ ledger, from: subject, fields, at: new Date() });
    if (problems) {
      const balances = ledger.balances(subject);
      res.status(422).send(pages.transfer({ subject, balances, fields, problems }));
      return;
    }
    res.redirect(303, '/account');
  });

  app.use((req, res) => {
    answerError(req, res, 404);
  });

  // Express knows an error handler by its four parameters.
  app.use((error, req, res, next) => {
    const status = error.status >= 400 && error.status < 500 ? error.status : 500;
    if (status === 500) console.error(error);
    if (res.headersSent || res.destroyed) return res.destroy();
    answerError(req, res, status);
  });

  return app;
}

function answerError(req, res, status) {
  res.status(status);
  if (req.path.startsWith('/api/')) {
    res.json({ error: pages.errorTitle(status) });
  } else {
    const returnTo = req.method === 'GET' ? safeReturnTo(req.originalUrl) : safeReturnTo();
    res.send(pages.error({ status, returnTo }));
  }
}

function securityHeaders(req, res, next) {
  res.set({
    'Content-Security-Policy':
      "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    // Not "no-referrer": browsers would then send `Origin: null` with our own forms.
    'Referrer-Policy': 'same-origin',
  });
  next();
}

/** A form field as one string; absent, or sent twice, is the same as empty. */
function field(req, name) {
  const value = req.body?.[name];
  return typeof value === 'string' ? value : '';
}
