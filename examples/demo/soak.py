"""Kills at random moments, now and then a majority at once. What was acknowledged stays."""

import random
import time

from cluster import Failure
from load import Load


def soak(story, kills):
    """Plays it on a story's cluster."""
    chance = random.Random(story.seed)
    cluster, line = story.cluster, story.line
    nodes = cluster.nodes
    story.act_start()
    line.title(f"{kills} kills at random moments under load, seed {story.seed}")
    story.load = load = Load(cluster.running(), "soak", seed=story.seed)
    done = 0
    while done < kills and not load.problems:
        time.sleep(chance.uniform(0.05, 1.5))
        victims = chance.sample(sorted(nodes), chance.choice([1, 1, 1, 1, 2, 3]))
        found = cluster.find_leader()
        for number in victims:
            nodes[number].kill()
        done += len(victims)
        away = chance.uniform(0.0, 2.0)
        which = " and ".join(
            f"{v}{' (leader)' if found and found[0].id == v else ''}" for v in victims
        )
        line.say(
            f"kill -9 of {which}; back in {away:.2f} s; {load.count():,} writes acknowledged so far"
        )
        time.sleep(away)
        for number in victims:
            cluster.start(nodes[number])
        if len(victims) > 1 or chance.random() < 0.5:
            cluster.wait_for_leader(30)
        broken = [n for n in nodes.values() if not n.running]
        if broken:
            raise Failure(f"node {broken[0].id} ended by itself\n{broken[0].log_tail()}")
    story.wait_for_writes(20, 30)
    story.finish(load)
    line.say(
        f"{load.count():,} writes acknowledged, {load.retries:,} retries, "
        f"{load.checks:,} counters read and right"
    )
    for node in nodes.values():
        story.check_local(node)
