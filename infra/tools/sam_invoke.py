#!/usr/bin/env python3
"""SAM CLI's Invoke service, as in `sam local start-lambda`, on a machine without Docker.

Template, environment, function names and HTTP are SAM CLI's own code. Instead of a container with AWS's Lambda Runtime
Interface Emulator in it, each function gets the emulator alone, the one that SAM CLI ships. Hence the functions have to be
built for this machine:

    LAMBDA_GOARCH=$(go env GOARCH) sam build --build-dir .build/sam

As with sam local, a variable of this program's environment takes the place of the template's value for it, in the
functions that have that variable. Those in LOCAL, below, put it behind the local stack:

    sam_invoke.py
    DYNAMODB=local LAMBDA_ENDPOINT=http://127.0.0.1:3003 make run

Unlike sam local, each function is held to its role in the template (roles.py). A call that it does not allow fails as on
AWS, is printed, and makes this program end with status 1.
"""

import argparse
import collections
import json
import os
import platform
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import samcli
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.local.docker.exceptions import ProcessSigTermException
from samcli.local.lambda_service.local_lambda_http_service import LocalLambdaHttpService
from samcli.yamlhelper import yaml_parse

from roles import Guard

HOST = "127.0.0.1"
LOCAL = {  # the local stack's, where the environment says nothing else
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000",
    "CONNECTIONS_ENDPOINT": "http://127.0.0.1:3001/local",
    "TABLE_NAME": "realtime",
}
LOCAL_SECRET = "local-secret-do-not-deploy-0123456789"  # JWT_SECRET, where the environment has no key
ACCESS_KEY = "local"  # DynamoDB Local has a database for each, and this is the local stack's
ARCHITECTURE = {"arm64": "arm64", "aarch64": "arm64"}.get(platform.machine().lower(), "x86_64")
EMULATOR = Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{ARCHITECTURE}"


class Emulator:
    """One execution environment: the emulator and, under it, one process of a function. One event at a time."""

    def __init__(self, config, environment):
        self.port, runtime = free_port(), free_port()
        self.process = subprocess.Popen(
            [EMULATOR, "--log-level", "error",
             "--runtime-interface-emulator-address", f"{HOST}:{self.port}",
             "--runtime-api-address", f"{HOST}:{runtime}",
             Path(config.code_abs_path) / "bootstrap"],
            cwd=config.code_abs_path,
            env={"PATH": os.defpath, **environment},
            stdout=sys.stderr.fileno(),
            start_new_session=True,  # Ctrl-C is for this program, which then stops it
        )

    def ready(self):
        """Waits until it listens; False if it ends instead, as when somebody else took a port first."""
        while self.process.poll() is None:
            if listens(self.port):
                return True
            time.sleep(0.005)
        return False

    def invoke(self, event):
        """The answer, and whether another event may follow it."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}/2015-03-31/functions/function/invocations", event.encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as response:
                answer = response.read().decode()
        except OSError as error:  # an HTTP status of 400 and above included
            return json.dumps({"errorType": "Sandbox.Failure", "errorMessage": str(error)}), False
        broken = answer.startswith("Task timed out") or answer.startswith('{"errorType":"Runtime.')
        return answer, not broken

    def stop(self):
        self.process.terminate()  # it ends the function's process too
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Runtime:
    """Takes the place of samcli.local.lambdafn.runtime.LambdaRuntime. A function has a bounded number of emulators, which
    stay warm; further events wait."""

    def __init__(self, bound, patience):
        self.patience = patience
        self.lock = threading.Lock()
        self.idle = collections.defaultdict(list)
        self.turns = collections.defaultdict(lambda: threading.BoundedSemaphore(bound))
        self.all = set()
        self.stopped = False

    def invoke(self, function_config, event, *_, invocation_type=None, stdout=None, **__):
        # SAM CLI drops an asynchronous event that failed; Lambda tries twice again, though not as soon.
        for pause in (1, 2, None) if invocation_type == "Event" else (None,):
            answer = self.run(function_config, event)
            if pause is None or '"errorType"' not in answer:
                break
            time.sleep(pause)
        stdout.write_str(answer)

    def run(self, config, event):
        with self.lock:
            turn = self.turns[config.name]
        with turn:
            emulator = self.take(config)
            answer, more = emulator.invoke(event)
            with self.lock:
                if more:
                    self.idle[config.name].append(emulator)
                else:
                    self.all.discard(emulator)
            if not more:
                emulator.stop()
        return answer

    def take(self, config):
        """An emulator that has nothing to do."""
        with self.lock:
            if self.idle[config.name]:
                return self.idle[config.name].pop()
        # The access key id tells the guard which function is calling.
        environment = config.env_vars.resolve() | {
            "AWS_ACCESS_KEY_ID": config.name, "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self.patience * config.timeout)}
        for _ in range(5):
            with self.lock:  # so that stop finds every one
                if self.stopped:
                    break
                emulator = Emulator(config, environment)
                self.all.add(emulator)
            if emulator.ready():
                return emulator
            with self.lock:
                self.all.discard(emulator)
        raise RuntimeError(f"{config.name}: the emulator does not start")

    def stop(self):
        with self.lock:
            emulators, self.all, self.stopped = self.all, set(), True
        for emulator in emulators:
            emulator.stop()


def free_port():
    """A port that nobody listens on, below those that the system gives to outgoing connections."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as s:
            try:
                s.bind((HOST, port))
            except OSError:
                continue
            return port


def listens(port):
    with socket.socket() as s:
        return s.connect_ex((HOST, port)) == 0


class Service:
    """The Invoke service for the functions of a built template. Calls of the functions go by way of a guard."""

    def __init__(self, template, port, processes, patience):
        directory = Path(template).resolve().parent
        with open(template, encoding="utf-8") as file:
            self.guard = Guard(
                yaml_parse(file.read()),
                dynamodb=os.environ["AWS_ENDPOINT_URL_DYNAMODB"],
                functions=f"http://{HOST}:{port}",
                connections=os.environ["CONNECTIONS_ENDPOINT"],
                access_key=ACCESS_KEY,
            )
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = self.guard.url("dynamodb")
        os.environ["AWS_ENDPOINT_URL_LAMBDA"] = self.guard.url("lambda")
        os.environ["CONNECTIONS_ENDPOINT"] = self.guard.url("connections")
        self.runtime = Runtime(processes, patience)
        stacks, _ = SamLocalStackProvider.get_stacks(str(template))
        provider = SamFunctionProvider(stacks, use_raw_codeuri=True)
        self.http = LocalLambdaHttpService(LocalLambdaRunner(self.runtime, provider, str(directory), str(directory)), port, HOST)
        self.http.executor = ThreadPoolExecutor(4 * processes)  # of asynchronous events; SAM CLI has a few for all functions
        self.http.create()

    def run(self):
        """Serves until a signal comes."""
        try:
            self.http.run()
        except (KeyboardInterrupt, ProcessSigTermException):
            pass
        finally:
            self.stop()

    def stop(self):
        self.http.executor.shutdown(wait=False, cancel_futures=True)
        self.runtime.stop()
        self.guard.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--template", type=Path, default=".build/sam/template.yaml", help="built by sam build (%(default)s)")
    parser.add_argument("--port", type=int, default=3003)
    parser.add_argument("--processes", type=int, default=8, help="of one function at most (%(default)s)")
    parser.add_argument("--patience", type=int, default=1,
                        help="how many times a function's timeout it may take: tests are about other things, on machines that are busy (%(default)s)")
    given = parser.parse_args()
    if platform.system() != "Linux":
        parser.error("the emulator is a program for Linux: use sam local start-lambda, with Docker")
    if not given.template.exists():
        parser.error(f"{given.template} is not there: make sam-invoke builds it, or LAMBDA_GOARCH=$(go env GOARCH) sam build --build-dir {given.template.parent}")
    if listens(given.port):
        parser.error(f"port {given.port} is taken: --port takes another")
    os.environ.update({name: value for name, value in LOCAL.items() if not os.environ.get(name)})
    if not any(os.environ.get(name) for name in ("JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS_URL")):
        os.environ["JWT_SECRET"] = LOCAL_SECRET
    os.environ.update(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=ACCESS_KEY, AWS_SESSION_TOKEN="")
    service = Service(given.template, given.port, given.processes, given.patience)
    print(f"SAM CLI's Invoke service on http://{HOST}:{given.port}", flush=True)
    service.run()
    sys.exit(1 if service.guard.refused else 0)


if __name__ == "__main__":
    main()
