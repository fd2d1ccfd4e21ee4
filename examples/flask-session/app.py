"""A small bank: Flask, with its own signed session cookie.

flask --app app run --port 8793
"""

import os
from secrets import token_bytes

from flask import Flask, abort, redirect, render_template_string, request, session
from werkzeug.security import check_password_hash, generate_password_hash

app = Flask(__name__, static_folder=None)
app.secret_key = os.environ.get("SECRET_KEY") or token_bytes(32)

password = generate_password_hash(os.environ.get("PASSWORD", "correct horse battery staple"), "pbkdf2:sha256:100000")
accounts = {name: {"id": name, "balance": 10_000, "password": password} for name in ("alice", "bob", "mallory")}

PAGE = """<!doctype html><html lang="en"><title>Bank</title>
{% if problem %}<p role="alert">{{ problem }}</p>{% endif %}
{% if account %}
  <p>{{ account.id }}, you have ¥{{ account.balance }}.</p>
  <form method="post" action="/transfer"><input name="to"><input name="amount"><button>Send</button></form>
  <form method="post" action="/logout"><button>Log out</button></form>
{% else %}
  <form method="post" action="/login">
    <input name="username"><input name="password" type="password"><button>Log in</button></form>
{% endif %}"""


def page(status=200, **values):
    return render_template_string(PAGE, **values), status


def me():
    return accounts.get(session.get("user"))


@app.get("/login")
def login_form():
    return page()


@app.post("/login")
def login():
    account = accounts.get(request.form.get("username"))
    if not account or not check_password_hash(account["password"], request.form.get("password", "")):
        return page(401, problem="Name or password is wrong.")
    session["user"] = account["id"]
    return redirect("/", 303)


@app.post("/logout")
def logout():
    session.clear()
    return redirect("/login", 303)


@app.get("/")
def home():
    return page(account=me()) if me() else redirect("/login", 303)


@app.get("/api/me")
def who():
    account = me() or abort(401)
    return {"id": account["id"], "balance": account["balance"]}


@app.post("/transfer")
def transfer():
    account, to = me() or abort(401), accounts.get(request.form.get("to"))
    amount = request.form.get("amount", 0, int)
    if to in (None, account) or not 0 < amount <= account["balance"]:
        return page(422, account=account, problem="That cannot be sent.")
    account["balance"] -= amount
    to["balance"] += amount
    return redirect("/", 303)
