"""The demo's acts. Each checks what it claims, and raises Failure when it does not hold."""

import concurrent.futures
import signal
import time

from cluster import Client, Failure, NoAnswer, wait_until
from load import Load
from timeline import Timeline
from witness import Witness

WRITERS = 12
PAUSE = 0.05  # seconds from one key of a writer to its next: a load that leaves room
PATIENCE = 2.5  # seconds that a writer waits for a node: longer than an election
LED = 1.5  # seconds that each node leads before it is killed
FROZEN = 2.5


class Story:
    """A cluster, what happens to it, and what it acknowledged."""

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.seed = seed
        self.line = Timeline()
        self.witness = Witness(cluster)
        self.load = None
        self.acknowledged = {}  # every write that any client was told is done: key -> (value, node)
        self.keys_checked = 0
        self.checks = 0
        self.outages = []
        self.times = []  # of each acknowledgement

    # ---------------------------------------------------------------- what the acts are made of

    def wait(self, look, seconds, what):
        """Waits for something, unless a writer has seen something wrong before."""

        def either():
            if self.load and self.load.problems:
                raise Failure(self.load.problems[0])
            return look()

        return wait_until(either, seconds, what, self.cluster)

    def wait_for_writes(self, count, seconds=20):
        """Waits until so many more writes are acknowledged."""
        goal = self.load.count() + count
        self.wait(lambda: self.load.count() >= goal, seconds, f"{count} more writes")

    def finish(self, load):
        """Takes over what a load had acknowledged."""
        load.stop()
        if load.problems:
            raise Failure(load.problems[0])
        self.acknowledged.update(load.acknowledged())
        self.checks += load.checks
        self.times += load.times

    def seconds_of(self, times):
        """Moments of the monotonic clock as seconds of the timeline."""
        return [at - self.line.started for at in times]

    def read_back(self, node, workers=8):
        """Compares every acknowledged key with a node's own state."""
        items = list(self.acknowledged.items())

        def read_slice(start):
            client, wrong = Client(node.client_port), []
            for key, (value, wrote) in items[start::workers]:
                answer = read_patiently(client, f"/{key}?stale=1")
                if answer.status != 200 or answer.body.decode() != value:
                    wrong.append(
                        f"{key}: node {node.id} answers {answer.status} {answer.reason[:60]!r}, "
                        f"acknowledged by node {wrote} was {value!r}"
                    )
            client.close()
            return wrong

        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            wrong = [line for lines in pool.map(read_slice, range(workers)) for line in lines]
        if wrong:
            raise Failure(
                f"{len(wrong)} of {len(items)} acknowledged writes are lost or wrong, "
                f"for example {wrong[0]}"
            )
        self.keys_checked += len(items)

    def check_local(self, node):
        """Everything acknowledged must be in a node's own state once it has applied its log."""
        _, status = self.cluster.wait_for_leader()
        self.cluster.wait_caught_up(node, status["commit"])
        self.read_back(node)
        count = len(self.acknowledged)
        self.line.say(f"holds all {count:,} acknowledged keys", "good", node)

    def ask_any(self, method, path, body, accepted=(204,)):
        """A request to one node after the other, while the answer is "not now". Who took it."""

        def attempt():
            for via in self.cluster.awake():
                try:
                    answer = via.ask(method, path, body)
                except NoAnswer:
                    continue
                if answer.status in accepted:
                    return via
                if answer.status not in (409, 503):
                    raise Failure(
                        f"{method} {path} at node {via.id}: {answer.status} {answer.reason}"
                    )
            return None

        return self.wait(attempt, 20, f"{method} {path} to be answered")

    def transfer(self, node):
        """Has a node lead."""
        leader, _ = self.cluster.wait_for_leader()
        asked = at = time.monotonic()
        if leader is not node:
            via = self.ask_any("PUT", "/_/leader", str(node.id))
            self.line.say(f"is to lead: curl {via.url}/_/leader -XPUT -d {node.id}", node=node)

        def leads():
            nonlocal asked
            found = self.cluster.find_leader()
            if found and found[0] is node:
                return found
            # One who was just elected, or a target that lags, may let a transfer pass.
            if time.monotonic() > asked + 2:
                asked = time.monotonic()
                self.ask_any("PUT", "/_/leader", str(node.id))
            return None

        _, status = self.wait(leads, 30, f"node {node.id} to lead")
        took = f", {time.monotonic() - at:.2f} s later" if leader is not node else " already"
        self.line.say(f"leads, term {status['term']}{took}", "leader", node)

    def wait_for_successor(self, fallen, at):
        """The next leader, and its status. What the outage cost is said and kept."""
        new, status = self.wait(
            lambda: (f := self.cluster.find_leader()) and f[0] is not fallen and f, 30, "a leader"
        )
        outage = time.monotonic() - at
        self.outages.append(outage)
        self.line.say(
            f"leads, term {status['term']}: {outage:.2f} s without a leader", "leader", new
        )
        return new, status

    def wait_for_cut(self, index):
        """Waits until the log before an index is gone: who stopped there needs a snapshot."""

        def cut():
            found = self.cluster.find_leader()
            return found and found[1]["first_index"] > index and found

        return self.wait(cut, 30, f"the log to be cut behind index {index}")

    def wait_for_snapshot(self, node, maker, at):
        """Waits until a node that needs a snapshot has caught up, and says how."""
        _, status = self.cluster.wait_for_leader()
        now = self.cluster.wait_caught_up(node, status["commit"])
        if now["snapshots"]["installed"] == 0:
            raise Failure(f"node {node.id} was to be caught up by a snapshot: none was installed")
        self.line.note("snapshot", node)
        self.line.say(
            f"caught up in {time.monotonic() - at:.2f} s: a snapshot of index "
            f"{now['snapshots']['installed_index']:,}, made in {maker.language}, then the log to "
            f"{now['applied']:,}",
            node=node,
        )

    # ---------------------------------------------------------------- the acts

    def play(self):
        """All of it."""
        self.act_start()
        first = list(self.cluster.nodes.values())
        self.load = Load(first, "demo", WRITERS, seed=self.seed, pause=PAUSE, patience=PATIENCE)
        for node in first:
            self.act_lead_and_die(node)
        self.act_freeze()
        self.act_join()
        self.act_remove()
        self.act_last_check()

    def act_start(self):
        """The first members form a cluster."""
        self.line.title("Three nodes, one cluster")
        for node in self.cluster.nodes.values():
            self.cluster.start(node)
            self.line.note("start", node)
        leader, status = self.cluster.wait_for_leader()
        for node in self.cluster.nodes.values():
            self.wait(node.status, 20, f"node {node.id} to answer")
            self.line.say(f"serves {node.url}; watch it at {node.url}/_/", node=node)
        self.line.say(f"leads, term {status['term']}", "leader", leader)

    def act_lead_and_die(self, node):
        """A node is made the leader, killed under load, and caught up by somebody's snapshot."""
        self.line.title(f"{node.language} leads, and is killed while {WRITERS} clients write")
        self.transfer(node)
        time.sleep(LED)
        self.wait_for_writes(50)
        before, at = self.load.count(), time.monotonic()
        self.line.note("kill", node)
        node.kill()
        self.line.say(f"kill -9, after {before:,} acknowledged writes", "bad", node)
        _, status = self.wait_for_successor(node, at)
        self.wait_for_writes(50)
        self.line.say(
            f"writes go on: {self.load.longest_pause(at):.2f} s was the longest pause, "
            f"{self.load.checks:,} counters read so far, each as it was last acknowledged"
        )
        maker, _ = self.wait_for_cut(status["last_index"])
        at = time.monotonic()
        self.line.note("start", node)
        self.cluster.start(node)
        self.wait_for_snapshot(node, maker, at)

    def act_freeze(self):
        """The leader stands still for longer than an election, and wakes up deposed."""
        leader, status = self.cluster.wait_for_leader()
        self.line.title("The leader is frozen, and wakes up when another leads")
        self.wait_for_writes(50)
        at = time.monotonic()
        self.line.note("freeze", leader)
        leader.kill(signal.SIGSTOP)
        self.line.say(f"SIGSTOP, as the leader of term {status['term']}", "bad", leader)
        _, status = self.wait_for_successor(leader, at)
        self.wait_for_writes(50)
        time.sleep(max(0.0, at + FROZEN - time.monotonic()))
        self.line.note("wake", leader)
        leader.kill(signal.SIGCONT)

        def follows():
            now = leader.status()
            return now and now["term"] >= status["term"] and now["role"] != "leader" and now

        now = self.wait(follows, 20, f"node {leader.id} to follow")
        self.line.say(
            f"SIGCONT after {time.monotonic() - at:.2f} s: follows node {now['leader']} in term "
            f"{now['term']}",
            node=leader,
        )

    def act_join(self):
        """A new member is caught up by a snapshot, made in another language than its own."""
        node = self.cluster.new_node(len(self.cluster.nodes) + 1)
        others = [n for n in self.cluster.running() if n.command != node.command]
        self.line.title("A fourth node joins")
        if others:
            self.transfer(others[-1])
        maker, _ = self.cluster.wait_for_leader()
        via = self.ask_any("POST", f"/{node.id}", node.peer_url)
        self.line.note("add", node)
        at = time.monotonic()
        self.cluster.join(node)
        self.wait(node.status, 20, f"node {node.id} to answer")
        self.line.say(f"joins: curl {via.url}/{node.id} -XPOST -d {node.peer_url}", node=node)
        self.wait_for_snapshot(node, maker, at)
        self.load.targets = self.cluster.running()
        self.wait_for_writes(100)

    def act_remove(self):
        """A member is removed, finds out, and stops by itself."""
        self.line.title("A node is removed")
        leader, _ = self.cluster.wait_for_leader()
        node = next(n for n in self.cluster.running() if n is not leader)
        self.load.targets = [n for n in self.cluster.running() if n is not node]
        # Repeated after an unknown outcome, a removal may find its work done.
        via = self.ask_any("DELETE", f"/{node.id}", None, accepted=(204, 404))
        self.line.note("remove", node)
        self.line.say(f"is removed: curl {via.url}/{node.id} -XDELETE", "bad", node)
        self.wait(lambda: not node.running, 20, f"node {node.id} to stop by itself")
        self.line.note("gone", node)
        if node.process.returncode != 0:
            raise Failure(
                f"node {node.id} was removed and exited with {node.process.returncode}\n"
                f"{node.log_tail()}"
            )
        self.line.say("found out and stopped by itself, exit code 0", node=node)
        self.wait_for_writes(100)
        leader, status = self.cluster.wait_for_leader()
        members = [m["id"] for m in status["members"]]
        if node.id in members:
            raise Failure(f"the leader still counts node {node.id} as a member: {members}")
        self.line.say(f"leads members {', '.join(map(str, members))}", "leader", leader)

    def act_last_check(self):
        """What was acknowledged is there, on every node."""
        self.finish(self.load)
        self.line.title("The last check: every acknowledged write, in every node's own state")
        for node in self.cluster.running():
            self.check_local(node)


def read_patiently(client, path, seconds=20.0):
    """A read, repeated while no answer or a 503 comes."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = client.request("GET", path)
            if answer.status != 503:
                return answer
            problem = answer.reason
        except NoAnswer as no_answer:
            problem = str(no_answer)
        if time.monotonic() > end:
            raise Failure(
                f"GET {path} at port {client.port}: no answer within {seconds:g} s: {problem}"
            )
        time.sleep(0.05)
