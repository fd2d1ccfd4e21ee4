// Records the picture of the console for the README: a real kill, in a real Chromium.
//
//   make story

import { join } from 'node:path';

import sharp from 'sharp';

import { receipt, startAll } from '../tests/browser/support.mjs';
import { root } from '../tests/workerd/support/gateway.mjs';

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0';
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1';
const DEVICES = [
  { user_agent: FIREFOX, country: 'JP', city: 'Osaka' },
  { user_agent: IPHONE, country: 'JP', city: 'Kyoto' },
  { user_agent: 'curl/8.14.1', country: 'BR' },
];
const VIEWPORT = { width: 1180, height: 580 };

const all = await startAll();
try {
  for (const device of DEVICES) await all.mint({ subject: 'carol', device });
  const { page, ...operator } = await all.person({ viewport: VIEWPORT });
  await operator.signIn();
  await operator.find('carol');
  await page.locator('[data-session][aria-label*=curl]').click();
  await receipt(page, 'published').waitFor();
  await page.locator('.bar .chip[data-state=ok]').waitFor();
  const file = join(root, 'docs/images/console.png');
  const { size } = await sharp(await page.screenshot()).png({ palette: true, effort: 10 }).toFile(file);
  console.log(`${file}: ${Math.round(size / 1_000)} kB`);
  all.checkAll();
} finally {
  await all.close();
}
