"""python-socketio, an independent implementation, with its default timeouts: 5 s for the open packet and, in test_all, 1 s for the answer to CONNECT."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import queue
import time
import unittest
import urllib.request

import socketio

URL = os.environ["REALTIME_URL"]
INVOKE_URL = os.environ["INVOKE_URL"]
NAMESPACE = "/ws/app"
PATIENCE = 30  # seconds
SUCCESS = {"success": True}


def token(user, seconds=3600):
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"sub": user, "exp": int(time.time()) + seconds}
    signed = encode(b'{"alg":"HS256"}') + "." + encode(json.dumps(claims).encode())
    return signed + "." + encode(hmac.digest(os.environ["JWT_SECRET"].encode(), signed.encode(), hashlib.sha256))


def invoke(function, **request):
    url = f"{INVOKE_URL}/2015-03-31/functions/{function}/invocations"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(request).encode()), timeout=PATIENCE) as response:
        answer = json.load(response)
        if response.headers["X-Amz-Function-Error"]:
            raise RuntimeError(answer)
        return answer


def message(conversation):
    return {"conversationId": conversation, "message": {"id": "m1", "body": "ü 😀"}, "senderId": "bob", "recipients": ["bob"]}


def options(auth, namespaces=NAMESPACE, wait_timeout=PATIENCE):
    return {"auth": auth, "namespaces": namespaces, "transports": ["websocket"], "socketio_path": "local", "wait_timeout": wait_timeout}


class Sync(unittest.TestCase):
    def setUp(self):
        self.received = queue.Queue()
        self.kept = []
        self.client = socketio.Client()
        for name in ("*", "connect", "disconnect", "connect_error"):
            self.client.on(name, self.handler(name), namespace=NAMESPACE)
        self.addCleanup(self.client.disconnect)

    def handler(self, name):
        if name == "*":
            return lambda *event: self.received.put(event)
        return lambda *args: self.received.put((name, *args))

    def next(self, name):
        """The oldest of that name: what came before it is kept."""
        for event in self.kept:
            if event[0] == name:
                self.kept.remove(event)
                return event[1:]
        while True:
            try:
                event = self.received.get(timeout=PATIENCE)
            except queue.Empty:
                self.fail(f"waited in vain for {name}, received {self.kept}")
            if event[0] == name:
                return event[1:]
            self.kept.append(event)

    def test_all(self):
        invoke("control", op="participants.set", conversationId="sync", users=["sync.alice"])
        self.client.connect(URL, **options({"token": token("sync.alice")}, wait_timeout=1))
        self.next("connect")
        self.assertEqual(self.kept, [], "nothing before connect")
        self.assertEqual(self.next("notifications:ready")[0]["userId"], "sync.alice")
        (snapshot,) = self.next("presence:update")
        self.assertEqual(snapshot["sockets"][0]["socketId"], self.client.get_sid(NAMESPACE))

        room = {"conversationId": "sync"}
        self.assertEqual(self.client.call("conversations:join", room, namespace=NAMESPACE), SUCCESS)
        self.assertEqual(self.client.call("presence:heartbeat", namespace=NAMESPACE), SUCCESS)
        self.assertEqual(self.client.call("no:such", (1, 2), namespace=NAMESPACE)["code"], "socket_error:unknown_event")
        invoke("publish", event="messages:new", data=message("sync"))
        self.assertEqual(self.next("messages:new"), (message("sync"),))
        self.assertEqual(self.client.call("conversations:leave", room, namespace=NAMESPACE), SUCCESS)

        before = self.client.get_sid(NAMESPACE)
        invoke("publish", event="system:disconnect", data={"reason": "maintenance"}, to={"connections": [before]}, reconnect=True)
        self.next("system:disconnect")
        self.assertEqual(self.next("disconnect"), (self.client.reason.TRANSPORT_ERROR,))
        self.next("connect")
        self.next("notifications:ready")
        self.assertNotEqual(self.client.get_sid(NAMESPACE), before)

        invoke("publish", event="system:disconnect", data={"reason": "kicked"}, to={"users": ["sync.alice"]})
        self.next("system:disconnect")
        self.assertEqual(self.next("disconnect"), (self.client.reason.SERVER_DISCONNECT,))
        self.client.wait()  # it stays away

    def test_disconnect_and_connect_again(self):
        for user in ("sync.bob", "sync.carol"):
            self.client.connect(URL, **options({"token": token(user)}))
            self.assertEqual(self.next("notifications:ready")[0]["userId"], user)
            self.client.disconnect()
            self.assertEqual(self.next("disconnect"), (self.client.reason.CLIENT_DISCONNECT,))

    def test_refused(self):
        for auth, code in (({"token": "garbage"}, "unauthorized"), ({"token": token("sync.dave", -60)}, "token_expired"), (None, "unauthorized")):
            with self.assertRaises(socketio.exceptions.ConnectionError):
                self.client.connect(URL, **options(auth))
            (error,) = self.next("connect_error")
            self.assertEqual(error["data"], {"code": f"socket_error:{code}", "message": error["message"]})

    def test_main_namespace_too(self):
        self.client.connect(URL, **options({"token": token("sync.erin")}, ["/", NAMESPACE]))
        self.assertEqual(set(self.client.namespaces), {"/", NAMESPACE})
        self.next("notifications:ready")

    def test_token_refresh(self):
        lives = [8, 3600, 3600, 3600]  # the first has to last until its CONNECT is through, however slow the machine is
        self.client.connect(URL, **options(lambda: {"token": token("sync.frank", lives.pop(0))}))
        self.next("notifications:ready")
        time.sleep(8)
        invoke("sweep")
        self.assertEqual(self.next("error")[0]["code"], "socket_error:token_expired")
        self.next("disconnect")
        self.next("notifications:ready")


class Async(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.received = []
        self.client = socketio.AsyncClient()
        for name in ("*", "connect", "disconnect", "connect_error"):
            self.client.on(name, self.handler(name), namespace=NAMESPACE)
        self.addAsyncCleanup(self.client.disconnect)

    def handler(self, name):
        async def put(*event):
            self.received.append(event if name == "*" else (name, *event))

        return put

    async def next(self, name):
        for _ in range(PATIENCE * 50):
            for event in self.received:
                if event[0] == name:
                    self.received.remove(event)
                    return event[1:]
            await asyncio.sleep(0.02)
        self.fail(f"waited in vain for {name}, received {self.received}")

    async def test_all(self):
        await asyncio.to_thread(invoke, "control", op="participants.set", conversationId="async", users=["async.alice"])
        await self.client.connect(URL, **options({"token": token("async.alice")}, wait_timeout=1))
        self.assertEqual(self.received[0], ("connect",), "nothing before connect")
        self.assertEqual((await self.next("notifications:ready"))[0]["userId"], "async.alice")
        room = {"conversationId": "async"}
        self.assertEqual(await self.client.call("conversations:join", room, namespace=NAMESPACE), SUCCESS)
        self.assertEqual((await self.client.call("conversations:join", namespace=NAMESPACE))["code"], "socket_error:bad_request")
        await asyncio.to_thread(invoke, "publish", event="messages:new", data=message("async"))
        self.assertEqual(await self.next("messages:new"), (message("async"),))
        self.received.clear()

        before = self.client.get_sid(NAMESPACE)
        await self.client.eio.ws.close()  # the transport, not the client
        await self.next("disconnect")
        await self.next("connect")
        await self.next("notifications:ready")
        self.assertNotEqual(self.client.get_sid(NAMESPACE), before)

        await self.client.disconnect()
        self.assertEqual(await self.next("disconnect"), (self.client.reason.CLIENT_DISCONNECT,))
        await self.client.connect(URL, **options({"token": token("async.bob")}))
        self.assertEqual((await self.next("notifications:ready"))[0]["userId"], "async.bob")

    async def test_refused(self):
        with self.assertRaises(socketio.exceptions.ConnectionError):
            await self.client.connect(URL, **options({"token": token("async.carol", -60)}))
        (error,) = await self.next("connect_error")
        self.assertEqual(error["data"]["code"], "socket_error:token_expired")


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # the client leaves sockets that it has done with to the collector
