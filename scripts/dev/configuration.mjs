// The configuration that `wrangler dev` runs with, derived from the project's own:
// wrangler reads variables from its file only, and finds everything beside it, so a
// changed port or another [vars.WARIFU] needs a file of its own, with absolute paths.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';

import { Failure } from './failure.mjs';

// What wrangler.toml says for development.
const ORIGIN_DEFAULT = 'http://127.0.0.1:8790';
const ADMIN_HOST_DEFAULT = 'localhost:8787';

/**
 * Writes the derived file. `override` is a file of which [vars.WARIFU] is taken; but for the hosts
 * of this machine, word for word. The exchange belongs to it only if some origin is the exchange's address, and
 * the story only to the project's own, with the exchange.
 */
export async function deriveConfiguration({ root, ports, override }) {
  const { parse } = await import('smol-toml'); // there only after the set-up
  const own = parseFile(parse, 'wrangler.toml', readFileSync(join(root, 'wrangler.toml'), 'utf8'));
  const alone = override ? overriding(parse, override) : withPorts(own.vars.WARIFU, ports);
  const withStory = !override && alone.sites === undefined && isHere(alone.origin, ports.exchange);
  const warifu = withStory ? withSiteOfStory(alone, { root, ports, parse }) : withHostsOfHere(alone, ports.gateway);

  // One per port: several gateways at once do not meet here.
  const directory = join(root, `.wrangler/dev/${ports.gateway}`);
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  // Routes are for what is deployed: `wrangler dev` would take the first one's host for that of every request.
  const { routes, route, ...local } = own;
  const derived = {
    ...local,
    main: absolute(root, own.main),
    build: {
      ...own.build,
      // wrangler would answer a failed build with silence on its port and a page of its own innards.
      command: `${own.build.command} || echo 'build: failed, so what was built before is still being served'`,
      cwd: root,
      // The one path that wrangler always takes as relative to its file.
      watch_dir: relative(directory, absolute(root, own.build.watch_dir)),
    },
    vars: { ...own.vars, WARIFU: warifu },
  };
  if (own.assets?.directory) {
    derived.assets = { ...own.assets, directory: absolute(root, own.assets.directory) };
  }
  const file = join(directory, 'wrangler.json');
  mkdirSync(directory, { recursive: true });
  writeFileSync(file, JSON.stringify(derived, null, 2));

  // What a site does not say is common to all.
  const each = Array.isArray(alone.sites) ? alone.sites.map((site) => site?.origin ?? alone.origin) : [alone.origin];
  const origins = [...new Set(each)];
  for (const origin of origins) refuseLoop(origin, ports.gateway);
  const sites = Array.isArray(alone.sites) ? warifu.sites : [];
  return { file, withExchange: origins.some((origin) => isHere(origin, ports.exchange)), withStory, origins, sites };
}

function overriding(parse, { path, text }) {
  const warifu = parseFile(parse, `CONFIG: ${path}`, text).vars?.WARIFU;
  if (warifu === null || typeof warifu !== 'object' || Array.isArray(warifu)) {
    throw new Failure(`CONFIG: ${path} has no table [vars.WARIFU], which is all that is taken from it`);
  }
  return warifu;
}

/** The ports of the day in place of the usual ones, where the file has the usual ones. */
function withPorts(warifu, ports) {
  const changed = { ...warifu };
  if (warifu.origin === ORIGIN_DEFAULT) changed.origin = `http://127.0.0.1:${ports.exchange}`;
  if (warifu.admin_host === ADMIN_HOST_DEFAULT) changed.admin_host = `localhost:${ports.gateway}`;
  return changed;
}

/** Under which name the gateway serves the bank of the story: browsers take it for this machine. */
export const hostOfStory = (ports) => hostAt('story.localhost', ports.gateway);

/**
 * The bank of examples/story is a second site of the same Worker, with the configuration that is
 * beside the application. The project's own stays the first, under the names it is reached by.
 */
function withSiteOfStory(warifu, { root, ports, parse }) {
  const name = 'examples/jwt-express/warifu.toml';
  const bank = parseFile(parse, name, readFileSync(join(root, name), 'utf8')).vars.WARIFU;
  const { site = 'default', hosts = [], admin_host, ...common } = warifu;
  return {
    ...common,
    sites: [
      { site, hosts: withUsual(hosts, admin_host, ports.gateway), ...(admin_host === undefined ? {} : { admin_host }) },
      { ...bank, site: 'story', hosts: [hostOfStory(ports)], origin: `http://127.0.0.1:${ports.guarded}` },
    ],
  };
}

/** A host that is not in `hosts` gets 421, and what is written there are those of the deployed gateway. */
function withHostsOfHere(warifu, port) {
  const { hosts, admin_host, sites } = warifu;
  if (Array.isArray(sites)) return { ...warifu, sites: withNames(sites, port) };
  return Array.isArray(hosts) && hosts.length > 0 ? { ...warifu, hosts: withUsual(hosts, admin_host, port) } : warifu;
}

/** What is no list stays, for the gateway to complain about. */
function withUsual(hosts, adminHost, port) {
  if (!Array.isArray(hosts)) return hosts;
  const usual = ['127.0.0.1', '[::1]', 'localhost'].map((name) => hostAt(name, port));
  return [...hosts, ...usual.filter((host) => host !== adminHost && !hosts.includes(host))];
}

/** Each of several sites gets a name below localhost, which browsers take for this machine, where that is free. */
function withNames(sites, port) {
  const taken = new Set(sites.flatMap((site) => [site?.admin_host, site?.hosts].flat()));
  return sites.map((site) => {
    const host = hostAt(`${String(site?.site).toLowerCase().replace(/[^a-z0-9-]/g, '-')}.localhost`, port);
    if (!Array.isArray(site?.hosts) || taken.has(host)) return site;
    taken.add(host);
    return { ...site, hosts: [host, ...site.hosts] };
  });
}

/** As a browser names it: without the port that http has anyhow. */
const hostAt = (name, port) => (port === 80 ? name : `${name}:${port}`);

/** A gateway that is its own origin asks itself until the memory is full. */
function refuseLoop(origin, port) {
  if (origin === undefined) {
    throw new Failure('origin is not set in [vars.WARIFU]: on this machine the gateway would be its own origin');
  }
  if (isHere(origin, port)) {
    throw new Failure(`origin = "${origin}" is the gateway itself: set it to your application's address`);
  }
}

/** Whether an origin is this port of this machine. */
function isHere(origin, port) {
  try {
    const { protocol, hostname, port: found } = new URL(origin);
    return protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname) && Number(found || 80) === port;
  } catch {
    return false; // one that the gateway will complain about
  }
}

function parseFile(parse, name, text) {
  try {
    return parse(text);
  } catch (error) {
    const where = error.line ? ` in line ${error.line}` : '';
    const why = error.message.split('\n')[0].replace('Invalid TOML document: ', '');
    throw new Failure(`${name} is no valid TOML${where}: ${why}`);
  }
}

function absolute(root, path) {
  return isAbsolute(path) ? path : join(root, path);
}
