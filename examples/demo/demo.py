#!/usr/bin/env python3
"""Plays a key-value cluster through what can happen to it: nothing acknowledged may be lost.

    demo.py --binary kv-c --binary kv-go --binary "python main.py"
                                       the story: each leads and is killed, one is frozen, one joins
    demo.py --binary kv-c --keep       the same with one service; the cluster stays up at the end
    demo.py --binary kv-c --kills 50   the soak: kill -9 of random nodes, at random moments

Prints a timeline, draws it with --plot, ends with one line of verdict, and exits with 0 or 1.
Standard library only.
"""

import argparse
import pathlib
import random
import shlex
import sys

from cluster import Cluster, Failure
from plot import Plot
from soak import soak
from story import Story

# Few entries a snapshot, so that who was away for a moment has to be caught up by one.
SNAPSHOT_ARGUMENTS = ["--snapshot-entries", "300", "--catch-up-entries", "50"]


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
    parser.add_argument("--plot", type=pathlib.Path, help="where to draw the story, an SVG file")
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
    print(f"  watch   {running[0].url}/_/")
    pids = " ".join(str(node.process.pid) for node in running)
    print(f"  stop    kill {pids}; sleep 1; rm -r {cluster.directory}")


def report(story, path):
    """The story in two lines, and as a picture."""
    end = story.line.now()
    times = story.seconds_of(story.times)
    reigns = story.witness.reigns(story.line)
    story.line.summary(times, reigns)
    if path is None:
        return
    nodes = list(story.cluster.nodes.values())
    end = max(times, default=end) + 0.5
    languages = list(dict.fromkeys(node.language for node in nodes))
    spoken = " and ".join(filter(None, [", ".join(languages[:-1]), languages[-1]]))
    text = Plot(nodes, times, reigns, story.line.events, end).draw(
        f"One cluster in {spoken}",
        f"{len(times):,} writes acknowledged to clients, none lost. At most "
        f"{max(story.outages, default=0):.1f} s without a leader.",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"\n{path}: who led, what was written, and each fault")


def main():
    arguments = parse_arguments()
    sys.stdout.reconfigure(line_buffering=True)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**9)
    commands = [shlex.split(binary) for binary in arguments.binary]
    cluster = Cluster(commands, arguments=SNAPSHOT_ARGUMENTS)
    story = Story(cluster, seed)
    try:
        if arguments.kills:
            soak(story, arguments.kills)
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
    seconds = story.line.now()
    report(story, arguments.plot)
    story.line.verdict(
        True,
        f"{len(story.acknowledged):,} keys acknowledged, none lost; "
        f"{story.keys_checked:,} values read and compared, "
        f"{story.checks:,} counters right at once{outage}; "
        f"{seconds:.1f} s",
    )
    if arguments.keep:
        keep(story)
    return 0


if __name__ == "__main__":
    sys.exit(main())
