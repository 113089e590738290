// The page at /_/ in headless Chromium, on a cluster of a node in C, one in Go and one in Python.
//
//   node tests/page/test.mjs                       the test
//   node tests/page/test.mjs --picture FILE.png    the picture for the guide
//
// Run from the root, after tests/page/run has built and fetched what it needs.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { Cluster, pause, until } from "./cluster.mjs";

const { chromium } = createRequire(resolve("target/page/x"))("playwright-core");
const LANGUAGES = ["C", "Go", "Python"];
const ABSENT = "nobody wrote this";
const PHONE = { width: 360, height: 740 };
const DESK = { width: 1000, height: 700 };

const checks = [];
/** Names what was just shown to hold. */
const ok = what => { checks.push(what); console.log(`  ok  ${what}`); };

/** A page whose errors are kept. `away` has the ids of the members that are down on purpose: that
 *  they do not answer is an error to the browser, as is a key that is not there. */
async function open(browser, node, away, options = {}, prepare = () => {}) {
  const page = await browser.newPage({ viewport: DESK, reducedMotion: "reduce", ...options });
  page.errors = [];
  page.setDefaultTimeout(20_000);
  page.on("pageerror", error => page.errors.push(String(error)));
  page.on("console", message => {
    const { url } = message.location();
    const expected = [...away].some(id => url.endsWith(`/_/status?of=${id}`)
      || (id === node.id && url.startsWith(node.url))) || url.endsWith(encodeURI(ABSENT));
    if (["error", "warning"].includes(message.type()) && !expected)
      page.errors.push(`${message.text()} ${url}`);
  });
  await prepare(page);
  await page.goto(`${node.url}/_/`);
  return page;
}

const card = (page, id) => page.locator(`article[data-id="${id}"]`);
const leads = (page, id) =>
  page.getByRole("heading", { level: 1, name: new RegExp(`^Node ${id}\\b.* leads$`) }).waitFor();

async function shows(page, cluster) {
  const file = readFileSync("examples/page/index.html", "utf8");
  for (const node of cluster.nodes) {
    const answer = await fetch(`${node.url}/_/`);
    assert.equal(answer.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(await answer.text(), file, `node ${node.id} serves another page`);
  }
  ok("all three services serve the one page, byte for byte");
  const leader = await cluster.leader();
  await leads(page, leader.id);
  await until("three cards", async () => await page.getByRole("article").count() === 3);
  for (const [i, node] of cluster.nodes.entries()) {
    await card(page, node.id).getByText(new RegExp(`^${LANGUAGES[i]}, up`)).waitFor();
    const role = node === leader ? "Leader" : "follower";
    await card(page, node.id).getByText(role, { exact: true }).waitFor();
  }
  ok("three members, each with its language and role");
  const commit = await card(page, leader.id).locator("dd").nth(1).textContent();
  const status = await cluster.status(leader);
  assert.ok(Number(commit) >= 4 && Number(commit) <= status.commit, commit);
  ok("the leader's commit index");
}

/** Only with the keyboard: to the fields, the write and the read. */
async function writesAndReads(page, cluster, value) {
  const at = () => page.evaluate(() => document.activeElement.id);
  await page.evaluate(() => document.activeElement.blur());
  for (let steps = 0; await at() !== "key"; steps++) {
    assert.ok(steps < 12, "Tab does not come to the key");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Control+A");
  await page.keyboard.type("schlüssel/1 ?#");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Control+A");
  await page.keyboard.type(value);
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText(/^Written: /).waitFor();
  for (const node of cluster.nodes.filter(one => one.process.exitCode === null
    && !one.process.signalCode)) {
    const answer = await fetch(`${node.url}/_/kv/${encodeURIComponent("schlüssel/1 ?#")}`);
    assert.equal(await answer.text(), value);
  }
  await page.getByLabel("Value").fill("");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assert.equal(await at(), "read");
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText(`schlüssel/1 ?# is ${value}`).waitFor();
  await page.getByLabel("Key").fill(ABSENT);
  await page.getByRole("button", { name: "Read" }).click();
  await page.getByRole("status").getByText(`There is no key ${ABSENT}.`).waitFor();
}

/** Hands the leadership to a member by its button. */
async function transfers(page, cluster, to) {
  await page.getByRole("button", { name: `Make node ${to.id} the leader` }).click();
  await leads(page, to.id);
  assert.equal((await cluster.leader()).id, to.id);
  await until("the news", async () =>
    (await page.locator("#news").textContent()).includes(`Node ${to.id} in term`));
}

async function followsAKill(page, cluster, away) {
  const dead = await cluster.leader();
  away.add(dead.id);
  await cluster.kill(dead);
  const next = await cluster.leader(dead);
  await leads(page, next.id);
  await card(page, dead.id).getByText("no answer", { exact: true }).waitFor();
  const { term } = await cluster.status(next);
  await page.getByRole("listitem").getByText(`Node ${next.id} leads term ${term}`).waitFor();
  ok("a leader that is killed is shown as away, and the next one as leader");
  await writesAndReads(page, cluster, "while one is away");
  ok("keys are written and read while it is away");
  cluster.startNode(dead);
  await card(page, dead.id).getByText("follower", { exact: true }).waitFor();
  away.delete(dead.id);
  ok("it is shown as soon as it is back");
}

async function losesItsOwnNode(page, cluster, node, away) {
  away.add(node.id);
  await cluster.kill(node);
  const alert = page.getByRole("alert");
  await alert.getByText(`Node ${node.id}, which serves this page, does not answer.`).waitFor();
  const other = cluster.nodes.find(one => one !== node);
  const link = alert.getByRole("link", { name: `The page of node ${other.id}` });
  assert.equal(await link.getAttribute("href"), `${other.url}/_/`);
  cluster.startNode(node);
  await alert.waitFor({ state: "hidden" });
  away.delete(node.id);
  ok("when its own node is away, the page says so and links to the others'");
}

/** Whoever opens the page while nobody leads sees that, and later who does. */
async function opensWithoutALeader(browser, cluster, away) {
  const hideLeader = async route => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...await response.json(), leader: 0 } });
  };
  const page = await open(browser, cluster.nodes[0], away, {},
    page => page.route(/\/_\/status/, hideLeader));
  await page.getByRole("heading", { level: 1, name: "No leader at the moment" }).waitFor();
  await page.unrouteAll({ behavior: "wait" });
  await leads(page, (await cluster.leader()).id);
  assert.deepEqual(page.errors, []);
  await page.close();
  ok("opened while nobody leads, it says so, and then who does");
}

/** In the page: the text whose contrast with what is behind it is below the 4.5 of WCAG AA. */
function paleText() {
  const parse = text => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(part => part / 255)
    .map(part => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest("script,.aside,[hidden]")) continue;
    let behind = node;
    while (behind && (parse(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0)
      behind = behind.parentElement;
    const [a, b] = [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor]
      .map(colour => light(parse(colour)) + 0.05);
    const contrast = Math.max(a, b) / Math.min(a, b);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${walker.currentNode.data.trim()}`);
  }
  return found;
}

async function fitsAPhone(browser, cluster, away) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser, cluster.nodes[1], away, { viewport: PHONE, colorScheme });
    await leads(page, (await cluster.leader()).id);
    for (const width of [360, 320]) {
      await page.setViewportSize({ ...PHONE, width });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${colorScheme}: ${wide} px wide at ${width} px`);
    }
    assert.deepEqual(await page.evaluate(paleText), [], `pale text, ${colorScheme}`);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const [red] = ground.match(/\d+/g);
    assert.equal(Number(red) < 128, colorScheme === "dark", ground);
    assert.deepEqual(page.errors, []);
    await page.close();
  }
  ok("dark and light: no horizontal scroll at 360 and 320 px, contrast of at least 4.5");
}

async function test(browser, cluster) {
  const away = new Set();
  const served = cluster.nodes.find(node => node.id !== 1);
  const page = await open(browser, served, away);
  await shows(page, cluster);
  await writesAndReads(page, cluster, "first");
  ok("a key is written and read with the keyboard alone");
  for (const node of [...cluster.nodes, cluster.nodes[0]]) {
    if (await cluster.leader() !== node) await transfers(page, cluster, node);
  }
  ok("the leadership goes to each of the three by its button");
  await followsAKill(page, cluster, away);
  await losesItsOwnNode(page, cluster, served, away);
  await opensWithoutALeader(browser, cluster, away);
  await fitsAPhone(browser, cluster, away);
  assert.deepEqual(page.errors, []);
  ok("nothing on the console");
}

/** Writers that keep the cluster busy until they are told to stop; a rate that swells and falls. */
function makeLoad(cluster) {
  let going = true;
  const writers = Array.from({ length: 6 }, async (_, number) => {
    for (let turn = 0; going; turn++) {
      const node = cluster.nodes[(number + turn) % 3];
      await fetch(`${node.url}/_/kv/load-${number}-${turn % 500}`,
        { method: "PUT", body: "x".repeat(40) }).catch(() => pause(50));
      await pause(8 + 10 * (1 + Math.sin(Date.now() / 7000)));
    }
  });
  return async () => { going = false; await Promise.all(writers); };
}

/** Two minutes in the life of a cluster, on a desk and on a phone. */
async function picture(browser, cluster, file) {
  const away = new Set();
  const [desk, phone] = [await open(browser, cluster.nodes[0], away, { viewport: DESK }),
    await open(browser, cluster.nodes[0], away, { viewport: { ...PHONE, height: 900 }, colorScheme: "dark" })];
  const stopLoad = makeLoad(cluster);
  for (const id of [1, 2, 3]) {
    await pause(27_000);
    if ((await cluster.leader()).id !== id)
      await desk.getByRole("button", { name: `Make node ${id} the leader` }).click();
  }
  await pause(20_000);
  const dead = cluster.nodes[2];
  await cluster.kill(dead);
  await cluster.leader(dead);
  await pause(15_000);
  await desk.getByLabel("Value").fill("bar");
  await desk.getByRole("button", { name: "Write" }).click();
  await desk.getByRole("button", { name: "Read" }).click();
  await desk.getByRole("status").getByText("my-key is bar").waitFor();
  const shots = [];
  for (const page of [desk, phone]) {
    const png = await page.screenshot({ fullPage: page === desk });
    shots.push(`data:image/png;base64,${png.toString("base64")}`);
  }
  await stopLoad();
  const frame = await browser.newPage({ viewport: { width: 1420, height: 900 } });
  await frame.setContent(`<!doctype html><body style="margin:0;display:flex;gap:20px;
    align-items:center;padding:20px;background:#c9d2e3"><style>img{border-radius:14px;display:block;
    box-shadow:0 8px 30px #1a233a55}</style>
    <img src="${shots[0]}"><img src="${shots[1]}">`);
  await frame.waitForFunction(() => [...document.images].every(image => image.complete));
  writeFileSync(file, await frame.screenshot({ fullPage: true }));
  console.log(`${file}: the page as it was`);
}

const cluster = new Cluster();
let browser = null;
let code = 1;
try {
  await cluster.start();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
  if (process.argv[2] === "--picture") await picture(browser, cluster, process.argv[3]);
  else {
    await test(browser, cluster);
    console.log(`page: ${checks.length} checks passed in Chromium ${browser.version()}`);
  }
  code = 0;
} catch (problem) {
  console.error(problem, `\n${cluster.logs()}`);
} finally {
  await browser?.close();
  await cluster.end();
}
process.exitCode = code;
