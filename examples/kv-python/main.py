"""Start, signals, stop.

kv-python is a node of a replicated key-value service; `main.py --help` has the options.
"""

import asyncio
import logging
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import clients
import incoming
from aiohttp import web
from codec import URL_MAX
from node import Node
from options import Options, parse_options
from requests import Refused
from store import NotOurs, Store

log = logging.getLogger("kv-python")

STOPPED, BROKEN, REFUSED = 0, 1, 3
LAST_ANSWERS_SECONDS = 0.5


def on_signal(node: Node, number: signal.Signals) -> None:
    log.info("signal %d: stopping", number)
    node.stop(STOPPED)


async def serve(
    node: Node,
    url: str,
    most: int,
    on_request: Callable[[Node, web.Request], Awaitable[web.StreamResponse]],
    headers: dict[str, str],
) -> web.AppRunner:
    async def answer(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse
        try:
            response = await on_request(node, request)
        except Refused as refused:
            response = clients.reply_refusal(node, refused)
        except web.HTTPRequestEntityTooLarge:
            response = clients.reply_text(413, "the body is too long")
        if not response.prepared:
            response.headers.update(headers)
        return response

    application = web.Application(client_max_size=most)
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=LAST_ANSWERS_SECONDS)
    await runner.setup()
    where = urlsplit(url)
    await web.TCPSite(runner, where.hostname, where.port, reuse_address=True).start()
    return runner


async def run(options: Options, store: Store) -> int:
    node = Node(options, store)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, node, number)
    servers: list[web.AppRunner] = []
    try:
        url, most = options.listen_peers or node.own_url, options.max_peer_body
        ours = {"Raft-Cluster": options.cluster_id}
        servers.append(await serve(node, url, most, incoming.on_request, ours))
        url, most = options.listen, max(options.max_value, URL_MAX) + 1
        servers.append(await serve(node, url, most, clients.on_request, {}))
        log.info("clients at %s, peers at %s", options.listen, node.own_url)
        return await node.stopped
    finally:
        node.stop(STOPPED)
        for server in servers:
            await server.cleanup()
        await node.close()


def start(options: Options) -> int:
    try:
        store = Store(options.data, options.id, options.cluster_id, options.join)
        try:
            return asyncio.run(run(options, store))
        finally:
            store.close()
    except NotOurs as error:
        log.error("%s: %s", options.data, error)
        return REFUSED
    except (OSError, sqlite3.Error) as error:
        log.error("%s: %s", options.data, error)
        return BROKEN


def main() -> int:
    options = parse_options()
    logging.basicConfig(format=f"%(asctime)s node {options.id}: %(message)s", level=logging.INFO)
    logging.getLogger("raftcore").setLevel(logging.DEBUG if options.verbose else logging.WARNING)
    return start(options)


if __name__ == "__main__":
    sys.exit(main())
