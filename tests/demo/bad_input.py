#!/usr/bin/env python3
"""What a node of the key-value service answers to nonsense, and what it does when its disk is full.

    KV_BINARY=path/to/kv-c python3 tests/demo/bad_input.py

One cluster of three serves all tests of `Clients`, another those of `Peers`; after each test its
nodes must still be there and answer.
"""

import os
import random
import select
import shlex
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "demo")
)

from cluster import Client, Cluster, wait_until  # noqa: E402
from disks import Disks  # noqa: E402, F401 - a part of this suite
from texts import LISTED, is_listed  # noqa: E402

COMMAND = shlex.split(os.environ.get("KV_BINARY", "kv-c"))
LIMITS = ["--max-key", "64", "--max-value", "1000", "--max-peer-body", "70000"]


class ClusterCase(unittest.TestCase):
    """Three nodes, and the check that none of them minded."""

    arguments = LIMITS

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster([COMMAND], arguments=cls.arguments)
        cls.addClassCleanup(cls.cluster.clean_up)
        for node in cls.cluster.nodes.values():
            cls.cluster.start(node)
        cls.leader, cls.status = cls.cluster.wait_for_leader()
        cls.follower = next(n for n in cls.cluster.nodes.values() if n is not cls.leader)

    @classmethod
    def tearDownClass(cls):
        for node in cls.cluster.nodes.values():
            code = node.stop(20)
            if code != 0:
                raise AssertionError(f"node {node.id} exited with {code}\n{node.log_tail(40)}")

    def tearDown(self):
        for node in self.cluster.nodes.values():
            self.assertTrue(node.running, f"node {node.id} is gone\n{node.log_tail()}")
            self.assertIsNotNone(node.status(), f"node {node.id} does not answer")

    def expect(self, node, status, method, path, body=None, headers=None, reason=""):
        answer = node.ask(method, path, body, headers)
        self.assertEqual(answer.status, status, f"{method} {path}: {answer.reason}")
        if status >= 400 and method != "HEAD":
            self.assertTrue(answer.reason, f"{method} {path}: {status} without a reason")
            self.assertIn(reason, answer.reason)
            self.expect_listed(answer)
        return answer

    def expect_listed(self, answer):
        self.assertTrue(
            is_listed(answer.status, answer.reason),
            f"PROTOCOL.md has no {answer.status} '{answer.reason}'",
        )


URL = b"http://127.0.0.1:1"
# Status, request, headers, and a part of the reason.
NONSENSE = (
    (400, "PUT", "/", b"x", {}, "a key is needed"),
    (400, "GET", "/", None, {}, "a key is needed"),
    (400, "GET", "/_/kv/", None, {}, "a key is needed"),
    (400, "GET", "/_/status?of=x", None, {}, "of is not a node's id"),
    (404, "GET", "/_/status?of=9", None, {}, "no member has the id 9"),
    (404, "GET", "/_/nothing", None, {}, "nothing is there"),
    (404, "PUT", "/_/nothing", b"x", {}, "nothing is there"),
    (405, "POST", "/_/", b"x", {}, "the page can only be read"),
    (405, "PUT", "/_/status", b"x", {}, "the status can only be read"),
    (405, "GET", "/_/leader", None, {}, "leadership is handed over by PUT"),
    (405, "POST", "/_/leader", b"1", {}, "leadership is handed over by PUT"),
    (400, "PUT", "/_/leader", b"me", {}, "the body is not a member's id"),
    (400, "PUT", "/_/leader", b"", {}, "the body is not a member's id"),
    (404, "PUT", "/_/leader", b"77", {}, "no member has the id 77"),
    (405, "PATCH", "/k", b"x", {}, "means nothing for a key"),
    (405, "OPTIONS", "/k", None, {}, "means nothing for a key"),
    (405, "POST", "/_/kv/k", b"x", {}, "means nothing for a key"),
    (400, "GET", "/k?stale=0", None, {}, "stale can only be 1"),
    (400, "GET", "/k?what=1", None, {}, "unknown parameter 'what'"),
    (400, "PUT", "/k?stale=1", b"x", {}, "unknown parameter 'stale'"),
    (400, "PUT", "/k", b"x", {"Request-Id": "r" * 65}, "Request-Id is not 1 to 64"),
    (400, "PUT", "/k", b"x", {"Request-Id": "a b"}, "Request-Id is not 1 to 64"),
    (400, "PUT", "/k", b"x", {"Request-Id": ""}, "Request-Id is not 1 to 64"),
    (400, "POST", "/k", URL, {}, "adds a member by its id"),
    (400, "POST", "/0", URL, {}, "adds a member by its id"),
    (400, "POST", "/99999999999999999999", URL, {}, "adds a member by its id"),
    (400, "POST", "/-4", URL, {}, "adds a member by its id"),
    (400, "POST", "/9223372036854775808", URL, {}, "adds a member by its id"),
    (400, "POST", "/0x4", URL, {}, "adds a member by its id"),
    (400, "POST", "/4", b"127.0.0.1:1", {}, "not a peer URL"),
    (400, "POST", "/4", b"https://127.0.0.1:1", {}, "not a peer URL"),
    (400, "POST", "/4", b"http://127.0.0.1", {}, "not a peer URL"),
    (400, "POST", "/4", b"http://127.0.0.1:0", {}, "not a peer URL"),
    (400, "POST", "/4", b"http://127.0.0.1:70000", {}, "not a peer URL"),
    (400, "POST", "/4", b"http://127.0.0.1:1/x", {}, "not a peer URL"),
    (400, "POST", "/4", b"\0", {}, "not a peer URL"),
    (400, "POST", "/4", b"", {}, "not a peer URL"),
    (400, "DELETE", "/my-key", None, {}, "removes a member by its id"),
    (404, "DELETE", "/77", None, {}, "no member has the id 77"),
    (409, "POST", "/1", URL, {}, "node 1 is a member already, at "),
)


class Clients(ClusterCase):
    """The clients' API."""

    def test_what_works(self):
        for node in (self.leader, self.follower):
            put = self.expect(node, 204, "PUT", "/my-key", b"bar")
            self.assertGreater(int(put.headers["Raft-Index"]), 0)
            for path in ("/my-key", "/_/kv/my-key", "/my-key?stale=1", "/my%2Dkey"):
                self.assertEqual(self.expect(node, 200, "GET", path).body, b"bar")
            self.expect(node, 200, "HEAD", "/my-key")
            self.expect(node, 204, "DELETE", "/_/kv/my-key")
            self.expect(node, 404, "GET", "/my-key", reason="no such key")
            self.expect(node, 204, "DELETE", "/_/kv/my-key")

    def test_keys_and_values_are_any_bytes(self):
        for key in (
            "a/b//c",
            "%00",
            "%ff%fe",
            "%2F",
            "%20 ".strip(),
            "4",
            "_",
            "raft",
            "a+b",
            "%3Fq",
        ):
            self.expect(self.leader, 204, "PUT", f"/{key}", key.encode())
            self.assertEqual(self.expect(self.follower, 200, "GET", f"/{key}").body, key.encode())
        self.expect(self.leader, 204, "PUT", "/empty", b"")
        self.assertEqual(self.expect(self.follower, 200, "GET", "/empty").body, b"")
        self.expect(self.leader, 204, "PUT", "/_/kv/_/status", b"a key")
        self.assertEqual(self.expect(self.follower, 200, "GET", "/_/kv/_/status").body, b"a key")

    def test_limits(self):
        self.expect(self.leader, 204, "PUT", "/" + "k" * 64, b"v" * 1000)
        self.expect(self.leader, 413, "PUT", "/" + "k" * 65, b"v", reason="key is longer than 64")
        self.expect(self.leader, 413, "GET", "/" + "k" * 65)
        self.expect(self.leader, 413, "PUT", "/k", b"v" * 1001, reason="value is longer than 1000")
        # This one the HTTP library may refuse, in its own words.
        self.assertEqual(self.leader.ask("PUT", "/k", b"v" * 5_000_000).status, 413)

    def test_nonsense(self):
        for status, method, path, body, headers, reason in NONSENSE:
            with self.subTest(method=method, path=path, body=body, headers=headers):
                self.expect(self.leader, status, method, path, body, headers, reason)
        self.assertIn("PUT", self.expect(self.leader, 405, "PATCH", "/k", b"x").headers["Allow"])

    def test_a_members_url_is_its_own(self):
        url = self.follower.peer_url
        self.expect(
            self.leader, 409, "POST", "/4", url.encode(),
            reason=f"node {self.follower.id} is a member already, at {url}",
        )

    def test_a_text_that_is_not_listed_is_noticed(self):
        """So that the lists in PROTOCOL.md cannot become empty, or a pattern match anything."""
        self.assertGreater(len(LISTED), 50)
        self.assertTrue(is_listed(413, "the key is longer than 64 bytes"))
        for status, reason in (
            (400, "the key is longer than 64 bytes"),
            (413, "the key is longer than 64 bytes or so"),
            (413, "the key is too long"),
        ):
            self.assertFalse(is_listed(status, reason), reason)

    def test_a_body_is_needed(self):
        for method, path in (("PUT", "/k"), ("POST", "/4"), ("PUT", "/_/leader")):
            answer = raw(
                self.leader.client_port,
                f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
                patience=5,
            )
            self.assertIn(b" 411 ", answer.split(b"\r\n")[0])

    def test_a_repeated_request_is_applied_once(self):
        first = self.expect(self.leader, 204, "PUT", "/once", b"1", {"Request-Id": "the-first"})
        self.expect(self.follower, 204, "PUT", "/once", b"2")
        again = self.expect(self.follower, 204, "PUT", "/once", b"1", {"Request-Id": "the-first"})
        self.assertEqual(first.headers["Raft-Index"], again.headers["Raft-Index"])
        self.assertEqual(self.expect(self.leader, 200, "GET", "/once").body, b"2")

    def test_garbage_instead_of_http(self):
        garbage_at(self, self.leader.client_port)


class Peers(ClusterCase):
    """POST /raft."""

    def post(self, body, port=None, method="POST", path="/raft", **headers):
        own = {
            "Raft-Cluster": "kv",
            "Raft-From": str(self.follower.id),
            "Raft-To": str(self.leader.id),
            "Raft-Url": self.follower.peer_url,
        }
        for name, value in headers.items():
            own["Raft-" + name] = value
        own = {name: value for name, value in own.items() if value is not None}
        return Client(port or self.leader.peer_port, keep_alive=False).request(
            method, path, body, own
        )

    def refused(self, status, *args, reason="", **kwargs):
        answer = self.post(*args, **kwargs)
        self.assertEqual(answer.status, status, answer.reason)
        self.assertTrue(answer.reason)
        self.assertIn(reason, answer.reason)
        if status != 413:  # that one may be the HTTP library's
            self.expect_listed(answer)

    # A heartbeat response of term 0: type 9, to, from. A heartbeat is type 8, a proposal type 2.
    def message(self, kind, sender=None):
        return bytes([0x08, kind, 0x10, self.leader.id, 0x18, sender or self.follower.id])

    def test_who_may_speak(self):
        good = frame(self.message(8))
        self.refused(400, good, Cluster=None, reason="Raft-Cluster")
        self.refused(403, good, Cluster="other", reason="cluster 'kv'")
        self.refused(400, good, From=None, reason="Raft-From and Raft-To must be node ids")
        self.refused(400, good, From="0", reason="Raft-From and Raft-To must be node ids")
        self.refused(400, good, From="x", reason="Raft-From and Raft-To must be node ids")
        self.refused(400, good, To="18446744073709551616", reason="must be node ids")
        self.refused(421, good, To=str(self.follower.id), reason=f"this is node {self.leader.id}")
        self.refused(403, good, From=str(self.leader.id), reason="same id")
        self.refused(403, good, Url="http://127.0.0.1:1", reason="same id")
        self.refused(400, good, Url=None, reason="Raft-Url must be the sender's URL")
        self.refused(400, good, Url="nowhere", reason="Raft-Url must be the sender's URL")
        self.refused(400, good, Url=self.follower.peer_url + "/", reason="Raft-Url must be")
        self.refused(403, frame(self.message(9, 77)), From="77", reason="not a member")
        self.refused(403, frame(self.message(2, 77)), From="77", reason="not a member")

    def test_what_may_be_said(self):
        for body, reason in (
            (b"\0", "the body ends within frame 1"),
            (b"\0\0\0\1", "the body ends within frame 1"),
            (b"\xff\xff\xff\xff", "the body ends within frame 1"),
            (frame(b"\xff" * 20), "frame 1 is no message"),
            (frame(b"garbage"), "frame 1 is no message"),
            (frame(b"\x08"), "frame 1 is no message"),
            (frame(self.message(8)) + b"\0\0\0\5abc", "the body ends within frame 2"),
            (frame(self.message(8)) + b"\0\0\0\0\0\0\0\1\xff", "frame 3 is no message"),
            # A kind that no node sends to another, and one that there is not.
            (frame(self.message(1)), "frame 1 is no message"),
            (frame(self.message(99)), "frame 1 is no message"),
        ):
            with self.subTest(body=body):
                self.refused(400, body, reason=reason)
        self.refused(411, b"", reason="messages are needed")
        self.refused(413, b"x" * 100_000)
        self.refused(404, frame(self.message(8)), path="/my-key")
        self.refused(405, frame(self.message(8)), method="PUT")
        # A snapshot of index 9 whose data is none of ours: type 7, term 50, and
        # snapshot{data, metadata{conf {1}, 9, 50}}.
        metadata = b"\x0a\x02\x08\x01" + b"\x10\x09" + b"\x18\x32"
        snapshot = b"\x0a\x03abc" + b"\x12" + bytes([len(metadata)]) + metadata
        self.refused(
            400,
            frame(self.message(7) + b"\x20\x32" + b"\x4a" + bytes([len(snapshot)]) + snapshot),
            reason="snapshot",
        )

    def test_random_messages_change_nothing(self):
        before = self.leader.status()
        chance = random.Random(4)
        for _ in range(300):
            body = bytearray(
                frame(self.message(chance.randrange(24)) + chance.randbytes(chance.randrange(40)))
            )
            self.post(bytes(body))
        self.assertGreaterEqual(self.leader.status()["commit"], before["commit"])
        self.expect(self.leader, 204, "PUT", "/still", b"here")
        self.assertEqual(self.expect(self.follower, 200, "GET", "/still").body, b"here")

    def test_garbage_instead_of_http(self):
        garbage_at(self, self.leader.peer_port)

    def test_who_may_listen(self):
        for status, headers in (
            (403, {"Cluster": "other"}),
            (400, {"From": "0"}),
            (421, {"To": str(self.follower.id)}),
            (403, {"From": "77"}),
            (403, {"Url": "http://127.0.0.1:1"}),
        ):
            with self.subTest(headers=headers):
                self.refused(status, None, method="GET", path="/stream", **headers)
        self.refused(405, b"", path="/stream")

    def test_a_stream_is_taken_over_and_taken_back(self):
        """Whoever asks last hears; the member asks again, and the cluster hardly notices."""
        head = (
            f"GET /stream HTTP/1.1\r\nHost: x\r\nRaft-Cluster: kv\r\n"
            f"Raft-From: {self.follower.id}\r\nRaft-To: {self.leader.id}\r\n"
            f"Raft-Url: {self.follower.peer_url}\r\n\r\n"
        )
        heard = b""
        with socket.create_connection(("127.0.0.1", self.leader.peer_port), timeout=10) as thief:
            thief.sendall(head.encode())
            while not heard.endswith(b"\r\n0\r\n\r\n") and (chunk := thief.recv(65536)):
                heard += chunk
        answer, _, said = heard.partition(b"\r\n\r\n")
        self.assertIn(b" 200 ", answer)
        self.assertIn(b"Raft-Cluster: kv", answer)
        # The first chunk begins with a frame: the library's messages begin with their type, 0x08.
        frames = said.partition(b"\r\n")[2]
        self.assertRegex(frames, rb"(?s)\A(\0\0\0\0)*(\0\0..\x08|\r\n)")
        self.expect(self.follower, 204, "PUT", "/heard", b"again")


class Secrets(ClusterCase):
    """A cluster whose peers bear a secret."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        path = os.path.join(directory.name, "secret")
        with open(path, "w", encoding="ascii") as file:
            file.write("the-right-one\n")
        cls.arguments = ["--secret-file", path]
        super().setUpClass()

    def test_who_does_not_bear_it_is_not_heard(self):
        client = Client(self.leader.peer_port, keep_alive=False)
        own = {
            "Raft-Cluster": "kv",
            "Raft-From": str(self.follower.id),
            "Raft-To": str(self.leader.id),
            "Raft-Url": self.follower.peer_url,
        }
        message = frame(bytes([0x08, 8, 0x10, self.leader.id, 0x18, self.follower.id]))
        for secret in (None, "", "the", "the-right-onf", "The-right-one", "the-right-one!"):
            for method, path in (("POST", "/raft"), ("GET", "/stream"), ("POST", "/elsewhere")):
                with self.subTest(secret=secret, method=method, path=path):
                    headers = dict(own) if secret is None else {**own, "Raft-Secret": secret}
                    answer = client.request(method, path, message, headers)
                    self.assertEqual(answer.status, 403, answer.reason)
                    self.assertIn("secret", answer.reason)
        answer = client.request("POST", "/raft", message, {**own, "Raft-Secret": "the-right-one"})
        self.assertNotEqual(answer.status, 403, answer.reason)

    def test_a_member_without_it_does_not_get_in(self):
        self.follower.kill()
        term = self.leader.status()["term"]
        self.follower.start(["--cluster", self.cluster.members])
        wait_until(lambda: "secret" in self.follower.log_tail(100), 20, "a refusal", self.cluster)
        self.assertEqual(self.leader.status()["term"], term)
        self.follower.kill()
        self.cluster.start(self.follower)
        self.cluster.wait_caught_up(self.follower, self.leader.status()["commit"])


class Recovery(unittest.TestCase):
    """One node of three is left."""

    def test_the_last_node_goes_on_alone_and_founds_the_cluster_anew(self):
        cluster = Cluster([COMMAND], arguments=["--tick-ms", "50", "--timeout-ms", "2000"])
        self.addCleanup(cluster.clean_up)
        for node in cluster.nodes.values():
            cluster.start(node)
        leader, _ = cluster.wait_for_leader()
        for i in range(30):
            answer = leader.ask("PUT", f"/{i}", str(i).encode(), {"Request-Id": f"id-{i}"})
            self.assertEqual(answer.status, 204)
        cluster.wait_caught_up(cluster.nodes[1], leader.status()["commit"])
        one, *lost = cluster.nodes.values()
        for node in cluster.nodes.values():
            node.kill()
        cluster.start(one)
        wait_until(lambda: one.status() is not None, 10, "the node to serve", cluster)
        self.assertEqual(one.ask("PUT", "/new", b"x").status, 503)

        one.stop()
        cluster.start(one, "--force-new-cluster")
        wait_until(lambda: (s := one.status()) and s["role"] == "leader", 10, "a leader", cluster)
        self.assertEqual([m["id"] for m in one.status()["members"]], [1])
        self.assertEqual(one.status()["removed"], [2, 3])
        for i in range(30):
            self.assertEqual(one.ask("GET", f"/{i}").body, str(i).encode())
        again = one.ask("PUT", "/29", b"29", {"Request-Id": "id-29"})
        self.assertEqual(again.headers["Raft-Index"], answer.headers["Raft-Index"])

        # With the option once more nothing happens; those who were lost may not come back; a new
        # node may come.
        one.stop()
        cluster.start(one, "--force-new-cluster")
        wait_until(lambda: (s := one.status()) and s["role"] == "leader", 10, "a leader", cluster)
        for node in lost:
            cluster.start(node)
            wait_until(lambda gone=node: not gone.running, 20, "the lost node to stop", cluster)
        new = cluster.new_node(4)
        answer = one.ask("POST", "/4", new.peer_url.encode())
        self.assertEqual(answer.status, 204, answer.reason)
        cluster.join(new)
        cluster.wait_caught_up(new, int(answer.headers["Raft-Index"]))
        self.assertEqual(new.ask("GET", "/7").body, b"7")

    def test_where_nothing_is_stored_nothing_is_recovered(self):
        cluster = Cluster([COMMAND], size=1)
        self.addCleanup(cluster.clean_up)
        one = cluster.nodes[1]
        cluster.start(one, "--force-new-cluster")
        wait_until(lambda: not one.running, 10, "the node to stop", cluster)
        self.assertEqual(one.process.returncode, 3, one.log_tail())
        self.assertIn("nothing is stored", one.log_tail())


class Overload(unittest.TestCase):
    """More is asked than can be applied."""

    def refusal(self, *arguments):
        """The first 503 that one of many writers gets; what was acknowledged is there."""
        cluster = Cluster([COMMAND], arguments=arguments)
        self.addCleanup(cluster.clean_up)
        for node in cluster.nodes.values():
            cluster.start(node)
        leader, _ = cluster.wait_for_leader()
        refusals, end = [], time.monotonic() + 20

        def write(writer):
            client = Client(leader.client_port)
            self.addCleanup(client.close)
            for i in range(100_000):
                if refusals or time.monotonic() > end:
                    return
                answer = client.request("PUT", f"/{writer}", str(i).encode())
                if answer.status != 204:
                    refusals.append(answer)

        writers = [threading.Thread(target=write, args=(i,)) for i in range(24)]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
        self.assertTrue(refusals, "nobody was refused")
        self.assertEqual(leader.ask("PUT", "/after", b"x").status, 204)
        answer = refusals[0]
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.headers["Retry-After"], "1")
        self.assertEqual(answer.headers["Raft-Outcome"], "refused")
        self.assertEqual(answer.headers["Raft-Leader"], str(leader.id))
        return answer.reason

    def test_a_gap_between_what_is_committed_and_what_is_applied(self):
        self.assertIn("applied", self.refusal("--max-gap", "0"))

    def test_too_many_requests_at_once(self):
        self.assertIn("too many requests", self.refusal("--max-pending", "3"))


class Patience(unittest.TestCase):
    """Nodes that are new, away, frozen or removed, and clients that do not wait."""

    arguments = ["--timeout-ms", "1500", "--tick-ms", "50"]
    arguments += ["--snapshot-entries", "20", "--catch-up-entries", "2"]

    def setUp(self):
        self.cluster = Cluster([COMMAND], arguments=self.arguments)
        self.addCleanup(self.cluster.clean_up)
        for node in self.cluster.nodes.values():
            self.cluster.start(node)
        self.leader, _ = self.cluster.wait_for_leader()
        self.others = [n for n in self.cluster.nodes.values() if n is not self.leader]

    def test_without_a_quorum_nothing_is_promised(self):
        self.assertEqual(self.leader.ask("PUT", "/key", b"old").status, 204)
        for node in self.others:
            node.kill(signal.SIGSTOP)
        # A client that hangs up while it waits, one that does not, a stale read.
        raw(
            self.leader.client_port, b"PUT /key HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", seconds=0.1
        )
        answer = self.leader.ask("PUT", "/key", b"new")
        self.assertEqual((answer.status, answer.headers["Raft-Outcome"]), (503, "unknown"))
        self.assertEqual(answer.reason, "outcome unknown: not applied within 1500 ms")
        answer = self.leader.ask("GET", "/key")
        reason = "no leader confirmed the read within 1500 ms"
        self.assertEqual((answer.status, answer.reason), (503, reason))
        self.assertEqual(self.leader.ask("GET", "/key?stale=1").body, b"old")
        wait_until(lambda: self.leader.status()["role"] != "leader", 10, "the leader to step down")
        started = time.monotonic()
        answer = self.leader.ask("PUT", "/key", b"newer")
        self.assertLess(time.monotonic() - started, 1.4, "it waited for a leader")
        self.assertEqual((answer.status, answer.headers["Raft-Outcome"]), (503, "refused"))
        self.assertEqual(answer.reason, "no leader is known")
        self.assertEqual(answer.headers["Retry-After"], "1")
        self.assertNotIn("Raft-Leader", answer.headers)
        answer = self.leader.ask("PUT", "/_/leader", b"1")
        self.assertEqual((answer.status, answer.reason), (503, "no leader is known"))
        for node in self.others:
            node.kill(signal.SIGCONT)
        self.cluster.wait_for_leader()
        self.assertIn(self.leader.ask("GET", "/key").body, (b"old", b"new", b"x"))
        for node in self.cluster.nodes.values():
            self.assertEqual(node.stop(20), 0, node.log_tail())

    def test_a_frozen_leader_is_replaced_and_returns_as_follower(self):
        self.leader.kill(signal.SIGSTOP)
        new, status = self.cluster.wait_for_leader(other_than=self.leader)
        self.assertEqual(new.ask("PUT", "/key", b"while it was frozen").status, 204)
        self.leader.kill(signal.SIGCONT)
        answer = wait_until(
            lambda: (a := self.leader.ask("GET", "/key")).status != 503 and a,
            10,
            "the frozen node's answer",
        )
        self.assertEqual(answer.body, b"while it was frozen")
        self.assertGreaterEqual(self.leader.status()["term"], status["term"])

    def test_a_write_is_repeated_under_another_leader_from_a_snapshot(self):
        """The request id is known to a node that never saw the entry."""
        headers = {"Request-Id": "the-one"}
        first = self.leader.ask("PUT", "/key", b"first", headers)
        self.assertEqual(first.status, 204)
        for i in range(50):
            self.assertEqual(self.leader.ask("PUT", "/key", str(i).encode()).status, 204)
        new = self.cluster.new_node(4)
        added = self.leader.ask("POST", "/4", new.peer_url.encode())
        self.assertEqual(added.status, 204, added.reason)
        self.cluster.join(new)
        status = self.cluster.wait_caught_up(new, int(added.headers["Raft-Index"]))
        self.assertEqual(status["snapshots"]["installed"], 1)
        self.assertEqual(self.leader.ask("PUT", "/_/leader", b"4").status, 204)
        wait_until(lambda: new.status()["role"] == "leader", 10, "the new leader", self.cluster)
        again = new.ask("PUT", "/key", b"first", headers)
        self.assertEqual(again.headers["Raft-Index"], first.headers["Raft-Index"])
        self.assertEqual(new.ask("GET", "/key").body, b"49")

    def test_an_answer_to_an_earlier_life_of_the_node_confirms_no_read(self):
        """It may be long on its way. Nobody but this test speaks for the leader meanwhile."""
        self.assertEqual(self.leader.ask("PUT", "/key", b"x").status, 204)
        node = self.others[0]
        wait_until(lambda: node.status()["applied"] >= 4, 10, "the write to arrive")
        status = node.status()
        for other in self.cluster.nodes.values():
            if other is not node:
                other.kill(signal.SIGSTOP)

        def say(kind, rest=b""):
            head = [0x08, kind, 0x10, node.id, 0x18, self.leader.id, 0x20, status["term"]]
            headers = {"Raft-Cluster": "kv", "Raft-From": str(self.leader.id)}
            headers |= {"Raft-To": str(node.id), "Raft-Url": self.leader.peer_url}
            client = Client(node.peer_port, keep_alive=False)
            answer = client.request("POST", "/raft", frame(bytes(head) + rest), headers)
            self.assertEqual(answer.status, 204, answer.reason)

        def question(name):  # a read's confirmation: index{commit}, entries[{data}]
            entry = b"\x22" + bytes([len(name)]) + name
            return b"\x30" + bytes([status["commit"]]) + b"\x3a" + bytes([len(entry)]) + entry

        early = [b"\0" * 7 + b"\1", b"\x7f" + b"\xff" * 7]
        early += [struct.pack(">Q", node.id) + name for name in early]
        with ThreadPoolExecutor(1) as clients:
            read = clients.submit(node.ask, "GET", "/key")
            while not read.done():
                say(8)  # a heartbeat
                for name in early:
                    say(16, question(name))
                time.sleep(0.05)
        self.assertEqual(read.result().status, 503)

    def test_leadership_is_handed_over_when_a_follower_is_asked(self):
        to = self.others[0]
        answer = self.others[1].ask("PUT", "/_/leader", str(to.id).encode())
        self.assertEqual(answer.status, 204, answer.reason)
        wait_until(lambda: to.status()["role"] == "leader", 10, "the new leader", self.cluster)

    def test_the_leader_can_be_removed_through_a_follower(self):
        self.assertEqual(self.leader.ask("PUT", "/key", b"value").status, 204)
        answer = self.others[0].ask("DELETE", f"/{self.leader.id}")
        self.assertEqual(answer.status, 204, answer.reason)
        wait_until(lambda: not self.leader.running, 10, "the removed leader to stop", self.cluster)
        self.assertEqual(self.leader.process.returncode, 0)
        new, _ = self.cluster.wait_for_leader()
        self.assertEqual(new.ask("GET", "/key").body, b"value")
        # Its id is not used again, and its directory is refused.
        self.assertEqual(
            new.ask("POST", f"/{self.leader.id}", self.leader.peer_url.encode()).status, 409
        )
        self.cluster.start(self.leader)
        wait_until(
            lambda: not self.leader.running, 10, "the removed node to stop again", self.cluster
        )
        self.assertIn(self.leader.process.returncode, (0, 3))

    def test_a_member_that_was_removed_while_it_was_away_is_told(self):
        away = self.others[0]
        away.kill()
        answer = self.leader.ask("DELETE", f"/{away.id}")
        self.assertEqual(answer.status, 204, answer.reason)
        self.cluster.start(away)
        wait_until(lambda: not away.running, 10, "the removed node to stop", self.cluster)
        self.assertEqual(away.process.returncode, 0, away.log_tail())
        self.assertIn("removed from the cluster", away.log_tail())

    def test_a_new_member_of_a_quiet_cluster_is_caught_up_by_a_snapshot(self):
        """No write comes after it was added, and the log is cut: only a new snapshot names it."""
        for i in range(30):
            self.assertEqual(self.leader.ask("PUT", f"/{i}", b"x").status, 204)
        new = self.cluster.new_node(4)
        answer = self.others[0].ask("POST", "/4", new.peer_url.encode())
        self.assertEqual(answer.status, 204, answer.reason)
        self.cluster.join(new)
        status = self.cluster.wait_caught_up(new, int(answer.headers["Raft-Index"]), 10)
        self.assertEqual(status["snapshots"]["installed"], 1)
        self.assertEqual(status["keys"], 30)
        self.assertEqual([m["id"] for m in status["members"]], [1, 2, 3, 4])

    def test_a_second_node_with_the_same_id_disturbs_nobody(self):
        term = self.leader.status()["term"]
        double = self.cluster.new_node(9)
        double.id = self.others[0].id
        members = self.cluster.members.replace(self.others[0].peer_url, double.peer_url)
        double.start(["--cluster", members])
        end = time.monotonic() + 2
        while time.monotonic() < end:
            self.assertEqual(self.leader.ask("PUT", "/key", b"value").status, 204)
        wait_until(
            lambda: "same id" in double.log_tail(100),
            10,
            "the second node to be told",
            self.cluster,
        )
        self.assertEqual(self.leader.status()["term"], term)

    def test_a_change_that_cannot_be_is_refused(self):
        for node in self.others:
            self.assertEqual(self.leader.ask("DELETE", f"/{node.id}").status, 204)
            wait_until(
                lambda gone=node: not gone.running, 10, "the removed node to stop", self.cluster
            )
        answer = self.leader.ask("DELETE", f"/{self.leader.id}")
        self.assertEqual(answer.status, 409, answer.reason)
        self.assertEqual(self.leader.ask("PUT", "/key", b"alone").status, 204)


def frame(message):
    """A message as it stands in a body."""
    return struct.pack(">I", len(message)) + message


def raw(port, data, patience=0.1, seconds=2.0):
    """Sends bytes, and returns what comes back, up to the end of a head.

    After some patience it says that it has nothing more to send: then silence is an answer too.
    """
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            connection.sendall(data)
            if not select.select([connection], [], [], patience)[0]:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(seconds)
            while b"\r\n\r\n" not in answer and (chunk := connection.recv(65536)):
                answer += chunk
        except OSError:
            pass  # reset or silent: allowed, the node must only live on
    return answer


def garbage_at(case, port):
    """Bytes that are no HTTP. What is answered at all is a 4xx or 5xx."""
    chance = random.Random(7)
    samples = [
        b"\0" * 1000,
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a b c HTTP/1.1\r\n\r\n",
        b"BREW /k HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /k HTTP/1.1\r\n" + b"H: x\r\n" * 10_000 + b"\r\n",
        b"PUT /k HTTP/1.1\r\nContent-Length: -1\r\n\r\nx",
        b"PUT /k HTTP/1.1\r\nContent-Length: x\r\n\r\nx",
        b"PUT /k HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nx",
        b"PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
        b"PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n",
        b"PUT /k HTTP/1.1\r\nno colon\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ]
    samples += [chance.randbytes(chance.randrange(1, 400)) for _ in range(30)]
    answered = 0
    for sample in samples:
        answer = raw(port, sample)
        if answer:
            answered += 1
            status = answer.split(b" ", 2)[1]
            case.assertIn(status[:1], (b"4", b"5"), (sample[:60], answer[:200]))
    case.assertGreater(answered, 5)
    # Half a request, and then nothing: the node serves others meanwhile.
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for connection in held:
        connection.sendall(b"PUT /k HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
    for connection in held:
        connection.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
