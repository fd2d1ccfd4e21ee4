"""What Schemathesis cannot read in the description: how to log in, and what a
JSON Schema cannot say."""

import functools
import itertools
import os

import requests
import schemathesis

API = os.environ["WARIFU_API"]
KEY = {"Authorization": f"Bearer {os.environ['WARIFU_ADMIN_KEY']}"}
COOKIE = "__Host-Http-warifu"
SITE = "default"

people = itertools.count()
cursors = itertools.count()


def mint(subject):
    answer = requests.post(f"{API}/sessions", json={"subject": subject}, headers=KEY, timeout=10)
    answer.raise_for_status()
    return answer.json()


@schemathesis.auth(refresh_interval=None)
class KeyAndCookie:
    """The key and the cookie that the operation declares. Many calls end the
    session, so each case has one of its own, of somebody whom no other knows."""

    def get(self, case, ctx):
        alternatives = ctx.operation.definition.raw.get("security", [])
        schemes = {name for alternative in alternatives for name in alternative}
        if not schemes:
            return None
        headers = KEY if "admin" in schemes else {}
        subject = f"{next(people)} of schemathesis"
        cookies = {COOKIE: mint(subject)["token"]} if "session" in schemes else {}
        return {"headers": headers, "cookies": cookies, "subject": subject}

    def set(self, case, data, ctx):
        case.headers.update(data["headers"])
        case.cookies.update(data["cookies"])
        # Another session of the same person, so that one's own are ended too.
        if case.operation.label == "DELETE /me/sessions/{id}" and is_positive(case):
            case.path_parameters["id"] = mint(data["subject"])["session"]["id"]


@functools.cache
def crowd():
    """A subject with more sessions than a page holds: its name, a token of it,
    and the cursor of the second page."""
    subject = "crowd of schemathesis"
    token = [mint(subject)["token"] for _ in range(101)][0]
    page = requests.get(f"{API}/sessions", params={"subject": subject}, headers=KEY, timeout=10).json()
    return subject, token, page["next"]


def next_of_audit(query):
    """The cursor of the second page of the same question, if there is one."""
    asked = {name: query[name] for name in ("subject", "session") if name in query}
    page = requests.get(f"{API}/audit", params={**asked, "limit": 1}, headers=KEY, timeout=10)
    return page.json().get("next") if page.ok else None


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def fitted(subject):
    """At most 255 bytes, as the description says in words."""
    return subject.encode()[:255].decode(errors="ignore").strip() or "x"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes true of a valid case what a schema cannot say: lengths in bytes,
    and that a cursor is another answer's."""
    if not is_positive(case):
        return
    query, body = case.query, case.body
    if "cursor" in query and next(cursors) % 4 > 0:
        del query["cursor"]
    if "cursor" in query and case.operation.label == "GET /audit":
        if isinstance(query.get("subject"), str):
            query["subject"] = fitted(query["subject"])
        query["cursor"] = next_of_audit(query)
        if query["cursor"] is None:
            del query["cursor"]
    elif "cursor" in query:
        subject, token, cursor = crowd()
        query["cursor"] = cursor
        if "subject" in query:
            query["subject"] = subject
        elif COOKIE in case.cookies:
            case.cookies[COOKIE] = token
    elif isinstance(query.get("subject"), str):
        query["subject"] = fitted(query["subject"])
    if isinstance(body, dict):
        # No schema knows the site's name: with another one, a person's sessions are
        # ended instead. The example names it.
        if body.get("confirm", SITE) != SITE:
            query["subject"] = f"{next(people)} of schemathesis"
        if isinstance(body.get("subject"), str):
            body["subject"] = fitted(body["subject"])
        if len(str(body.get("claims", ""))) > 500:
            body["claims"] = {}
