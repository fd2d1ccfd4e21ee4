#!/usr/bin/env python3
"""Writes the shared test vectors beside this file.

    python3 tests/vectors/generate.py            write the JSON files
    python3 tests/vectors/generate.py --check    exit 1 if a committed file differs

The token format, the canonical path and the rules of a subject are implemented
here a second time, from the description and not from the crate: the vectors are
worth something only as long as the two do not share code. Everything is
deterministic. Python 3.9 or newer, standard library only.

A long input is a list of strings and {"repeat": "x", "times": n} objects, to be
concatenated.
"""

import base64
import hashlib
import hmac
import json
import re
import sys
import unicodedata
from pathlib import Path

HERE = Path(__file__).resolve().parent


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def b64(raw):
    return base64.b64encode(raw).decode("ascii")


def bytes_of(label, length=32):
    """Fixed bytes that look random, named by what they are for."""
    return hashlib.sha256(("warifu test vector: " + label).encode()).digest()[:length]


def expand(value):
    """The text that an input of a case stands for."""
    if isinstance(value, str):
        return value
    return "".join(p if isinstance(p, str) else p["repeat"] * p["times"] for p in value)


class Cases(list):
    """The cases of one file; names are unique and kebab-case."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def add(self, name, **members):
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            raise ValueError("not kebab-case: " + name)
        if name in self.names:
            raise ValueError("two cases are called " + name)
        self.names.add(name)
        self.append({"name": name, **members})


# --- the token ---------------------------------------------------------------

KEY_1 = bytes_of("key 1")
KEY_2 = bytes_of("key 2")
KEY_3 = bytes_of("key 3")
FOREIGN_KEY = bytes_of("a key of nobody")
SECRET_A = bytes_of("secret a")
SECRET_B = bytes_of("secret b")
SECRET_C = bytes_of("secret c")

RINGS = {
    "two": [(2, KEY_2), (1, KEY_1)],
    "dropped": [(2, KEY_2)],
    "swapped": [(1, KEY_1), (2, KEY_2)],
    "rekeyed": [(2, KEY_3), (1, KEY_1)],
    "edges": [(255, KEY_3), (0, KEY_1)],
}


def ring_text(pairs):
    return json.dumps([{"kid": kid, "key": b64url(key)} for kid, key in pairs], separators=(",", ":"))


def head_of(kid, secret, generation=1, region=4, shard=513, version=1):
    head = bytes([version, kid, generation, region]) + shard.to_bytes(2, "big") + secret
    assert len(head) == 38
    return head


def mac_of(key, site, head):
    message = b"warifu/1 token" + b"\0" + site.encode() + b"\0" + head
    return hmac.new(key, message, hashlib.sha256).digest()[:16]


def token_of(kid, key, secret, site="default", **fields):
    head = head_of(kid, secret, **fields)
    return b64url(head + mac_of(key, site, head))


def read_token(pairs, site, text):
    """What a reader of the format makes of a token: its fields, or None."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{72}", text, re.ASCII):
        return None
    raw = base64.urlsafe_b64decode(text)
    head, mac = raw[:38], raw[38:]
    if head[0] != 1:
        return None
    keys = [key for kid, key in pairs if kid == head[1]]
    if not keys or not hmac.compare_digest(mac_of(keys[0], site, head), mac):
        return None
    return {
        "kid": head[1],
        "generation": head[2],
        "region": head[3],
        "shard": int.from_bytes(head[4:6], "big"),
        "session_key": hashlib.sha256(head[6:]).hexdigest(),
        "current": head[1] == pairs[0][0],
    }


def token_file():
    cases = Cases()

    def good(name, token, ring="two", site="default"):
        fields = read_token(RINGS[ring], site, token)
        assert fields, name
        cases.add(name, ring=ring, site=site, token=token, expect=fields)

    def bad(name, token, why, ring="two", site="default"):
        assert read_token(RINGS[ring], site, token) is None, name
        cases.add(name, ring=ring, site=site, token=token, expect={"refused": why})

    def mint(name, ring, site, secret, generation=1, region=4, shard=513):
        kid, key = RINGS[ring][0]
        token = token_of(kid, key, secret, site, generation=generation, region=region, shard=shard)
        assert len(token) == 72
        cases.add(
            name,
            ring=ring,
            site=site,
            mint={"generation": generation, "region": region, "shard": shard, "secret": secret.hex()},
            expect={"token": token},
        )

    current = token_of(2, KEY_2, SECRET_A)
    older = token_of(1, KEY_1, SECRET_A)
    raw = base64.urlsafe_b64decode(current)

    good("current-kid", current)
    good("older-kid", older)
    good("older-kid-is-current-in-swapped-ring", older, "swapped")
    good("newer-kid-is-older-in-swapped-ring", current, "swapped")
    good("survivor-of-a-dropped-kid", current, "dropped")
    good("other-secret", token_of(2, KEY_2, SECRET_B))
    good("secret-all-zero", token_of(2, KEY_2, bytes(32)))
    good("secret-all-ones", token_of(2, KEY_2, b"\xff" * 32))
    good("shard-zero", token_of(2, KEY_2, SECRET_A, shard=0))
    good("shard-big-endian", token_of(2, KEY_2, SECRET_A, shard=0x0100))
    good("shard-largest", token_of(2, KEY_2, SECRET_A, shard=65535))
    good("generation-largest", token_of(2, KEY_2, SECRET_A, generation=255))
    for region in range(10):
        good("region-%d" % region, token_of(2, KEY_2, SECRET_B, region=region, shard=region))
    good("kid-255", token_of(255, KEY_3, SECRET_A), "edges")
    good("kid-0", token_of(0, KEY_1, SECRET_A), "edges")
    good("other-site", token_of(2, KEY_2, SECRET_A, "shop.example"), "two", "shop.example")
    good("site-of-one-character", token_of(2, KEY_2, SECRET_A, "a"), "two", "a")
    good("site-of-64-characters", token_of(2, KEY_2, SECRET_A, "s" * 64), "two", "s" * 64)
    both = next(
        t
        for t in (token_of(2, KEY_2, bytes_of("alphabet %d" % n)) for n in range(1000))
        if "-" in t and "_" in t
    )
    good("url-alphabet", both)

    bad("empty", "", "not 72 characters")
    for length in (1, 8, 51, 68, 70, 71):
        bad("truncated-to-%d" % length, current[:length], "not 72 characters")
    bad("first-character-missing", current[1:], "not 72 characters")
    bad("one-character-more", current + "A", "not 72 characters")
    bad("four-characters-more", current + "AAAA", "not 72 characters")
    bad("one-character-before", "A" + current, "not 72 characters")
    bad("twice", current + current, "not 72 characters")
    bad("very-long", "A" * 4096, "not 72 characters")
    bad("padding-after", current + "=", "no padding")
    bad("padding-of-four-after", current + "====", "no padding")
    bad("padding-for-the-last-character", current[:-1] + "=", "no padding")
    bad("padding-for-the-last-two", current[:-2] + "==", "no padding")
    bad("padding-inside", current[:36] + "=" + current[37:], "no padding")
    bad("standard-alphabet", both.replace("-", "+").replace("_", "/"), "base64, not base64url")
    bad("standard-plus", both.replace("-", "+", 1), "base64, not base64url")
    bad("standard-slash", both.replace("_", "/", 1), "base64, not base64url")
    bad("lower-cased", current.lower(), "base64url has upper and lower case")
    bad("upper-cased", current.upper(), "base64url has upper and lower case")
    for name, before, after in (
        ("space-before", " ", ""),
        ("space-after", "", " "),
        ("tab-after", "", "\t"),
        ("newline-after", "", "\n"),
        ("carriage-return-newline-after", "", "\r\n"),
        ("no-break-space-before", "\u00a0", ""),
        ("nul-after", "", "\0"),
        ("byte-order-mark-before", "\ufeff", ""),
        ("quotes-around", '"', '"'),
    ):
        bad(name, before + current + after, "nothing is trimmed")
    bad("space-for-the-last-character", current[:-1] + " ", "not base64url")
    bad("newline-for-the-last-character", current[:-1] + "\n", "not base64url")
    bad("newline-inside", current[:36] + "\n" + current[36:], "not base64url")
    bad("dot-for-a-character", current[:10] + "." + current[11:], "not base64url")
    bad("percent-encoded-character", "%41" + current[1:], "not base64url")
    bad("72-stars", "*" * 72, "not base64url")
    bad("full-width-letter", "\uff21" + current[1:], "not ASCII")
    bad("72-bytes-with-a-full-width-letter", "\uff21" + current[3:], "not ASCII")
    bad("replacement-character", current[:-1] + "\ufffd", "not ASCII")
    bad("72-characters-outside-ascii", "\u00e9" * 72, "not ASCII")
    bad("a-jwt", "eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9.", "not a token of this format")
    bad("72-times-a", "A" * 72, "version 0 and an unknown kid")
    bad("72-underscores", "_" * 72, "version 255")

    offsets = (
        ("version", 0), ("kid", 1), ("generation", 2), ("region", 3), ("shard-high", 4),
        ("shard-low", 5), ("secret-first", 6), ("secret-last", 37), ("mac-first", 38), ("mac-last", 53),
    )
    for label, offset in offsets:
        for bit in (0x01, 0x80):
            changed = bytearray(raw)
            changed[offset] ^= bit
            bad("%s-bit-%02x-changed" % (label, bit), b64url(bytes(changed)), "one bit differs from what was minted")
    bad("mac-zero", b64url(raw[:38] + bytes(16)), "the MAC is wrong")
    bad("mac-of-another-token", b64url(raw[:38] + base64.urlsafe_b64decode(token_of(2, KEY_2, SECRET_B))[38:]), "the MAC is wrong")
    head = head_of(2, SECRET_A)

    def with_mac(mac):
        return b64url(head + mac)

    full = hmac.new(KEY_2, b"warifu/1 token\0default\0" + head, hashlib.sha256).digest()
    bad("mac-is-the-other-half", with_mac(full[16:]), "the MAC is the first 16 bytes")
    bad("mac-without-label", with_mac(hmac.new(KEY_2, head, hashlib.sha256).digest()[:16]), "the label is under the MAC")
    bad("mac-without-site", with_mac(hmac.new(KEY_2, b"warifu/1 token\0" + head, hashlib.sha256).digest()[:16]), "the site is under the MAC")
    bad("mac-with-an-empty-site", with_mac(mac_of(KEY_2, "", head)), "the site is under the MAC")
    bad("mac-without-separators", with_mac(hmac.new(KEY_2, b"warifu/1 tokendefault" + head, hashlib.sha256).digest()[:16]), "NUL separates")
    bad("mac-with-another-label", with_mac(hmac.new(KEY_2, b"warifu/2 token\0default\0" + head, hashlib.sha256).digest()[:16]), "another label")
    bad("mac-is-a-plain-hash", with_mac(hashlib.sha256(KEY_2 + b"warifu/1 token\0default\0" + head).digest()[:16]), "not an HMAC")
    for version in (0, 2, 3, 255):
        bad("version-%d-with-a-right-mac" % version, token_of(2, KEY_2, SECRET_A, version=version), "the version is 1")
    bad("foreign-site", token_of(2, KEY_2, SECRET_A, "other"), "minted for another site")
    bad("site-is-a-prefix", token_of(2, KEY_2, SECRET_A, "defaul"), "minted for another site")
    bad("site-is-longer", token_of(2, KEY_2, SECRET_A, "default2"), "minted for another site")
    bad("site-in-another-case", token_of(2, KEY_2, SECRET_A, "Default"), "minted for another site")
    bad("default-token-at-another-site", current, "minted for another site", "two", "shop.example")
    bad("foreign-key", token_of(2, FOREIGN_KEY, SECRET_A), "MAC under a key of nobody")
    bad("key-of-zeros", token_of(2, bytes(32), SECRET_A), "MAC under a key of nobody")
    bad("empty-key", token_of(2, b"", SECRET_A), "MAC under a key of nobody")
    bad("unknown-kid", token_of(3, KEY_3, SECRET_A), "kid 3 is not in the ring")
    bad("unknown-kid-with-a-known-key", token_of(3, KEY_2, SECRET_A), "kid 3 is not in the ring")
    bad("kid-0-with-the-first-key", token_of(0, KEY_2, SECRET_A), "kid 0 is not in the ring")
    bad("kid-is-not-an-index", token_of(0, KEY_2, SECRET_A), "kid 0 is not in the ring", "dropped")
    bad("kid-1-under-the-key-of-kid-2", token_of(1, KEY_2, SECRET_A), "MAC under another key of the ring")
    bad("kid-2-under-the-key-of-kid-1", token_of(2, KEY_1, SECRET_A), "MAC under another key of the ring")
    bad("dropped-kid", older, "kid 1 was dropped from the ring", "dropped")
    bad("kid-given-a-new-key", current, "kid 2 has another key now", "rekeyed")

    def successor(name, secret, salt):
        # HKDF-SHA-256, RFC 5869: extract, then the first block of expand.
        key = hmac.new(salt, secret, hashlib.sha256).digest()
        follows = hmac.new(key, b"warifu/1 successor\x01", hashlib.sha256).digest()
        cases.add(name, secret=secret.hex(), salt=b64url(salt), expect={"successor_key": hashlib.sha256(follows).hexdigest()})

    successor("successor", SECRET_A, bytes(range(16)))
    successor("successor-with-another-salt", SECRET_A, bytes(range(1, 17)))
    successor("successor-of-another-secret", SECRET_B, bytes(range(16)))
    successor("successor-with-a-salt-of-zeros", SECRET_A, bytes(16))

    def adopted(name, cookie, site):
        # HKDF-SHA-256, RFC 5869, section 2.2: without a salt, one of zeros.
        key = hmac.new(bytes(32), cookie.encode(), hashlib.sha256).digest()
        stands_for = hmac.new(key, b"warifu/1 adopted\x00" + site.encode() + b"\x01", hashlib.sha256).digest()
        expect = {"session_key": hashlib.sha256(stands_for).hexdigest()}
        cases.add(name, cookie=cookie, site=site, expect=expect)

    adopted("adopted", "4b5c6d", "default")
    adopted("adopted-at-another-site", "4b5c6d", "shop.example")
    adopted("adopted-jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl", "default")
    adopted("adopted-longer-than-a-block", "x" * 4096, "s" * 64)
    mint("mint", "two", "default", SECRET_A)
    mint("mint-in-the-swapped-ring", "swapped", "default", SECRET_A)
    mint("mint-at-another-site", "two", "shop.example", SECRET_A)
    mint("mint-lowest", "two", "default", bytes(32), 1, 0, 0)
    mint("mint-highest", "edges", "default", b"\xff" * 32, 255, 9, 65535)
    mint("mint-shard-256", "dropped", "default", SECRET_C, 1, 1, 256)
    mint("mint-long-site", "rekeyed", "s" * 64, SECRET_C, 3, 2, 63)

    return {
        "about": "Tokens under named key rings (the text of WARIFU_KEYS). A case with `token` is read, a case with "
        "`mint` is minted under the first key of its ring, one with `salt` has its successor derived, and one with `cookie` is what a session of an application's own moves in by. `session_key` is SHA-256 of the secret, `current` says "
        "that the kid is the ring's first. The text of `refused` is for people.",
        "rings": {name: ring_text(pairs) for name, pairs in RINGS.items()},
        "cases": cases,
    }


# --- the Cookie header -------------------------------------------------------

COOKIE = "__Host-Http-warifu"


def read_cookies(header):
    """The session that a Cookie header stands for."""
    values = []
    for index, pair in enumerate(header.split(";")):
        if index and pair.startswith(" "):
            pair = pair[1:]
        name, equals, value = pair.partition("=")
        if equals and name == COOKIE:
            values.append(value)
    if len(values) > 4:
        return {"none": True}
    found = {}
    for value in values:
        fields = read_token(RINGS["two"], "default", value)
        if fields:
            found.setdefault(fields["session_key"], value)
    if not found:
        return {"none": True}
    return {"several": True} if len(found) > 1 else {"token": next(iter(found.values()))}


def cookie_file():
    cases = Cases()
    a = token_of(2, KEY_2, SECRET_A)
    a_older = token_of(1, KEY_1, SECRET_A)
    b = token_of(2, KEY_2, SECRET_B)
    c = token_of(1, KEY_1, SECRET_C)
    forged = token_of(2, FOREIGN_KEY, SECRET_B)
    forged_2 = token_of(2, FOREIGN_KEY, SECRET_C)
    unknown = token_of(9, KEY_2, SECRET_B)
    other_site = token_of(2, KEY_2, SECRET_B, "other")
    version_2 = token_of(2, KEY_2, SECRET_B, version=2)
    N = COOKIE + "="

    def case(name, header, expect):
        verdict = expect if isinstance(expect, dict) else {"token": expect}
        assert read_cookies(expand(header)) == verdict, (name, read_cookies(expand(header)))
        cases.add(name, header=header, expect=verdict)

    none = {"none": True}
    several = {"several": True}

    case("alone", N + a, a)
    case("older-kid", N + a_older, a_older)
    case("first-of-three", N + a + "; x=1; y=2", a)
    case("between-others", "x=1; " + N + a + "; y=2", a)
    case("last-of-three", "x=1; y=2; " + N + a, a)
    case("no-space-after-the-semicolon", "x=1;" + N + a + ";y=2", a)
    case("empty-pair-before", "; " + N + a, a)
    case("semicolon-before", ";" + N + a, a)
    case("semicolon-after", N + a + ";", a)
    case("semicolon-and-space-after", N + a + "; ", a)
    case("many-semicolons", ";;;" + N + a + ";;;", a)
    case("other-pair-without-equals", "flag; " + N + a, a)
    case("other-pair-without-a-name", "=x; " + N + a, a)
    case("other-pair-with-many-equals", "x=a=b=c; " + N + a, a)
    case("other-pair-with-spaces", "x = 1 ; " + N + a, a)
    case("other-pair-with-quotes", 'x="a"; ' + N + a, a)
    case("quotes-do-not-span-pairs", 'x="; ' + N + a + '; y="', a)
    case("dollar-version-is-a-cookie-like-any-other", '$Version=1; ' + N + a + "; $Path=/", a)
    case("other-pair-with-replacement-character", "x=\ufffd; " + N + a, a)
    case("other-pair-outside-ascii", "x=\u00e9\u6f22; " + N + a, a)
    case("other-pair-with-nul", "x=\0; " + N + a, a)
    case("long-pair-before", ["x=", {"repeat": "x", "times": 16000}, "; " + N + a], a)
    case("thousand-pairs-before", [{"repeat": "x=1; ", "times": 1000}, N + a], a)
    case("other-name-with-a-token", "__Host-other=" + b + "; " + N + a, a)

    case("empty-header", "", none)
    case("one-space", " ", none)
    case("semicolons-only", ";;;;", none)
    case("other-cookies-only", "x=1; y=2", none)
    case("name-only", COOKIE, none)
    case("empty-value", N, none)
    case("token-only", a, none)
    case("token-without-a-name", "=" + a, none)
    case("forged", N + forged, none)
    case("unknown-kid", N + unknown, none)
    case("foreign-site", N + other_site, none)
    case("version-2", N + version_2, none)
    case("truncated", N + a[:-1], none)
    case("one-character-more", N + a + "A", none)
    case("very-long-value", [N + a, {"repeat": "A", "times": 15000}], none)

    case("space-before-the-header", " " + N + a, none)
    case("tab-before-the-header", "\t" + N + a, none)
    case("space-after-the-header", N + a + " ", none)
    case("tab-after-the-header", N + a + "\t", none)
    case("newline-after-the-header", N + a + "\n", none)
    case("two-spaces-after-the-semicolon", "x=1;  " + N + a, none)
    case("tab-after-the-semicolon", "x=1;\t" + N + a, none)
    case("space-and-tab-after-the-semicolon", "x=1; \t" + N + a, none)
    case("newline-after-the-semicolon", "x=1;\n" + N + a, none)
    case("space-before-the-semicolon", N + a + " ; x=1", none)
    case("space-before-equals", COOKIE + " =" + a, none)
    case("space-after-equals", N + " " + a, none)
    case("tab-after-equals", N + "\t" + a, none)
    case("two-equals", N + "=" + a, none)
    case("equals-after-the-token", N + a + "=", none)
    case("attribute-after-the-token", N + a + "=x", none)
    for label, space in (
        ("no-break-space", "\u00a0"), ("em-space", "\u2003"), ("ideographic-space", "\u3000"),
        ("line-separator", "\u2028"), ("next-line", "\u0085"), ("zero-width-space", "\u200b"),
        ("byte-order-mark", "\ufeff"), ("vertical-tab", "\v"), ("form-feed", "\f"), ("nul", "\0"),
    ):
        case(label + "-before-the-name", "x=1; " + space + N + a, none)
    case("em-space-before-the-header", "\u2003" + N + a, none)
    case("em-space-after-the-name", COOKIE + "\u2003=" + a, none)
    case("em-space-after-the-token", N + a + "\u2003", none)
    case("quoted", N + '"' + a + '"', none)
    case("single-quoted", N + "'" + a + "'", none)
    case("quoted-name", '"' + COOKIE + '"=' + a, none)
    case("replacement-character-after-the-token", N + a + "\ufffd", none)
    case("replacement-character-before-the-token", N + "\ufffd" + a, none)
    case("replacement-character-in-the-token", N + a[:40] + "\ufffd" + a[41:], none)
    case("replacement-character-in-the-name", COOKIE + "\ufffd=" + a, none)
    case("percent-encoded-token", N + "%" + a[0].encode().hex() + a[1:], none)
    case("percent-encoded-name", "__Host%2DHttp-warifu=" + a, none)
    case("lower-case-name", COOKIE.lower() + "=" + a, none)
    case("upper-case-name", COOKIE.upper() + "=" + a, none)
    case("lower-case-prefix", "__host-Http-warifu=" + a, none)
    case("upper-case-rest", "__Host-Http-Warifu=" + a, none)
    case("host-prefix-only", "__Host-warifu=" + a, none)
    case("http-prefix-only", "__Http-warifu=" + a, none)
    case("secure-prefix", "__Secure-warifu=" + a, none)
    case("no-prefix", "warifu=" + a, none)
    case("longer-name", COOKIE + "2=" + a, none)
    case("shorter-name", COOKIE[:-1] + "=" + a, none)
    case("dollar-before-the-name", "$" + N + a, none)
    case("array-name", COOKIE + "[]=" + a, none)
    case("full-width-name", "__Host-Http-\uff57arifu=" + a, none)
    case("joined-by-comma-behind-another", "a=1, " + N + a, none)
    case("joined-by-comma-without-space", "a=1," + N + a, none)
    case("joined-by-comma-before-another", N + a + ", b=2", none)
    case("joined-by-comma-twice-itself", N + a + ", " + N + a, none)
    case("joined-by-ampersand", "a=1&" + N + a, none)
    case("in-the-value-of-another", "x=" + N + a, none)
    case("in-the-quotes-of-another", 'x="' + N + a + '"', none)

    case("same-token-twice", N + a + "; " + N + a, a)
    case("same-token-four-times", "; ".join([N + a] * 4), a)
    case("same-token-five-times", "; ".join([N + a] * 5), none)
    case("same-secret-under-two-kids", N + a + "; " + N + a_older, a)
    case("same-secret-under-two-kids-older-first", N + a_older + "; " + N + a, a_older)
    case("forged-before", N + forged + "; " + N + a, a)
    case("forged-after", N + a + "; " + N + forged, a)
    case("forged-three-times-before", "; ".join([N + forged] * 3 + [N + a]), a)
    case("forged-four-times-before", "; ".join([N + forged] * 4 + [N + a]), none)
    case("forged-four-times-after", "; ".join([N + a] + [N + forged] * 4), none)
    case("five-with-others-between", "; x=1; ".join([N + a] * 5), none)
    case("four-with-others-between", "; x=1; ".join([N + a] * 4), a)
    case("empty-value-before", N + "; " + N + a, a)
    case("empty-value-after", N + a + "; " + N, a)
    case("four-empty-values-before", "; ".join([N] * 4 + [N + a]), none)
    case("foreign-site-before", N + other_site + "; " + N + a, a)
    case("unknown-kid-before", N + unknown + "; " + N + a, a)
    case("version-2-before", N + version_2 + "; " + N + a, a)
    case("truncated-before", N + b[:-1] + "; " + N + a, a)
    case("replacement-character-beside-a-good-one", N + b + "\ufffd; " + N + a, a)
    case("quoted-beside-a-good-one", N + '"' + b + '"; ' + N + a, a)
    case("space-named-beside-a-good-one", "\u2003" + N + b + "; " + N + a, a)
    case("two-forged", N + forged + "; " + N + forged_2, none)
    case("hundred-of-them", [{"repeat": N + "x; ", "times": 100}, N + a], none)
    case("two-valid", N + a + "; " + N + b, several)
    case("two-valid-the-other-way-round", N + b + "; " + N + a, several)
    case("two-valid-under-two-kids", N + a + "; " + N + c, several)
    case("two-valid-and-two-forged", "; ".join([N + forged, N + a, N + forged_2, N + b]), several)
    case("two-valid-and-three-forged", "; ".join([N + forged] * 3 + [N + a, N + b]), none)
    case("two-the-same-and-one-other", "; ".join([N + a, N + a, N + b]), several)
    case("four-valid", "; ".join([N + a, N + b, N + c, N + a_older]), several)
    case("five-valid", "; ".join([N + a, N + b, N + c, N + a_older, N + b]), none)

    return {
        "about": "Cookie headers and the one session token in each. `several`: more than one session's token is valid, "
        "and none is honoured. Where two tokens of one session are valid, `token` is the first of them; either names the session.",
        "ring": ring_text(RINGS["two"]),
        "site": "default",
        "cookie_name": COOKIE,
        "cases": cases,
    }


# --- the canonical path ------------------------------------------------------

LONGEST_PATH = 16384
UNRESERVED = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
PLAIN = UNRESERVED | set(b"/!$&'()*+,;=:@")
NEVER_ENCODED = UNRESERVED | set(b"/\\") | set(range(0x20)) | {0x7F}
ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def decode_once(raw):
    return ESCAPE.sub(lambda m: bytes([int(m.group(1), 16)]), raw)


def has_dot_segment(raw):
    return any(segment.split(b";")[0] in (b".", b"..") for segment in raw.split(b"/"))


def has_hollow_segment(path):
    """A segment, not the last, that holds nothing but parameters: /;x/admin."""
    return any(part.split(b";")[0] == b"" for part in path.split(b"/")[1:-1])


OVERLONG = re.compile(rb"(?:[\xc0\xc1]|(?:\xe0|\xf0\x80|\xf8\x80{2}|\xfc\x80{3})[\x80\x81])[\x80-\xbf]")


def has_overlong(path):
    """A dot, slash, backslash or control character in too many bytes of UTF-8."""
    for found in OVERLONG.findall(path):
        value = (found[-2] & 1) << 6 | found[-1] & 0x3F
        if value in b"./\\" or value < 0x20 or value == 0x7F:
            return True
    return False


def canonical_path(text):
    """The canonical path, or None where the path is refused."""
    raw = text.encode("utf-8")
    if not raw.startswith(b"/") or len(raw) > LONGEST_PATH or b"//" in raw:
        return None
    if any(byte <= 0x20 or byte >= 0x7F or byte in b"\\?#" for byte in raw):
        return None
    if raw.count(b"%") != len(ESCAPE.findall(raw)):
        return None
    if any(int(x, 16) in NEVER_ENCODED - UNRESERVED for x in ESCAPE.findall(raw)):
        return None
    layer = raw
    while True:
        inner = decode_once(layer)
        if has_dot_segment(inner) or has_hollow_segment(inner) or has_overlong(inner):
            return None
        if inner == layer:
            break
        if any(int(x, 16) in NEVER_ENCODED for x in ESCAPE.findall(inner)):
            return None
        layer = inner

    def escape(match):
        byte = int(match.group(1), 16)
        return bytes([byte]) if byte in UNRESERVED else b"%%%02X" % byte

    out = ESCAPE.sub(escape, raw)
    return "".join(chr(x) if x in PLAIN or x == 0x25 else "%%%02X" % x for x in out)


def path_file():
    cases = Cases()

    def ok(name, given, canonical=None):
        wanted = given if canonical is None else canonical
        assert canonical_path(expand(given)) == expand(wanted), (name, canonical_path(expand(given)))
        assert canonical_path(expand(wanted)) == expand(wanted), name
        cases.add(name, input=given, expect={"canonical": wanted})

    def bad(name, given, why):
        assert canonical_path(expand(given)) is None, (name, canonical_path(expand(given)))
        cases.add(name, input=given, expect={"refused": why})

    ok("root", "/")
    ok("plain", "/account")
    ok("trailing-slash", "/account/")
    ok("nested", "/a/b/c.html")
    ok("case-kept", "/TransFer")
    ok("unreserved", "/AZaz09-._~")
    ok("sub-delims", "/!$&'()*+,;=")
    ok("colon-and-at", "/a:b@c")
    ok("star", "/a/*")
    ok("parameters", "/a;x=1;y=2/b;z")
    ok("semicolon-last", "/a;")
    ok("three-dots", "/...")
    ok("four-dots", "/..../a")
    ok("dot-file", "/.well-known/x")
    ok("two-dots-and-letters", "/..a/b..")
    ok("dot-last", "/a./b")
    ok("dots-behind-a-semicolon", "/a;../b")
    ok("three-dots-with-parameters", "/...;x/a")
    ok("port-like", "/http:example")
    ok("longest", ["/", {"repeat": "a", "times": 16383}])
    ok("many-segments", [{"repeat": "/a", "times": 8192}])
    ok("encoded-letter", "/%61ccount", "/account")
    ok("encoded-upper-letter", "/%41", "/A")
    ok("encoded-z", "/%5a%7A", "/Zz")
    ok("encoded-digit", "/%30%39", "/09")
    ok("encoded-hyphen", "/a%2db%2Dc", "/a-b-c")
    ok("encoded-low-line", "/a%5fb%5Fc", "/a_b_c")
    ok("encoded-tilde", "/%7ebob/%7E", "/~bob/~")
    ok("encoded-dot-inside", "/a%2eb", "/a.b")
    ok("encoded-dot-file", "/%2ewell-known", "/.well-known")
    ok("encoded-three-dots", "/%2e%2e%2e/a", "/.../a")
    ok("encoded-whole-word", "/%74%72%61%6e%73%66%65%72/x", "/transfer/x")
    ok("encoded-space", "/a%20b")
    ok("encoded-percent", "/100%25")
    ok("encoded-percent-inside", "/a%25/b")
    ok("encoded-percent-twice", "/%25%25")
    ok("encoded-percent-and-one-digit", "/%255")
    ok("encoded-percent-and-no-digits", "/%25zz")
    ok("encoded-percent-and-bad-second-digit", "/%256g")
    ok("encoded-percent-and-slash", "/%25/61")
    ok("encoded-percent-two-deep", "/100%2525")
    ok("encoded-space-two-deep", "/a%2520b")
    ok("encoded-space-three-deep", "/a%252520b")
    ok("encoded-utf8-two-deep", "/%25C3%25A9")
    ok("encoded-question-mark", "/a%3fb", "/a%3Fb")
    ok("encoded-hash", "/a%23b")
    ok("encoded-semicolon", "/a%3bb", "/a%3Bb")
    ok("encoded-semicolon-and-dots", "/a%3b../b", "/a%3B../b")
    ok("encoded-colon-and-at", "/%3a%40", "/%3A%40")
    ok("encoded-sub-delims", "/%21%24%26%27%28%29%2a%2b%2c%3d", "/%21%24%26%27%28%29%2A%2B%2C%3D")
    ok("encoded-quote", "/%22")
    ok("encoded-brackets", "/%5b%5d%7b%7d%3c%3e", "/%5B%5D%7B%7D%3C%3E")
    ok("encoded-pipe-caret-grave", "/%7c%5e%60", "/%7C%5E%60")
    ok("encoded-utf8", "/caf%c3%a9", "/caf%C3%A9")
    ok("encoded-utf8-upper", "/caf%C3%A9")
    ok("encoded-three-byte-utf8", "/%e5%89%b2%E7%AC%A6", "/%E5%89%B2%E7%AC%A6")
    ok("encoded-four-byte-utf8", "/%f0%9f%94%91", "/%F0%9F%94%91")
    ok("encoded-ff", "/%ff", "/%FF")
    ok("encoded-truncated-utf8", "/%c3/x", "/%C3/x")
    bad("encoded-overlong-slash", "/a%c0%afb", "an overlong slash")
    bad("encoded-overlong-dot", "/%c0%ae%c0%ae/b", "overlong dots")
    bad("encoded-overlong-backslash", "/a%C1%9Cb", "an overlong backslash")
    bad("encoded-overlong-twice", "/%25c0%25ae%25c0%25ae/b", "overlong dots after decoding twice")
    bad("encoded-overlong-nul", "/a%c0%80b", "an overlong NUL")
    bad("encoded-overlong-of-three", "/a%e0%80%afb", "an overlong slash of three bytes")
    bad("encoded-overlong-of-four", "/a%f0%80%80%aeb", "an overlong dot of four bytes")
    bad("encoded-overlong-of-five", "/a%f8%80%80%80%afb", "an overlong slash of five bytes (RFC 2279)")
    bad("encoded-overlong-of-six", "/a%fc%80%80%80%80%aeb", "an overlong dot of six bytes (RFC 2279)")
    ok("encoded-not-quite-overlong", "/%C0%B1%E0%A4%A8%C2%80")
    ok("encoded-not-quite-overlong-of-five", "/%F8%80%80%80%B1%F8%80%81%80%AF")
    ok("encoded-full-width-slash", "/a%ef%bc%8fb", "/a%EF%BC%8Fb")
    ok("encoded-next-line", "/%c2%85", "/%C2%85")
    ok("encoded-80", "/%80")
    ok("encoded-mixed-case-hex", "/%aB%Ba", "/%AB%BA")
    ok("encoded-unreserved-beside-utf8", "/%61%c3%a9%62", "/a%C3%A9b")
    ok("raw-pipe", "/a|b", "/a%7Cb")
    ok("raw-caret", "/a^b", "/a%5Eb")
    ok("raw-brackets", "/a[1]", "/a%5B1%5D")
    ok("raw-quote", '/"a"', "/%22a%22")
    ok("raw-angle-brackets", "/<script>", "/%3Cscript%3E")
    ok("raw-grave", "/a`b", "/a%60b")
    ok("raw-braces", "/{id}", "/%7Bid%7D")
    ok("raw-and-encoded-pipe", "/|%7c", "/%7C%7C")
    ok("method-like", "/GET%20/a")

    bad("empty", "", "does not start with a slash")
    bad("no-slash", "account", "does not start with a slash")
    bad("star-only", "*", "does not start with a slash")
    bad("dot-only", ".", "does not start with a slash")
    bad("absolute-url", "https://a.example/", "does not start with a slash")
    bad("query-only", "?x=1", "does not start with a slash")
    bad("encoded-slash-first", "%2faccount", "does not start with a slash")
    bad("space-first", " /account", "does not start with a slash")
    bad("one-byte-too-long", ["/", {"repeat": "a", "times": 16384}], "longer than 16384 bytes")
    bad("too-long-before-decoding", ["/", {"repeat": "%61", "times": 5462}], "longer than 16384 bytes")
    bad("far-too-long", [{"repeat": "/a", "times": 50000}], "longer than 16384 bytes")

    for label, code in (("slash", "2f"), ("backslash", "5c")):
        bad("encoded-%s-lower" % label, "/a%" + code + "b", "encoded " + label)
        bad("encoded-%s-upper" % label, "/a%" + code.upper() + "b", "encoded " + label)
        bad("encoded-%s-last" % label, "/a%" + code, "encoded " + label)
        bad("encoded-%s-after-slash" % label, "/%" + code + "evil.example", "encoded " + label)
        bad("encoded-%s-and-dots" % label, "/a/..%" + code + "b", "encoded " + label)
        bad("encoded-%s-in-parameters" % label, "/a;x=%" + code + "b", "encoded " + label)
    for code in list(range(0x20)) + [0x7F]:
        bad("encoded-control-%02x" % code, "/a%%%02xb" % code, "encoded control byte")
    for code in (0x0A, 0x0D, 0x1F, 0x7F):
        bad("encoded-control-%02x-upper" % code, "/a%%%02Xb" % code, "encoded control byte")
    bad("encoded-control-mixed-case", "/a%0d%0AX:%201", "encoded control byte")
    for code in list(range(0x20)) + [0x7F]:
        bad("raw-control-%02x" % code, "/a" + chr(code) + "b", "raw control byte")
    bad("raw-newline-last", "/a\n", "raw control byte")
    bad("raw-backslash", "/a\\b", "backslash")
    bad("raw-backslash-first", "/\\evil.example", "backslash")
    bad("raw-backslash-dots", "/a/..\\b", "backslash")
    bad("two-slashes-first", "//evil.example/", "empty segment")
    bad("two-slashes-only", "//", "empty segment")
    bad("two-slashes-inside", "/a//b", "empty segment")
    bad("two-slashes-last", "/a//", "empty segment")
    bad("three-slashes", "/a///b", "empty segment")
    bad("dot", "/.", "dot segment")
    bad("dot-inside", "/a/./b", "dot segment")
    bad("dot-at-the-end", "/a/.", "dot segment")
    bad("dots", "/..", "dot segment")
    bad("dots-inside", "/a/../b", "dot segment")
    bad("dots-at-the-end", "/a/..", "dot segment")
    bad("dots-first", "/../a", "dot segment")
    bad("encoded-dot-segment", "/a/%2e/b", "dot segment")
    bad("encoded-dot-segment-upper", "/a/%2E/b", "dot segment")
    bad("encoded-dots", "/a/%2e%2e/b", "dot segment")
    bad("encoded-dots-upper", "/a/%2E%2E/b", "dot segment")
    bad("encoded-dots-mixed-case", "/a/%2e%2E", "dot segment")
    bad("half-encoded-dots", "/a/.%2e/b", "dot segment")
    bad("half-encoded-dots-other-half", "/a/%2e./b", "dot segment")
    bad("dot-with-semicolon", "/a/.;/b", "dot segment")
    bad("dot-with-parameters", "/a/.;x=1/b", "dot segment")
    bad("dots-with-semicolon", "/a/..;/b", "dot segment")
    bad("dots-with-parameters", "/..;x/", "dot segment")
    bad("dots-with-two-parameters", "/a/..;x;y=2/b", "dot segment")
    bad("dots-with-semicolon-at-the-end", "/a/..;", "dot segment")
    bad("encoded-dots-with-parameters", "/a/%2e%2e;x/b", "dot segment")
    bad("half-encoded-dots-with-semicolon", "/a/%2e.;/b", "dot segment")
    bad("encoded-dot-with-parameters", "/a/%2e;x/b", "dot segment")
    bad("dots-with-encoded-semicolon", "/a/..%3bx/b", "dot segment after decoding")
    bad("dots-with-encoded-semicolon-upper", "/a/..%3B/b", "dot segment after decoding")
    bad("dot-with-encoded-semicolon", "/a/.%3b/b", "dot segment after decoding")
    bad("all-encoded-dots-with-semicolon", "/a/%2e%2e%3bx/b", "dot segment after decoding")
    ok("parameters-only-last", "/a/;x")
    bad("empty-before-parameters", "/;x/admin", "an empty segment without its parameters")
    bad("empty-before-encoded-parameters", "/%3bx/admin", "an empty segment without its parameters")
    bad("empty-before-double-encoded-parameters", "/%253bx/admin", "an empty segment after decoding twice")
    bad("empty-before-parameters-inside", "/a/;/b", "an empty segment without its parameters")
    bad("dots-with-double-encoded-semicolon", "/a/..%253bx/b", "dot segment after decoding twice")
    bad("dots-behind-parameters-segment", "/a;x/../b", "dot segment")

    for label, text in (
        ("slash", "/a%252fb"), ("slash-upper", "/a%252Fb"), ("slash-hex-of-the-hex", "/a%25%32%66b"),
        ("slash-first-digit-encoded", "/a%25%32fb"), ("slash-second-digit-encoded", "/a%252%66b"), ("backslash", "/a%255cb"), ("backslash-upper", "/a%255Cb"),
        ("backslash-hex-of-the-hex", "/a%25%35%63b"), ("nul", "/a%2500b"), ("nul-hex-of-the-hex", "/a%25%30%30b"),
        ("newline", "/a%250ab"), ("newline-upper", "/a%250Ab"), ("delete", "/a%257fb"), ("unit-separator", "/a%251fb"),
        ("dot", "/a/%252e/b"), ("dots", "/a/%252e%252e/b"), ("dots-upper", "/a/%252E%252E/b"),
        ("dots-hex-of-the-hex", "/a/%25%32%65%25%32%65/b"), ("half-of-dots", "/a/.%252e/b"),
        ("dots-with-parameters", "/a/%252e%252e;x/b"), ("dots-without-a-segment", "/a%252e%252eb"),
        ("letter", "/%2561ccount"), ("upper-letter", "/%2541"), ("digit", "/%2530"), ("hyphen", "/a%252db"),
        ("tilde", "/%257ebob"), ("low-line", "/a%255fb"), ("hex-digit-of-the-hex", "/a%2532f"),
    ):
        bad("double-encoded-" + label, text, "double encoding")
    for label, text in (
        ("slash", "/a%25252fb"), ("backslash", "/a%25255cb"), ("nul", "/a%252500b"), ("dots", "/a/%25252e%25252e/b"),
        ("letter", "/%252561"), ("slash-mixed", "/a%25%32%35%32%66b"), ("slash-percent-by-its-hex", "/a%2525%32%66b"),
        ("letter-behind-a-bare-percent", "/%25%2561"),
    ):
        bad("triple-encoded-" + label, text, "deeper encoding")
    bad("slash-four-deep", "/a%2525252fb", "deeper encoding")
    bad("slash-sixty-deep", ["/a%", {"repeat": "25", "times": 60}, "2fb"], "deeper encoding")
    bad("slash-eight-thousand-deep", ["/a%", {"repeat": "25", "times": 8180}, "2fb"], "deeper encoding")
    ok("space-sixty-deep", ["/a%", {"repeat": "25", "times": 60}, "20b"])

    bad("percent-last", "/a%", "percent without two hex digits")
    bad("percent-only", "/%", "percent without two hex digits")
    bad("percent-one-digit", "/a%2", "percent without two hex digits")
    bad("percent-one-digit-then-slash", "/a%2/b", "percent without two hex digits")
    bad("percent-letters", "/a%zz", "percent without two hex digits")
    bad("percent-g", "/a%2gb", "percent without two hex digits")
    bad("percent-then-encoded-digits", "/a%%32%66", "percent without two hex digits")
    bad("percent-percent", "/a%%41", "percent without two hex digits")
    bad("percent-u", "/a%u002fb", "percent without two hex digits")
    bad("percent-sign-and-digit", "/a%+1b", "percent without two hex digits")
    bad("percent-space-and-digit", "/a% 1b", "percent without two hex digits")
    bad("percent-hexadecimal-prefix", "/a%0x41", "percent without two hex digits")
    bad("percent-full-width-digits", "/a%\uff12\uff11", "percent without two hex digits")

    bad("raw-space", "/a b", "raw space")
    bad("raw-space-last", "/a ", "raw space")
    bad("raw-latin-letter", "/caf\u00e9", "raw character outside ASCII")
    bad("raw-ideograph", "/\u5272\u7b26", "raw character outside ASCII")
    bad("raw-full-width-slash", "/a\uff0fb", "raw character outside ASCII")
    bad("raw-full-width-dots", "/\uff0e\uff0e/a", "raw character outside ASCII")
    bad("raw-division-slash", "/a\u2215b", "raw character outside ASCII")
    bad("raw-next-line", "/a\u0085b", "raw character outside ASCII")
    bad("raw-replacement-character", "/a\ufffdb", "raw character outside ASCII")
    bad("raw-emoji", "/\U0001f511", "raw character outside ASCII")
    bad("raw-question-mark", "/a?b", "a query is no path")
    bad("raw-question-mark-last", "/a?", "a query is no path")
    bad("raw-hash", "/a#b", "a fragment is no path")

    return {
        "about": "Paths without their query, and the one canonical form that is matched and forwarded. The text of "
        "`refused` is for people.",
        "cases": cases,
    }


# --- the configuration -------------------------------------------------------

REGIONS = ("auto", "wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me")

DEFAULTS = {
    "site": "default",
    "hosts": [],
    "login": "/login",
    "bound": "2s",
    "fence": "write",
    "idle_timeout": "30m",
    "absolute_timeout": "12h",
    "rotation_grace": "15s",
    "max_sessions": 0,
    "max_header_bytes": 32768,
    "on_limit": "end_oldest",
    "on_replay": "observe",
    "replica": "away",
    "replica_horizon": "10m",
    "trusted_origins": [],
    "cross_origin": "standard",
    "continue_for": "60s",
    "audit_retention": "30d",
    "limits": {"starts": "300/1m", "bad_macs": "300/1m", "admin_failures": "30/1m"},
    "case_insensitive": False,
    "map": [{"generation": 1, "shards": 64, "region": "auto"}],
    "cookie": {"name": COOKIE, "same_site": "lax", "partitioned": False, "persistent": True},
    "routes": [],
    "require_signed_commands": False,
    "identity": {},
    "custody": {"cookies": [], "bearer": []},
    "sites": [],
}

DEFAULT_VALUES = {
    "/site": "default",
    "/login": "/login",
    "/idle_timeout_ms": 1800000,
    "/absolute_timeout_ms": 43200000,
    "/bound_ms": 2000,
    "/cookie/name": COOKIE,
    "/cookie/same_site": "lax",
    "/origin": None,
    "/hosts": [],
    "/map/0/generation": 1,
    "/map/0/shards": 64,
    "/map/0/region": "auto",
}


def config_file():
    cases = Cases()
    good_keys = ring_text(RINGS["two"])

    def ok(name, config, values, **secrets):
        given = {"WARIFU_KEYS": good_keys, **secrets}
        cases.add(name, config=config, secrets=given, expect={"ok": values})

    def bad(name, config, *errors, **secrets):
        given = {"WARIFU_KEYS": good_keys, **secrets}
        given = {key: text for key, text in given.items() if text is not None}
        listed = [{"key": error[0], "says": list(error[1:])} for error in errors]
        cases.add(name, config=config, secrets=given, expect={"errors": listed})

    def found(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def route(**members):
        return {"routes": [{"path": "/a", "access": "required", **members}]}

    # what is fine
    ok("nothing-given", {}, DEFAULT_VALUES)
    ok("all-defaults-given", DEFAULTS, DEFAULT_VALUES)
    ok(
        "the-example",
        {
            "origin": "https://app.internal.example",
            "admin_host": "admin.example",
            "routes": [
                {"path": "/assets/*", "methods": ["GET", "HEAD"], "access": "public"},
                {"path": "/login", "access": "optional", "commands": True},
                {"path": "/transfer/*", "access": "strict"},
                {"path": "/news/*", "access": "required", "on_outage": "closed", "activity": True},
            ],
            "identity": {"user_header": "Remote-User"},
        },
        {
            "/origin": "https://app.internal.example",
            "/routes/0/access": "public",
            "/routes/1/access": "optional",
            "/routes/2/access": "strict",
            "/routes/3/access": "required",
        },
    )
    ok("site", {"site": "Shop_1.example-2"}, {"/site": "Shop_1.example-2"})
    ok("site-of-one-character", {"site": "a"}, {"/site": "a"})
    ok("site-of-64-characters", {"site": "s" * 64}, {"/site": "s" * 64})
    ok("login", {"login": "/sign-in/start"}, {"/login": "/sign-in/start"})
    ok("hosts", {"hosts": ["a.example", "b.example"]}, {"/hosts": ["a.example", "b.example"]})
    ok("host-with-port", {"hosts": ["127.0.0.1:8787"]}, {"/hosts": ["127.0.0.1:8787"]})
    ok("origin-with-port", {"origin": "http://127.0.0.1:8790"}, {"/origin": "http://127.0.0.1:8790"})
    ok("origin-plain", {"origin": "http://app.internal.example"}, {"/origin": "http://app.internal.example"})
    for name, text, value in (
        ("in-milliseconds", "90000ms", 90000), ("in-seconds", "90s", 90000), ("in-minutes", "45m", 2700000),
        ("in-hours", "2h", 7200000), ("as-long-as-the-absolute", "12h", 43200000),
    ):
        ok("idle-timeout-" + name, {"idle_timeout": text}, {"/idle_timeout_ms": value, "/absolute_timeout_ms": 43200000})
    ok("absolute-timeout-in-days", {"absolute_timeout": "30d"}, {"/absolute_timeout_ms": 2592000000})
    ok("default-bound-in-another-unit", {"bound": "2000ms"}, {"/bound_ms": 2000})
    for name, text, value in (
        ("zero", "0s", 0), ("least", "250ms", 250), ("longer", "5s", 5000), ("longest", "1m", 60000),
    ):
        ok("bound-" + name, {"bound": text}, {"/bound_ms": value})
    for name, text, value in (("default", "1m", 60000), ("least", "1s", 1000), ("longest", "10m", 600000)):
        ok("continue-for-" + name, {"continue_for": text}, {"/continue_for_ms": value})
    for name, text, value in (("default", "30d", 2592000000), ("least", "1h", 3600000), ("none", "0s", 0)):
        ok("audit-retention-" + name, {"audit_retention": text}, {"/audit_retention_ms": value})
    usual = [[300, 60000], [300, 60000], [30, 60000]]
    ok("limits-default", {}, {"/limits": usual})
    ok("limits-of-starts", {"limits": {"starts": "1/1s"}}, {"/limits": [[1, 1000], *usual[1:]]})
    ok("limits-off", {"limits": {"bad_macs": "off", "admin_failures": "1000000/1h"}},
       {"/limits": [usual[0], None, [1000000, 3600000]]})
    for name, text, value in (("default", "600s", 600000), ("least", "60s", 60000)):
        ok("replica-horizon-" + name, {"replica_horizon": text}, {"/replica_horizon_ms": value})
    for name, text, value in (("least", "100ms", 100), ("longest", "10m", 600000)):
        ok("origin-timeout-" + name, {"origin_timeout": text}, {"/origin_timeout_ms": value})
    ok("origin-timeout-default", {}, {"/origin_timeout_ms": 60000})
    for value in ("write", "read"):
        ok("fence-" + value, {"fence": value}, {"/fence": value})
    for value in ("off", "away", "always"):
        ok("replica-" + value, {"replica": value}, {"/replica": value})
    for access in ("optional", "required"):
        ok("continue-on-" + access, route(access=access, on_outage="continue"), {"/routes/0/on_outage": "continue"})
    for access in ("optional", "required", "strict"):
        for name, value in (("no", False), ("yes", True), ("nonce", "nonce")):
            ok("commands-%s-on-%s" % (name, access), route(access=access, commands=value), {"/routes/0/commands": value})
        ok("keep-on-" + access, route(access=access, on_end="keep"), {"/routes/0/on_end": "keep"})
    ok("on-end-default", route(), {"/routes/0/on_end": "close"})
    ok("on-end-default-given", route(on_end="close"), {"/routes/0/on_end": "close"})
    ok("max-header-bytes-default", {}, {"/max_header_bytes": 32768})
    for value in (1024, 131072):
        ok("max-header-bytes-%d" % value, {"max_header_bytes": value}, {"/max_header_bytes": value})
    for value in ("lax", "strict", "none"):
        ok("same-site-" + value, {"cookie": {"same_site": value}}, {"/cookie/same_site": value, "/cookie/name": COOKIE})
    ok("cookie-name", {"cookie": {"name": "__Host-sid"}}, {"/cookie/name": "__Host-sid"})
    ok("cookie-name-of-any-token-character", {"cookie": {"name": "__Host-a!#$%&'*+-.^_`|~9"}},
       {"/cookie/name": "__Host-a!#$%&'*+-.^_`|~9"})
    ok("cookie-partitioned-for-one-visit", {"cookie": {"partitioned": True, "persistent": False}}, {"/cookie/same_site": "lax"})
    def row(**members):
        return {"generation": 1, "shards": 64, "region": "auto", **members}

    ok("map-two-rows", {"map": [row(), row(generation=2, shards=128, region="weur")]},
       {"/map/0/generation": 1, "/map/1/generation": 2, "/map/1/shards": 128, "/map/1/region": "weur"})
    ok("map-rows-with-a-gap", {"map": [row(generation=3), row(generation=9)]}, {"/map/0/generation": 3, "/map/1/generation": 9})
    ok("session-defaults", {}, {"/rotation_grace_ms": 15000, "/max_sessions": 0, "/on_limit": "end_oldest", "/on_replay": "observe"})
    ok("rotation-grace", {"rotation_grace": "30s"}, {"/rotation_grace_ms": 30000})
    ok("rotation-grace-shortest", {"rotation_grace": "1s"}, {"/rotation_grace_ms": 1000})
    ok("rotation-grace-longest", {"rotation_grace": "5m"}, {"/rotation_grace_ms": 300000})
    ok("max-sessions", {"max_sessions": 3, "on_limit": "refuse"}, {"/max_sessions": 3, "/on_limit": "refuse"})
    ok("max-sessions-highest", {"max_sessions": 100000}, {"/max_sessions": 100000})
    ok("on-replay-end", {"on_replay": "end"}, {"/on_replay": "end"})
    ok("route-level", route(level=255), {"/routes/0/level": 255, "/routes/0/max_auth_age_ms": None})
    ok("route-max-auth-age", route(access="strict", max_auth_age="5m"), {"/routes/0/level": 0, "/routes/0/max_auth_age_ms": 300000})
    for region in REGIONS:
        ok("region-" + region, {"map": [{"generation": 1, "shards": 64, "region": region}]}, {"/map/0/region": region})
    ok("map-lowest", {"map": [{"generation": 1, "shards": 1, "region": "auto"}]}, {"/map/0/generation": 1, "/map/0/shards": 1})
    ok("map-highest", {"map": [{"generation": 255, "shards": 65536, "region": "me"}]},
       {"/map/0/generation": 255, "/map/0/shards": 65536})
    for access in ("public", "optional", "required", "strict"):
        ok("access-" + access, route(access=access), {"/routes/0/access": access})
    for access in ("optional", "required", "strict"):
        ok("commands-on-" + access, route(access=access, commands=True), {"/routes/0/access": access})
    ok("no-commands-on-public", route(access="public", commands=False), {"/routes/0/access": "public"})
    ok("route-defaults-given", route(level=0, on_outage="closed", activity=True, commands=False), {"/routes/0/access": "required"})
    ok("route-without-activity", route(activity=False), {"/routes/0/access": "required"})
    ok("closed-on-strict", route(access="strict", on_outage="closed"), {"/routes/0/access": "strict"})
    ok("route-methods", route(methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]), {"/routes/0/access": "required"})
    for name, path in (
        ("root", "/"), ("everything", "/*"), ("prefix", "/a/b/*"), ("trailing-slash", "/a/"),
        ("encoded-utf8", "/caf%C3%A9"), ("dot-file", "/.well-known/*"), ("sub-delims", "/a+b,c=d"),
    ):
        ok("route-path-" + name, route(path=path), {"/routes/0/access": "required"})
    ok("trusted-origins", {"trusted_origins": ["https://partner.example", "http://localhost:3000"]}, {"/site": "default"})
    ok("cross-origin-strict", {"cross_origin": "strict"}, {"/site": "default"})
    ok("case-insensitive", {"case_insensitive": True}, {"/site": "default"})
    ok("sign-false", {"identity": {"sign": False}}, {"/site": "default"})
    ok("origin-keys-and-sign-false", {"identity": {"sign": False}}, {"/site": "default"}, WARIFU_ORIGIN_KEYS=ring_text(RINGS["dropped"]))
    ok("one-key", {}, {"/site": "default"}, WARIFU_KEYS=ring_text(RINGS["dropped"]))
    ok("kids-255-and-0", {}, {"/site": "default"}, WARIFU_KEYS=ring_text(RINGS["edges"]))
    ok("keys-with-white-space-in-the-json", {}, {"/site": "default"},
       WARIFU_KEYS=' [ { "key" : "%s" , "kid" : 7 } ]\n' % b64url(KEY_1))

    # unknown keys
    bad("unknown-key", {"idle_timout": "30m"}, ("idle_timout", "idle_timeout", "absolute_timeout"))
    bad("unknown-key-in-another-case", {"Site": "default"}, ("Site", "site"))
    bad("unknown-key-in-camel-case", {"idleTimeout": "30m"}, ("idleTimeout", "idle_timeout"))
    bad("unknown-key-without-a-name", {"": "x"}, ('""', "unknown key"))
    bad("unknown-key-of-the-cookie", {"cookie": {"samesite": "lax"}}, ("cookie.samesite", "same_site", "persistent"))
    bad("unknown-key-of-a-map-row", {"map": [{"generation": 1, "shards": 64, "regions": "auto"}]}, ("map[0].regions", "region", "shards"))
    bad("unknown-key-of-a-route", route(method="GET"), ("routes[0].method", "methods", "max_auth_age"))
    bad(
        "unknown-key-of-the-second-route",
        {"routes": [{"path": "/a", "access": "public"}, {"path": "/b", "access": "public", "acess": "public"}]},
        ("routes[1].acess", "access"),
    )
    bad("unknown-key-of-identity", {"identity": {"signed": False}}, ("identity.signed", "sign", "user_header"))
    bad("unknown-key-of-custody", {"custody": {"cookie": []}}, ("custody.cookie", "cookies", "bearer"))
    bad("unknown-key-of-a-signing-key", {}, ("WARIFU_KEYS",),
        WARIFU_KEYS=json.dumps([{"kid": 1, "key": b64url(KEY_1), "alg": "none"}]))

    # wrong types
    for name, key, value in (
        ("site-number", "site", 5), ("site-list", "site", ["default"]), ("hosts-text", "hosts", "a.example"),
        ("origin-number", "origin", 1), ("login-number", "login", 7), ("login-flag", "login", True),
        ("admin-host-number", "admin_host", 5), ("idle-timeout-number", "idle_timeout", 30),
        ("absolute-timeout-flag", "absolute_timeout", True), ("bound-number", "bound", 2),
        ("max-sessions-text", "max_sessions", "0"), ("max-sessions-negative", "max_sessions", -1),
        ("max-sessions-fraction", "max_sessions", 1.5), ("case-insensitive-text", "case_insensitive", "no"),
        ("cross-origin-flag", "cross_origin", True), ("trusted-origins-text", "trusted_origins", "https://a.example"),
        ("map-text", "map", "auto"), ("map-number", "map", 64), ("routes-text", "routes", "/a"),
        ("cookie-text", "cookie", "sid"), ("identity-flag", "identity", True), ("custody-flag", "custody", False),
        ("sites-text", "sites", "a"), ("sites-table", "sites", {"site": "a"}),
    ):
        bad("type-of-" + name, {key: value}, (key, found(value)))
    bad("type-of-routes-table", {"routes": {"path": "/a", "access": "public"}}, ("routes",))
    bad("type-of-map-table", {"map": {"generation": 1}}, ("map",))
    bad("type-of-one-route", {"routes": ["/a"]}, ("routes[0]", '"/a"'))
    bad("type-of-one-map-row", {"map": [64]}, ("map[0]", "64"))
    bad("type-of-one-host", {"hosts": ["a.example", 5]}, ("hosts", "5"))
    bad("type-of-one-trusted-origin", {"trusted_origins": [5]}, ("trusted_origins", "5"))
    bad("type-of-cookie-name", {"cookie": {"name": 1}}, ("cookie.name", "1"))
    bad("type-of-cookie-partitioned", {"cookie": {"partitioned": "yes"}}, ("cookie.partitioned", '"yes"'))
    bad("type-of-cookie-persistent", {"cookie": {"persistent": 1}}, ("cookie.persistent", "1"))
    bad("type-of-map-shards", {"map": [{"generation": 1, "shards": "64", "region": "auto"}]}, ("map[0].shards", '"64"'))
    bad("type-of-map-generation", {"map": [{"generation": 1.5, "shards": 64, "region": "auto"}]}, ("map[0].generation", "1.5"))
    bad("type-of-map-region", {"map": [{"generation": 1, "shards": 64, "region": 0}]}, ("map[0].region", "0"))
    bad("type-of-route-path", route(path=5), ("routes[0].path", "5"))
    bad("type-of-route-access", route(access=True), ("routes[0].access", "true"))
    bad("type-of-route-methods", route(methods="GET"), ("routes[0].methods", '"GET"'))
    bad("type-of-one-method", route(methods=["GET", 5]), ("routes[0].methods", "5"))
    bad("type-of-route-commands", route(commands=1), ("routes[0].commands", "1"))
    bad("type-of-route-activity", route(activity="no"), ("routes[0].activity", '"no"'))
    bad("type-of-route-level", route(level="2"), ("routes[0].level", '"2"'))
    bad("type-of-identity-sign", {"identity": {"sign": "no"}}, ("identity.sign", '"no"'))
    bad("type-of-user-header", {"identity": {"user_header": 5}}, ("identity.user_header", "5"))
    bad("type-of-custody-cookies", {"custody": {"cookies": "token"}}, ("custody.cookies", '"token"'))

    # durations
    for name, text in (
        ("without-unit", "2"), ("with-a-space", "2 s"), ("negative", "-1s"), ("fraction", "1.5h"), ("year", "1y"),
        ("week", "1w"), ("empty", ""), ("overflow", "999999999999d"), ("huge", "9" * 40 + "s"), ("unit-only", "s"),
        ("upper-case-unit", "2S"), ("plus", "+2s"), ("two-units", "1h30m"), ("two-unit-letters", "2ss"),
        ("space-before", " 2s"), ("space-after", "2s "), ("hexadecimal", "0x2s"), ("exponent", "1e3s"),
        ("word", "2 minutes"), ("long-unit", "2min"), ("low-line", "1_000s"), ("microseconds", "2us"),
    ):
        bad("duration-" + name, {"idle_timeout": text}, ("idle_timeout", found(text)))
    bad("duration-with-other-digits", {"idle_timeout": "\u0662s"}, ("idle_timeout",))
    bad("duration-of-the-absolute-timeout", {"absolute_timeout": "12"}, ("absolute_timeout", '"12"'))
    bad("duration-of-the-bound", {"bound": "2"}, ("bound", '"2"'))
    bad("duration-of-the-grace", {"rotation_grace": "soon"}, ("rotation_grace", '"soon"'))
    bad("duration-of-continue-for", {"continue_for": "60"}, ("continue_for", '"60"'))
    for text in ("1ms", "249ms", "60001ms", "2m"):
        bad("bound-of-" + text, {"bound": text}, ("bound", f'"{text}"', "250ms", "1m", "0s"))
    for text in ("0s", "999ms", "11m"):
        bad("continue-for-of-" + text, {"continue_for": text}, ("continue_for", f'"{text}"', "1s", "10m"))
    wrong = ("0/1m", "1000001/1m", "300", "300/", "/1m", "+3/1m", "3/1ms", "3/61m", "3/1m/1m", "on", "")
    for number, text in enumerate(wrong):
        bad(f"limits-malformed-{number}", {"limits": {"starts": text}},
            ("limits.starts", f'"{text}"', "300/1m", "off"))
    bad("limits-of-a-number", {"limits": {"admin_failures": 30}}, ("limits.admin_failures", "30"))
    bad("limits-of-something-else", {"limits": {"requests": "30/1m"}}, ("limits.requests", "unknown key"))
    for text in ("59m", "1ms"):
        bad("audit-retention-of-" + text, {"audit_retention": text}, ("audit_retention", f'"{text}"', "1h", "3650d"))
    bad("duration-of-the-audit-retention", {"audit_retention": 30}, ("audit_retention", "30"))
    for text in ("0s", "99ms", "11m"):
        bad("origin-timeout-of-" + text, {"origin_timeout": text}, ("origin_timeout", f'"{text}"', "100ms", "10m"))
    for text in ("0s", "59s", "11m"):
        bad("replica-horizon-of-" + text, {"replica_horizon": text}, ("replica_horizon", f'"{text}"', "1m", "10m"))
    bad("duration-of-the-replica-horizon", {"replica_horizon": "10"}, ("replica_horizon", '"10"'))
    bad("idle-timeout-zero", {"idle_timeout": "0s"}, ("idle_timeout", '"0s"'))
    bad("idle-timeout-zero-milliseconds", {"idle_timeout": "0ms"}, ("idle_timeout", '"0ms"'))
    bad("idle-timeout-longer-than-the-absolute", {"idle_timeout": "2h", "absolute_timeout": "1h"}, ("absolute_timeout",))
    bad("idle-timeout-longer-than-the-default-absolute", {"idle_timeout": "13h"}, ("absolute_timeout",))
    bad("absolute-timeout-shorter-than-the-default-idle", {"absolute_timeout": "10m"}, ("absolute_timeout",))
    bad("absolute-timeout-zero", {"absolute_timeout": "0s"}, ("absolute_timeout",))
    bad("idle-timeout-one-millisecond-longer", {"idle_timeout": "3600001ms", "absolute_timeout": "1h"}, ("absolute_timeout",))

    # the keys
    def keys(name, text, *errors):
        bad("keys-" + name, {}, *errors, WARIFU_KEYS=text)

    def entries(*pairs):
        return json.dumps([{"kid": kid, "key": key} for kid, key in pairs])

    one, two = b64url(KEY_1), b64url(KEY_2)
    with_dash = next(b64url(k) for k in (bytes_of("dash %d" % n) for n in range(1000)) if "-" in b64url(k) and "_" in b64url(k))
    whole = ("WARIFU_KEYS",)
    keys("absent", None, whole)
    keys("empty", "", whole)
    keys("empty-list", "[]", whole)
    keys("not-json", "kid=1", whole)
    keys("cut-off", ring_text(RINGS["two"])[:-1], whole)
    keys("not-a-list", json.dumps({"kid": 1, "key": one}), whole)
    keys("null", "null", whole)
    keys("list-of-text", json.dumps([one]), whole)
    keys("something-after", ring_text(RINGS["two"]) + "x", whole)
    keys("kid-256", entries((256, one)), whole)
    keys("kid-negative", entries((-1, one)), whole)
    keys("kid-text", entries(("1", one)), whole)
    keys("kid-missing", json.dumps([{"key": one}]), whole)
    keys("key-missing", json.dumps([{"kid": 1}]), whole)
    keys("key-null", entries((1, None)), whole)
    keys("key-empty", entries((1, "")), ("WARIFU_KEYS[0].key",))
    keys("key-of-31-bytes", entries((1, b64url(KEY_1[:31]))), ("WARIFU_KEYS[0].key",))
    keys("key-of-33-bytes", entries((1, b64url(KEY_1 + b"x"))), ("WARIFU_KEYS[0].key",))
    keys("key-of-16-bytes", entries((1, b64url(KEY_1[:16]))), ("WARIFU_KEYS[0].key",))
    keys("second-key-of-31-bytes", entries((2, two), (1, b64url(KEY_1[:31]))), ("WARIFU_KEYS[1].key",))
    keys("key-in-hexadecimal", entries((1, KEY_1.hex())), ("WARIFU_KEYS[0].key",))
    keys("key-in-the-standard-alphabet", entries((1, with_dash.replace("-", "+").replace("_", "/"))), ("WARIFU_KEYS[0].key",))
    keys("key-not-base64", entries((1, "!" * 43)), ("WARIFU_KEYS[0].key",))
    keys("key-with-a-newline", entries((1, one + "\n")), ("WARIFU_KEYS[0].key",))
    keys("key-all-zero", entries((1, b64url(bytes(32)))), ("WARIFU_KEYS[0].key", "weak"))
    keys("key-all-equal", entries((1, b64url(b"k" * 32))), ("WARIFU_KEYS[0].key", "weak"))
    keys("second-key-all-ones", entries((2, two), (1, b64url(b"\xff" * 32))), ("WARIFU_KEYS[1].key", "weak"))
    keys("duplicate-kid", entries((2, two), (2, one)), ("WARIFU_KEYS[1].kid",))
    keys("duplicate-kid-third", entries((2, two), (1, one), (2, b64url(KEY_3))), ("WARIFU_KEYS[2].kid",))
    keys("same-key-twice", entries((2, one), (1, one)), ("WARIFU_KEYS[1].key",))
    origin_keys = ring_text(RINGS["dropped"])
    ok("signed-commands-default", {}, {"/require_signed_commands": False}, WARIFU_ORIGIN_KEYS=origin_keys)
    ok("signed-commands", {"require_signed_commands": True}, {"/require_signed_commands": True}, WARIFU_ORIGIN_KEYS=origin_keys)
    ok("signed-commands-and-not-sign", {"require_signed_commands": True, "identity": {"sign": False}},
       {"/require_signed_commands": True, "/sign": False}, WARIFU_ORIGIN_KEYS=origin_keys)
    bad("signed-commands-without-origin-keys", {"require_signed_commands": True}, ("require_signed_commands", "true", "WARIFU_ORIGIN_KEYS"))
    bad("type-of-signed-commands", {"require_signed_commands": "yes"}, ("require_signed_commands", '"yes"', "true or false"), WARIFU_ORIGIN_KEYS=origin_keys)
    ok("origin-keys-without-sign", {}, {"/sign": True}, WARIFU_ORIGIN_KEYS=origin_keys)
    ok("origin-keys-and-sign-true", {"identity": {"sign": True}}, {"/sign": True}, WARIFU_ORIGIN_KEYS=origin_keys)
    bad("sign-without-origin-keys", {"identity": {"sign": True}}, ("identity.sign", "WARIFU_ORIGIN_KEYS"))
    bad("origin-keys-empty", {}, ("WARIFU_ORIGIN_KEYS",), WARIFU_ORIGIN_KEYS="[]")
    bad("origin-key-weak", {}, ("WARIFU_ORIGIN_KEYS[0].key", "weak"), WARIFU_ORIGIN_KEYS=entries((1, b64url(bytes(32)))))
    bad("origin-key-weak-and-not-used", {"identity": {"sign": False}}, ("WARIFU_ORIGIN_KEYS[0].key", "weak"),
        WARIFU_ORIGIN_KEYS=entries((1, b64url(bytes(32)))))

    # the cookie
    for name, value in (
        ("without-prefix", "warifu"), ("secure-prefix", "__Secure-warifu"), ("http-prefix", "__Http-warifu"),
        ("lower-case-prefix", "__host-warifu"), ("space-before-prefix", " __Host-warifu"), ("empty", ""),
    ):
        bad("cookie-name-" + name, {"cookie": {"name": value}}, ("cookie.name", found(value), "__Host-"))
    for name, value in (
        ("space", "__Host-a b"), ("semicolon", "__Host-a;b"), ("equals", "__Host-a=b"), ("comma", "__Host-a,b"),
        ("parenthesis", "__Host-(a)"), ("slash", "__Host-a/b"), ("at", "__Host-a@b"), ("colon", "__Host-a:b"),
        ("brackets", "__Host-a[]"), ("outside-ascii", "__Host-\u00e9"),
    ):
        bad("cookie-name-with-" + name, {"cookie": {"name": value}}, ("cookie.name", found(value)))
    for name, value in (("quote", '__Host-a"b'), ("newline", "__Host-a\nb"), ("delete", "__Host-a\x7fb")):
        bad("cookie-name-with-" + name, {"cookie": {"name": value}}, ("cookie.name",))
    for name, value in (("unknown", "loose"), ("capital", "Lax"), ("empty", "")):
        bad("same-site-" + name, {"cookie": {"same_site": value}}, ("cookie.same_site", found(value), "lax", "strict", "none"))

    # site, login, origin, hosts
    for name, value in (
        ("empty", ""), ("65-characters", "s" * 65), ("space", "a b"), ("slash", "a/b"), ("colon", "a:b"), ("at", "a@b"),
        ("outside-ascii", "caf\u00e9"), ("percent", "a%20b"),
    ):
        bad("site-" + name, {"site": value}, ("site", found(value)))
    bad("site-nul", {"site": "a\0b"}, ("site",))
    bad("site-newline", {"site": "a\n"}, ("site",))
    for name, value in (
        ("relative", "login"), ("empty", ""), ("absolute-url", "https://a.example/login"), ("other-host", "//evil.example/"),
        ("dot-segments", "/a/../login"), ("encoded-slash", "/a%2flogin"),
    ):
        bad("login-" + name, {"login": value}, ("login", found(value)))
    bad("login-backslash", {"login": "/\\evil.example"}, ("login",))
    for name, value in (
        ("path", "https://app.example/app"), ("query", "https://app.example?x=1"), ("path-and-query", "https://app.example/?x=1"),
        ("fragment", "https://app.example#x"), ("ftp", "ftp://app.example"), ("websocket", "wss://app.example"),
        ("script", "javascript:alert(1)"), ("no-scheme", "app.example"), ("no-scheme-with-slashes", "//app.example"),
        ("empty", ""), ("no-host", "https://"), ("space", "https://app example"), ("bad-port", "https://app.example:99999"),
    ):
        bad("origin-" + name, {"origin": value}, ("origin", found(value)))
    bad("origin-user", {"origin": "https://user@app.example"}, ("origin",))
    bad("origin-user-and-password", {"origin": "https://user:password@app.example"}, ("origin",))
    for name, value in (("scheme", "https://a.example"), ("path", "a.example/x"), ("empty", ""), ("space", "a example"), ("user", "u@a.example")):
        bad("host-with-" + name if name != "empty" else "host-empty", {"hosts": ["b.example", value]}, ("hosts", found(value)))
    for name, value in (
        ("host", "partner.example"), ("path", "https://partner.example/x"), ("star", "*"), ("null", "null"), ("empty", ""),
        ("wildcard-host", "https://*.partner.example"), ("query", "https://partner.example?x"), ("ftp", "ftp://partner.example"),
    ):
        bad("trusted-origin-" + name, {"trusted_origins": [value]}, ("trusted_origins", found(value)))
    bad("cross-origin-unknown", {"cross_origin": "off"}, ("cross_origin", '"off"', "standard", "strict"))
    for name in ("Warifu-Level", "X-HTTP-Method-Override", "X-Forwarded-Proto", "Set-Cookie", "Range", "Host"):
        bad("user-header-with-another-meaning-" + name.lower(), {"identity": {"user_header": name}}, ("identity.user_header", name))
    bad("admin-host-with-the-scheme-port", {"admin_host": "admin.test:443"}, ("admin_host", "admin.test:443"))
    bad("hosts-with-the-scheme-port", {"hosts": ["app.test:80"]}, ("hosts", "app.test:80"))
    bad("hosts-ipv6-not-as-serialized", {"hosts": ["[0:0::1]"]}, ("hosts", "[0:0::1]"))
    ok("hosts-ipv6", {"hosts": ["[::1]:8787"]}, {"/hosts": ["[::1]:8787"]})
    bad("admin-host-among-hosts", {"hosts": ["app.test"], "admin_host": "app.test"}, ("admin_host", "app.test"))
    bad("methods-empty", {"routes": [{"path": "/", "access": "public", "methods": []}]}, ("routes[0].methods", "[]"))
    bad("login-of-the-gateway", {"login": "/_warifu/logout"}, ("login", "/_warifu/logout"))
    bad("route-of-the-gateway", {"routes": [{"path": "/_warifu/*", "access": "public"}]}, ("routes[0].path", "/_warifu"))
    bad("origin-of-dots", {"origin": "http://.."}, ("origin", ".."))
    bad("user-header-with-a-space", {"identity": {"user_header": "Remote User"}}, ("identity.user_header", '"Remote User"'))
    bad("user-header-with-a-colon", {"identity": {"user_header": "Remote-User:"}}, ("identity.user_header", '"Remote-User:"'))
    bad("user-header-empty", {"identity": {"user_header": ""}}, ("identity.user_header", '""'))

    # the map

    bad("map-empty", {"map": []}, ("map",))
    bad("map-generation-0", {"map": [row(generation=0)]}, ("map[0].generation", "0"))
    bad("map-generation-256", {"map": [row(generation=256)]}, ("map[0].generation", "256"))
    bad("map-generation-negative", {"map": [row(generation=-1)]}, ("map[0].generation", "-1"))
    bad("map-shards-0", {"map": [row(shards=0)]}, ("map[0].shards", "0"))
    bad("map-shards-65537", {"map": [row(shards=65537)]}, ("map[0].shards", "65537"))
    bad("map-region-unknown", {"map": [row(region="mars")]}, ("map[0].region", '"mars"') + REGIONS)
    bad("map-region-capital", {"map": [row(region="WEUR")]}, ("map[0].region", '"WEUR"', "weur"))
    bad("map-region-empty", {"map": [row(region="")]}, ("map[0].region", '""'))
    bad("map-generation-twice", {"map": [row(), row(shards=128)]}, ("map[1].generation", "1"))
    bad("map-generation-falling", {"map": [row(generation=2), row(generation=1)]}, ("map[1].generation", "1"))
    bad("map-second-row-region", {"map": [row(), row(generation=2, region="mars")]}, ("map[1].region", '"mars"'))

    # the routes
    for name, path in (
        ("relative", "a"), ("empty", ""), ("star", "*"), ("star-behind-letters", "/a*"), ("star-inside", "/a/*/b"),
        ("star-first", "/*/a"), ("two-stars", "/a/**"), ("star-twice", "/*/*"), ("star-with-suffix", "/a/*.html"),
        ("encoded-slash", "/a%2fb"), ("two-slashes", "/a//b"), ("two-slashes-before-star", "/a//*"), ("encoded-letter", "/%61"),
        ("lower-case-hex", "/caf%c3%a9"), ("raw-pipe", "/a|b"), ("raw-space", "/a b"), ("dots", "/a/../b"),
        ("dots-before-star", "/a/../*"), ("double-encoded", "/a%252fb"), ("query", "/a?x=1"), ("hash", "/a#b"),
        ("outside-ascii", "/caf\u00e9"), ("bad-percent", "/a%zz"), ("absolute-url", "https://a.example/"),
    ):
        bad("route-path-" + name, route(path=path), ("routes[0].path", found(path)))
    bad("route-path-backslash", route(path="/a\\b"), ("routes[0].path",))
    bad("route-path-missing", {"routes": [{"access": "public"}]}, ("routes[0].path",))
    bad("route-method-unknown", route(methods=["GET", "BREW"]), ("routes[0].methods", '"BREW"'))
    bad("route-method-lower-case", route(methods=["get"]), ("routes[0].methods", '"get"'))
    bad("route-method-empty", route(methods=[""]), ("routes[0].methods", '""'))
    bad("route-method-star", route(methods=["*"]), ("routes[0].methods", '"*"'))
    names = ("public", "optional", "required", "strict")
    bad("access-missing", {"routes": [{"path": "/a"}]}, ("routes[0].access",) + names)
    bad("access-unknown", route(access="private"), ("routes[0].access", '"private"') + names)
    bad("access-capital", route(access="Public"), ("routes[0].access", '"Public"') + names)
    bad("access-empty", route(access=""), ("routes[0].access", '""') + names)
    bad(
        "access-missing-on-the-third-route",
        {"routes": [{"path": "/a", "access": "public"}, {"path": "/b", "access": "strict"}, {"path": "/c"}]},
        ("routes[2].access",) + names,
    )
    bad("commands-on-public", route(access="public", commands=True), ("routes[0].commands", "true"))
    bad("commands-nonce-on-public", route(access="public", commands="nonce"), ("routes[0].commands", '"nonce"', "public"))
    bad("commands-unknown", route(commands="yes"), ("routes[0].commands", '"yes"', 'true, false or "nonce"'))
    bad("on-outage-unknown", route(on_outage="open"), ("routes[0].on_outage", '"open"', "closed", "continue"))
    bad("on-end-unknown", route(on_end="cut"), ("routes[0].on_end", '"cut"', "close", "keep"))
    bad("on-end-on-public", route(access="public", on_end="close"), ("routes[0].on_end", "public"))
    for value in (1023, 131073):
        bad("max-header-bytes-%d" % value, {"max_header_bytes": value}, ("max_header_bytes", str(value), "1024", "131072"))
    bad(
        "continue-on-strict",
        {"routes": [{"path": "/a", "access": "public"}, {"path": "/b", "access": "strict", "on_outage": "continue"}]},
        ("routes[1].on_outage", "closed"),
    )
    for access in ("public", "optional"):
        bad("level-on-" + access, route(access=access, level=1), ("routes[0].level", "required", "strict"))
        bad("max-auth-age-on-" + access, route(access=access, max_auth_age="5m"), ("routes[0].max_auth_age", "required", "strict"))
    bad("rotation-grace-zero", {"rotation_grace": "0s"}, ("rotation_grace", '"0s"', "1s", "5m"))
    bad("rotation-grace-too-short", {"rotation_grace": "999ms"}, ("rotation_grace", '"999ms"'))
    bad("rotation-grace-too-long", {"rotation_grace": "301s"}, ("rotation_grace", '"301s"'))
    bad("max-sessions-too-many", {"max_sessions": 100001}, ("max_sessions", "100001", "100000"))
    sha256_1, sha256_2 = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"two").hexdigest()

    def admin(**changes):
        return {"id": "ops", "sha256": sha256_1, "scopes": ["revoke"], **changes}

    def admins(name, *entries):
        ok("admin-keys-" + name, {}, {"/site": "default"}, WARIFU_ADMIN_KEYS=json.dumps(entries))

    def bad_admins(name, text, *errors):
        bad("admin-keys-" + name, {}, *errors, WARIFU_ADMIN_KEYS=text if isinstance(text, str) else json.dumps(text))

    scopes = ("sessions:read", "sessions:write", "mint", "revoke", "verify", "metrics")
    admins("none")
    admins("one", admin(scopes=list(scopes)))
    admins("without-scopes", admin(scopes=[]))
    admins("two-and-capitals-in-hex", admin(), admin(id="ci", sha256=sha256_2.upper()))
    bad_admins("empty-text", "", ("WARIFU_ADMIN_KEYS",))
    bad_admins("no-list", admin(), ("WARIFU_ADMIN_KEYS",))
    bad_admins("plain-key", [{"id": "ops", "key": "one", "scopes": []}], ("WARIFU_ADMIN_KEYS",))
    bad_admins("without-id", [{"sha256": sha256_1, "scopes": []}], ("WARIFU_ADMIN_KEYS",))
    bad_admins("empty-id", [admin(id="")], ("WARIFU_ADMIN_KEYS[0].id",))
    bad_admins("id-with-a-space", [admin(id="o ps")], ("WARIFU_ADMIN_KEYS[0].id",))
    bad_admins("id-twice", [admin(), admin(sha256=sha256_2)], ("WARIFU_ADMIN_KEYS[1].id",))
    bad_admins("key-twice", [admin(), admin(id="ci")], ("WARIFU_ADMIN_KEYS[1].sha256",))
    bad_admins("short-hash", [admin(sha256=sha256_1[:-2])], ("WARIFU_ADMIN_KEYS[0].sha256",))
    bad_admins("hash-not-hex", [admin(sha256="z" * 64)], ("WARIFU_ADMIN_KEYS[0].sha256",))
    bad_admins("unknown-scope", [admin(scopes=["revoke", "all"])], ("WARIFU_ADMIN_KEYS[0].scopes",) + scopes)
    bad("level-256", route(level=256), ("routes[0].level", "256"))
    bad("level-negative", route(level=-1), ("routes[0].level", "-1"))
    bad("max-auth-age-without-unit", route(max_auth_age="5"), ("routes[0].max_auth_age",))

    for key in ("fence", "on_limit", "on_replay", "replica"):
        allowed = {"fence": ("write", "read"), "on_limit": ("end_oldest", "refuse"), "on_replay": ("observe", "end"), "replica": ("off", "away", "always")}
        bad("unknown-value-of-" + key.replace("_", "-"), {key: "sometimes"}, (key, '"sometimes"') + allowed[key])

    # custody
    log_in = {"path": "/api/login", "tokens": ["/access_token"]}
    custody = lambda **keys: {"custody": keys}
    bearer = lambda *entries: {"custody": {"bearer": list(entries)}}
    eight = [f"c{number}" for number in range(8)]
    refresh = {"path": "/api/refresh/", "tokens": ["/data/token", "/refresh_token"], "body": ["/refresh_token"]}
    ok("custody-of-nothing", {}, {"/custody/cookies": [], "/custody/bearer": [], "/custody/subject": "/sub"})
    ok("custody-of-cookies", custody(cookies=["token", "refresh"], subject="/user/id"),
       {"/custody/cookies": ["token", "refresh"], "/custody/subject": "/user/id"})
    ok("custody-of-tokens", bearer(log_in, refresh),
       {"/custody/bearer": [{**log_in, "body": [], "ends": False}, {**refresh, "path": "/api/refresh", "ends": False}]})
    ok("custody-of-a-log-out", bearer({"path": "/api/logout", "ends": True}),
       {"/custody/bearer": [{"path": "/api/logout", "tokens": [], "body": [], "ends": True}]})
    bad("custody-in-and-out", bearer({**log_in, "ends": True}), ("custody.bearer[0].ends", "tokens"))
    ok("custody-of-eight", custody(cookies=eight), {"/custody/cookies": eight})
    ok("custody-pointer-with-escapes", custody(cookies=["t"], subject="/a~1b/~0c"), {"/custody/subject": "/a~1b/~0c"})
    bad("custody-of-nine", custody(cookies=[f"c{number}" for number in range(9)]), ("custody.cookies", "9", "8"))
    for name, cookie in (("no-name", ""), ("a-space", "to ken"), ("a-sign", "token="), ("too-long", "t" * 129), ("umlaut", "tök")):
        bad("custody-cookie-" + name, custody(cookies=[cookie]), ("custody.cookies", found(cookie)))
    bad("custody-of-the-session-cookie", custody(cookies=["__host-http-WARIFU"]), ("custody.cookies", "session cookie"))
    bad("custody-cookie-twice", custody(cookies=["token", "token"]), ("custody.cookies", "twice"))
    for name, pointer in (("word", "sub"), ("empty", ""), ("open", "/a/"), ("tilde", "/a~2"), ("long", "/" + "a" * 128)):
        bad("custody-subject-" + name, custody(cookies=["t"], subject=pointer), ("custody.subject", found(pointer)))
        bad("custody-token-" + name, bearer({**log_in, "tokens": [pointer]}), ("custody.bearer[0].tokens", found(pointer)))
        bad("custody-body-" + name, bearer({**log_in, "body": [pointer]}), ("custody.bearer[0].body", found(pointer)))
    bad("custody-subject-of-nothing", custody(subject="/sub"), ("custody.subject",))
    bad("custody-bearer-without-path", bearer({"tokens": ["/t"]}), ("custody.bearer[0].path", "nothing"))
    bad("custody-bearer-without-tokens", bearer({"path": "/api/login"}), ("custody.bearer[0].tokens",))
    bad("custody-bearer-no-tokens", bearer({**log_in, "tokens": []}), ("custody.bearer[0].tokens", "[]"))
    bad("custody-bearer-same-name", bearer({**log_in, "tokens": ["/a/token", "/b/token"]}), ("custody.bearer[0].tokens", '"token"'))
    bad("custody-bearer-twice", bearer(log_in, log_in), ("custody.bearer", "twice"))
    for name, path in (("prefix", "/api/*"), ("relative", "api"), ("ours", "/_warifu/me"), ("dots", "/a/../b"), ("query", "/a?b")):
        bad("custody-path-" + name, bearer({**log_in, "path": path}), ("custody.bearer[0].path", found(path)))
    bad("custody-path-public", {**bearer(log_in), **route(path="/api/*", access="public")}, ("custody.bearer[0].path", "public"))
    bad("custody-bearer-unknown-key", bearer({**log_in, "token": "/t"}), ("custody.bearer[0].token", "tokens"))
    bad("custody-bearer-table", custody(bearer=log_in), ("custody.bearer", "list"))

    # adopt
    old = {"cookie": "sid", "probe": "/api/me", "subject": "/id", "until": "2027-03-31"}
    adopt = lambda **keys: {"adopt": {**old, **keys}}
    without = lambda key: {"adopt": {name: value for name, value in old.items() if name != key}}
    read = {"cookie": "sid", "probe": "/api/me", "subject": "/id", "until_ms": 1806451200000, "clear": "sid=; Path=/; Secure; Max-Age=0"}
    ok("adopt-nothing", {}, {"/adopt": None})
    ok("adopt", adopt(), {"/adopt": read})
    ok("adopt-a-probe-with-a-query", adopt(probe="/api/me?full=1&x=%2F"), {"/adopt/probe": "/api/me?full=1&x=%2F"})
    ok("adopt-from-a-domain", adopt(domain=".example.com", path="/app"),
       {"/adopt/clear": "sid=; Path=/app; Domain=.example.com; Secure; Max-Age=0"})
    ok("adopt-in-a-leap-year", adopt(until="2028-02-29"), {"/adopt/until_ms": 1835395200000})
    ok("adopt-what-is-over", adopt(until="2020-01-01"), {"/adopt/until_ms": 1577836800000})
    for name, key, values in (
        ("cookie", "cookie", ("", "a b", "a=b", COOKIE, 5)),
        ("probe", "probe", ("", "api/me", "/a/../b", "/_warifu/me", "/a#b", "/a b", "https://example.com/me")),
        ("subject", "subject", ("", "id", "/a~2")),
        ("until", "until", ("", "2027-02-29", "2027-3-31", "31.3.2027", "2027-03-31T00:00:00Z", "90d", 20270331)),
        ("path", "path", ("", "app", "/a;b")),
        ("domain", "domain", ("", ".", "a b", "https://example.com")),
    ):
        for number, value in enumerate(values):
            bad(f"adopt-{name}-{number}", adopt(**{key: value}), (f"adopt.{key}", found(value)))
    for key in old:
        bad("adopt-without-" + key, without(key), ("adopt." + key, "nothing"))
    bad("adopt-unknown-key", adopt(login="/login"), ("adopt.login", "probe", "until"))
    bad("adopt-text", {"adopt": "sid"}, ("adopt", found("sid")))

    # several sites
    shop = {"site": "shop", "hosts": ["shop.example", "www.shop.example"], "origin": "https://shop.internal"}
    news = {"site": "news", "hosts": ["news.example"], "cookie": {"name": "__Host-news"}, "idle_timeout": "1h"}
    common = {
        "origin": "https://common.internal", "idle_timeout": "10m", "cookie": {"same_site": "strict"},
        "routes": [{"path": "/a", "access": "public"}],
    }
    two = {**common, "sites": [shop, news]}

    def site(name, host, config, values):
        cases.add(name, config=config, host=host, secrets={"WARIFU_KEYS": good_keys}, expect={"ok": values})

    site("sites-the-first", "shop.example", two, {
        "/site": "shop", "/origin": "https://shop.internal", "/hosts": ["shop.example", "www.shop.example"],
        "/idle_timeout_ms": 600000, "/cookie/name": COOKIE, "/cookie/same_site": "strict", "/routes/0/access": "public",
    })
    site("sites-the-second", "news.example", two, {
        "/site": "news", "/origin": "https://common.internal", "/idle_timeout_ms": 3600000, "/cookie/name": "__Host-news",
        "/cookie/same_site": "strict",
    })
    site("sites-another-host-of-the-first", "www.shop.example", two, {"/site": "shop"})
    site("sites-by-admin-host", "ops.example", {"sites": [{**shop, "admin_host": "ops.example"}, news]}, {"/site": "shop"})
    site("sites-lists-are-replaced", "shop.example", {**common, "sites": [{**shop, "routes": []}]}, {"/routes": []})
    site("sites-one-of-them-serves-any-host", "elsewhere.example", {"sites": [shop]}, {"/site": "shop"})
    bad("sites-default-of-a-name", {"site": "shop", **two}, ("site", "each names its own"))
    bad("sites-default-of-hosts", {"hosts": ["a.example"], **two}, ("hosts", "each names its own"))
    bad("sites-default-of-an-admin-host", {"admin_host": "a.example", **two}, ("admin_host", "each names its own"))
    bad("sites-without-a-name", {"sites": [shop, {"hosts": ["a.example"]}]}, ("sites[1].site", "is missing"))
    bad("sites-without-hosts", {"sites": [{"site": "shop"}, news]}, ("sites[0].hosts", "is missing"))
    bad("sites-with-no-hosts", {"sites": [{**shop, "hosts": []}, news]}, ("sites[0].hosts", "is missing"))
    bad("sites-that-are-no-table", {"sites": ["shop", news]}, ("sites[0]", "a table"))
    bad("sites-of-one-name", {"sites": [shop, {**news, "site": "shop"}]}, ("sites[1].site", '"shop"', "sites[0]"))
    bad("sites-of-one-host", {"sites": [shop, {**news, "hosts": ["n.example", "www.shop.example"]}]},
        ("sites[1].hosts", '"www.shop.example"', "sites[0]"))
    bad("sites-with-another-ones-admin-host", {"sites": [shop, {**news, "admin_host": "shop.example"}]},
        ("sites[1].hosts", '"shop.example"', "sites[0]"))
    bad("sites-in-sites", {"sites": [{**shop, "sites": [news]}, news]}, ("sites[0].sites",))
    bad("sites-a-mistake-in-one", {"sites": [shop, {**news, "idle_timeout": "1 hour"}]}, ("sites[1].idle_timeout", '"1 hour"'))
    bad("sites-a-mistake-deep-in-one", {"sites": [shop, {**news, "cookie": {"name": "x"}}]}, ("sites[1].cookie.name", '"x"'))
    bad("sites-a-mistake-in-the-common-part", {**two, "bound": "3h"}, ("bound", '"3h"'))

    # all at once
    bad(
        "every-error-is-reported",
        {
            "site": "",
            "idle_timeout": "2",
            "cookie": {"name": "sid", "same_site": "loose"},
            "routes": [{"path": "a", "access": "private"}, {"path": "/b"}],
            "bound": "3h",
            "colour": "red",
        },
        ("site",), ("idle_timeout", '"2"'), ("cookie.name", "__Host-"), ("cookie.same_site", '"loose"'),
        ("routes[0].path", '"a"'), ("routes[0].access", '"private"'), ("routes[1].access",), ("bound", "1m"), ("colour",),
    )
    bad("errors-of-configuration-and-keys", {"login": "login"}, ("login", '"login"'), ("WARIFU_KEYS",), WARIFU_KEYS="[]")

    return {
        "about": "The WARIFU binding and its secrets. `ok` gives values by JSON pointer. Each of `errors` is reported under "
        "exactly this key, in a text that contains each of `says`. No text repeats a key of WARIFU_KEYS.",
        "cases": cases,
    }


# --- commands ----------------------------------------------------------------


def subject_is_fine(text):
    white = set("\t\n\v\f\r \x85\u00a0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(x) for x in range(0x2000, 0x200B)}
    return (
        1 <= len(text.encode("utf-8")) <= 255
        and not any(unicodedata.category(c) == "Cc" for c in text)
        and text[0] not in white
        and text[-1] not in white
    )


def display(text):
    """A Display String of RFC 9651."""
    plain = (chr(x) if 0x20 <= x <= 0x7E and x not in b'%"' else "%%%02x" % x for x in text.encode("utf-8"))
    return '%"' + "".join(plain) + '"'


def command_file():
    cases = Cases()
    start = 'do=start, sub="42"'

    def ok(name, header, sub="42", level=None, ttl=None, claims=None, end_others=False):
        assert subject_is_fine(sub), name
        values = {"sub": sub, "level": level, "ttl_s": ttl, "claims": claims, "end_others": end_others}
        cases.add(name, header=header, expect={"start": values})

    def end(name, header):
        cases.add(name, header=header, expect={"end": True})

    def bad(name, header, why):
        cases.add(name, header=header, expect={"malformed": why})

    def bytes_item(text):
        return ":" + b64(text.encode("utf-8")) + ":"

    # the shape
    ok("start", start)
    ok("start-with-everything", start + ", level=1, ttl=3600, claims=" + bytes_item('{"role":"teller"}'), level=1, ttl=3600, claims='{"role":"teller"}')
    ok("start-in-another-order", 'claims=:e30=:, ttl=60, sub="42", level=2, do=start', level=2, ttl=60, claims="{}")
    ok("no-space-after-the-comma", 'do=start,sub="42",level=1', level=1)
    ok("spaces-around-the-comma", 'do=start  ,  sub="42"')
    ok("tabs-around-the-comma", 'do=start\t,\tsub="42"')
    ok("spaces-around-the-header", "  " + start + "  ")
    end("end", "do=end")
    end("end-with-spaces-around", " do=end ")
    end("end-with-space-and-tab-after", "do=end \t")
    bad("empty", "", "no `do`")
    bad("one-space", " ", "no `do`")
    bad("tab-before", "\tdo=end", "only spaces may stand before a Dictionary")
    bad("comma-only", ",", "no key")
    bad("comma-after", "do=end,", "a comma with nothing behind it")
    bad("comma-and-space-after", "do=end, ", "a comma with nothing behind it")
    bad("comma-before", ",do=end", "no key")
    ok("of-8192-bytes", [start, {"repeat": " ", "times": 8192 - len(start)}])
    bad("of-8193-bytes", [start, {"repeat": " ", "times": 8193 - len(start)}], "at most 8192 bytes")
    bad("two-commas", 'do=start,,sub="42"', "no key")
    bad("no-comma", 'do=start sub="42"', "no comma")
    bad("semicolon-for-comma", 'do=start; sub="42"', "a parameter")
    bad("ampersand-for-comma", "do=start&sub=42", "`&` is of a Token, and the Token is unknown")
    bad("space-before-equals", "do =end", "no comma")
    bad("space-after-equals", "do= end", "no value")
    bad("nothing-after-equals", "do=", "no value")
    bad("newline-for-space", 'do=start,\nsub="42"', "not of the grammar")
    bad("newline-after", "do=end\n", "not of the grammar")
    bad("nul-after", "do=end\0", "not of the grammar")
    bad("no-break-space-before", "\u00a0do=end", "not of the grammar")
    bad("outside-ascii-after", "do=end\u00e9", "not of the grammar")
    bad("upper-case-key", "Do=end", "keys are lower case")
    bad("upper-case-key-of-sub", 'do=start, Sub="42"', "keys are lower case")
    bad("quoted-key", '"do"=end', "not of the grammar")
    bad("only-text", '"do=end"', "not of the grammar")
    bad("json", '{"do":"end"}', "not of the grammar")
    bad("colon-for-equals", "do: end", "not of the grammar")

    # do
    bad("no-do", 'sub="42"', "no `do`")
    bad("do-alone", "do", "`do` is true, not a Token")
    bad("do-text", 'do="start", sub="42"', "`do` is a Token")
    bad("do-text-end", 'do="end"', "`do` is a Token")
    bad("do-display-string", 'do=%"end"', "`do` is a Token")
    bad("do-integer", "do=1", "`do` is a Token")
    bad("do-boolean", "do=?1", "`do` is a Token")
    bad("do-bytes", "do=:ZW5k:", "`do` is a Token")
    bad("do-inner-list", "do=(end)", "`do` is a Token")
    bad("do-unknown", "do=stop", "unknown")
    bad("do-capital", "do=End", "Tokens are compared byte by byte")
    bad("do-upper-case", 'do=START, sub="42"', "Tokens are compared byte by byte")
    bad("do-longer", "do=end-", "unknown")
    bad("do-with-colon", "do=end:", "unknown")
    bad("do-twice", "do=end, do=end", "a member is given twice")
    bad("do-twice-different", 'do=start, sub="42", do=end', "a member is given twice")
    bad("do-with-a-parameter", "do=end;now", "parameters")
    bad("do-with-a-valued-parameter", 'do=start;v=1, sub="42"', "parameters")

    # sub
    bad("no-sub", "do=start", "no `sub`")
    bad("no-sub-but-others", "do=start, level=1, ttl=60", "no `sub`")
    bad("sub-alone", "do=start, sub", "`sub` is true, not a String")
    bad("sub-boolean", "do=start, sub=?1", "`sub` is a String or a Display String")
    bad("sub-integer", "do=start, sub=42", "`sub` is a String or a Display String")
    bad("sub-decimal", "do=start, sub=4.2", "`sub` is a String or a Display String")
    bad("sub-token", "do=start, sub=alice", "`sub` is a String or a Display String")
    bad("sub-bytes", "do=start, sub=:NDI=:", "`sub` is a String or a Display String")
    bad("sub-date", "do=start, sub=@1700000000", "`sub` is a String or a Display String")
    bad("sub-inner-list", 'do=start, sub=("42")', "`sub` is a String or a Display String")
    bad("sub-twice", start + ', sub="43"', "a member is given twice")
    bad("sub-twice-the-same", start + ', sub="42"', "a member is given twice")
    bad("sub-with-a-parameter", start + ";v=1", "parameters")
    bad("sub-with-a-parameter-without-value", start + ";admin", "parameters")
    bad("sub-empty", 'do=start, sub=""', "a subject has 1 to 255 bytes")
    bad("sub-empty-display-string", 'do=start, sub=%""', "a subject has 1 to 255 bytes")
    bad("sub-not-closed", 'do=start, sub="42', "no closing quote")
    bad("sub-display-string-not-closed", 'do=start, sub=%"42', "no closing quote")
    bad("sub-single-quotes", "do=start, sub='42'", "not of the grammar")
    bad("sub-behind-the-quote", 'do=start, sub="42"x', "no comma")
    ok("sub-one-character", 'do=start, sub="a"', "a")
    ok("sub-255-bytes", ['do=start, sub="', {"repeat": "a", "times": 255}, '"'], "a" * 255)
    bad("sub-256-bytes", ['do=start, sub="', {"repeat": "a", "times": 256}, '"'], "a subject has 1 to 255 bytes")
    bad("sub-10000-bytes", ['do=start, sub="', {"repeat": "a", "times": 10000}, '"'], "a subject has 1 to 255 bytes")
    ok("sub-mail-address", 'do=start, sub="alice@bank.example"', "alice@bank.example")
    ok("sub-space-inside", 'do=start, sub="Alice B"', "Alice B")
    ok("sub-comma-and-equals-inside", 'do=start, sub="a, do=end"', "a, do=end")
    ok("sub-percent-inside", 'do=start, sub="a%41"', "a%41")
    ok("sub-escaped-quote", 'do=start, sub="a\\"b"', 'a"b')
    ok("sub-escaped-backslash", 'do=start, sub="a\\\\b"', "a\\b")
    bad("sub-escaped-n", 'do=start, sub="a\\nb"', "only quote and backslash are escaped")
    bad("sub-backslash-last", 'do=start, sub="42\\"', "no closing quote")
    bad("sub-space-first", 'do=start, sub=" 42"', "white space at an end")
    bad("sub-space-last", 'do=start, sub="42 "', "white space at an end")
    bad("sub-space-only", 'do=start, sub=" "', "white space at an end")
    bad("sub-raw-tab", 'do=start, sub="4\t2"', "not of a String")
    bad("sub-raw-nul", 'do=start, sub="4\0002"', "not of a String")
    bad("sub-raw-delete", 'do=start, sub="4\x7f2"', "not of a String")
    bad("sub-raw-latin-letter", 'do=start, sub="\u00e9"', "not of a String")
    bad("sub-raw-ideograph", 'do=start, sub="\u5272"', "not of a String")
    bad("sub-raw-latin-letter-in-display-string", 'do=start, sub=%"\u00e9"', "not of a Display String")
    for name, text in (
        ("plain", "42"), ("umlauts", "f\u00fc\u00fc"), ("ideographs", "\u5272\u7b26"), ("emoji", "\U0001f511"),
        ("quote-and-percent", 'a"b%c'), ("backslash", "a\\b"), ("em-space-inside", "a\u2003b"), ("zero-width-space-first", "\u200ba"),
        ("255-bytes", "\u00e9" * 127 + "a"),
    ):
        ok("sub-display-" + name, "do=start, sub=" + display(text), text)
    for name, text in (
        ("256-bytes", "\u00e9" * 128), ("nul", "a\0b"), ("newline", "a\nb"), ("tab", "a\tb"), ("delete", "a\x7fb"),
        ("next-line", "a\u0085b"), ("c1-control", "a\u009bb"), ("em-space-first", "\u2003a"), ("em-space-last", "a\u2003"),
        ("no-break-space-first", "\u00a0a"), ("no-break-space-last", "a\u00a0"), ("ideographic-space-last", "a\u3000"),
        ("line-separator-last", "a\u2028"), ("narrow-no-break-space-first", "\u202fa"), ("ogham-space-first", "\u1680a"),
    ):
        assert not subject_is_fine(text), name
        bad("sub-display-" + name, "do=start, sub=" + display(text), "no subject")
    bad("sub-display-upper-case-hex", 'do=start, sub=%"%C3%A9"', "the hex of a Display String is lower case")
    bad("sub-display-invalid-utf8", 'do=start, sub=%"%ff"', "not UTF-8")
    bad("sub-display-cut-utf8", 'do=start, sub=%"%c3"', "not UTF-8")
    bad("sub-display-surrogate", 'do=start, sub=%"%ed%a0%80"', "not UTF-8")
    bad("sub-display-overlong", 'do=start, sub=%"%c1%81"', "not UTF-8")
    bad("sub-display-one-digit", 'do=start, sub=%"%c"', "not of a Display String")
    bad("sub-display-bare-percent", 'do=start, sub=%"100%"', "not of a Display String")
    bad("sub-display-no-quote", "do=start, sub=%42", "not of a Display String")

    # level and ttl
    for value in (0, 1, 255):
        ok("level-%d" % value, start + ", level=%d" % value, level=value)
    ok("level-with-a-leading-zero", start + ", level=02", level=2)
    bad("level-256", start + ", level=256", "0 to 255")
    bad("level-negative", start + ", level=-1", "0 to 255")
    bad("level-decimal", start + ", level=1.0", "an Integer")
    bad("level-text", start + ', level="1"', "an Integer")
    bad("level-token", start + ", level=high", "an Integer")
    bad("level-alone", start + ", level", "an Integer")
    bad("level-boolean", start + ", level=?1", "an Integer")
    bad("level-date", start + ", level=@1", "an Integer")
    bad("level-inner-list", start + ", level=(1)", "an Integer")
    bad("level-plus", start + ", level=+1", "not of the grammar")
    bad("level-hexadecimal", start + ", level=0x1", "not of the grammar")
    bad("level-sixteen-digits", start + ", level=0000000000000001", "an Integer has at most 15 digits")
    bad("level-huge", [start + ", level=", {"repeat": "9", "times": 400}], "an Integer has at most 15 digits")
    bad("level-twice", start + ", level=1, level=2", "a member is given twice")
    bad("level-with-a-parameter", start + ", level=1;x", "parameters")
    for value in (1, 3600, 315360000):
        ok("ttl-%d" % value, start + ", ttl=%d" % value, ttl=value)
    bad("ttl-0", start + ", ttl=0", "1 to 315360000")
    bad("ttl-negative", start + ", ttl=-60", "1 to 315360000")
    bad("ttl-315360001", start + ", ttl=315360001", "1 to 315360000")
    bad("ttl-fifteen-digits", start + ", ttl=999999999999999", "1 to 315360000")
    bad("ttl-4294967297", start + ", ttl=4294967297", "1 to 315360000")
    bad("ttl-duration", start + ", ttl=1h", "no comma")
    bad("ttl-text", start + ', ttl="3600"', "an Integer")
    bad("ttl-decimal", start + ", ttl=3600.0", "an Integer")
    bad("ttl-alone", start + ", ttl", "an Integer")
    bad("ttl-twice", start + ", ttl=60, ttl=60", "a member is given twice")

    # claims
    def claims(name, text):
        ok("claims-" + name, start + ", claims=" + bytes_item(text), claims=text)

    def no_claims(name, text, why):
        bad("claims-" + name, start + ", claims=" + bytes_item(text), why)

    claims("empty-object", "{}")
    claims("with-white-space", ' { "a" : 1 } ')
    claims("nested", '{"a":{"b":[1,2.5,-3,true,false,null,"x"]}}')
    claims("outside-ascii", '{"name":"\u5272\u7b26 \u00e9"}')
    claims("escapes", '{"name":"\\u00e9\\n\\"\\\\"}')
    claims("sixteen-deep", '{"a":' + "[" * 15 + "]" * 15 + "}")
    claims("2048-bytes", '{"a":"' + "x" * 2040 + '"}')
    no_claims("2049-bytes", '{"a":"' + "x" * 2041 + '"}', "at most 2048 bytes")
    no_claims("2049-bytes-of-which-white-space", '{"a":"' + "x" * 2040 + '"} ', "at most 2048 bytes")
    no_claims("20000-bytes", '{"a":"' + "x" * 20000 + '"}', "at most 2048 bytes")
    no_claims("of-nothing", "", "not JSON")
    no_claims("list", "[1]", "not an object")
    no_claims("text", '"a"', "not an object")
    no_claims("number", "1", "not an object")
    no_claims("null", "null", "not an object")
    no_claims("not-json", "{a:1}", "not JSON")
    no_claims("cut-off", '{"a":1', "not JSON")
    no_claims("two-objects", "{}{}", "not JSON")
    no_claims("something-after", "{}x", "not JSON")
    no_claims("trailing-comma", '{"a":1,}', "not JSON")
    no_claims("raw-newline-in-text", '{"a":"\n"}', "not JSON")
    no_claims("lone-surrogate", '{"a":"\\ud800"}', "not JSON text that can be kept")
    no_claims("lists-1000-deep", '{"a":' + "[" * 1000 + "]" * 1000 + "}", "nested too deep")
    no_claims("objects-300-deep", '{"a":' * 300 + "1" + "}" * 300, "nested too deep")
    no_claims("open-lists-1000-deep", '{"a":' + "[" * 1000, "not JSON")
    bad("claims-invalid-utf8", start + ", claims=:" + b64(b'{"a":"\xff"}') + ":", "not UTF-8")
    bad("claims-plain-text", start + ', claims="{}"', "a Byte Sequence")
    bad("claims-token", start + ", claims=e30", "a Byte Sequence")
    bad("claims-alone", start + ", claims", "a Byte Sequence")
    bad("claims-integer", start + ", claims=1", "a Byte Sequence")
    bad("claims-display-string", start + ', claims=%"{}"', "a Byte Sequence")
    bad("claims-not-closed", start + ", claims=:e30=", "no closing colon")
    bad("claims-not-base64", start + ", claims=:e3*=:", "not base64")
    bad("claims-url-alphabet", start + ", claims=:" + base64.urlsafe_b64encode(b'{"a":"\xc3\xbf\xc3\xbe>?"}').decode() + ":", "base64, not base64url")
    bad("claims-space-inside", start + ", claims=:e3 0=:", "not base64")
    bad("claims-twice", start + ", claims=:e30=:, claims=:e30=:", "a member is given twice")
    bad("claims-with-a-parameter", start + ", claims=:e30=:;x=1", "parameters")

    # what does not belong
    bad("unknown-member", start + ", admin", "unknown member")
    bad("unknown-valued-member", start + ', role="teller"', "unknown member")
    bad("unknown-member-of-end", "do=end, now", "unknown member")
    bad("unknown-member-star", start + ", *=1", "unknown member")
    bad("unknown-member-dotted", start + ", sub.x=1", "unknown member")
    bad("thousand-unknown-members", [start, {"repeat": ", x=1", "times": 1000}], "unknown member")
    bad("subject-for-sub", 'do=start, subject="42"', "unknown member")
    bad("end-with-sub", 'do=end, sub="a"', "`sub` does not belong to `end`")
    bad("end-with-level", "do=end, level=1", "`level` does not belong to `end`")
    bad("end-with-ttl", "do=end, ttl=1", "`ttl` does not belong to `end`")
    bad("end-with-claims", "do=end, claims=:e30=:", "`claims` does not belong to `end`")
    bad("end-with-end-others", "do=end, end-others", "`end-others` does not belong to `end`")

    # the others
    def other(name, header, **what):
        cases.add(name, header=header, expect=what)

    other("rotate", "do=rotate", rotate={"level": None})
    other("rotate-with-level", "do=rotate, level=2", rotate={"level": 2})
    other("rotate-level-first", "level=0, do=rotate", rotate={"level": 0})
    other("update", "do=update, claims=" + bytes_item('{"a":1}'), update={"claims": '{"a":1}'})
    other("end-others", "do=end-others", end_others=True)
    other("end-all", "do=end-all", end_all=True)
    ok("start-end-others", start + ", end-others", end_others=True)
    ok("start-end-others-true", start + ", end-others=?1", end_others=True)
    ok("start-end-others-false", start + ", end-others=?0")
    ok("start-with-everything-and-end-others", start + ", level=1, ttl=3600, claims=:e30=:, end-others", level=1, ttl=3600, claims="{}", end_others=True)
    bad("end-others-integer", start + ", end-others=1", "a Boolean")
    bad("end-others-text", start + ', end-others="yes"', "a Boolean")
    bad("rotate-level-256", "do=rotate, level=256", "0 to 255")
    bad("rotate-level-text", 'do=rotate, level="2"', "an Integer")
    bad("rotate-with-sub", 'do=rotate, sub="42"', "unknown member")
    bad("rotate-with-claims", "do=rotate, claims=:e30=:", "unknown member")
    bad("update-without-claims", "do=update", "claims are missing")
    bad("update-with-level", "do=update, claims=:e30=:, level=1", "unknown member")
    bad("update-with-a-list", "do=update, claims=" + bytes_item("[]"), "an object")
    bad("end-all-with-sub", 'do=end-all, sub="42"', "no other member")
    bad("end-others-with-level", "do=end-others, level=1", "no other member")
    bad("do-in-capitals", "do=Rotate", "unknown do")

    # the nonce: `sent` went to the origin with the request, and `wanted` says whether the command must repeat it
    nonce = b64url(bytes_of("a nonce", 16))
    other_nonce = b64url(bytes_of("another nonce", 16))
    repeated = ', nonce="%s"' % nonce
    rotate = {"rotate": {"level": None}}
    forty_two = {"start": {"sub": "42", "level": None, "ttl_s": None, "claims": None, "end_others": False}}

    def nonced(name, header, where_sent, where_wanted=None):
        for suffix, wanted, expect in (("sent", False, where_sent), ("wanted", True, where_wanted or where_sent)):
            cases.add("nonce-%s-%s" % (suffix, name), header=header, nonce={"sent": nonce, "wanted": wanted}, expect=expect)

    bad("start-nonce", start + repeated, "no nonce was sent")
    bad("rotate-nonce", "do=rotate" + repeated, "no nonce was sent")
    bad("update-nonce", "do=update, claims=:e30=:" + repeated, "no nonce was sent")
    bad("end-nonce", "do=end" + repeated, "no nonce was sent")
    nonced("start", start + repeated, forty_two)
    nonced("first", 'nonce="%s", %s' % (nonce, start), forty_two)
    nonced("rotate", "do=rotate" + repeated, rotate)
    nonced("update", "do=update, claims=:e30=:" + repeated, {"update": {"claims": "{}"}})
    nonced("end", "do=end" + repeated, {"end": True})
    nonced("end-others", "do=end-others" + repeated, {"end_others": True})
    nonced("end-all", "do=end-all" + repeated, {"end_all": True})
    # Without it, or in what cannot be read, nothing shows whose command it is.
    unproven = {"unproven": "the nonce is not repeated"}
    nonced("missing", start, forty_two, unproven)
    nonced("missing-in-end", "do=end", {"end": True}, unproven)
    nonced("missing-and-malformed", "do=stop", {"malformed": "unknown do"}, unproven)
    nonced("in-capitals", start + ', Nonce="%s"' % nonce, {"malformed": "keys are lower case"}, unproven)
    nonced("in-a-list", start + ', nonce=("%s")' % nonce, {"malformed": "a list"}, unproven)
    nonced("not-a-dictionary", start + repeated + ",", {"malformed": "a comma with nothing behind it"}, unproven)
    nonced("behind-a-broken-member", "=" + repeated, {"malformed": "no key"}, unproven)
    nonced("in-a-text", 'do=start, sub="a, nonce=%s"' % nonce, {"start": {**forty_two["start"], "sub": "a, nonce=" + nonce}}, unproven)
    nonced("in-a-header-of-8193-bytes", [start + repeated, {"repeat": " ", "times": 8193 - len(start + repeated)}], {"malformed": "too long"}, unproven)
    nonced("in-a-header-of-8192-bytes", [start + repeated, {"repeat": " ", "times": 8192 - len(start + repeated)}], forty_two)
    # Another one was never the origin's to write.
    for name, value in (
        ("another", '"%s"' % other_nonce), ("longer", '"%sA"' % nonce), ("shorter", '"%s"' % nonce[:-1]), ("empty", '""'),
        ("in-another-case", '"%s"' % nonce.swapcase()), ("space-before", '" %s"' % nonce), ("true", "?1"), ("an-integer", "1"),
        ("a-token", "a" + nonce), ("bytes", ":" + b64(bytes_of("a nonce", 16)) + ":"), ("a-display-string", display(nonce)),
    ):
        nonced("is-" + name, start + ", nonce=" + value, unproven)
    nonced("without-a-value", start + ", nonce", unproven)
    nonced("another-twice", start + ', nonce="%s", nonce="%s"' % (other_nonce, other_nonce), unproven)
    # The right one shows that the origin has spoken, in a way that cannot be obeyed.
    for name, header in (
        ("twice", start + repeated + repeated), ("with-a-parameter", start + repeated + ";v=1"),
        ("and-another", start + repeated + ', nonce="%s"' % other_nonce), ("another-and", start + ', nonce="%s"' % other_nonce + repeated),
        ("two-commands", start + repeated + ", do=end"), ("unknown-member", start + repeated + ", admin"),
        ("unknown-do", "do=stop" + repeated), ("alone", repeated[2:]), ("no-sub", "do=start" + repeated),
        ("end-with-sub", 'do=end, sub="42"' + repeated),
    ):
        nonced("right-" + name, header, {"malformed": "the origin's own"})

    return {
        "about": "Values of Warifu-Command (RFC 9651 Dictionaries). `claims` is JSON text, compared as JSON. `nonce` is what "
        "the origin was sent, and whether the command must repeat it; absent: nothing was. The texts of `malformed` and "
        "`unproven` are for people.",
        "cases": cases,
    }


# --- signatures --------------------------------------------------------------


def signature_file():
    cases = Cases()

    def mac(name, key, components, params):
        base = "".join(f'"{name}": {value}\n' for name, value in components) + f'"@signature-params": {params}'
        signature = base64.b64encode(hmac.new(key, base.encode(), hashlib.sha256).digest()).decode()
        cases.add(name, key=base64.b64encode(key).decode(), components=components, params=params,
                  expect={"signature": signature})
        return signature

    # RFC 9421, appendix B.2.5, with the key of appendix B.1.5.
    shared = base64.b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
    found = mac(
        "rfc-9421-b-2-5", shared,
        [["date", "Tue, 20 Apr 2021 02:07:55 GMT"], ["@authority", "example.com"], ["content-type", "application/json"]],
        '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    )
    assert found == "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=", "the signature that the RFC prints"
    list_of = lambda components: "(" + " ".join(f'"{name}"' for name, _ in components) + ")"
    full = [
        ["@method", "GET"], ["@authority", "app.internal.example"], ["@path", "/a%20b/c"], ["@query", "?x=1&y=%2F"],
        ["warifu-session", "AQAAB6usrKysrKysrKysrA"], ["warifu-level", "1"], ["warifu-auth-time", "1750000000"],
        ["warifu-claims", "eyJhIjoxfQ"], ["remote-user", "caf%C3%A9"], ["warifu-subject", "caf%C3%A9"],
    ]
    anonymous = [[name, value if name.startswith("@") else ""] for name, value in full]
    tail = ';created=1750000000;expires=1750000060;nonce="AAECAwQFBgcAAAAAAAAAAA";keyid="2";alg="hmac-sha256";tag="warifu"'
    mac("everything-that-is-covered", KEY_2, full, list_of(full) + tail)
    mac("nobody", KEY_2, anonymous, list_of(anonymous) + tail)
    mac("an-empty-query", KEY_2, [["@query", "?"]], '("@query")' + tail)
    mac("under-another-key", KEY_1, full, list_of(full) + tail)

    def strip(name, header, kept):
        cases.add(name, header=header, expect={"kept": kept})

    other = 'sig1=("@method";req "a,b");created=1;keyid="k\\",w"'
    strip("ours-alone", 'warifu=("@method");created=1', None)
    strip("ours-as-a-signature", "warifu=:AAAA:", None)
    strip("ours-and-another", f"{other}, warifu=:AAAA:", other)
    strip("ours-first", f"warifu=:AAAA: ,\t{other}", other)
    strip("ours-between", "a=:AAAA:, warifu=:BBBB:;x=1, b=:CCCC:", "a=:AAAA:, b=:CCCC:")
    strip("ours-twice", "warifu=:AAAA:, a=1, warifu=:BBBB:", "a=1")
    strip("ours-as-a-boolean", "warifu, a", "a")
    strip("ours-with-parameters-only", "warifu;x=1, a", "a")
    strip("others-stay-as-they-are", other + ", b=(:AAAA:   :BBBB:)", other + ", b=(:AAAA:   :BBBB:)")
    strip("a-name-that-begins-like-ours", "warifu2=:AAAA:, warif=1", "warifu2=:AAAA:, warif=1")
    strip("ours-within-a-string", 'a=", warifu=:AAAA:"', 'a=", warifu=:AAAA:"')
    # RFC 9651, section 4.2.10: in a Display String, a backslash escapes nothing.
    strip("ours-after-a-display-string-that-ends-in-a-backslash", 'a=%"\\", warifu=:AAAA:', 'a=%"\\"')
    strip("ours-within-a-display-string", 'a=%"\\, warifu=:AAAA:", b', 'a=%"\\, warifu=:AAAA:", b')
    strip("ours-after-a-string-that-ends-in-a-percent", 'a="%", b="\\", warifu=1", warifu=2', 'a="%", b="\\", warifu=1"')
    for name, bad in (
        ("no-dictionary", "AAAA=="), ("upper-case", "Warifu=:AAAA:"), ("an-open-string", 'a="'),
        ("an-open-list", "a=(1"), ("a-trailing-comma", "a=1,"), ("not-ascii", "a=\u00e9"), ("a-bad-one-and-ours", "=, warifu=1"),
    ):
        strip(name, bad, None)
    strip("empty", "", None)

    return {
        "about": "Signatures of RFC 9421 with hmac-sha256: `components` are names and values as the receiver sees them, "
        "`params` the value of @signature-params. And what is left of a client's Signature or Signature-Input header "
        "without members labelled `warifu`; null: nothing, or it is no Dictionary.",
        "cases": cases,
    }


# --- signed commands ---------------------------------------------------------


class Structured:
    """A Dictionary of RFC 9651, read with regular expressions: `members` are (key, kind, value, parameters), and each
    item keeps the text that it is serialized to. What is none raises ValueError."""

    KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
    ITEMS = (
        ("decimal", re.compile(r"-?[0-9]{1,12}\.[0-9]{1,3}(?![0-9.])")),
        ("integer", re.compile(r"-?[0-9]{1,15}(?![0-9.])")),
        ("string", re.compile(r'"(?:[ !#-\[\]-~]|\\["\\])*"')),
        ("display", re.compile(r'%"(?:[ !#$&-~]|%[0-9a-f]{2})*"')),
        ("bytes", re.compile(r":[A-Za-z0-9+/]*={0,2}:")),
        ("boolean", re.compile(r"\?[01]")),
        ("date", re.compile(r"@-?[0-9]{1,15}(?![0-9.])")),
        ("token", re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")),
    )

    def __init__(self, text):
        self.text = text.strip(" ")
        self.at = 0
        self.members = []
        while self.at < len(self.text):
            key = self.take(self.KEY)
            if self.text[self.at : self.at + 1] == "=":
                self.at += 1
                kind, value = self.inner_list() if self.text[self.at : self.at + 1] == "(" else self.item()
            else:
                kind, value = "boolean", "?1"
            self.members.append((key, kind, value, self.parameters()))
            self.skip(" \t")
            if self.at == len(self.text):
                break
            self.take(re.compile(","))
            self.skip(" \t")
            if self.at == len(self.text):
                raise ValueError("a comma with nothing behind it")

    def skip(self, characters):
        while self.text[self.at : self.at + 1] and self.text[self.at] in characters:
            self.at += 1

    def take(self, pattern):
        found = pattern.match(self.text, self.at)
        if not found:
            raise ValueError("at %d" % self.at)
        self.at = found.end()
        return found.group()

    def item(self):
        for kind, pattern in self.ITEMS:
            if pattern.match(self.text, self.at):
                return kind, self.take(pattern)
        raise ValueError("no item at %d" % self.at)

    def parameters(self):
        found = []
        while self.text[self.at : self.at + 1] == ";":
            self.at += 1
            self.skip(" ")
            key = self.take(self.KEY)
            kind, value = "boolean", "?1"
            if self.text[self.at : self.at + 1] == "=":
                self.at += 1
                kind, value = self.item()
            found.append((key, kind, value))
        return found

    def inner_list(self):
        self.take(re.compile(r"\("))
        items = []
        while True:
            self.skip(" ")
            if self.text[self.at : self.at + 1] == ")":
                self.at += 1
                return "list", items
            items.append((*self.item(), self.parameters()))
            if self.text[self.at : self.at + 1] not in (" ", ")"):
                raise ValueError("items without a space between")

    @staticmethod
    def written(parameters):
        # The values above are in their one form but for numbers with zeros before them.
        form = lambda kind, value: str(int(value)) if kind == "integer" else value
        return "".join(";" + key + ("" if value == "?1" else "=" + form(kind, value)) for key, kind, value in parameters)

    def only(self, label):
        """The member of this label, of which there must be one."""
        (member,) = [member for member in self.members if member[0] == label]
        return member[1:]


def is_signed_command(keys, now, signed):
    """Whether RFC 9421, and what docs/signatures.md asks for on top, take this command for the origin's own."""
    try:
        kind, items, parameters = Structured(signed["input"] or "").only("warifu")
        mac_kind, mac, mac_parameters = Structured(signed["signature"] or "").only("warifu")
    except ValueError:
        return False
    if kind != "list" or mac_kind != "bytes" or mac_parameters:
        return False
    said = {key: (kind, value) for key, kind, value in parameters}
    kinds = {"created": "integer", "expires": "integer", "keyid": "string", "tag": "string", "alg": "string", "nonce": "string"}
    if len(said) != len(parameters) or any(kinds.get(key) != kind for key, (kind, _) in said.items()):
        return False
    if not {"created", "expires", "keyid", "tag"} <= set(said):
        return False
    if said["tag"][1] != '"warifu-command"' or said.get("alg", ("", '"hmac-sha256"'))[1] != '"hmac-sha256"':
        return False
    created, expires = int(said["created"][1]), int(said["expires"][1])
    if not (0 <= created <= expires <= created + 60 and created <= now + 5 and now <= expires + 5):
        return False
    key = {'"%d"' % kid: raw for kid, raw in keys}.get(said["keyid"][1])
    values = {
        '"@status"': str(signed["status"]), '"warifu-command"': signed["command"].strip(" \t"),
        '"@method";req': signed["method"], '"@authority";req': signed["authority"], '"@path";req': signed["path"],
        '"@query";req': signed["query"], '"warifu-nonce";req': signed["nonce"],
    }
    covered = [value + Structured.written(of_item) for _, value, of_item in items]
    if key is None or sorted(covered) != sorted(values):
        return False
    base = "".join("%s: %s\n" % (name, values[name]) for name in covered)
    base += '"@signature-params": (%s)%s' % (" ".join(covered), Structured.written(parameters))
    return base64.b64encode(hmac.new(key, base.encode(), hashlib.sha256).digest()).decode() == mac[1:-1]


def signed_command_file():
    cases = Cases()
    ring = [(7, bytes_of("origin key 7")), (3, bytes_of("origin key 3"))]
    now = 1750000000
    nonce = b64url(bytes_of("a nonce", 16))
    of = {
        "status": 303, "command": 'do=start, sub="42"', "method": "POST", "authority": "app.internal.example",
        "path": "/log%20in", "query": "?a=1&b=%2F", "nonce": nonce,
    }
    COVERED = ('"@status"', '"warifu-command"', '"@method";req', '"@authority";req', '"@path";req', '"@query";req', '"warifu-nonce";req')
    PARAMETERS = {"created": now, "expires": now + 60, "keyid": '"7"', "alg": '"hmac-sha256"', "tag": '"warifu-command"'}

    def sign(said=of, covered=COVERED, key=ring[0][1], lines=None, tail="", form=None, **changed):
        """The two headers; None takes a parameter out, and `tail` are more of them. `form` is how the list is written, where not as it is signed."""
        values = {name: said[re.sub(r'^"(@|warifu-)?(\w+)".*', r"\2", name)] for name in COVERED}
        listed = [(name, value) for name, value in {**PARAMETERS, **changed}.items() if value is not None]
        parameters = "(%s)%s" % (" ".join(covered), "".join(";%s=%s" % pair for pair in listed) + tail)
        lines = ["%s: %s" % (name, values[name]) for name in covered] if lines is None else lines
        base = "\n".join([*lines, '"@signature-params": ' + parameters])
        return "warifu=" + (form or (lambda text: text))(parameters), "warifu=:%s:" % b64(hmac.new(key, base.encode(), hashlib.sha256).digest())

    def add(name, headers, expect, said=of, at=now):
        signed = {**said, "input": headers[0], "signature": headers[1]}
        assert is_signed_command(ring, at, signed) == (expect is None), name
        cases.add(name, now=at, signed=signed, expect={"good": True} if expect is None else {"refused": expect})

    def good(name, headers, **more):
        add(name, headers, None, **more)

    def bad(name, why, headers, **more):
        add(name, headers, why, **more)

    good("everything", sign())
    good("components-in-another-order", sign(covered=COVERED[::-1]))
    good("the-other-key", sign(key=ring[1][1], keyid='"3"'))
    good("without-alg", sign(alg=None))
    good("with-a-nonce-of-its-own", sign(nonce='"x\\"y"'))
    good("for-one-second", sign(expires=now + 1))
    good("for-no-time-at-all", sign(expires=now))
    good("created-5-s-ahead", sign(created=now + 5))
    good("expired-5-s-ago", sign(created=now - 65, expires=now - 5))
    good("another-signature-beside-it", ["%s, sig1=%s" % (header, other) for header, other in zip(sign(), ('("@status");created=1;keyid="k"', ":AAAA:"))])
    good("another-signature-before-it", ["sig1=%s,\t%s" % (other, header) for header, other in zip(sign(), ('("@status");created=1;keyid="k"', ":AAAA:"))])
    good("written-with-more-spaces", sign(form=lambda text: text.replace("(", "(  ").replace(" ", "  ").replace(")", "  )").replace(";created", ";  created")))
    good("req-written-out", sign(form=lambda text: text.replace(";req", ";req=?1")))
    good("a-number-with-zeros-before-it", sign(form=lambda text: text.replace("created=", "created=000")))
    for name, changed in (
        ("no-query", {"query": "?"}), ("query-with-quotes", {"query": "?'%22"}), ("get", {"method": "GET"}), ("status-200", {"status": 200}),
        ("root", {"path": "/"}), ("authority-with-a-port", {"authority": "127.0.0.1:8790"}), ("do-end", {"command": "do=end"}),
        ("command-that-is-none", {"command": "not a command, \\ \""}), ("command-of-two-fields", {"command": "do=end, nonce=\"x\""}),
    ):
        good("of-" + name, sign({**of, **changed}), said={**of, **changed})
    good("spaces-around-the-command", sign(), said={**of, "command": " \t" + of["command"] + " "})

    # what is covered
    for index, name in enumerate(COVERED):
        less = COVERED[:index] + COVERED[index + 1 :]
        bad("without-%d" % index, name + " is not covered", sign(covered=less))
        bad("twice-%d" % index, name + " is covered twice", sign(covered=COVERED + (name,)))
        bad("twice-for-another-%d" % index, name + " is covered twice, and another not at all", sign(covered=less + (less[0],)))
    bad("nothing-covered", "nothing is covered", sign(covered=()))
    line = lambda name: "%s: %s" % (name, {**dict(zip(COVERED, (303, of["command"], "POST", of["authority"], of["path"], of["query"], nonce)))}[name])
    for name, more, value in (
        ("date", '"date"', "Tue, 20 Apr 2021 02:07:55 GMT"), ("content-type", '"content-type"', "text/html"),
        ("scheme", '"@scheme";req', "https"), ("signature-params", '"@signature-params"', "()"),
    ):
        bad("more-" + name, "a component that is not of the list", sign(covered=COVERED + (more,), lines=[*map(line, COVERED), "%s: %s" % (more, value)]))
    for name, old, new in (
        ("method-without-req", '"@method";req', '"@method"'), ("status-with-req", '"@status"', '"@status";req'),
        ("command-with-req", '"warifu-command"', '"warifu-command";req'), ("command-as-sf", '"warifu-command"', '"warifu-command";sf'),
        ("command-as-bs", '"warifu-command"', '"warifu-command";bs'), ("command-by-key", '"warifu-command"', '"warifu-command";key="do"'),
        ("trailer", '"warifu-nonce";req', '"warifu-nonce";req;tr'), ("req-false", '"@path";req', '"@path";req=?0'),
        ("req-twice", '"@path";req', '"@path";req;req'), ("req-of-one", '"@path";req', '"@path";req=1'),
        ("in-capitals", '"warifu-command"', '"Warifu-Command"'), ("a-token", '"@status"', "status"), ("bytes", '"@status"', ":AAAA:"),
        ("query-param", '"@query";req', '"@query-param";req;name="a"'), ("request-target", '"@path";req', '"@request-target";req'),
    ):
        changed = tuple(new if name == old else name for name in COVERED)
        bad("component-" + name, "another component", sign(covered=changed, lines=[line(name).replace(old, new, 1) for name in COVERED]))

    # the parameters
    bad("extra-parameter", "an unknown parameter", sign(v=1))
    bad("extra-parameter-without-a-value", "an unknown parameter", sign(tail=";x"))
    bad("extra-parameters", "unknown parameters", sign(**{"x%d" % n: n for n in range(100)}))
    for key in ("created", "expires", "keyid", "tag"):
        bad("no-" + key, key + " is missing", sign(**{key: None}))
    for index, (key, value) in enumerate((
        ("created", '"%d"' % now), ("created", "%d.0" % now), ("created", "@%d" % now), ("created", "-1"), ("expires", '"%d"' % (now + 60)),
        ("expires", "?1"), ("keyid", "7"), ("keyid", "a7"), ("keyid", ":Nw==:"), ("tag", "warifu-command"), ("alg", "hmac-sha256"), ("nonce", "1"),
    )):
        bad("%s-of-another-type-%d" % (key, index), "another type", sign(**{key: value}))
    for key in PARAMETERS:
        bad(key + "-twice", "a parameter is given twice", sign(tail=";%s=%s" % (key, PARAMETERS[key])))
    bad("parameters-that-are-not-signed", "a parameter on top", sign(form=lambda text: text + ';nonce="x"'))
    for name, value in (("of-requests", '"warifu"'), ("other", '"other"'), ("empty", '""'), ("in-capitals", '"Warifu-Command"'), ("longer", '"warifu-command2"')):
        bad("tag-" + name, "another tag", sign(tag=value))
    for name, value in (("sha512", '"hmac-sha512"'), ("empty", '""'), ("in-capitals", '"HMAC-SHA256"'), ("ed25519", '"ed25519"')):
        bad("alg-" + name, "another algorithm", sign(alg=value))
    for name, value in (("unknown", '"9"'), ("empty", '""'), ("with-a-zero", '"07"'), ("with-a-space", '"7 "'), ("with-a-sign", '"+7"')):
        bad("keyid-" + name, "an unknown key", sign(keyid=value))
    bad("keyid-of-another-key", "one key under the id of another", sign(keyid='"3"'))
    bad("key-of-nobody", "a key of nobody", sign(key=FOREIGN_KEY))

    # the time
    bad("expired", "6 s over", sign(created=now - 66, expires=now - 6))
    bad("expired-by-now", "6 s over", sign(), at=now + 66)
    bad("expired-long-ago", "years over", sign(created=1, expires=61))
    bad("created-in-the-future", "6 s ahead", sign(created=now + 6, expires=now + 60))
    bad("created-far-ahead", "years ahead", sign(created=999999999999940, expires=999999999999999))
    bad("valid-for-61-s", "too long", sign(expires=now + 61))
    bad("valid-for-300-s", "too long", sign(expires=now + 300))
    bad("valid-for-ever", "too long", sign(expires=999999999999999))
    bad("ends-before-it-begins", "expires before created", sign(created=now + 1, expires=now))

    # what it was made for
    for name, key, values in (
        ("command", "command", ('do=start, sub="43"', 'do=start, sub="42", level=9', of["command"] + ", " + of["command"], 'do=start,sub="42"', "do=end")),
        ("status", "status", (200, 302, 401)),
        ("method", "method", ("GET", "PUT", "post")),
        ("authority", "authority", ("evil.example", "app.internal.example:8080")),
        ("path", "path", ("/log%20out", "/", "/log in", "/log%20in/")),
        ("query", "query", ("?", "?a=1", "?a=1&b=/", "?b=%2F&a=1")),
        ("nonce", "nonce", (b64url(bytes_of("another nonce", 16)), "", nonce.swapcase())),
    ):
        for index, value in enumerate(values):
            bad("other-%s-%d" % (name, index), "another " + name, sign(), said={**of, key: value})
    # A line of one value must not pass for two.
    bad("a-value-with-a-line-break", "lines that are not those", sign(), said={**of, "path": of["path"] + '\n"@query";req: ' + of["query"]})

    # the fields
    input_, mac = sign()
    flipped = "warifu=:" + ("B" if mac[8] == "A" else "A") + mac[9:]
    for name, value in (
        ("flipped", flipped), ("empty", "warifu=::"), ("cut", "warifu=:" + b64(base64.b64decode(mac[8:-1])[:31]) + ":"),
        ("half", "warifu=:" + b64(base64.b64decode(mac[8:-1])[:16]) + ":"), ("longer", "warifu=:" + b64(base64.b64decode(mac[8:-1]) + b"x") + ":"),
    ):
        bad("mac-" + name, "a wrong MAC", (input_, value))
    for name, value in (
        ("as-text", 'warifu="%s"' % mac[8:-1]), ("as-a-token", "warifu=a"), ("as-true", "warifu"), ("in-a-list", "warifu=(%s)" % mac[7:]),
        ("with-a-parameter", mac + ";v=1"), ("not-closed", mac[:-1]), ("of-another-label", "sig1" + mac[6:]), ("no-label", mac[7:]),
        ("label-in-capitals", "Warifu" + mac[6:]), ("twice", mac + ", " + mac), ("two-of-which-one-fits", flipped + ", " + mac),
        ("two-of-which-the-first-fits", mac + ", " + flipped), ("comma-behind", mac + ","), ("empty", ""), ("not-ascii", mac + "\u00e9"),
        ("broken-beside-it", mac + ', a="'),
    ):
        bad("signature-" + name, "no such Signature", (input_, value))
    other = sign(tag='"other"')[0]
    for name, value in (
        ("no-list", "warifu;created=1"), ("of-another-label", "sig1" + input_[6:]), ("no-label", input_[7:]), ("twice", input_ + ", " + input_),
        ("two-of-which-one-fits", other + ", " + input_), ("two-of-which-the-first-fits", input_ + ", " + other),
        ("not-closed", input_.replace(")", "", 1)), ("comma-behind", input_ + ","), ("empty", ""), ("no-space-between", input_.replace('" "', '""', 1)),
        ("in-json", "{}"), ("a-comma-in-the-list", input_.replace('" "', '", "', 1)), ("as-bytes", mac),
    ):
        bad("input-" + name, "no such Signature-Input", (value, mac))
    bad("no-input", "no Signature-Input", (None, mac))
    bad("no-signature", "no Signature", (input_, None))
    bad("nothing", "not signed at all", (None, None))
    bad("labels-of-two-signatures", "the list of one and the MAC of the other", ("warifu" + input_[6:] + ', sig1=("@status");created=1', "sig1" + mac[6:]))

    return {
        "about": "Answers with a command, and whether the origin has signed it: RFC 9421 with hmac-sha256, under `keys`, "
        "at `now`, in seconds. The request is as the origin received it. `refused` is for people.",
        "keys": ring_text(ring),
        "cases": cases,
    }


# --- writing -----------------------------------------------------------------

FILES = {
    "token.json": token_file,
    "cookie.json": cookie_file,
    "path.json": path_file,
    "config.json": config_file,
    "command.json": command_file,
    "signature.json": signature_file,
    "signed_command.json": signed_command_file,
}


def main(arguments):
    if arguments not in ([], ["--check"]):
        print("usage: generate.py [--check]", file=sys.stderr)
        return 2
    stale = []
    for name, build in FILES.items():
        content = build()
        text = json.dumps(content, indent=2, ensure_ascii=True) + "\n"
        file = HERE / name
        if arguments:
            if not file.exists() or file.read_bytes() != text.encode("ascii"):
                stale.append(name)
        else:
            file.write_bytes(text.encode("ascii"))
            print("%s: %d cases" % (name, len(content["cases"])))
    for name in stale:
        print("%s is not what generate.py writes" % name, file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
