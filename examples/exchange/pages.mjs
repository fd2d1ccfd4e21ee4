// The pages: data in, HTML out.

import { html } from './html.mjs';
import { holdings, layout, moment, transferTable } from './layout.mjs';
import { CURRENCIES, formatAmount } from './money.mjs';

export function home() {
  return layout({
    title: 'A small currency exchange',
    body: html`
      <h1>Yen and dollars, kept and sent</h1>
      <p class="lead">Kawase is a small currency exchange. It keeps a balance in yen and one in
        dollars for each of its customers, who can send from either to one another.</p>
      <p class="actions">
        <a class="button" href="/account">Your account</a>
        <a class="button quiet" href="/login">Log in</a>
      </p>
      <p class="note">This page is the same for everybody: it is not told who reads it.
        The money is make-believe, and is back where it began when the exchange restarts.</p>`,
  });
}

export function login({ returnTo, username, stepUp = false, failed = false }) {
  return layout({
    title: failed ? 'Not logged in' : 'Log in',
    body: html`
      <h1>Log in</h1>
      ${stepUp && html`<p class="notice">We ask for your password once more before we show you
        the page that you asked for.</p>`}
      ${failed && html`<p class="notice problem" role="alert">This user name and password do not belong
        together. Please try again.</p>`}
      <form class="card" method="post" action="/login">
        <input type="hidden" name="return_to" value="${returnTo}">
        <div class="field">
          <label for="username">User name</label>
          <input id="username" name="username" value="${username}" autocomplete="username"
            autocapitalize="none" autocorrect="off" spellcheck="false" required>
        </div>
        <div class="field">
          <label for="password">Password</label>
          <input id="password" name="password" type="password" autocomplete="current-password" required>
        </div>
        <button class="button">Log in</button>
      </form>`,
  });
}

export function alreadyLoggedIn({ subject, returnTo }) {
  return layout({
    title: 'Already logged in',
    subject,
    body: html`
      <h1>You are logged in</h1>
      <p class="lead">You are logged in as <strong>${subject}</strong>. To log in as somebody
        else, sign out first.</p>
      <p class="actions"><a class="button" href="${returnTo}">Go on</a></p>`,
  });
}

export function account({ identity, balances, transfers }) {
  const { subject, session, level, authTime } = identity;
  return layout({
    title: 'Your account',
    subject,
    current: '/account',
    body: html`
      <h1>Your account</h1>
      ${balances ? holdings(balances) : NO_ACCOUNT}
      <section aria-labelledby="transfers">
        <h2 id="transfers">Last transfers</h2>
        ${transfers.length > 0 ? transferTable(subject, transfers) : html`<p class="note">None yet.</p>`}
      </section>
      <section aria-labelledby="session">
        <h2 id="session">This session</h2>
        <dl class="facts">
          <div><dt>Logged in as</dt><dd>${subject}</dd></div>
          <div><dt>Session</dt><dd><code>${session ?? 'unknown'}</code></dd></div>
          ${level !== null && html`<div><dt>Level</dt><dd>${level}</dd></div>`}
          ${authTime !== null && html`<div><dt>Since</dt><dd>${moment(new Date(authTime * 1000))}</dd></div>`}
        </dl>
        <p class="note"><a href="/_warifu/account/">Where you are logged in</a>, and how to end what is not you.</p>
      </section>`,
  });
}

export function transfer({ subject, balances, fields = {}, problems = {} }) {
  const invalid = (name) => problems[name] !== undefined && html`aria-invalid="true"`;
  const problem = (name) => problems[name] && html`<span class="problem">${problems[name]}</span>`;
  const wrong = Object.keys(problems).length > 0;
  return layout({
    title: wrong ? 'Nothing sent' : 'Transfer',
    subject,
    current: '/transfer',
    body: html`
      <h1>Transfer</h1>
      ${balances === null && NO_ACCOUNT}
      ${wrong && html`<p class="notice problem" role="alert">Nothing was sent.
        ${problems.form ?? 'Please look at the form again.'}</p>`}
      <form class="card" method="post" action="/transfer">
        <div class="field">
          <label for="to">To</label>
          <input id="to" name="to" value="${fields.to}" autocomplete="off" autocapitalize="none"
            spellcheck="false" required aria-describedby="to-hint" ${invalid('to')}>
          <p class="hint" id="to-hint">${problem('to') ?? 'The account name of another customer.'}</p>
        </div>
        <div class="field">
          <label for="currency">From your balance in</label>
          <select id="currency" name="currency" required aria-describedby="currency-hint" ${invalid('currency')}>
            ${[...CURRENCIES].map(
              ([code, { name }]) => html`
            <option value="${code}" ${code === fields.currency && html`selected`}>${name}${
              balances && ` (${formatAmount(balances.get(code), code)})`
            }</option>`,
            )}
          </select>
          <p class="hint" id="currency-hint">${problem('currency')}</p>
        </div>
        <div class="field">
          <label for="amount">Amount</label>
          <input id="amount" name="amount" value="${fields.amount}" inputmode="decimal" autocomplete="off"
            required aria-describedby="amount-hint" ${invalid('amount')}>
          <p class="hint" id="amount-hint">${problem('amount') ?? 'In digits only, such as 1500 yen or 12.50 dollars.'}</p>
        </div>
        <button class="button">Send</button>
      </form>`,
  });
}

export function error({ status, returnTo }) {
  return layout({
    title: errorTitle(status),
    body: html`
      <h1>${errorTitle(status)}</h1>
      ${status === 401
        ? html`<p class="lead">This page is for customers who are logged in.</p>
      <p class="actions"><a class="button" href="/login?return_to=${encodeURIComponent(returnTo)}">Log in</a></p>`
        : html`<p class="lead">${status === 500 ? 'The fault is ours. Please try again later.' : 'Nothing was changed.'}</p>
      <p class="actions"><a class="button quiet" href="/">To the front page</a></p>`}`,
  });
}

export function errorTitle(status) {
  return ERROR_TITLES[status] ?? (status < 500 ? 'This request cannot be answered' : ERROR_TITLES[500]);
}

const ERROR_TITLES = {
  401: 'You are not logged in',
  404: 'There is no such page',
  413: 'This request is too large',
  500: 'Something went wrong',
};

const NO_ACCOUNT = html`<p class="notice">No account has been opened with us in this name.</p>`;
