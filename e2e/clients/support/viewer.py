"""A viewer of both namespaces by python-socketio, as watch.js is one by socket.io-client.

    viewer.py URL QUERY TRANSPORT...

URL may have a path, below which the server's own begin; over https any certificate is taken.
Writes what happens to standard error, one JSON object a line, until it is ended.
"""

import json
import logging
import sys
import urllib.parse

import requests
import socketio

url, query, *transports = sys.argv[1:]
address = urllib.parse.urlsplit(url)
since = None


class Connection(logging.Handler):
    """Takes what happens to the connection out of the client's log, which alone tells it."""

    said = {
        "Polling connection accepted": ("open", "polling"),
        "WebSocket connection accepted": ("open", "websocket"),
        "WebSocket upgrade was successful": ("upgrade", "websocket"),
    }

    def emit(self, record):
        for words, (event, over) in self.said.items():
            if record.msg.startswith(words):
                write("", event, None, over)


def write(namespace, event, argument, over):
    entry = {"namespace": namespace, "event": event, "argument": argument, "over": over}
    print(json.dumps(entry), file=sys.stderr, flush=True)


def note(namespace, event, argument=None):
    write(namespace, event, argument, client.transport())


def subscribe():
    request = {"query": query} if since is None else {"query": query, "since": since}
    client.emit("subscribe", request, "/live", lambda answer: note("/live", "answer", answer))


def watch(namespace, event):
    def handle(argument=None):
        global since
        note(namespace, event, argument)
        if namespace == "/live":
            since = (argument or {}).get("position", since)
            if event == "hello":
                subscribe()

    client.on(event, handle, namespace)


def handle_in_order(engine):
    """Has messages handled one after the other, by whoever reads them.

    The client would start a thread for each, and one could overtake another.
    """
    start = engine.start_background_task
    handle = engine.handlers["message"]
    engine.start_background_task = lambda task, *args: task(*args) if task == handle else start(task, *args)


log = logging.getLogger("viewer")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(Connection())
session = requests.Session()
session.verify = session.trust_env = False  # the environment may name authorities, which would be asked all the same
client = socketio.Client(
    reconnection_delay=0.1,
    reconnection_delay_max=0.3,
    randomization_factor=0.05,
    engineio_logger=log,
    http_session=session,
    ssl_verify=False,
)
handle_in_order(client.eio)
for event in ["connect", "connect_error", "disconnect", "bootstrap", "update"]:
    watch("/", event)
for event in ["connect", "connect_error", "disconnect", "hello", "bootstrap", "update", "status", "gap", "bye"]:
    watch("/live", event)
client.connect(
    f"{address.scheme}://{address.netloc}",
    socketio_path=address.path.strip("/") + "/socket.io",
    transports=transports,
    namespaces=["/", "/live"],
    wait_timeout=5,
)
client.wait()
