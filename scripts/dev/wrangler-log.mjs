// Makes wrangler's log readable beside another one: what it says of itself at each
// start is left out, what it says of requests, errors and the Worker's own log is kept.

const NOISE = [
  /^\s*$/,
  /^\[custom build\] *$/,
  /^\[custom build\] Running: /,
  /^\[custom build\] build: nothing changed/,
  /^Your Worker has access to the following bindings:/,
  /^Binding +Resource/,
  /^env\.[A-Z_]+ /,
  /^Using (secrets|vars) defined in /,
  /^⎔ Starting local server/,
  /^\[wrangler:info\] Ready on /,
  // Our own question whether it is there.
  /^\[wrangler:info\] GET \/_warifu\/health (200|421) /,
];

const COLOUR = /\u001b\[[0-9;]*m/g;

/** The line as it is shown; null if it is not worth a person's time. */
export function readable(line) {
  const plain = line.replace(COLOUR, '');
  if (NOISE.some((pattern) => pattern.test(plain))) return null;
  if (plain.startsWith('{"event":"misconfigured"')) return misconfigured(plain);
  return plain.replace(/^\[wrangler:info\] /, '').replace(/^\[custom build\] /, '');
}

/** The mistakes of the configuration, a line each. */
function misconfigured(line) {
  try {
    return ['the configuration has mistakes:', ...JSON.parse(line).mistakes].join('\n           ');
  } catch {
    return line; // cut off, perhaps
  }
}

/** wrangler claims to start a crashed runtime again, but what it starts never answers. */
export function deadly(line) {
  return line.includes('The Workers runtime crashed unexpectedly') ? 'lost its runtime, workerd' : null;
}
