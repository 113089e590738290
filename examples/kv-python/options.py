"""The command line."""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from codec import NODE_ID_MAX, REQUEST_ID_MAX, URL_MAX

URL = re.compile(r"http://[A-Za-z0-9.\-]+:[0-9]{1,5}|http://\[[0-9a-fA-F:.]+\]:[0-9]{1,5}")
SECRET_MAX = 256


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, checked."""

    id: int
    cluster: dict[int, str]
    listen: str
    listen_peers: str | None
    data: str
    join: bool
    cluster_id: str
    secret: str | None
    force_new_cluster: bool
    tick_ms: int
    timeout_ms: int
    snapshot_entries: int
    catch_up_entries: int
    max_key: int
    max_value: int
    max_pending: int
    max_gap: int
    max_peer_body: int
    peer_queue: int
    verbose: bool


def node_id(text: str) -> int | None:
    is_number = re.fullmatch(r"[1-9][0-9]{0,18}", text) is not None
    return int(text) if is_number and int(text) <= NODE_ID_MAX else None


def is_url(text: str) -> bool:
    """http://host:port, and nothing behind it."""
    if len(text) > URL_MAX or not URL.fullmatch(text):
        return False
    try:
        return bool(urlsplit(text).port)
    except ValueError:
        return False


def is_visible(text: str, most: int) -> bool:
    return 1 <= len(text) <= most and all("!" <= character <= "~" for character in text)


def number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,19}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most} is wanted")
        return int(text)

    return parse


def cluster(text: str) -> dict[int, str]:
    """1=http://127.0.0.1:12379,2=..."""
    members: dict[int, str] = {}
    for item in text.split(","):
        member, _, url_ = item.partition("=")
        id_ = node_id(member)
        if id_ is None or not is_url(url_) or id_ in members or url_ in members.values():
            why = f"'{item}' is not ID=http://host:port with an id and a URL of its own"
            raise argparse.ArgumentTypeError(why)
        members[id_] = url_
    return members


def url(text: str) -> str:
    if not is_url(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not http://host:port")
    return text


def name(text: str) -> str:
    if not is_visible(text, REQUEST_ID_MAX):
        raise argparse.ArgumentTypeError(f"'{text}' is not 1 to 64 visible ASCII characters")
    return text


def read_secret(path: str) -> str:
    """White space at its end is not a part of it, so that an editor may leave a line's end."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(SECRET_MAX + 64).rstrip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not is_visible(text, SECRET_MAX):
        why = f"'{path}' does not hold 1 to 256 visible ASCII characters"
        raise argparse.ArgumentTypeError(why)
    return text


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kv-python",
        description="a node of a replicated key-value service",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog="Exit codes: 0 stopped as asked or removed from the cluster, 1 cannot go on, "
        "2 wrong usage, 3 this data directory is refused.",
    )
    add = parser.add_argument
    count = number(1, 2**32 - 1)
    add("--id", type=number(1, NODE_ID_MAX), required=True, help="never used before")
    add("--cluster", type=cluster, default={}, help="the first members, ID=URL,...")
    add("--listen", type=url, required=True, help="where clients are served, http://host:port")
    add("--listen-peers", type=url, help="where peers are served, if not at its URL")
    add("--data", required=True, help="this node's directory; made if it is not there")
    add("--join", action="store_true", help="wait for a running cluster to which it was added")
    add("--cluster-id", type=name, default="kv", help="nodes of others are refused")
    add("--secret-file", type=read_secret, dest="secret", help="all nodes must bear it")
    add(
        "--force-new-cluster",
        action="store_true",
        help="the quorum is lost for ever: go on alone, with what is here",
    )
    add("--tick-ms", type=number(1, 60_000), default=100, help="a heartbeat each")
    add("--timeout-ms", type=number(1, 3_600_000), default=5_000, help="for a request's answer")
    add("--snapshot-entries", type=count, default=10_000, help="from snapshot to snapshot")
    add("--catch-up-entries", type=number(0, 2**32 - 1), default=5_000, help="kept before one")
    add("--max-key", type=number(1, 2**16 - 1), default=1_024, help="bytes")
    add("--max-value", type=number(0, 1 << 30), default=1 << 20, help="bytes")
    add("--max-pending", type=count, default=4_096, help="requests that may wait at once")
    add("--max-gap", type=number(0, 2**32 - 1), default=5_000, help="entries not yet applied")
    add("--max-peer-body", type=number(1 << 16, 2**31 - 1), default=256 << 20, help="bytes")
    add("--peer-queue", type=number(1, 2**31 - 1), default=16 << 20, help="bytes for each peer")
    add("--verbose", action="store_true", help="log what the library does")
    return parser


def complete(options: Options, parser: argparse.ArgumentParser) -> Options:
    if options.join and options.force_new_cluster:
        parser.error("--join and --force-new-cluster exclude each other")
    if options.max_peer_body < options.max_value + options.max_key + 4_096:
        parser.error("--max-peer-body must leave room for a value")
    return options


def parse_options() -> Options:
    """What is wrong ends the process with exit code 2."""
    parser = make_parser()
    return complete(Options(**vars(parser.parse_args())), parser)
