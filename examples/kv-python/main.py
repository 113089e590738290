"""kv-python: a node of a replicated key-value service. `main.py --help` has the options."""

import argparse
import asyncio
import logging
import re
import signal
import sqlite3
import sys
from urllib.parse import urlsplit

from aiohttp import web
from node import Node
from store import NotOurs, Store
from web import VISIBLE, Web, is_url, node_id

STOPPED, BROKEN, WRONG_USAGE, REFUSED = 0, 1, 2, 3


def cluster(text: str) -> dict[int, str]:
    members: dict[int, str] = {}
    for item in text.split(","):
        member, _, url = item.partition("=")
        number = node_id(member)
        if number is None or not is_url(url) or number in members or url in members.values():
            raise argparse.ArgumentTypeError(f"{item!r} is not ID=http://host:port of its own")
        members[number] = url
    return members


def url(text: str) -> str:
    if not is_url(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not http://host:port")
    return text


def name(text: str) -> str:
    if not VISIBLE.fullmatch(text.encode()):
        raise argparse.ArgumentTypeError("1 to 64 visible ASCII characters are wanted")
    return text


def secret(path: str) -> str:
    """White space at its end is not a part of it: an editor may leave a line's end there."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read().rstrip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not re.fullmatch("[!-~]{1,256}", text):
        raise argparse.ArgumentTypeError(f"{path!r} does not hold 1 to 256 visible characters")
    return text


def number(least: int, most: int):
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most} is wanted")
        return int(text)

    return parse


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="kv-python",
        description="a node of a replicated key-value service",
        allow_abbrev=False,
        epilog="Exit codes: 0 stopped as asked or removed from the cluster, 1 cannot go on, "
        "2 wrong usage, 3 this data directory is refused.",
    )
    add = parser.add_argument
    add("--id", type=number(1, 2**63 - 1), required=True, help="never used before")
    add("--cluster", type=cluster, default={}, help="the first members, ID=URL,...")
    add("--listen", type=url, required=True, help="where clients are served, http://host:port")
    add("--listen-peers", type=url, help="where peers are served, when not at this node's own URL")
    add("--data", required=True, help="this node's directory; made if it is not there")
    add("--join", action="store_true", help="wait for a running cluster to which it was added")
    add("--cluster-id", type=name, default="kv", help="nodes of others are refused")
    add("--secret-file", type=secret, dest="secret", help="a secret that all nodes must bear")
    add(
        "--force-new-cluster",
        action="store_true",
        help="the quorum is lost for ever: go on alone, with what is here",
    )
    add("--tick-ms", type=number(1, 60_000), default=100)
    add("--timeout-ms", type=number(1, 3_600_000), default=5_000)
    add("--snapshot-entries", type=number(1, 2**32 - 1), default=10_000)
    add("--catch-up-entries", type=number(0, 2**32 - 1), default=5_000)
    add("--max-key", type=number(1, 2**16 - 1), default=1_024)
    add("--max-value", type=number(0, 1 << 30), default=1 << 20)
    add("--max-pending", type=number(1, 2**32 - 1), default=4_096)
    add("--max-gap", type=number(0, 2**32 - 1), default=5_000)
    add("--max-peer-body", type=number(1 << 16, 2**31 - 1), default=256 << 20)
    add("--peer-queue", type=number(1, 2**31 - 1), default=16 << 20)
    add("--verbose", action="store_true", help="log what the library does")
    options = parser.parse_args()
    if options.max_value + options.max_key + 1_024 > options.max_peer_body:
        parser.error("--max-peer-body must leave room for a value")
    if options.join and options.force_new_cluster:
        parser.error("--join and --force-new-cluster exclude each other")
    return options


async def listen(application: web.Application, address: str) -> web.AppRunner:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    where = urlsplit(address)
    await web.TCPSite(runner, where.hostname, where.port, reuse_address=True).start()
    return runner


async def serve(options: argparse.Namespace) -> int:
    try:
        node = Node(options, Store(options.data, options.id, options.cluster_id))
    except NotOurs as error:
        print(f"kv-python: {options.data} is refused: {error}", file=sys.stderr)
        return REFUSED
    except (OSError, sqlite3.Error) as error:
        print(f"kv-python: {options.data}: {error}", file=sys.stderr)
        return BROKEN
    loop = asyncio.get_running_loop()
    for number_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number_, node.end, STOPPED)
    doors = Web(node)
    runners = []
    try:
        runners.append(await listen(doors.peers(), options.listen_peers or node.own_url))
        runners.append(await listen(doors.clients(), options.listen))
        logging.getLogger("kv-python").info("node %d serves %s", options.id, options.listen)
        return await node.ended
    except OSError as error:
        print(f"kv-python: {error}", file=sys.stderr)
        return BROKEN
    finally:
        node.answer_all("this node is stopping")
        for runner in runners:
            await runner.cleanup()
        await node.close()


def main() -> int:
    options = parse_arguments()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    logging.getLogger("raftcore").setLevel(logging.DEBUG if options.verbose else logging.WARNING)
    return asyncio.run(serve(options))


if __name__ == "__main__":
    sys.exit(main())
