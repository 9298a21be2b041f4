"""Asks much at once by python-socketio.

    ask.py URL TRANSPORT EVENT REQUESTS

REQUESTS is a JSON array; each is sent with EVENT on /live. Writes one JSON object to
standard output: how many were answered, "ok" or the error's code of each, how often
the client was connected, whether it still is, and how long that took (s).
"""

import json
import sys
import threading
import time

import socketio

url, transport, event, requests = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
answers = []
connected = []
over = threading.Event()
client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.3)


def answer(value):
    answers.append("ok" if value["ok"] else value["error"]["code"])
    if len(answers) == len(requests):
        over.set()


@client.on("connect", namespace="/live")
def connect():
    connected.append(time.time())
    if len(connected) == 1:
        for request in requests:
            client.emit(event, request, "/live", answer)


client.connect(url, transports=[transport], namespaces=["/live"], wait_timeout=5)
over.wait(30)
took = time.time() - connected[0]
# What was asked may end the connection a moment later.
time.sleep(1)
alive = client.connected
seen = {"answered": len(answers), "codes": answers, "connected": len(connected), "alive": alive, "took": took}
print(json.dumps(seen))
client.disconnect()
