// What is asked of httpbin: [method, target, { headers, body, chunks }]. BASE is the address
// that is asked.
const text = { "content-type": "text/plain", "content-length": "3" };
const form = { "content-type": "application/x-www-form-urlencoded", "content-length": "7" };
const chunked = { "transfer-encoding": "chunked" };
const accepting = (coding) => ({ headers: { "accept-encoding": coding } });

const STATUS = [
  [200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 305, 306, 307, 308],
  [400, 401, 402, 404, 405, 406, 407, 408, 409, 410, 418, 421, 422, 425, 426, 428, 429, 431, 451],
  [500, 501, 502, 503, 504, 505, 511, 520, 599],
].flat();

export const CASES = [
  // Methods and bodies; /anything shows what arrived.
  ...["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"].map((method) => [method, "/anything/a/b?c=d"]),
  ...["PROPFIND", "PURGE", "QUERY", "FOO"].map((method) => [method, "/anything"]),
  ...["POST", "PUT", "PATCH", "DELETE"].map((method) => [method, "/anything", { headers: text, body: "abc" }]),
  ...["POST", "PUT", "PATCH", "DELETE"].map((method) => [method, "/anything", { headers: chunked, chunks: ["abc", "def"] }]),
  ["OPTIONS", "/get", { headers: text, body: "abc" }],
  ["GET", "/anything", { headers: text, body: "abc" }],
  ["POST", "/post", { headers: form, body: "a=1&b=2" }],
  ["POST", "/post", { headers: { "content-type": "application/octet-stream", "content-length": "100000" }, body: "\u00e4".repeat(50_000) }],
  ["POST", "/post", { headers: { "content-length": "0" } }],
  ["POST", "/post", { headers: { ...text, expect: "100-continue" }, body: "abc" }],
  ["GET", "/get?a=1&b=%2F&a=2&empty=&zz=%zz&plus=+%20"],
  ["GET", "/anything/%7Euser/%C3%A4%2c%7C"],
  ["GET", "/anything/%zz"],
  // Headers.
  ["GET", "/headers", { headers: {
    "x-one": ["1", "2"], "x-empty": "", accept: "a/b;q=0.5", "accept-language": "de",
    referer: "http://a.test/b", origin: "http://a.test",
  } }],
  ["GET", "/headers", { headers: {
    "cache-control": "max-age=0", pragma: "no-cache", "if-none-match": '"x"', "if-range": '"x"',
    range: "bytes=0-", via: "1.0 a", te: "trailers", "user-agent": "a/1 (b)",
  } }],
  ["GET", "/headers", { headers: {
    "x-latin": "caf\u00e9", authorization: "Bearer x", "proxy-authorization": "x", date: "x", dnt: "1",
  } }],
  ["GET", "/anything?show_env=1", { headers: {
    "x-forwarded-for": "1.2.3.4", forwarded: "for=1.2.3.4", "x-real-ip": "1.2.3.4",
    "x-forwarded-host": "a.test", "x-http-method-override": "PUT", "warifu-subject": "admin",
  } }],
  ["GET", "/cookies", { headers: { cookie: 'a=1; b="2"; c=x=y' } }],
  ["GET", "/user-agent", { headers: { "user-agent": "a/1 (b)" } }],
  ["GET", "/response-headers?x-a=1&x-a=2&x-b=%20x%20&content-type=text/plain"],
  ["POST", "/response-headers?server=mine&via=1.1%20x&alt-svc=clear&strict-transport-security=max-age%3D1&age=5&vary=*&link=a&warning=199"],
  ["GET", "/response-headers?trailer=x&proxy-authenticate=Basic&www-authenticate=Basic&content-language=de&content-disposition=inline"],
  ["GET", "/response-headers?warifu-subject=admin&warifu-command=do%3Dend&warifu=1"],
  // Status codes, redirects, cookies.
  ...STATUS.map((status) => ["GET", `/status/${status}`]),
  ...[200, 204, 304, 404].map((status) => ["HEAD", `/status/${status}`]),
  ...[200, 204, 307, 500].map((status) => ["POST", `/status/${status}`, { headers: text, body: "abc" }]),
  ["GET", "/redirect/3"],
  ["GET", "/relative-redirect/2"],
  ["GET", "/absolute-redirect/2"],
  ["GET", "/redirect-to?url=BASE%2Fget&status_code=307"],
  ["GET", "/redirect-to?url=http%3A%2F%2Fexample.com%2F%3Fa%3Db"],
  ["GET", "/cookies/set?a=1&b=2&c=3"],
  ["GET", "/cookies/set/a/1"],
  ["GET", "/cookies/delete?a&b"],
  ["GET", "/basic-auth/u/p"],
  ["GET", "/basic-auth/u/p", { headers: { authorization: `Basic ${btoa("u:p")}` } }],
  ["GET", "/bearer"],
  // Caches and ranges.
  ["GET", "/etag/abc"],
  ["GET", "/etag/abc", { headers: { "if-none-match": '"abc"' } }],
  ["GET", "/etag/abc", { headers: { "if-match": '"x"' } }],
  ["GET", "/cache", { headers: { "if-modified-since": "Tue, 24 Nov 2026 00:00:00 GMT" } }],
  ["GET", "/cache/60"],
  ["GET", "/range/1024"],
  ["HEAD", "/range/1024"],
  ...["bytes=10-99", "bytes=1000-", "bytes=-5", "bytes=2000-"].map((range) => ["GET", "/range/1024", { headers: { range } }]),
  // Bodies.
  ["GET", "/bytes/100000?seed=1"],
  ["HEAD", "/bytes/4096?seed=1"],
  ["GET", "/stream-bytes/100000?seed=1&chunk_size=1000"],
  ["GET", "/stream/20"],
  ["GET", "/drip?duration=0.5&numbytes=5&delay=0"],
  ["GET", "/drip?duration=0.1&numbytes=5&code=500"],
  ["GET", "/range/1024?duration=0.5&chunk_size=200"],
  ["GET", "/delay/1"],
  ...["png", "jpeg", "webp", "svg"].map((kind) => ["GET", `/image/${kind}`]),
  ["GET", "/image", { headers: { accept: "image/webp" } }],
  ...["/html", "/json", "/image/png"].map((where) => ["HEAD", where]),
  ...["/", "/html", "/xml", "/json", "/robots.txt", "/deny", "/encoding/utf8", "/links/3/1", "/forms/post"].map((where) => ["GET", where]),
  ...["/html", "/json", "/image/png"].map((where) => ["GET", where, accepting("gzip, br")]),
  // Codings.
  ...["/gzip", "/deflate", "/brotli"].flatMap((where) => [
    ["GET", where],
    ...["gzip", "br", "gzip, deflate, br", "identity"].map((coding) => ["GET", where, accepting(coding)]),
  ]),
];
