// Three nodes, one in each language, as processes of this test's: started, killed, asked.
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const COMMANDS = [
  ["target/kv-c/kv-c"],
  ["target/kv-go/kv-go"],
  ["target/python-env/bin/python", "examples/kv-python/main.py"],
];

export const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Calls `look` until it returns something true, and returns that. */
export async function until(what, look, seconds = 20) {
  const end = Date.now() + 1000 * seconds;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await pause(50);
  }
}

async function freePort() {
  const server = createServer();
  await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise(resolve => server.close(resolve));
  return port;
}

export class Cluster {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "raftcore-page-"));
    this.nodes = [];
  }

  async start() {
    for (const [i, command] of COMMANDS.entries()) {
      const peers = `http://127.0.0.1:${await freePort()}`;
      const url = `http://127.0.0.1:${await freePort()}`;
      this.nodes.push({ id: i + 1, command, peers, url, process: null });
    }
    this.nodes.forEach(node => this.startNode(node));
    return this.leader();
  }

  startNode(node) {
    const members = this.nodes.map(({ id, peers }) => `${id}=${peers}`).join();
    const [program, ...rest] = node.command;
    const log = openSync(this.logOf(node), "a");
    node.process = spawn(program, [...rest, "--id", node.id, "--cluster", members, "--listen",
      node.url, "--data", join(this.folder, `node${node.id}`)], { stdio: ["ignore", log, log] });
  }

  /** kill -9, and waits for the end. */
  async kill(node) {
    if (!node.process || node.process.exitCode !== null || node.process.signalCode) return;
    const ended = new Promise(resolve => node.process.once("exit", resolve));
    node.process.kill("SIGKILL");
    await ended;
  }

  async status(node) {
    try {
      const answer = await fetch(`${node.url}/_/status`, { signal: AbortSignal.timeout(1000) });
      return await answer.json();
    } catch {
      return null;
    }
  }

  /** The leader that every running node follows. */
  leader(otherThan = null) {
    return until("a leader", async () => {
      const running = this.nodes.filter(node => node.process.exitCode === null
        && !node.process.signalCode);
      const seen = await Promise.all(running.map(node => this.status(node)));
      const id = seen[0]?.leader;
      const agreed = id && seen.every(status => status?.leader === id);
      return agreed && id !== otherThan?.id && this.nodes.find(node => node.id === id);
    });
  }

  logOf(node) {
    return join(this.folder, `node${node.id}.log`);
  }

  logs() {
    const tail = node => readFileSync(this.logOf(node), "utf8").split("\n").slice(-12).join("\n");
    return this.nodes.map(node => `--- node ${node.id}\n${tail(node)}`).join("\n");
  }

  async end() {
    await Promise.all(this.nodes.map(node => this.kill(node)));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
