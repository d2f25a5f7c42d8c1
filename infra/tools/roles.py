"""The roles of template.yaml, held against the calls that the functions make: DynamoDB Local and the local stack ask nobody for
permission, so that a call AWS would refuse goes unnoticed until the first deployment."""

import fnmatch
import http.client
import json
import logging
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from samtranslator.translator.transform import transform

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # the transform wants one
logging.getLogger("samtranslator").setLevel(logging.ERROR)  # its word on metrics of its own


class BasicExecutionRole:
    """The only managed policy that SAM puts into a role by itself."""

    def load(self):
        return {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}


def transformed(template, **parameters):
    """What the SAM transform makes of a template, as CloudFormation applies it on deployment."""
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    for resource in template["Resources"].values():
        resource["Properties"].pop("CodeUri", None)
    return transform(template, parameters, BasicExecutionRole())


def statements(template):
    """Of each function the statements that its role has, as (actions, resources, leading keys)."""
    resources = transformed(template)["Resources"]
    roles = {}
    for function in (name for name, r in resources.items() if r["Type"] == "AWS::Lambda::Function"):
        roles[function] = []
        for policy in resources[function + "Role"]["Properties"].get("Policies", []):
            for statement in plain(policy)["PolicyDocument"]["Statement"]:
                keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", ["*"])
                roles[function].append((listed(statement["Action"]), listed(statement["Resource"]), keys))
    return roles


def listed(value):
    return value if isinstance(value, list) else [value]


def plain(value):
    """A policy without intrinsic functions: a name stands for what it refers to, and conditions hold."""
    match value:
        case {"Ref": name}:
            return name
        case {"Fn::GetAtt": parts}:
            return ".".join(listed(parts))
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{([^}]*)\}", r"\1", text)
        case {"Fn::If": [_, yes, _]}:
            return plain(yes)
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
    return value


def leading_keys(action, request):
    """The partition keys that a DynamoDB request touches."""
    match action:
        case "PutItem":
            keys = [request["Item"]]
        case "GetItem" | "UpdateItem" | "DeleteItem":
            keys = [request["Key"]]
        case "BatchGetItem":
            keys = [key for table in request["RequestItems"].values() for key in table["Keys"]]
        case "Query":
            names = request.get("ExpressionAttributeNames", {})
            for name, value in re.findall(r"(#?\w+)\s*=\s*(:\w+)", request["KeyConditionExpression"]):
                if names.get(name, name) == "pk":
                    return [request["ExpressionAttributeValues"][value]["S"]]
            return ["?"]
        case _:
            return ["?"]
    return [key["pk"]["S"] for key in keys]


class Guard(ThreadingHTTPServer):
    """Stands between the functions and DynamoDB, Lambda and @connections. A function is known by its access key id, which is
    its logical id here; a call that its role allows is passed on with the access key id of before."""

    daemon_threads = True

    def __init__(self, template, dynamodb, functions, connections, access_key):
        super().__init__(("127.0.0.1", 0), Handler)
        self.roles = statements(template)
        self.targets = {"dynamodb": urlsplit(dynamodb), "lambda": urlsplit(functions), "connections": urlsplit(connections)}
        self.access_key = access_key
        self.refused = []  # what was, in words
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, service):
        return f"http://127.0.0.1:{self.server_port}/{service}"

    def allows(self, function, action, resource, keys):
        return any(
            action in actions
            and any(fnmatch.fnmatchcase(resource, pattern) for pattern in resources)
            and all(any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns) for key in keys)
            for actions, resources, patterns in self.roles.get(function, [])
        )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service, _, path = self.path[1:].partition("/")
        function = re.search(r"Credential=([^/]+)/", self.headers["Authorization"])[1]
        if service == "dynamodb":
            name = self.headers["X-Amz-Target"].partition(".")[2]
            action, resource, keys = "dynamodb:" + name, "Table.Arn", leading_keys(name, json.loads(body))
        elif service == "lambda":
            name = path.split("/")[2].removeprefix("local-")
            resource = f"arn:AWS::Partition:lambda:AWS::Region:AWS::AccountId:function:AWS::StackName-{name}"
            action, keys = "lambda:InvokeFunction", []
        else:
            resource = f"arn:AWS::Partition:execute-api:AWS::Region:AWS::AccountId:Api/StageName/{self.command}/@connections/id"
            action, keys = "execute-api:ManageConnections", []
        if not self.server.allows(function, action, resource, keys):
            refused = f"the role of {function} in template.yaml does not allow {action} on {' '.join(keys) or resource}"
            self.server.refused.append(refused)
            print(refused, file=sys.stderr, flush=True)
            answer = {"__type": "com.amazon.coral.service#AccessDeniedException", "message": refused}
            return self.answer(403, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(answer).encode())
        return self.forward(self.server.targets[service], path, body)

    do_GET = do_DELETE = do_POST

    def forward(self, target, path, body):
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        headers["Authorization"] = re.sub(r"Credential=[^/]+/", f"Credential={self.server.access_key}/", headers["Authorization"])
        upstream = http.client.HTTPConnection(target.netloc)
        try:
            upstream.request(self.command, f"{target.path.rstrip('/')}/{path}", body, headers)
            response = upstream.getresponse()
            self.answer(response.status, dict(response.getheaders()), response.read())
        finally:
            upstream.close()

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
