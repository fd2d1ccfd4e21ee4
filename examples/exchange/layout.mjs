// What every page has around it, and the tables on the account page.

import { html } from './html.mjs';
import { CURRENCIES, formatAmount } from './money.mjs';

const NAVIGATION = [
  ['/account', 'Account'],
  ['/transfer', 'Transfer'],
];

/** A whole document, as a string. With a `subject` it has the customer's navigation. */
export function layout({ title, body, subject, current }) {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · Kawase</title>
    <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/assets/style.css">
  </head>
  <body>
    <header class="bar">
      <a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="28" height="28">Kawase</a>
      ${subject && customerBar(subject, current)}
    </header>
    <main>
      ${body}
    </main>
    <footer>
      <p>Kawase is a demonstration. Do not send it real money.</p>
    </footer>
  </body>
</html>
`.toString();
}

function customerBar(subject, current) {
  const links = NAVIGATION.map(
    ([path, name]) => html`<li><a href="${path}" ${path === current && html`aria-current="page"`}>${name}</a></li>`,
  );
  return html`<nav aria-label="Main"><ul>${links}</ul></nav>
      <form class="who" method="post" action="/signout">
        <span class="name">${subject}</span>
        <button class="button quiet small">Sign out</button>
      </form>`;
}

export function holdings(balances) {
  const entries = [...CURRENCIES].map(
    ([code, { name }]) => html`
        <div><dt>${name}</dt><dd>${formatAmount(balances.get(code), code)}</dd></div>`,
  );
  return html`<dl class="holdings">${entries}
      </dl>
      <p class="actions"><a class="button" href="/transfer">Make a transfer</a></p>`;
}

/** The transfers as seen by `subject`: what went out has a minus sign. */
export function transferTable(subject, transfers) {
  const rows = transfers.map(({ from, to, currency, amount, at }) => {
    const out = from === subject;
    return html`
            <tr>
              <td>${moment(at)}</td>
              <td>${out ? `to ${to}` : `from ${from}`}</td>
              <td class="${out ? 'amount out' : 'amount in'}">${out ? '−' : '+'}${formatAmount(amount, currency)}</td>
            </tr>`;
  });
  return html`<table>
          <thead><tr><th scope="col">When</th><th scope="col">Whom</th><th scope="col" class="amount">Amount</th></tr></thead>
          <tbody>${rows}
          </tbody>
        </table>`;
}

/** A point in time, to the minute, in UTC. */
export function moment(date) {
  const iso = date.toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 10)} <span class="clock">${iso.slice(11, 16)} UTC</span></time>`;
}
