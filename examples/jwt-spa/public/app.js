// The page. Tokens are in the local storage, so that they outlive a reload.

const find = (id) => document.getElementById(id);
const kept = (name) => localStorage.getItem(name) ?? undefined;

async function post(path, body, token) {
  const headers = { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  return fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

function keep({ access_token, refresh_token }) {
  localStorage.setItem('access_token', access_token);
  localStorage.setItem('refresh_token', refresh_token);
}

async function refresh() {
  if (!kept('refresh_token')) return false;
  const answer = await post('/api/refresh', { refresh_token: kept('refresh_token') });
  if (answer.ok) keep(await answer.json());
  return answer.ok;
}

/** Asks with the token; if it is no longer good, once more with a new one. */
async function withToken(ask) {
  const answer = await ask(kept('access_token'));
  return answer.status === 401 && (await refresh()) ? ask(kept('access_token')) : answer;
}

async function show() {
  const answer = await withToken((token) => fetch('/api/me', { headers: { Authorization: `Bearer ${token}` } }));
  find('login').hidden = answer.ok;
  find('account').hidden = !answer.ok;
  if (!answer.ok) return;
  const { id, balance, transfers } = await answer.json();
  find('who').textContent = id;
  find('balance').textContent = balance;
  // The hole: a note may be anything.
  find('transfers').innerHTML = transfers.map(({ from, to, amount, note }) => `<li>${from} → ${to}: ¥${amount} ${note}`).join('');
}

const onSubmit = (id, handle) =>
  find(id).addEventListener('submit', async (event) => {
    event.preventDefault();
    const answer = await handle(Object.fromEntries(new FormData(event.target)));
    find('problem').textContent = answer.ok ? '' : (await answer.json()).error ?? 'That did not work.';
    await show();
  });

onSubmit('login', async (fields) => {
  const answer = await post('/api/login', fields);
  if (answer.ok) keep(await answer.clone().json());
  return answer;
});

onSubmit('transfer', ({ amount, ...fields }) =>
  withToken((token) => post('/api/transfer', { ...fields, amount: Number(amount) }, token)),
);

find('logout').addEventListener('click', async () => {
  await post('/api/logout', { refresh_token: kept('refresh_token') });
  localStorage.clear();
  await show();
});

if (kept('access_token')) show();
