// The process. STORY_PORT, at which the page is; PLAIN_PORT and GUARDED_PORT, at which the two
// banks are to listen; GATEWAY_PORT and GATEWAY_HOST, where the gateway before the second is
// reached; ACCESS_SECONDS, for which a bank's access token is good.

import { createApp } from './app.mjs';
import { guardedDoor, plainDoor } from './doors.mjs';
import { Play } from './play.mjs';

function portOf(variable) {
  const port = Number(process.env[variable]);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  console.error(`${variable} is "${process.env[variable] ?? ''}", which is no port`);
  process.exit(1);
}

const port = portOf('STORY_PORT');
const doors = [
  plainDoor({ port: portOf('PLAIN_PORT') }),
  guardedDoor({ bankPort: portOf('GUARDED_PORT'), gatewayPort: portOf('GATEWAY_PORT'), host: process.env.GATEWAY_HOST }),
];
const listeners = new Set();
const tell = (name, data) => {
  for (const listener of listeners) listener(name, data);
};
const play = new Play({ doors, accessSeconds: Number(process.env.ACCESS_SECONDS || 60), tell });

const server = createApp({ play, listeners, port }).listen(port, '127.0.0.1', (error) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  console.log(`listening on http://127.0.0.1:${port}`);
});

process.once('SIGTERM', async () => {
  server.close();
  server.closeAllConnections();
  await play.close();
});
