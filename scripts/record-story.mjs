// Records the story as the README shows it: a real play in a real Chromium, by day and by night, as
// animated pictures, and their last frame for who wants nothing to move.
//
//   make story

import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import sharp from 'sharp';

import { startStory } from '../tests/browser/story.mjs';
import { openBrowser } from '../tests/browser/support.mjs';
import { root } from '../tests/workerd/support/gateway.mjs';

// A third of what `make dev` plays with: nobody watches a picture for a minute.
const ACCESS_SECONDS = 20;
const PRESS_AFTER_MS = 6_000;
const FRAME_MS = 1_000;
const LAST_FRAME_MS = 8_000;
const WIDTH = 960;
const BYTES_MAX = 500_000;

const folder = join(root, 'docs/images');
mkdirSync(folder, { recursive: true });
const [story, browser] = await Promise.all([startStory({ accessSeconds: ACCESS_SECONDS }), openBrowser()]);
try {
  let bytes = 0;
  const pages = await Promise.all(['light', 'dark'].map(open));
  await pages[0].page.locator('.press').click();
  await Promise.all(pages.map(({ page }) => page.locator('main[data-phase=running]').waitFor()));
  const began = performance.now();
  let isPressed = false;
  for (let isOver = false; !isOver; ) {
    const next = sleep(FRAME_MS);
    if (!isPressed && performance.now() - began > PRESS_AFTER_MS) {
      isPressed = true;
      await pages[0].page.locator('.press').click();
    }
    isOver = await pages[0].page.locator('main[data-phase=over]').isVisible();
    for (const { page, frames, clip } of pages) frames.push({ at: performance.now(), png: await page.screenshot({ clip }) });
    await next;
  }
  for (const { name, frames } of pages) bytes += await write(name, frames);
  console.log(`${Math.round(bytes / 1_000)} kB in all`);
  if (bytes > BYTES_MAX) throw new Error(`that is more than the ${BYTES_MAX / 1_000} kB that a README may weigh`);
} finally {
  await browser.close();
  await story.close();
}

async function open(colorScheme) {
  const context = await browser.newContext({ viewport: { width: WIDTH, height: 900 }, colorScheme, locale: 'en-GB', reducedMotion: 'reduce' });
  const page = await context.newPage();
  await page.goto(`${story.url}/`);
  await page.locator('main[data-phase=waiting]').waitFor();
  // As far down as what the thief does, whose list has its height from the beginning.
  const { y, height } = await page.locator('.rows').first().boundingBox();
  const clip = { x: 0, y: 0, width: WIDTH, height: Math.ceil(y + height) };
  return { name: colorScheme, page, clip, frames: [] };
}

/** The pictures of one play; what they weigh. */
async function write(name, frames) {
  const delay = frames.map(({ at }, i) => (i + 1 < frames.length ? Math.round(frames[i + 1].at - at) : LAST_FRAME_MS));
  const files = [join(folder, `story-${name}.webp`), join(folder, `story-${name}-still.webp`)];
  await sharp(frames.map(({ png }) => png), { join: { animated: true } }).webp({ lossless: true, effort: 6, minSize: true, delay, loop: 0 }).toFile(files[0]);
  await sharp(frames.at(-1).png).webp({ lossless: true, effort: 6 }).toFile(files[1]);
  const sizes = files.map((file) => statSync(file).size);
  files.forEach((file, i) => console.log(`${file.slice(root.length)}: ${Math.round(sizes[i] / 1_000)} kB${i === 0 ? `, ${frames.length} frames` : ''}`));
  return sizes.reduce((sum, size) => sum + size, 0);
}
