// `make dev`: the gateway, the demonstration origin and the story on this machine, from a
// fresh clone or from the last time. Sets up what is missing, builds, starts all, says when
// they answer, and ends them together.
//
//   make dev PORT=8787 ORIGIN_PORT=8790 STORY_PORT=8789 CONFIG=path/to/file.toml STATE=.wrangler/state
//
// Runs on the machine's own Node.js (18 or later); wrangler gets the newer one from npm.

import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Children } from './dev/children.mjs';
import { deriveConfiguration, hostOfStory } from './dev/configuration.mjs';
import { Failure } from './dev/failure.mjs';
import { greeting } from './dev/greeting.mjs';
import { ensureKeys } from './dev/keys.mjs';
import { answers, assertFree, freePort, portFrom } from './dev/ports.mjs';
import { deadly, readable } from './dev/wrangler-log.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

const START_MS_MAX = 60_000;

const children = new Children();
for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.on(signal, () => children.endAll(status));
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  await children.endAll(1, error.message);
}

async function main() {
  const ports = {
    gateway: portFrom('PORT', 8787),
    exchange: portFrom('ORIGIN_PORT', 8790),
    story: portFrom('STORY_PORT', 8789),
    // The banks of the story: nobody has to know where they are.
    plain: await freePort(),
    guarded: await freePort(),
  };
  const override = process.env.CONFIG && readConfig(process.env.CONFIG);
  await assertFree('PORT', ports.gateway);

  await children.run('scripts/setup', ['dev']);
  const configuration = await deriveConfiguration({ root, ports, override });
  if (configuration.withExchange) await assertFree('ORIGIN_PORT', ports.exchange);
  if (configuration.withStory) await assertFree('STORY_PORT', ports.story);
  ensureKeys(root);
  await children.run('scripts/build', ['--quiet']);

  const node = join(root, 'node_modules/.bin/node');
  if (configuration.withExchange) {
    children.start('exchange', node, ['examples/exchange/server.mjs'], {
      port: ports.exchange,
      env: { ORIGIN_PORT: String(ports.exchange) },
    });
  }
  if (configuration.withStory) startStory(node, ports);
  startGateway(node, ports.gateway, configuration.file);

  const all = [children.whileAlive(gatewayAnswers(ports.gateway))];
  if (configuration.withExchange) {
    const address = `http://127.0.0.1:${ports.exchange}/`;
    all.push(children.whileAlive(answers('the exchange', address, START_MS_MAX, () => true)));
  }
  if (configuration.withStory) {
    const address = `http://127.0.0.1:${ports.story}/`;
    all.push(children.whileAlive(answers('the story', address, START_MS_MAX, ({ status }) => status === 200)));
  }
  const [{ refused }] = await Promise.all(all);
  if (refused) {
    console.log('\nThe gateway refuses its configuration, and answers every request with 500 `misconfigured`:');
    console.log('its log above names each key.');
  } else {
    console.log(greeting({ root, ports, ...configuration }));
  }
  console.log('ready');
}

function startStory(node, ports) {
  children.start('story', node, ['examples/story/server.mjs'], {
    port: ports.story,
    env: {
      STORY_PORT: String(ports.story),
      PLAIN_PORT: String(ports.plain),
      GUARDED_PORT: String(ports.guarded),
      GATEWAY_PORT: String(ports.gateway),
      GATEWAY_HOST: hostOfStory(ports),
    },
  });
}

function startGateway(node, port, configurationFile) {
  children.start(
    'gateway',
    node,
    [
      'node_modules/wrangler/bin/wrangler.js', 'dev',
      '--config', configurationFile,
      '--env-file', join(root, '.dev.vars'),
      '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0',
      '--persist-to', resolve(process.env.STATE || '.wrangler/state'),
      '--show-interactive-dev-session=false',
    ],
    {
      port,
      env: {
        PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`,
        // It asks nobody anything: no prompts, no news of updates, no telemetry, no look-up of where we are.
        WRANGLER_HIDE_BANNER: 'true',
        WRANGLER_SEND_METRICS: 'false',
        CLOUDFLARE_CF_FETCH_ENABLED: 'false',
        WRANGLER_LOG_PATH: join(root, '.wrangler/logs'),
        WRANGLER_REGISTRY_PATH: join(root, '.wrangler/registry'),
        NO_COLOR: '1',
      },
      readable,
      deadly,
    },
  );
}

/**
 * A gateway that refuses its configuration answers too, and that is worth seeing; so does one that has several sites,
 * of which none has this host.
 */
async function gatewayAnswers(port) {
  let refused = false;
  await answers('the gateway', `http://127.0.0.1:${port}/_warifu/health`, START_MS_MAX, ({ status, body }) => {
    refused = status === 500 && body.includes('misconfigured');
    return status === 200 || (status === 421 && body.includes('misdirected')) || refused;
  });
  return { refused };
}

function readConfig(path) {
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    throw new Failure(`CONFIG: ${path} cannot be read (${error.code})`);
  }
}
