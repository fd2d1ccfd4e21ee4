// All that the exchange knows of the session gateway in front of it: the headers that
// it reads, and the one header that it answers with.
//
// The headers are believed as they come. That is right only because nobody can reach
// this process but through the gateway, which removes a client's own headers of these
// names. The exchange has no sessions and no cookies of its own.

/**
 * Who sends this request, or null if nobody is logged in. The gateway sends the headers
 * empty for nobody; on its public routes it does not send them at all.
 */
export function identityOf(req) {
  const subject = decodeSubject(req.headers['warifu-subject']);
  if (subject === null) return null;
  return {
    subject,
    session: req.headers['warifu-session'] || null,
    level: wholeNumber(req.headers['warifu-level']),
    authTime: wholeNumber(req.headers['warifu-auth-time']),
  };
}

/** Middleware for the pages that need somebody: sets `res.locals.identity`, or answers 401. */
export function requireIdentity(req, res, next) {
  const identity = identityOf(req);
  if (identity === null) {
    next(Object.assign(new Error('not logged in'), { status: 401 }));
    return;
  }
  res.locals.identity = identity;
  next();
}

/** Asks the gateway to start a session for `subject`, whose password has been checked. */
export function startSession(res, subject) {
  res.set('Warifu-Command', `do=start, sub=${structuredString(subject)}, level=1`);
}

/** Asks the gateway to end the session of this request. */
export function endSession(res) {
  res.set('Warifu-Command', 'do=end');
}

/**
 * The request's headers by lowercase name, none left out. (Node's `req.headers` drops the
 * repetition of some.) A repeated one is joined as RFC 9110 section 5.3 says; Cookie with `; `.
 */
export function headersAsReceived(req) {
  const headers = Object.create(null); // `__proto__` is a possible header name
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i].toLowerCase();
    const value = req.rawHeaders[i + 1];
    const separator = name === 'cookie' ? '; ' : ', ';
    headers[name] = name in headers ? headers[name] + separator + value : value;
  }
  return headers;
}

/** The subject is percent-encoded: everything outside visible ASCII, and `%` itself. */
function decodeSubject(value) {
  // Two headers of this name would arrive joined with a space: that is nobody.
  if (value === undefined || !/^[\x21-\x7e]+$/.test(value)) return null;
  try {
    return decodeURIComponent(value);
  } catch {
    return null; // not percent-encoded UTF-8
  }
}

function wholeNumber(value) {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : null;
}

/** A String of RFC 9651 section 3.3.3: visible ASCII and spaces, `"` and `\` escaped. */
function structuredString(text) {
  if (!/^[\x20-\x7e]*$/.test(text)) throw new TypeError('account names are plain ASCII');
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
