#!/usr/bin/env python3
"""Plays a key-value cluster through what can happen to it: nothing acknowledged may be lost.

    demo.py --binary kv-c              the story: write, kill the leader, rejoin, grow, shrink
    demo.py --binary kv-c --keep       the same, and the cluster stays up to be played with
    demo.py --binary kv-c --kills 50   the soak: kill -9 of random nodes, at random moments

Prints a timeline, ends with one line of verdict, and exits with 0 or 1. Standard library only.
"""

import argparse
import concurrent.futures
import os
import random
import shlex
import sys
import time

from cluster import Client, Cluster, Failure, NoAnswer, wait_until
from load import Load

# Few entries a snapshot, so that a new member has to be caught up by one.
SNAPSHOT_ARGUMENTS = ["--snapshot-entries", "300", "--catch-up-entries", "50"]


class Timeline:
    """What happens, as it happens: seconds since the start, and a line. Coloured on a terminal."""

    COLOURS = {
        "plain": "",
        "good": "\033[32m",
        "bad": "\033[31m",
        "leader": "\033[1;36m",
        "title": "\033[1m",
    }

    def __init__(self):
        self.started = time.monotonic()
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def paint(self, text, colour):
        if not self.coloured or not self.COLOURS[colour]:
            return text
        return f"{self.COLOURS[colour]}{text}\033[0m"

    def say(self, text, colour="plain"):
        print(f"{time.monotonic() - self.started:7.2f}  {self.paint(text, colour)}", flush=True)

    def title(self, text):
        print(f"\n{' ' * 9}{self.paint(text, 'title')}", flush=True)

    def verdict(self, passed, text):
        print(
            f"\n{self.paint('PASS' if passed else 'FAIL', 'good' if passed else 'bad')}  {text}",
            flush=True,
        )


class Story:
    """The demo's acts. Each checks what it claims and raises Failure when it does not hold."""

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.seed = seed
        self.line = Timeline()
        self.acknowledged = {}  # every write that any client was told is done: key -> (value, node)
        self.keys_checked = 0
        self.checks = 0
        self.outages = []

    # ---------------------------------------------------------------- what the acts are made of

    def announce_leader(self, node, status, note=""):
        self.line.say(f"node {node.id} leads, term {status['term']}{note}", "leader")

    def load(self, name, writes=None, writers=12, nodes=None):
        return Load(
            nodes or self.cluster.running(),
            name,
            writers=writers,
            writes=writes,
            seed=f"{self.seed}/{name}",
        )

    def finish(self, load):
        """Takes over what a load had acknowledged."""
        load.stop()
        if load.problems:
            raise Failure(load.problems[0])
        self.acknowledged.update(load.acknowledged())
        self.checks += load.checks

    def read_back(self, node_for, query="", workers=8):
        """Reads every acknowledged key, at the node that `node_for(key, wrote)` names."""
        items = list(self.acknowledged.items())

        def read_slice(start):
            clients, wrong = {}, []
            for key, (value, wrote) in items[start::workers]:
                node = node_for(key, wrote)
                client = clients.setdefault(node.id, Client(node.client_port))
                answer = read_patiently(client, f"/{key}{query}")
                if answer.status != 200 or answer.body.decode() != value:
                    wrong.append(
                        f"{key}: node {node.id} answers {answer.status} {answer.reason[:60]!r}, "
                        f"acknowledged by node {wrote} was {value!r}"
                    )
            for client in clients.values():
                client.close()
            return wrong

        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            wrong = [line for lines in pool.map(read_slice, range(workers)) for line in lines]
        if wrong:
            raise Failure(
                f"{len(wrong)} of {len(items)} acknowledged writes are lost or wrong, "
                f"for example {wrong[0]}"
            )
        self.keys_checked += len(items)
        return len(items), time.monotonic() - started

    def check_local(self, node):
        """Everything acknowledged must be in a node's own state once it has applied its log."""
        _, status = self.cluster.wait_for_leader()
        self.cluster.wait_caught_up(node, status["commit"])
        count, _ = self.read_back(lambda _key, _wrote: node, "?stale=1")
        self.line.say(f"node {node.id} holds all {count:,} acknowledged keys", "good")

    def change_members(self, method, node, body=None):
        """POST or DELETE of a member, repeated while the answer is "not now"."""

        def attempt():
            for via in self.cluster.running():
                try:
                    answer = via.ask(method, f"/{node.id}", body)
                except NoAnswer:
                    continue
                if answer.status == 204:
                    return via
                # Repeated after an unknown outcome, a removal may find its work done.
                if method == "DELETE" and answer.status == 404:
                    return via
                if answer.status not in (409, 503):
                    raise Failure(
                        f"{method} /{node.id} at node {via.id}: {answer.status} {answer.reason}"
                    )
            return None

        return wait_until(attempt, 20, f"{method} /{node.id} to be answered", self.cluster)

    # ---------------------------------------------------------------- the acts

    def play(self):
        self.act_start()
        self.act_write()
        dead = self.act_kill_leader()
        self.act_return(dead)
        self.act_grow()
        self.act_shrink()
        self.act_final_check()

    def act_start(self):
        self.line.title("Three nodes, one cluster")
        for node in self.cluster.nodes.values():
            self.line.say(f"node {node.id} starts: clients at {node.url}, peers at {node.peer_url}")
            self.cluster.start(node)
        self.announce_leader(*self.cluster.wait_for_leader())

    def act_write(self):
        self.line.title("1,000 writes through all three nodes")
        started = time.monotonic()
        load = self.load("first", writes=1000)
        load.join()
        seconds = time.monotonic() - started
        self.finish(load)
        shares = ", ".join(f"node {n}: {c}" for n, c in sorted(load.by_node.items()))
        self.line.say(
            f"{load.count():,} writes acknowledged in {seconds:.2f} s, "
            f"{load.count() / seconds:,.0f} a second ({shares})",
            "good",
        )
        nodes = self.cluster.nodes

        def another(key, wrote):
            return nodes[wrote % len(nodes) + 1]

        count, seconds = self.read_back(another)
        self.line.say(
            f"each read back linearizably from another node than took it: "
            f"{count:,} keys in {seconds:.2f} s",
            "good",
        )

    def act_kill_leader(self):
        self.line.title("kill -9 of the leader, under load")
        load = self.load("failover")
        wait_until(
            lambda: load.count() > 200 or load.problems, 20, "the load to get going", self.cluster
        )
        leader, status = self.cluster.wait_for_leader()
        before, at = load.count(), time.monotonic()
        leader.kill()
        self.line.say(
            f"node {leader.id}, leader of term {status['term']}, "
            f"is killed after {before:,} more writes",
            "bad",
        )
        new, new_status = self.cluster.wait_for_leader(other_than=leader)
        outage = time.monotonic() - at
        self.outages.append(outage)
        self.announce_leader(new, new_status, f": {outage:.2f} s without a leader")
        wait_until(
            lambda: load.count() > before + 300 or load.problems,
            20,
            "writes to go on",
            self.cluster,
        )
        self.finish(load)
        self.line.say(
            f"writes go on: {load.count() - before:,} since the kill, "
            f"the longest pause {load.longest_pause(at):.2f} s, "
            f"{load.retries} retries, {load.checks} counters read and right"
        )
        survivors = self.cluster.running()
        count, _ = self.read_back(lambda key, _wrote: survivors[hash(key) % len(survivors)])
        self.line.say(f"every acknowledged write is still there: {count:,} keys", "good")
        return leader

    def act_return(self, dead):
        self.line.title("The dead node comes back")
        leader, status = self.cluster.wait_for_leader()
        at = time.monotonic()
        self.cluster.start(dead)
        now = self.cluster.wait_caught_up(dead, status["commit"])
        by = (
            f"snapshot of index {now['snapshots']['installed_index']:,} and the log"
            if now["snapshots"]["installed"]
            else "the log"
        )
        self.line.say(
            f"node {dead.id} is back and caught up to index {now['applied']:,} "
            f"in {time.monotonic() - at:.2f} s, by {by}; "
            f"it follows node {now['leader'] or leader.id}"
        )
        self.check_local(dead)

    def act_grow(self):
        self.line.title("A fourth node joins")
        node = self.cluster.new_node(len(self.cluster.nodes) + 1)
        load = self.load("growing", nodes=self.cluster.running())
        via = self.change_members("POST", node, node.peer_url)
        self.line.say(
            f"node {node.id} added through node {via.id}: "
            f"curl {via.url}/{node.id} -XPOST -d {node.peer_url}"
        )
        at = time.monotonic()
        self.cluster.join(node)
        _, status = self.cluster.wait_for_leader()
        now = self.cluster.wait_caught_up(node, status["commit"])
        if now["snapshots"]["installed"] == 0:
            raise Failure(
                f"node {node.id} was to be caught up by a snapshot, but none was installed"
            )
        self.line.say(
            f"node {node.id} caught up in {time.monotonic() - at:.2f} s: snapshot of index "
            f"{now['snapshots']['installed_index']:,}, then the log to {now['applied']:,}"
        )
        self.finish(load)
        self.check_local(node)

    def act_shrink(self):
        self.line.title("A node is removed")
        leader, _ = self.cluster.wait_for_leader()
        node = next(n for n in self.cluster.running() if n is not leader)
        load = self.load("shrinking", nodes=[n for n in self.cluster.running() if n is not node])
        self.change_members("DELETE", node)
        self.line.say(f"node {node.id} is removed: curl {leader.url}/{node.id} -XDELETE", "bad")
        wait_until(lambda: not node.running, 20, f"node {node.id} to stop by itself", self.cluster)
        if node.process.returncode != 0:
            raise Failure(
                f"node {node.id} was removed and exited with {node.process.returncode}\n"
                f"{node.log_tail()}"
            )
        before = load.count()
        self.line.say(f"node {node.id} found out and stopped by itself, exit code 0")
        wait_until(
            lambda: load.count() > before + 200 or load.problems,
            20,
            "writes to go on",
            self.cluster,
        )
        self.finish(load)
        leader, status = self.cluster.wait_for_leader()
        members = ", ".join(str(m["id"]) for m in status["members"])
        if node.id in [m["id"] for m in status["members"]]:
            raise Failure(f"the leader still counts node {node.id} as a member: {members}")
        self.announce_leader(
            leader, status, f", members {members}; {load.count() - before:,} writes since"
        )

    def act_final_check(self):
        self.line.title("The last check: every acknowledged write, at every node")
        for node in self.cluster.running():
            self.check_local(node)

    def soak(self, kills):
        """Kills at random moments, now and then a majority at once. What was acknowledged stays."""
        chance = random.Random(self.seed)
        nodes = self.cluster.nodes
        self.act_start()
        self.line.title(f"{kills} kills at random moments under load, seed {self.seed}")
        load = self.load("soak")
        done = 0
        while done < kills and not load.problems:
            time.sleep(chance.uniform(0.05, 1.5))
            victims = chance.sample(sorted(nodes), chance.choice([1, 1, 1, 1, 2, 3]))
            found = self.cluster.find_leader()
            for number in victims:
                nodes[number].kill()
            done += len(victims)
            away = chance.uniform(0.0, 2.0)
            which = " and ".join(
                f"{v}{' (leader)' if found and found[0].id == v else ''}" for v in victims
            )
            self.line.say(
                f"kill -9 of {which}; back in {away:.2f} s; "
                f"{load.count():,} writes acknowledged so far"
            )
            time.sleep(away)
            for number in victims:
                self.cluster.start(nodes[number])
            if len(victims) > 1 or chance.random() < 0.5:
                self.cluster.wait_for_leader(30)
            broken = [n for n in nodes.values() if not n.running]
            if broken:
                raise Failure(f"node {broken[0].id} ended by itself\n{broken[0].log_tail()}")
        before = load.count()
        wait_until(
            lambda: load.count() > before + 20 or load.problems, 30, "writes to go on", self.cluster
        )
        self.finish(load)
        self.line.say(
            f"{load.count():,} writes acknowledged, {load.retries:,} retries, "
            f"{load.checks:,} counters read and right"
        )
        for node in nodes.values():
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


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--binary",
        action="append",
        required=True,
        help="the service's command; given several times, the nodes take turns",
    )
    parser.add_argument("--keep", action="store_true", help="leave the cluster up at the end")
    parser.add_argument(
        "--kills", type=int, default=0, help="play the soak with that many kills instead"
    )
    parser.add_argument(
        "--seed", type=int, default=None, help="the soak's random choices (default: a new one)"
    )
    return parser.parse_args()


def keep(story):
    """Leaves the cluster up and says how to use and how to stop it."""
    cluster = story.cluster
    cluster.keep = True
    running = cluster.running()
    print("\nThe cluster stays up:")
    for node in running:
        print(f"  node {node.id}  {node.url}  (process {node.process.pid}, log {node.log_path})")
    print(f"  write   curl -L {running[0].url}/my-key -XPUT -d bar")
    print(f"  read    curl -L {running[-1].url}/my-key")
    print(f"  look    curl {running[0].url}/_/status")
    pids = " ".join(str(node.process.pid) for node in running)
    print(f"  stop    kill {pids}; sleep 1; rm -r {cluster.directory}")


def main():
    arguments = parse_arguments()
    sys.stdout.reconfigure(line_buffering=True)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**9)
    commands = [shlex.split(binary) for binary in arguments.binary]
    cluster = Cluster(commands, arguments=SNAPSHOT_ARGUMENTS)
    story = Story(cluster, seed)
    try:
        if arguments.kills:
            story.soak(arguments.kills)
        else:
            story.play()
        for node in cluster.nodes.values() if not arguments.keep else ():
            if node.running and node.stop() != 0:
                raise Failure(
                    f"node {node.id} exited with {node.process.returncode} on SIGTERM\n"
                    f"{node.log_tail()}"
                )
    except (Failure, OSError) as problem:
        story.line.verdict(False, f"{problem}\n      (seed {seed})")
        return 1
    outage = f", {max(story.outages):.2f} s without a leader" if story.outages else ""
    story.line.verdict(
        True,
        f"{len(story.acknowledged):,} keys acknowledged, none lost; "
        f"{story.keys_checked:,} values read and compared, "
        f"{story.checks:,} counters right at once{outage}; "
        f"{time.monotonic() - story.line.started:.1f} s",
    )
    if arguments.keep:
        keep(story)
    return 0


if __name__ == "__main__":
    sys.exit(main())
