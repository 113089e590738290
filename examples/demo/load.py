"""Clients that write and read all the time and keep account of what was acknowledged to them."""

import random
import threading
import time
import uuid

from cluster import Client, NoAnswer


AVOIDED = 1.0  # seconds


class Writer(threading.Thread):
    """One client: it writes key after key, each once, and now and then counts up in one of its own.

    A write that was not acknowledged is repeated, at another node, under the same Request-Id, until
    it is. Nobody else writes its counter. So reading the counter linearizably must give exactly the
    last acknowledged number: less is a lost write or a stale read, more is one applied twice.
    """

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load = load
        self.number = number
        self.random = random.Random(f"{load.seed}/{number}")
        self.keep_alive = number % 2 == 0
        self.counter_key = f"counter-{load.name}-{number}"
        self.counter = 0
        self.clients = {}
        self.acknowledged = {}  # key -> (value, node that acknowledged it)

    def run(self):
        turn = 0
        try:
            while not self.load.done() and self.load.take_ticket():
                turn += 1
                began = time.monotonic()
                self.write(
                    f"key-{self.load.name}-{self.number}-{turn}",
                    f"value {turn} of writer {self.number}",
                )
                if turn % 4 == 0:
                    self.count_up()
                    self.check_counter()
                if self.load.pause:
                    time.sleep(max(0.0, self.load.pause - (time.monotonic() - began)))
        except Stopped:
            pass
        except Exception as problem:  # whatever it is, the main thread must hear of it
            self.load.problems.append(f"writer {self.number}: {problem!r}")
        for client in self.clients.values():
            client.close()

    def write(self, key, value):
        node = self.persist("PUT", f"/{key}", value)
        self.acknowledged[key] = (value, node)
        self.load.note_acknowledged(node)

    def count_up(self):
        node = self.persist("PUT", f"/{self.counter_key}", str(self.counter + 1))
        self.counter += 1
        self.acknowledged[self.counter_key] = (str(self.counter), node)

    def check_counter(self):
        answer = None
        while answer is None:
            if self.load.problems:
                raise Stopped
            answer, node = self.once("GET", f"/{self.counter_key}", None, {})
            if answer is None or answer.status == 503:
                answer = None
                time.sleep(0.02)
        self.load.checks += 1
        if answer.status != 200 or answer.body.decode() != str(self.counter):
            self.load.problems.append(
                f"{self.counter_key}: node {node} answered {answer.status} {answer.reason!r}, "
                f"acknowledged was {self.counter}"
            )

    def persist(self, method, path, body):
        """Repeats a write until it is acknowledged; returns the node that did."""
        request_id = str(uuid.UUID(int=self.random.getrandbits(128)))
        while True:
            if self.load.problems:
                raise Stopped
            answer, node = self.once(method, path, body, {"Request-Id": request_id})
            if answer is not None and answer.status == 204:
                return node
            if answer is not None and answer.status != 503:
                raise RuntimeError(
                    f"{method} {path}: node {node} answered {answer.status}: {answer.reason}"
                )
            self.load.retries += 1
            time.sleep(0.02)

    def once(self, method, path, body, headers):
        node = self.random.choice(self.load.candidates())
        client = self.clients.get(node.id)
        if client is None:
            client = Client(node.client_port, self.keep_alive, self.load.patience)
            self.clients[node.id] = client
        try:
            return client.request(method, path, body, headers), node.id
        except NoAnswer:
            self.load.avoid(node)
            return None, node.id


class Stopped(Exception):
    """Something is wrong already. Else a writer sees its last write through."""


class Load:
    """Some writers, for a number of keys or until they are stopped."""

    def __init__(self, nodes, name, writers=12, writes=None, seed=1, pause=0.0, patience=8.0):
        self.name = name  # part of every key, so that no two loads write the same
        self.targets = list(nodes)  # may be replaced at any time
        self.pause = pause  # seconds from one key of a writer to its next, at least
        self.patience = patience  # seconds until a client gives a request up
        self.avoided = {}  # node -> until when, since it did not answer
        self.seed = seed
        self.problems = []
        self.checks = 0  # counters read, linearizably, and found right
        self.retries = 0  # writes sent again because no answer or a 503 came
        self.by_node = {}
        self.times = []  # of each acknowledgement
        self.lock = threading.Lock()
        self.tickets = writes
        self.stopping = threading.Event()
        self.writers = [Writer(self, n) for n in range(writers)]
        for writer in self.writers:
            writer.start()

    def candidates(self):
        """The nodes to ask: those that answered, or else all."""
        now = time.monotonic()
        return [n for n in self.targets if self.avoided.get(n, 0) < now] or self.targets

    def avoid(self, node):
        """Leaves a node that did not answer alone for a while."""
        self.avoided[node] = time.monotonic() + AVOIDED

    def done(self):
        return self.stopping.is_set() or bool(self.problems)

    def take_ticket(self):
        """One for each key; without a limit there are always more."""
        with self.lock:
            if self.tickets is None:
                return True
            self.tickets -= 1
            return self.tickets >= 0

    def note_acknowledged(self, node):
        with self.lock:
            self.by_node[node] = self.by_node.get(node, 0) + 1
            self.times.append(time.monotonic())

    def count(self):
        return len(self.times)

    def stop(self):
        """Stops the writers, each when its last write is acknowledged, and waits for them."""
        self.stopping.set()
        self.join()

    def join(self, seconds=120):
        """Waits until all keys are written."""
        end = time.monotonic() + seconds
        for writer in self.writers:
            writer.join(max(0.0, end - time.monotonic()))
        if any(writer.is_alive() for writer in self.writers):
            self.problems.append(f"the writers did not finish within {seconds} s")
            self.stopping.set()

    def acknowledged(self):
        """key -> (value, node) of everything that was acknowledged."""
        together = {}
        for writer in self.writers:
            together.update(writer.acknowledged)
        return together

    def longest_pause(self, since):
        """The longest time without an acknowledgement after a moment, in seconds."""
        times = [since, *(t for t in self.times if t >= since)]
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))
