// The pages, as text. Whatever a person has written goes through `escape`.

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (title, body) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>` +
  `<style>body{font:16px system-ui;max-width:30rem;margin:3rem auto}label{display:block;margin:.5rem 0}</style>` +
  `<h1>${title}</h1>${body}`;

const problemOf = (problem) => (problem ? `<p role="alert">${escape(problem)}</p>` : '');

export const logIn = (problem) =>
  page(
    'Log in',
    `${problemOf(problem)}<form method="post" action="/login">
      <label>Name <input name="username" autocomplete="username"></label>
      <label>Password <input name="password" type="password" autocomplete="current-password"></label>
      <button>Log in</button></form>`,
  );

export const account = ({ name, balance }, problem) =>
  page(
    'Your account',
    `${problemOf(problem)}<p>${escape(name)}, you have ¥${balance}.</p>
    <form method="post" action="/transfer"><h2>Send</h2>
      <label>To <input name="to"></label>
      <label>Yen <input name="amount" inputmode="numeric"></label>
      <button>Send</button></form>
    <form method="post" action="/password"><h2>Change your password</h2>
      <label>Present <input name="current" type="password" autocomplete="current-password"></label>
      <label>New <input name="next" type="password" autocomplete="new-password"></label>
      <button>Change</button></form>
    <form method="post" action="/logout"><button>Log out</button></form>`,
  );
