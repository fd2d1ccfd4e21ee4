# httpbin as it would run behind any proxy, and the configuration of gunicorn for it.
import os

from httpbin import app as httpbin
from werkzeug.middleware.proxy_fix import ProxyFix

# It makes absolute URLs of the host that the client asked for.
app = ProxyFix(httpbin.wsgi_app, x_for=0, x_proto=0, x_host=1)

workers = 1
threads = 16
control_socket_disable = True


# One line for each request, when it comes: whether it came through a Worker, and its line.
def pre_request(worker, request):
    through = any(name == "CF-WORKER" for name, _ in request.headers)
    with open(os.environ["WARIFU_SEEN"], "a") as seen:
        seen.write(f"{'worker' if through else 'direct'} {request.method} {request.uri}\n")


def when_ready(server):
    print(f"port {server.LISTENERS[0].getsockname()[1]}", flush=True)
