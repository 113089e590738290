"""A cluster of key-value nodes as local processes: start, stop, kill, ask. Standard library only.

The nodes are started with the command line that all services share and spoken to over the HTTP API
of PROTOCOL.md, so it does not matter in which language a node is written.
"""

import atexit
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

LANGUAGES = {"c": "C", "go": "Go", "python": "Python"}
REQUEST_TIMEOUT = 8.0  # seconds; above a node's own --timeout-ms


class Failure(Exception):
    """Something that must not happen did, or something that must happen did not in time."""


class NoAnswer(Exception):
    """A node could not be reached, or broke off: nobody knows what became of the request."""


class Answer:
    """What a node answered."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def reason(self):
        """The one line that goes with an error."""
        return self.body.decode("utf-8", "replace").strip()


class Client:
    """One client of one node: a kept-alive connection, or a new one for every request."""

    def __init__(self, port, keep_alive=True, timeout=REQUEST_TIMEOUT):
        self.port = port
        self.keep_alive = keep_alive
        self.timeout = timeout
        self.connection = None

    def request(self, method, path, body=None, headers=None):
        """One request, tried once. Raises NoAnswer when no answer came."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=self.timeout
            )
        try:
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            raise NoAnswer(f"{type(problem).__name__}: {problem}") from None
        if not self.keep_alive:
            self.close()
        return answer

    def close(self):
        """Hangs up."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Node:
    """One node: its addresses, its directory, its process."""

    def __init__(self, cluster, number, command):
        self.id = number
        self.command = command
        self.peer_port, self.client_port = free_port(), free_port()
        self.peer_url = f"http://127.0.0.1:{self.peer_port}"
        self.url = f"http://127.0.0.1:{self.client_port}"
        self.data = os.path.join(cluster.directory, f"node{number}")
        self.log_path = os.path.join(cluster.directory, f"node{number}.log")
        self.process = None
        self.frozen = False
        self.language = ""  # as it calls itself, once it was asked

    def start(self, arguments, **popen):
        """Starts the process, in a group of its own; what it says is appended to its log."""
        self.frozen = False
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [
                    *self.command,
                    "--id",
                    str(self.id),
                    "--listen",
                    self.url,
                    "--data",
                    self.data,
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **popen,
            )

    @property
    def running(self):
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def kill(self, number=signal.SIGKILL):
        """Sends a signal; after SIGKILL the process is gone when this returns, and after SIGSTOP
        all its threads stand still, which on a busy machine takes a moment."""
        if self.running:
            os.killpg(self.process.pid, number)
            self.frozen = number == signal.SIGSTOP
            if number == signal.SIGSTOP:
                how = os.WSTOPPED | os.WEXITED | os.WNOWAIT
                os.waitid(os.P_PID, self.process.pid, how)
        if number == signal.SIGKILL and self.process is not None:
            self.process.wait()

    def stop(self, seconds=5.0):
        """Asks it to stop, insists after a while, and returns its exit code."""
        self.kill(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"node {self.id} did not stop within {seconds} s of SIGTERM") from None

    def ask(self, method, path, body=None, headers=None, timeout=REQUEST_TIMEOUT):
        """One request on a connection of its own."""
        return Client(self.client_port, keep_alive=False, timeout=timeout).request(
            method, path, body, headers
        )

    def status(self, timeout=5.0):
        """What /_/status says; None when it does not answer in time."""
        try:
            answer = self.ask("GET", "/_/status", timeout=timeout)
            status = json.loads(answer.body) if answer.status == 200 else None
        except (NoAnswer, ValueError):
            return None
        if status:
            self.language = LANGUAGES.get(status["language"], status["language"])
        return status

    def log_tail(self, lines=15):
        """The end of its log."""
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError:
            return ""


class Cluster:
    """Nodes that belong together. When the program ends nothing is left of them, unless kept."""

    def __init__(self, commands, size=3, arguments=(), directory=None):
        self.commands = commands
        self.arguments = list(arguments)
        self.directory = directory or tempfile.mkdtemp(prefix="raftcore-demo-")
        self.keep = False
        self.nodes = {}
        for number in range(1, size + 1):
            self.new_node(number)
        self.members = ",".join(f"{n.id}={n.peer_url}" for n in self.nodes.values())
        atexit.register(self.clean_up)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def new_node(self, number):
        """A node that is not started; the commands take turns."""
        node = Node(self, number, self.commands[(number - 1) % len(self.commands)])
        self.nodes[number] = node
        return node

    def start(self, node, *extra, **popen):
        """Starts a first member, or starts it again."""
        node.start(["--cluster", self.members, *self.arguments, *extra], **popen)

    def join(self, node):
        """Starts a node that was added to the running cluster."""
        node.start(["--join", "--cluster", f"{node.id}={node.peer_url}", *self.arguments])

    def running(self):
        """The nodes that have a process, by id."""
        return [n for n in self.nodes.values() if n.running]

    def awake(self):
        """The running nodes that are not frozen."""
        return [n for n in self.running() if not n.frozen]

    def find_leader(self):
        """(node, status) of the leader that a majority of its members follow, or None."""
        seen = [(n, s) for n in self.awake() if (s := n.status())]
        leaders = [(n, s) for n, s in seen if s["role"] == "leader"]
        if not leaders:
            return None
        node, status = max(leaders, key=lambda pair: pair[1]["term"])
        followers = [s for _, s in seen if s["leader"] == node.id and s["term"] == status["term"]]
        return (node, status) if 2 * len(followers) > len(status["members"]) else None

    def wait_for_leader(self, seconds=20.0, other_than=None):
        """Waits for a leader."""

        def look():
            found = self.find_leader()
            if found is None and not self.running():
                raise Failure(
                    "no node is running\n" + "".join(n.log_tail() for n in self.nodes.values())
                )
            return found if found and found[0] is not other_than else None

        return wait_until(look, seconds, "a leader", self, pause=0.01)

    def wait_caught_up(self, node, index, seconds=30.0):
        """Waits until a node has applied up to an index, and returns its status."""

        def look():
            status = node.status()
            return status if status and status["applied"] >= index else None

        return wait_until(look, seconds, f"node {node.id} to apply index {index}", self)

    def clean_up(self):
        """Kills what runs and removes what was written, unless it is kept."""
        if self.keep:
            return
        for node in self.nodes.values():
            node.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _on_signal(self, number, _frame):
        if number == signal.SIGINT:
            print("\ninterrupted: the nodes are stopped", flush=True)
        self.clean_up()
        os._exit(128 + number)


_given_out = set()
_given_out_lock = threading.Lock()


def free_port():
    """A port on the loopback interface that is free now and was not given out before."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with _given_out_lock:
            if port not in _given_out:
                _given_out.add(port)
                return port


def wait_until(look, seconds, what, cluster=None, pause=0.05):
    """Calls `look` until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            logs = (
                "".join(
                    f"\n--- log of node {n.id}:\n{n.log_tail()}" for n in cluster.nodes.values()
                )
                if cluster
                else ""
            )
            raise Failure(f"waited {seconds:g} s in vain for {what}{logs}")
        time.sleep(pause)
