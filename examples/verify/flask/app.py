"""An origin that answers only what came through the gateway: all else gets 401.

docs/signatures.md says what is signed, and what that is good for. To run it:
flask --app app run --port 8790
"""

import os
from base64 import urlsafe_b64decode
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import unquote

import http_message_signatures as hms
from flask import Flask, json, request

# Where the gateway has a user_header, and you read it: add its name, in lower case.
IDENTITY = ("warifu-session", "warifu-level", "warifu-auth-time", "warifu-claims", "warifu-subject")
COVERED = ("@method", "@authority", "@path", "@query", *IDENTITY)


class AsItArrived(hms.HTTPSignatureComponentResolver):
    """Takes each as text. Of a URL the library takes what stands where: a ? or / in Host would move the path.

    And it refuses characters that browsers do send in a query, such as [ and |.
    """

    def get_authority(self):
        return self.message.authority

    def get_path(self):
        return self.message.path

    def get_query(self):
        return "?" + self.message.query


# All keys verify, so that they can be replaced one after the other.
keys = {str(one["kid"]): urlsafe_b64decode(one["key"] + "=") for one in json.loads(os.environ["WARIFU_ORIGIN_KEYS"])}
known = hms.MappingKeyResolver(public_keys=keys, private_keys={})
hmac = hms.algorithms.HMAC_SHA256
verifier = hms.HTTPMessageVerifier(signature_algorithm=hmac, key_resolver=known, component_resolver_class=AsItArrived)
verifier.max_clock_skew = timedelta(seconds=5)  # between clocks
app = Flask(__name__, static_folder=None)


@app.before_request
def verify():
    # WSGI's own PATH_INFO is decoded. RAW_URI is Flask's server's and gunicorn's word for it, others' is REQUEST_URI.
    path, _, query = request.environ["RAW_URI"].partition("?")
    arrived = {"authority": request.headers.get("Host", "").lower(), "path": path, "query": query}
    # The library insists on a URL, of which nothing is used.
    message = SimpleNamespace(method=request.method, url="http://x/", headers=request.headers, **arrived)
    with suppress(hms.HTTPMessageSignaturesException):
        # Created and keyid it insists on; the others it looks at where they are there.
        (found,) = verifier.verify(message, expect_label="warifu", expect_tag="warifu", require_components=COVERED)
        if {"expires", "nonce", "alg"} <= found.parameters.keys():
            return None
    return "Unauthorized", 401


@app.route("/<path:_>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def who(_):
    return {name: unquote(request.headers[f"Warifu-{name}"]) for name in ("subject", "session", "level")}
