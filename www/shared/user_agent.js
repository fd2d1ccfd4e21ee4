// A browser in two words, out of what it says of itself. The operators' command has the same
// tables; tests/vectors/user_agent.json holds both to the same answers.

/** `{ browser, system }`, or null for what is no browser. */
export function browserOf(userAgent) {
  const named = (names) => names.find(([mark]) => userAgent.includes(mark))?.[1];
  const browser = named(BROWSERS);
  const system = named(SYSTEMS);
  return userAgent.startsWith("Mozilla/") && browser && system ? { browser, system } : null;
}

// In this order, since most also claim to be those below them.
const BROWSERS = [
  ["Edg", "Edge"],
  ["OPR/", "Opera"],
  ["SamsungBrowser/", "Samsung Internet"],
  ["Vivaldi/", "Vivaldi"],
  ["YaBrowser/", "Yandex"],
  ["FxiOS/", "Firefox"],
  ["CriOS/", "Chrome"],
  ["Firefox/", "Firefox"],
  ["Chromium/", "Chromium"],
  ["Chrome/", "Chrome"],
  ["Safari/", "Safari"],
];
const SYSTEMS = [
  ["iPhone", "iPhone"],
  ["iPad", "iPad"],
  ["Android", "Android"],
  ["CrOS", "ChromeOS"],
  ["Windows", "Windows"],
  ["Macintosh", "macOS"],
  ["Linux", "Linux"],
];
