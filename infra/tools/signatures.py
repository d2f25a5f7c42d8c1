#!/usr/bin/env python3
"""signatures.py [COUNT SEED]: posts and what botocore makes of them, a line of JSON each, for shared/push to be held against.

botocore's client escapes the id and builds the request, and its SigV4Auth signs what shared/push signs of it. Without
arguments: the cases that are checked in. With them: that many random ones.
"""

import base64
import datetime
import json
import random
import string
import sys
from unittest import mock

import botocore.auth
import botocore.session
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

REGIONS = ["us-east-1", "eu-west-1", "ap-southeast-5", "cn-north-1", "us-gov-west-1"]
HOSTS = [
    "https://a1b2c3d4e5.execute-api.{}.amazonaws.com/live",
    "https://ws.example.com",
    "https://ws.example.com:443/a/b-c",
    "http://127.0.0.1:3001/local",
    "http://localhost:80/x",
    "https://[::1]:8443/v1",
]
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # of AWS's documentation
UTC = datetime.timezone.utc


def case(id="L0SM9cOFvHcCIhw=", body=b'{"event":"messages:new"}', times=1, token="", region="us-east-1", host=HOSTS[0], at="2026-03-01T12:00:00", key="AKIDEXAMPLE", secret=SECRET):
    """A post of times bodies in a row."""
    endpoint = host.format(region)
    date = datetime.datetime.fromisoformat(at).replace(tzinfo=UTC)
    sent = prepared(endpoint, region, id, body * times)
    assert "Content-Type" not in sent.headers, sent.headers  # nor has shared/push one
    signed = AWSRequest("POST", sent.url, data=sent.body)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *a, **k: date.replace(tzinfo=None)):
        botocore.auth.SigV4Auth(Credentials(key, secret, token or None), "execute-api", region).add_auth(signed)
    assert signed.headers["X-Amz-Date"] == date.strftime("%Y%m%dT%H%M%SZ"), signed.headers["X-Amz-Date"]
    return {
        "endpoint": endpoint, "region": region, "id": id, "body": base64.b64encode(body).decode(), "times": times,
        "accessKeyId": key, "secretAccessKey": secret, "sessionToken": token, "at": int(date.timestamp()),
        "url": sent.url, "authorization": signed.headers["Authorization"],
    }  # fmt: skip


clients = {}


def prepared(endpoint, region, id, body):
    """The request that botocore's client would send."""
    if (endpoint, region) not in clients:
        clients[endpoint, region] = botocore.session.Session().create_client(
            "apigatewaymanagementapi", region_name=region, endpoint_url=endpoint,
            aws_access_key_id="x", aws_secret_access_key="x", config=Config(retries={"max_attempts": 0}),
        )  # fmt: skip
    client, sent = clients[endpoint, region], []

    def answer(request, **_):
        sent.append(request)
        response = AWSResponse(request.url, 200, {}, None)
        response._content = b""
        return response

    client.meta.events.register("before-send", answer, unique_id="answer")
    client.post_to_connection(ConnectionId=id, Data=body)
    client.meta.events.unregister("before-send", unique_id="answer")
    return sent[0]


def chosen():
    yield case()
    for id in ["a-b_c=", "==", "+/=", "a b", "%2F", "%", "ä€😀", "a?b#c&d;e", "~tilde.dot", string.punctuation, "...", "a/../b"]:
        yield case(id=id)
    for body, times in [(b"", 1), (b"\x00\xff\r\n", 1), ("ä€".encode(), 1), (b"x", 32 << 10), (b"0123456789abcdef", 8192)]:
        yield case(body=body, times=times)
    yield case(token="IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJH+/=" * 20)
    yield case(token="x")
    for region in REGIONS:
        yield case(region=region, token="session")
    for host in HOSTS:
        yield case(host=host)
    for at in ["1999-12-31T23:59:59", "2024-02-29T00:00:00", "2026-12-31T23:59:59", "2027-01-01T00:00:00"]:
        yield case(at=at)
    yield case(key="ASIAANOTHER", secret="s")


def drawn(count, seed):
    r = random.Random(seed)
    # What XML and URLs have a mind of their own about, and anything else but surrogates.
    character = lambda: r.choice([r.choice(string.printable), r.choice("=/+%@:~. "), chr(r.randrange(1, 0xD800)), chr(r.randrange(0x10000, 0x110000))])  # fmt: skip
    for _ in range(count):
        id = "".join(character() for _ in range(r.randrange(1, 40)))
        if id in (".", ".."):
            continue
        yield case(
            id=id,
            body=r.randbytes(r.choice([0, 1, 55, 56, 63, 64, 65, r.randrange(1200)])),
            times=r.choice([1, 1, 1, r.randrange(1, 100)]),
            token=r.choice(["", "".join(r.choices(string.ascii_letters + string.digits + "+/=", k=r.randrange(1, 1500)))]),
            region=r.choice(REGIONS),
            host=r.choice(HOSTS),
            at=datetime.datetime.fromtimestamp(r.randrange(0, 4102444800), UTC).replace(tzinfo=None).isoformat(),
            key="".join(r.choices(string.ascii_uppercase + string.digits, k=20)),
            secret="".join(r.choices(string.ascii_letters + string.digits + "+/", k=40)),
        )


for line in drawn(int(sys.argv[1]), int(sys.argv[2])) if sys.argv[1:] else chosen():
    print(json.dumps(line))
