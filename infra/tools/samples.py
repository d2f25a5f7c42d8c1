#!/usr/bin/env python3
"""Invokes every function with the samples of events/ and checks what comes of it: the answer, and the posts to clients.

The functions run under AWS's Lambda Runtime Interface Emulator behind SAM CLI's Invoke service (sam_invoke.py), on the
DynamoDB that DYNAMODB_ENDPOINT names. @connections is a stand-in that takes every post.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import boto3
from botocore.config import Config
from samcli.yamlhelper import yaml_parse

from sam_invoke import LOCAL, free_port, listens

TEMPLATE = Path(".build/sam/template.yaml")
EVENTS = Path("events")
CONNECTION = "L0SM9cOFvHcCIhw="  # of the samples
PATIENCE = 60  # seconds for what happens asynchronously

os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local", AWS_DEFAULT_REGION="us-east-1")


class Clients(ThreadingHTTPServer):
    """A stand-in for @connections: every connection is there until it is closed."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ClientsHandler)
        self.url = f"http://127.0.0.1:{self.server_port}/local"
        self.posted = defaultdict(list)
        self.closed = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait(self, connection, matches):
        """The first message posted to the connection, of those not yet looked at, that matches."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for message in list(self.posted[connection]):
                if matches(message):
                    self.posted[connection].remove(message)
                    return message
            time.sleep(0.01)
        raise AssertionError(f"{connection} got only {self.posted[connection]}")

    def wait_closed(self, connection):
        deadline = time.monotonic() + PATIENCE
        while connection not in self.closed:
            assert time.monotonic() < deadline, f"{connection} is still open"
            time.sleep(0.01)


class ClientsHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = unquote(self.path.rpartition("/")[2])
        if connection in self.server.closed:
            return self.answer(410)
        if self.command == "POST":
            try:
                message = json.loads(body)
            except ValueError:
                message = body.decode()  # of a Socket.IO client
            self.server.posted[connection].append(message)
            return self.answer(200)
        if self.command == "DELETE":
            self.server.closed.add(connection)
            return self.answer(204)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        identity = {"sourceIp": "192.0.2.1", "userAgent": "sample"}
        return self.answer(200, json.dumps({"connectedAt": now, "lastActiveAt": now, "identity": identity}).encode())

    do_GET = do_DELETE = do_POST

    def answer(self, status, body=b""):
        self.send_response(status)
        if status == 410:
            self.send_header("x-amzn-ErrorType", "GoneException")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Functions:
    """The functions behind the Invoke service."""

    def __init__(self, port):
        self.client = boto3.client("lambda", endpoint_url=f"http://127.0.0.1:{port}",
                                   config=Config(read_timeout=70, retries={"max_attempts": 0}))
        self.invoked = 0
        self.samples = set()

    def invoke(self, name, sample, connection=CONNECTION):
        """The answer of a function to a sample, whose times become now; (type, message) where it failed."""
        event = (EVENTS / sample).read_text(encoding="utf-8").replace(CONNECTION, connection)
        event = json.loads(event)
        context = event.get("requestContext")
        if context:
            now = time.time_ns() // 1_000_000
            context.update(connectedAt=started, requestTimeEpoch=now)
        out = self.client.invoke(FunctionName=name, Payload=json.dumps(event))
        answer = json.loads(out["Payload"].read())
        self.invoked += 1
        self.samples.add(EVENTS / sample)
        print(f"  {sample}: {json.dumps(answer)[:140]}", flush=True)
        if "FunctionError" in out:
            return answer["errorType"], answer["errorMessage"]
        return answer


def is_event(name, **data):
    """Matches an event with that name and, among its data, these."""
    return lambda m: isinstance(m, dict) and m["event"] == name and data.items() <= m["data"].items()


def is_ack(ack, **data):
    return lambda m: is_event("ack", **data)(m) and m["id"] == ack


def is_packet(begin):
    return lambda m: isinstance(m, str) and m.startswith(begin)


def expect(got, want):
    assert got == want, f"got {got}, want {want}"


def expect_refused(got, field):
    kind, message = got
    expect((kind, message.partition(":")[0]), ("ValidationError", field))


def authorizer(functions):
    for sample in ("", "-header", "-subprotocol"):
        answer = functions.invoke("AuthorizerFunction", f"authorizer{sample}.json")
        expect(answer["context"], {"userId": "alice", "protocol": "json", "expiresAt": "4102444800"})
        expect(answer["policyDocument"]["Statement"][0]["Effect"], "Allow")
    for sample in ("no-token", "garbage", "alg-none", "wrong-key", "no-user", "bad-user", "expired"):
        answer = functions.invoke("AuthorizerFunction", f"authorizer-{sample}.json")
        expect(answer["context"]["code"], "socket_error:" + ("token_expired" if sample == "expired" else "unauthorized"))
        assert "userId" not in answer["context"], answer
    expect(functions.invoke("AuthorizerFunction", "socketio/authorizer.json")["context"], {"protocol": "socketio"})


def controls(functions, sample, connection=CONNECTION):
    return functions.invoke("ControlFunction", f"control/{sample}.json", connection)


def participants(functions):
    call = lambda sample: controls(functions, sample)
    expect(call("set"), {"added": 2, "removed": 0})
    expect(call("set"), {"added": 0, "removed": 0})
    expect(call("add"), {"added": 1, "removed": 0})
    expect(call("list"), {"users": ["alice", "bob", "carol"]})
    expect(call("remove"), {"added": 0, "removed": 1})
    expect_refused(call("errors/unknown-op"), "op")
    expect_refused(call("errors/missing-conversation"), "conversationId")
    expect_refused(call("errors/bad-user"), "users[0]")
    expect_refused(call("errors/no-users"), "users")
    expect_refused(call("errors/no-group"), "groupId")
    expect_refused(call("errors/nobody"), "request")
    expect_refused(call("errors/deny-too-long"), "denySeconds")
    expect_refused(call("errors/no-presence"), "users")


def connect(functions, clients):
    expect(functions.invoke("ConnectFunction", "connect.json"), {"statusCode": 200})
    clients.wait(CONNECTION, is_event("notifications:ready", userId="alice"))
    clients.wait(CONNECTION, is_event("presence:update", userId="alice", isOnline=True))
    second = "SecondSocketAAA="
    expect(functions.invoke("ConnectFunction", "connect-subprotocol.json", second),
           {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "bearer"}})
    clients.wait(second, is_event("notifications:ready"))
    refused = "RefusedSocketAA="
    expect(functions.invoke("ConnectFunction", "connect-refused.json", refused)["statusCode"], 200)
    clients.wait(refused, is_event("error", code="socket_error:token_expired"))
    clients.wait_closed(refused)
    return second


def messages(functions, clients, second):
    def call(function, sample, connection=CONNECTION):
        expect(functions.invoke(function, sample, connection), {"statusCode": 200})

    call("HeartbeatFunction", "heartbeat.json")
    clients.wait(CONNECTION, is_ack("1", success=True))
    call("JoinFunction", "join.json")
    clients.wait(CONNECTION, is_ack("2", success=True))
    call("JoinFunction", "join-forbidden.json")
    clients.wait(CONNECTION, is_ack("3", success=False, code="socket_error:forbidden"))
    call("JoinFunction", "join-bad-request.json")
    clients.wait(CONNECTION, is_ack("4", success=False, code="socket_error:bad_request"))
    call("JoinFunction", "join-too-large.json", second)
    clients.wait(second, is_event("error", code="socket_error:payload_too_large"))
    clients.wait_closed(second)
    call("LeaveFunction", "leave.json")
    clients.wait(CONNECTION, is_ack("6", success=True))
    call("LeaveFunction", "leave-bad-request.json")
    clients.wait(CONNECTION, is_ack("7", success=False, code="socket_error:bad_request"))
    call("DefaultFunction", "default.json")
    clients.wait(CONNECTION, is_ack("8", success=True))
    call("DefaultFunction", "default-unknown-event.json")
    clients.wait(CONNECTION, is_ack("9", success=False, code="socket_error:unknown_event"))
    call("DefaultFunction", "default-server-event.json")
    clients.wait(CONNECTION, is_ack("10", success=False, code="socket_error:unknown_event"))
    for sample in ("default-not-json.json", "default-engine-io.json"):
        call("DefaultFunction", sample)
        clients.wait(CONNECTION, is_event("error", code="socket_error:bad_request"))


def socketio(functions, clients):
    connection = "SocketIoClientA="
    posts = lambda begin: clients.wait(connection, is_packet(begin))
    call = lambda sample: expect(functions.invoke("DefaultFunction", f"socketio/default-{sample}.json", connection), {"statusCode": 200})

    expect(functions.invoke("ConnectFunction", "socketio/connect.json", connection), {"statusCode": 200})
    posts('0{"sid":"' + connection)
    expect(functions.invoke("PublishFunction", "publish/jobs/open.json", connection), {})  # a second one is not posted
    call("expired")
    posts('44/ws/app,{"message":')
    call("connect")
    posts('40/ws/app,{"sid":"' + connection)
    posts('42/ws/app,["notifications:ready"')
    posts('42/ws/app,["presence:update"')
    call("pong")
    call("join")
    posts('43/ws/app,1[{"success":true}]')
    assert functions.invoke("PublishFunction", "publish/messages-new.json")["delivered"] >= 1
    posts('42/ws/app,["messages:new"')
    call("disconnect")
    expect(functions.invoke("DisconnectFunction", "disconnect.json", connection), {"statusCode": 200})


def control(functions, clients):
    call = lambda sample: controls(functions, sample)
    expect(call("groups-join")["refused"], [])
    expect(functions.invoke("PublishFunction", "publish/to-group.json")["delivered"], 1)
    clients.wait(CONNECTION, is_event("notifications:new"))
    rooms = call("rooms")
    assert rooms["userId"] == "alice" and "group:g1" in rooms["rooms"], rooms
    expect(call("groups-leave")["refused"], [])
    online = {p["userId"]: p["isOnline"] for p in call("presence")["presence"]}
    expect(online, {"alice": True, "bob": False})
    connection = next(c for c in call("connections")["connections"] if c["socketId"] == CONNECTION)
    assert connection["protocol"] == "json" and "group:g1" not in connection["rooms"], connection
    expect(call("publish")["state"], "done")


FIELDS = {  # what each refused request names
    "unknown-event": "event", "client-event": "event", "missing-event": "event", "missing-data": "data",
    "missing-field": "data.senderId", "wrong-type": "data.recipients[1]", "bad-id": "data.senderId",
    "deleted-without-deletedAt": "data.message.deletedAt", "no-audience": "to", "empty-audience": "to",
    "unknown-room-kind": "to.planets", "unknown-member": "urgent", "empty-id": "id", "event-and-job": "job",
    "reconnect-without-disconnect": "reconnect",
}


def publish(functions, clients):
    def call(sample):
        return functions.invoke("PublishFunction", f"publish/{sample}.json")

    for sample in ("messages-new", "messages-updated", "messages-deleted", "notifications-new", "notifications-ready",
                   "error", "presence-update", "to-all", "to-connection", "id"):
        request = json.loads((EVENTS / f"publish/{sample}.json").read_text(encoding="utf-8"))
        answer = call(sample)
        expect({name: answer[name] for name in ("event", "delivered", "failed", "duplicate")},
               {"event": request["event"], "delivered": 1, "failed": 0, "duplicate": False})
        clients.wait(CONNECTION, lambda m: m == {"event": request["event"], "data": request["data"]})
    expect(call("id")["duplicate"], True)
    for sample in ("except", "to-group"):
        expect(call(sample)["matched"], 0)
    for path in sorted((EVENTS / "publish/errors").iterdir()):
        expect_refused(call(f"errors/{path.stem}"), FIELDS[path.stem])
    for job in ("verify", "presence", "welcome", "fanout"):  # the last of a publish long forgotten: nothing is posted
        expect(call(f"jobs/{job}"), {})
    aws_cli(functions)


def aws_cli(functions):
    """The same with the AWS CLI, as a backend's shell script would."""
    answer = Path(".build/answer.json")
    subprocess.run(
        [".tools/aws-cli/bin/python", "-m", "awscli", "lambda", "invoke", "--endpoint-url", functions.client.meta.endpoint_url,
         "--function-name", "PublishFunction", "--payload", "file://events/publish/notifications-new.json", answer],
        check=True, stdout=subprocess.DEVNULL)
    expect(json.loads(answer.read_text(encoding="utf-8"))["delivered"], 1)
    functions.invoked += 1


def denied(functions, clients):
    """Whoever is kept out cannot connect, until it is allowed again."""
    kicked, refused = "KickedSocketAAA=", "DeniedSocketAAA="
    expect(functions.invoke("ConnectFunction", "connect.json", kicked), {"statusCode": 200})
    clients.wait(kicked, is_event("notifications:ready"))
    sent_away = controls(functions, "disconnect-deny", kicked)
    expect((sent_away["published"]["delivered"], sent_away["denied"]), (1, ["alice"]))
    clients.wait(kicked, is_event("system:disconnect", reason="banned"))
    clients.wait_closed(kicked)
    expect(functions.invoke("DisconnectFunction", "disconnect.json", kicked), {"statusCode": 200})
    expect(functions.invoke("ConnectFunction", "connect.json", refused), {"statusCode": 200})
    clients.wait(refused, is_event("error", code="socket_error:forbidden"))
    clients.wait_closed(refused)
    expect(controls(functions, "disconnect-allow")["published"]["matched"], 0)
    expect(controls(functions, "disconnect")["published"]["matched"], 0)


def end(functions, clients):
    expect(functions.invoke("SweepFunction", "sweep.json"), {})
    expect(functions.invoke("SweepFunction", "sweep-worker.json"), {})
    expect(functions.invoke("PublishFunction", "publish/system-disconnect.json")["delivered"], 1)
    clients.wait(CONNECTION, is_event("system:disconnect", reason="maintenance"))
    clients.wait_closed(CONNECTION)
    expect(functions.invoke("DisconnectFunction", "disconnect.json"), {"statusCode": 200})
    expect(functions.invoke("DisconnectFunction", "disconnect-idle.json", "SecondSocketAAA="), {"statusCode": 200})
    expect(functions.invoke("PublishFunction", "publish/jobs/refuse.json"), {})
    expect(functions.invoke("PublishFunction", "publish/notifications-new.json")["matched"], 0)


def create_table():
    """The template's table."""
    with TEMPLATE.open(encoding="utf-8") as file:
        properties = yaml_parse(file.read())["Resources"]["Table"]["Properties"]
    dynamodb = boto3.client("dynamodb", endpoint_url=os.environ["DYNAMODB_ENDPOINT"])
    dynamodb.create_table(TableName=LOCAL["TABLE_NAME"], **{name: properties[name] for name in ("KeySchema", "AttributeDefinitions", "BillingMode")})


def main():
    global started
    create_table()
    clients, port = Clients(), free_port()
    log = Path(".build/samples.log").open("w", encoding="utf-8")
    service = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("sam_invoke.py"), "--template", TEMPLATE, "--port", str(port), "--patience", "6"],
        stdout=log, stderr=log,
        env=os.environ | {"AWS_ENDPOINT_URL_DYNAMODB": os.environ["DYNAMODB_ENDPOINT"], "CONNECTIONS_ENDPOINT": clients.url})
    functions, failed = Functions(port), None
    try:
        while not listens(port):
            assert service.poll() is None, "the Invoke service did not start"
            time.sleep(0.05)
        started = time.time_ns() // 1_000_000
        authorizer(functions)
        participants(functions)
        socketio(functions, clients)
        second = connect(functions, clients)
        messages(functions, clients, second)
        publish(functions, clients)
        control(functions, clients)
        end(functions, clients)
        denied(functions, clients)
        left = sorted(str(path) for path in EVENTS.rglob("*.json") if "contract" not in path.parts and path not in functions.samples)
        assert not left, f"not invoked: {left}"
    except AssertionError as error:
        failed = error
    finally:
        service.terminate()
        service.wait()
    refusals = {line for line in Path(log.name).read_text(encoding="utf-8").splitlines() if line.startswith("the role of")}
    if failed or service.returncode:
        sys.exit("\n".join([*sorted(refusals), f"FAILED: {failed or 'see there'}", f"logs of the functions: {log.name}"]))
    print(f"{functions.invoked} invocations as expected, each within the role of its function")


if __name__ == "__main__":
    main()
