# A plugin of pytest: the tests of requests ask the httpbin at $HTTPBIN_URL, and those that
# ask none, or one over TLS with a certificate of its own, are left out.
import os

import pytest


class Server:
    url = os.environ["HTTPBIN_URL"]


@pytest.fixture(scope="session")
def httpbin():
    return Server


def pytest_collection_modifyitems(config, items):
    wanted = [i for i in items if "httpbin" in i.fixturenames and "httpbin_secure" not in i.fixturenames]
    config.hook.pytest_deselected(items=[i for i in items if i not in wanted])
    items[:] = wanted
