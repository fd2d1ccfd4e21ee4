// What `make dev` says when all answer: where things are, and what to try first.

import { join } from 'node:path';

const BROWSERS = 'Chrome, Edge or Firefox: Safari takes no Secure cookie over http, not even from this machine';

export function greeting({ root, ports, withExchange, withStory, origins, sites }) {
  const gateway = `http://127.0.0.1:${ports.gateway}`;
  if (sites.length > 0 || !withExchange) {
    const before = origins.filter(Boolean).join(' and ') || 'the same URL (no origin is given)';
    return `
gateway   ${gateway}, before ${before}
${sites.map((site) => siteLine(site, gateway)).join('')}browsers  ${BROWSERS}
`;
  }
  const story = withStory ? `\nstory     http://127.0.0.1:${ports.story}/ shows in one minute what it is all for` : '';
  const jar = `'${join(root, '.warifu/cookies')}'`;
  return `
gateway   ${gateway}
exchange  http://127.0.0.1:${ports.exchange}, the origin behind it${story}
accounts  alice and bob, password: correct horse battery staple
sessions  ${gateway}/_warifu/account/ is the user's page of them
console   http://localhost:${ports.gateway}/_warifu/console/ for operators; the key is in ${join(root, '.warifu/dev-admin-key')}
browsers  ${BROWSERS}

To try, besides ${gateway}/account in a browser:

log in, and keep the cookie
  curl -i -c ${jar} -d username=alice -d 'password=correct horse battery staple' ${gateway}/login
ask the origin who it thinks you are
  curl -b ${jar} ${gateway}/api/me
sign out; the jar keeps its copy of the cookie, which is worth nothing now
  curl -b ${jar} -X POST ${gateway}/signout -o /dev/null; curl -i -b ${jar} ${gateway}/api/me
`;
}

/** Sites are told apart by their hosts: the gateway's address alone is nobody's. */
function siteLine({ site, hosts }, gateway) {
  const way = (host) => (/\.localhost(:\d+)?$/.test(host) ? `http://${host}/` : `curl -H 'Host: ${host}' ${gateway}/`);
  return `site      ${site}: ${hosts.map(way).join(' or ')}\n`;
}
