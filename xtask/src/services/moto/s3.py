"""moto's S3 behind a layer that makes requests fail.

usage: python s3.py PORT

POST /_fault {"method": "PUT", "path": "/bucket/exports/acme/", "kind": "error", "count": 3}
    The next `count` requests of that method (any, without one) whose path contains `path`:
    error: are answered with 500 and not done
    lost_reply: are done, and answered with 500
    delay: wait `seconds` first
GET /_fault says what is armed; DELETE /_fault disarms everything.

S3 decides a conditional put in one step and moto in two, so puts take turns here.
"""

import json
import sys
import threading
import time

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

app = DomainDispatcherApplication(create_backend_app)
faults, armed = [], threading.Lock()
puts = threading.Lock()


def answer(start, status, body, kind="application/json"):
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def done(environ):
    got = {}

    def start(status, headers, exc_info=None):
        got["status"], got["headers"] = status, headers

    if environ["REQUEST_METHOD"] == "PUT":
        with puts:
            body = b"".join(app(environ, start))
    else:
        body = b"".join(app(environ, start))
    return got["status"], got["headers"], body


def take(method, path):
    with armed:
        for fault in faults:
            if fault.get("method") in (None, method) and fault["path"] in path:
                fault["count"] = fault.get("count", 1) - 1
                faults[:] = [fault for fault in faults if fault["count"] > 0]
                return dict(fault)
    return None


def control(environ, start):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    with armed:
        if environ["REQUEST_METHOD"] == "POST":
            faults.append(json.loads(environ["wsgi.input"].read(size)))
        if environ["REQUEST_METHOD"] == "DELETE":
            faults.clear()
        return answer(start, "200 OK", json.dumps(faults).encode())


ERROR = b"<Error><Code>InternalError</Code><Message>injected</Message></Error>"


def wsgi(environ, start):
    if environ["PATH_INFO"] == "/_fault":
        return control(environ, start)
    fault = take(environ["REQUEST_METHOD"], environ["PATH_INFO"])
    if fault and fault["kind"] == "error":
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return answer(start, "500 Internal Server Error", ERROR, "application/xml")
    if fault and fault["kind"] == "delay":
        time.sleep(fault["seconds"])
    status, headers, body = done(environ)
    if fault and fault["kind"] == "lost_reply":
        return answer(start, "500 Internal Server Error", ERROR, "application/xml")
    start(status, headers)
    return [body]


run_simple("127.0.0.1", int(sys.argv[1]), wsgi, threaded=True)
