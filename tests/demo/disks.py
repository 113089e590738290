"""Disks that are full or damaged, and directories that are not a node's: a part of bad_input.py."""

import ctypes
import os
import random
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(
    0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "demo")
)

from cluster import Cluster, NoAnswer, free_port, wait_until  # noqa: E402

COMMAND = shlex.split(os.environ.get("KV_BINARY", "kv-c"))


def obey_permissions():
    """In a child of root, before it becomes the node: root, but without the right to write anyway.

    The node could be an interpreter that only root can read, so it cannot run as somebody else.
    """
    pr_capbset_drop, cap_dac_override = 24, 1
    if ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0) != 0:
        raise OSError("root cannot give up CAP_DAC_OVERRIDE here")


class Disks(unittest.TestCase):
    """A disk that is full, and directories that are not this node's."""

    def setUp(self):
        self.cluster = Cluster([COMMAND], arguments=["--timeout-ms", "1500"])
        self.addCleanup(self.cluster.clean_up)

    def start_all(self):
        for node in self.cluster.nodes.values():
            self.cluster.start(node)
        return self.cluster.wait_for_leader()[0]

    def refused(self, node, code, text, *arguments, **popen):
        """Starts a second process for a node and expects it to end."""
        with open(node.log_path, "ab") as log:
            log.write(b"--- now a start that must be refused\n")
        process = subprocess.run(
            [*COMMAND, "--listen", f"http://127.0.0.1:{free_port()}", *arguments],
            timeout=10,
            capture_output=True,
            text=True,
            check=False,
            **popen,
        )
        self.assertEqual(process.returncode, code, process.stderr)
        self.assertIn(text, process.stderr)

    def test_a_full_disk_loses_nothing(self):
        leader = self.start_all()
        acknowledged = {}
        for i in range(50):
            self.assertEqual(leader.ask("PUT", f"/before-{i}", b"x" * 500).status, 204)
            acknowledged[f"before-{i}"] = b"x" * 500

        # From now on the leader has no room. It takes nothing, or ends; the others choose another
        # leader.
        limit(leader, 3000)
        refused = None
        for i in range(500):
            try:
                answer = leader.ask("PUT", f"/during-{i}", b"y" * 500, timeout=5)
            except NoAnswer:
                if not leader.running:
                    break
                continue
            if answer.status == 204:
                acknowledged[f"during-{i}"] = b"y" * 500
            elif "SQLite" in answer.reason or "disk" in answer.reason:
                refused = answer
                break
        if leader.running:
            self.assertIsNotNone(refused, "the full disk was not noticed")
            self.assertEqual(refused.status, 503)
            status = leader.status()
            self.assertFalse(status["storage"]["ok"])
            self.assertGreater(status["storage"]["errors"], 0)
            self.assertIn("disk", status["storage"]["error"])
        else:
            self.assertEqual(leader.process.returncode, 1)
            self.assertIn("disk", leader.log_tail(3))

        other, _ = self.cluster.wait_for_leader(other_than=leader)
        self.assertEqual(other.ask("PUT", "/meanwhile", b"z").status, 204)
        acknowledged["meanwhile"] = b"z"

        # There is room again: it takes up where it was, without a restart if it lives.
        if leader.running:
            limit(leader, None)
        else:
            self.cluster.start(leader)
        wait_until(
            lambda: (s := leader.status()) and s["storage"]["ok"],
            20,
            "the node to write again",
            self.cluster,
        )
        self.cluster.wait_caught_up(leader, other.status()["commit"])
        for key, value in acknowledged.items():
            answer = leader.ask("GET", f"/{key}")
            self.assertEqual((answer.status, answer.body), (200, value), key)
        self.assertEqual(leader.ask("PUT", "/after", b"a").status, 204)

    def test_a_disk_that_fills_up_everywhere_loses_nothing_over_a_restart(self):
        leader = self.start_all()
        for node in self.cluster.nodes.values():
            limit(node, 400_000)
        acknowledged = []
        for i in range(300):
            try:
                answer = leader.ask("PUT", f"/key-{i}", b"y" * 5000, timeout=5)
            except NoAnswer:
                break
            if answer.status != 204:
                break
            acknowledged.append(f"key-{i}")
        self.assertLess(len(acknowledged), 300)
        self.assertGreater(len(acknowledged), 3)
        for node in self.cluster.nodes.values():
            node.kill()
        leader = self.start_all()
        for key in acknowledged:
            self.assertEqual(leader.ask("GET", f"/{key}").status, 200, key)

    def test_directories_that_are_not_this_nodes(self):
        leader = self.start_all()
        one = self.cluster.nodes[1]
        members = ["--cluster", self.cluster.members]
        self.refused(one, 3, "in use by another process", "--id", "1", "--data", one.data, *members)
        one.stop()
        self.refused(one, 3, "belongs to node 1", "--id", "2", "--data", one.data, *members)
        self.refused(
            one,
            3,
            "belongs to cluster 'kv'",
            "--id",
            "1",
            "--data",
            one.data,
            "--cluster-id",
            "other",
            *members,
        )
        self.refused(
            one,
            3,
            "--cluster says",
            "--id",
            "1",
            "--data",
            one.data,
            "--cluster",
            "1=http://127.0.0.1:1",
        )
        empty = os.path.join(self.cluster.directory, "empty")
        self.refused(one, 3, "must contain this node", "--id", "9", "--data", empty, *members)
        self.assertTrue(leader.running or leader is one)

    def test_a_directory_that_cannot_be_written(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to give up a part of its rights")
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o555)
            for data in (directory, os.path.join(directory, "below")):
                self.refused(
                    self.cluster.nodes[1],
                    1,
                    directory,
                    "--id",
                    "1",
                    "--data",
                    data,
                    "--cluster",
                    f"1=http://127.0.0.1:{free_port()}",
                    preexec_fn=obey_permissions,
                )

    def test_a_file_that_is_something_else(self):
        self.start_all()
        one = self.cluster.nodes[1]
        for i in range(20):
            self.assertEqual(one.ask("PUT", f"/{i}", b"x" * 1000).status, 204)
        one.stop()
        path, end = max(written(one.data), key=lambda found: found[1])
        with open(path, "rb") as file:
            whole = file.read()
        middle = end // 2
        for damaged in (
            b"no log and no database" * 100,
            whole[:middle] + b"\xa5" * 4096 + whole[middle + 4096 :],
        ):
            with open(path, "wb") as file:
                file.write(damaged)
            self.refused(one, 1, one.data, "--id", "1", "--data", one.data)
        with open(path, "wb") as file:
            file.write(whole)
        self.cluster.start(one)
        self.cluster.wait_caught_up(one, self.cluster.wait_for_leader()[1]["commit"])

    def test_damaged_bits_are_noticed_or_do_no_harm(self):
        """In whatever file: the node says no, or it has everything that it had."""
        chance = random.Random(9)
        self.cluster.arguments += ["--snapshot-entries", "40", "--catch-up-entries", "10"]
        leader = self.start_all()
        for i in range(150):
            headers = {"Request-Id": f"id-{i}"}
            self.assertEqual(leader.ask("PUT", f"/{i}", b"x" * 200, headers).status, 204)
        one = self.cluster.nodes[1]
        before = self.cluster.wait_caught_up(one, leader.status()["commit"])
        for node in self.cluster.nodes.values():
            node.kill()
        kept = one.data + ".kept"
        shutil.copytree(one.data, kept)
        refused = 0
        for _ in range(25):
            path = damage(kept, one.data, chance)
            self.cluster.start(one)
            wait_until(lambda: not one.running or one.status(), 20, "the node", self.cluster)
            if one.running:
                after = one.status()
                self.assertGreaterEqual(after["last_index"], before["last_index"], path)
                self.assertGreaterEqual(after["term"], before["term"], path)
                for i in range(150):
                    answer = one.ask("GET", f"/{i}?stale=1")
                    self.assertIn((answer.status, answer.body), self.may_be(i, after), path)
                one.kill()
            else:
                refused += 1
                self.assertIn(one.process.returncode, (1, 3), path)
                self.assertIn(one.data, one.log_tail(3), path)
        # Most bits of kv-go's are in snapshots and logs that newer ones replace.
        self.assertGreater(refused, 2)

    @staticmethod
    def may_be(i, status):
        """A node that replays its log has the last keys a moment later."""
        there = (200, b"x" * 200)
        return (there,) if status["applied"] > i + 10 else (there, (404, b"no such key\n"))

    def test_a_torn_tail_is_repaired(self):
        """The power fails in the middle of a write, which therefore nobody counted on."""
        leader = self.start_all()
        for i in range(50):
            self.assertEqual(leader.ask("PUT", f"/{i}", b"x" * 200).status, 204)
        others = [n for n in self.cluster.nodes.values() if n is not leader]
        for node in others:
            node.kill()
        self.assertEqual(leader.ask("PUT", "/long", b"x" * 5000).status, 503)
        leader.kill()
        path, end = max(written(leader.data), key=lambda found: os.stat(found[0]).st_mtime_ns)
        with open(path, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            # Some sectors of the last record came to the disk; the others read as zeros.
            file.truncate((end - 2000) // 512 * 512)
            file.truncate(size)
        for node in self.cluster.nodes.values():
            self.cluster.start(node)
        self.cluster.wait_caught_up(leader, self.cluster.wait_for_leader()[1]["commit"])
        self.assertEqual(leader.ask("GET", "/49").body, b"x" * 200)
        self.assertEqual(leader.ask("GET", "/long").status, 404)

    def test_wrong_usage(self):
        for arguments in (
            [],
            ["--id", "1"],
            ["--id", "0"],
            ["--id", "x"],
            ["--what"],
            ["word"],
            ["--id", "1", "--data", "d", "--cluster", "1"],
            ["--id", "1", "--data", "d", "--cluster", "1=http://h:1,1=http://h:2"],
            ["--id", "1", "--data", "d", "--cluster", "1=http://h:1,2=http://h:1"],
            ["--id", "1", "--data", "d", "--cluster", "0=http://h:1"],
            ["--id", "1", "--data", "d", "--tick-ms", "0"],
            ["--id", "1", "--data", "d", "--cluster-id", "a b"],
            ["--id", "1", "--data", "d", "--secret-file", "/does/not/exist"],
            ["--id", "1", "--data", "d", "--secret-file", os.devnull],
            ["--id", "1", "--data", "d", "--join", "--force-new-cluster"],
            ["--id", "1", "--data", "d", "--max-value", "500000000"],
        ):
            with self.subTest(arguments=arguments):
                self.refused(self.cluster.nodes[1], 2, "", *arguments)


def limit(node, room):
    """Leaves a node's files so much room behind what is written; None: all there is."""
    end = resource.RLIM_INFINITY
    if room is not None:
        end = max(end for _, end in written(node.data)) + room
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (end, resource.RLIM_INFINITY))


def written(directory):
    """The files below a directory, and how far each is written: what follows are zeros."""
    for where, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                end = len(file.read().rstrip(b"\0"))
            if end > 200:
                yield path, end


def damage(whole, copy, chance):
    """Makes a copy of a directory in which a byte is wrong, not near the end of a file: a file's
    last record may be taken for torn. Returns where."""
    shutil.rmtree(copy)
    shutil.copytree(whole, copy)
    path, end = chance.choice(sorted(written(copy)))
    with open(path, "r+b") as file:
        at = chance.randrange(end // 2)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return f"{path} at {at}"
