// Where to go after the log-in. The value comes from the address bar, so anybody can write
// it: only a path of this very site may come out, or the log-in page could be used to send
// people elsewhere.

const RETURN_TO_DEFAULT = '/account';
const RETURN_TO_CHARS_MAX = 2048;
const ANY_ORIGIN = 'http://exchange.invalid';

/** `value` as path and query of this site; the account page for anything else. */
export function safeReturnTo(value) {
  if (typeof value !== 'string' || value.length > RETURN_TO_CHARS_MAX) return RETURN_TO_DEFAULT;
  if (!isPath(value)) return RETURN_TO_DEFAULT;

  // The URL parser sees what a browser would see, and makes it fit for a header: not ASCII
  // is percent-encoded, the fragment is left off.
  const url = URL.canParse(value, ANY_ORIGIN) ? new URL(value, ANY_ORIGIN) : null;
  if (url === null || url.origin !== ANY_ORIGIN) return RETURN_TO_DEFAULT;

  // Asked again of the result: `/.//other.example` has become `//other.example`.
  const path = url.pathname + url.search;
  return isPath(path) ? path : RETURN_TO_DEFAULT;
}

/**
 * Begins with one slash, and has neither control characters (browsers skip tabs and line
 * ends) nor backslashes (browsers read them as slashes).
 */
function isPath(text) {
  return /^\/(?!\/)[^\\\p{Cc}]*$/u.test(text);
}
