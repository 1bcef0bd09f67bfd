// The npm package as another project gets it: packed, installed from its tarball with its dependencies only, type-checked,
// bundled, and used by the ten lines of example/ on a page of their own.

import assert from "node:assert/strict";
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Locator, Page } from "playwright-core";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { BackEnd } from "./back_end.ts";
import { openPage, until } from "./chromium.ts";
import { FakeServer, ring } from "./fake_server.ts";
import { Floor } from "./floor.ts";
import { Shop } from "./shop.ts";

/** The only value in the example that a reader must change. */
const ITS_URL = "https://pads.example.com";
const COMPILER_OPTIONS = { strict: true, noEmit: true, target: "es2022", module: "esnext", moduleResolution: "bundler", lib: ["es2022", "dom"], types: [] };
/** Milliseconds; a refused page tries again by itself after 15 s or more. */
const SOON_AFTER = 5_000;
const NO_SUCH_STORE = 5;

interface Manifest {
  version: string;
  dependencies?: Record<string, string>;
}

let consumer: string;

/** A project with only the tarball and its dependencies, which are copied from ours, so that no registry is needed. */
function install(): void {
  execFileSync("npm", ["pack", "--silent", "--pack-destination", consumer]);
  const tarball = readdirSync(consumer).find((name) => name.endsWith(".tgz")) ?? "";
  const target = join(consumer, "node_modules/@ringpad/pad");
  mkdirSync(target, { recursive: true });
  execFileSync("tar", ["-xzf", join(consumer, tarball), "-C", target, "--strip-components=1"]);
  installDependencies(target, new Set());
  copyFileSync("example/example.ts", join(consumer, "example.ts"));
  writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, files: ["example.ts"] }));
}

/** Copies, not links: through a link our other packages could be imported. */
function installDependencies(of: string, installed: Set<string>): void {
  for (const [name, version] of Object.entries(manifest(of).dependencies ?? {})) {
    if (installed.has(name)) continue;
    installed.add(name);
    const ours = join("node_modules", name);
    if (/^\d/.test(version)) assert.equal(manifest(ours).version, version, name);
    cpSync(ours, join(consumer, "node_modules", name), { recursive: true });
    installDependencies(ours, installed);
  }
}

const manifest = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;

/** The example as a script that connects to `url`. */
async function bundled(url: string): Promise<string> {
  const bundle = await build({ entryPoints: [join(consumer, "example.ts")], absWorkingDir: consumer, bundle: true, format: "esm", write: false });
  const script = bundle.outputFiles[0]?.text ?? "";
  assert.equal(script.split(ITS_URL).length, 2);
  return script.replace(ITS_URL, url);
}

const state = (page: Page, kind: string): Promise<void> => page.locator("#state", { hasText: new RegExp(`^${kind}$`) }).waitFor();
const rings = (page: Page, display: string): Locator => page.getByRole("button", { name: `${display} 내가 응대`, exact: true });
const gone = (call: Locator): Promise<void> => call.waitFor({ state: "detached" });

before(() => {
  consumer = mkdtempSync(join(tmpdir(), "ringpad-consumer-"));
  install();
});
after(() => rmSync(consumer, { recursive: true, force: true }));

test("another project can use its types", () => {
  execFileSync("node_modules/.bin/tsc", ["-p", consumer], { stdio: "inherit" });
});

test("the package has only the files that a user needs", () => {
  const names = readdirSync(join(consumer, "node_modules/@ringpad/pad"));
  assert.deepEqual(names.sort(), ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "lib", "package.json"]);
});

test("the example is ten lines, and the README has it word for word", () => {
  const example = readFileSync("example/example.ts", "utf8");
  const lines = example.split("\n").filter((line) => line.trim() !== "");
  assert.ok(lines.length <= 10, `${lines.length} lines`);
  assert.ok(Math.max(...lines.map(({ length }) => length)) <= 130, "none of them too long");
  assert.ok(readFileSync("README.md", "utf8").includes(`\`\`\`ts\n${example}\`\`\``));
});

describe("on the real services, in a page of another host", () => {
  const backEnd = new BackEnd("localhost");
  const otherSite = new BackEnd("localhost");
  const messages: string[][] = [];
  after(() => Promise.all([backEnd.close(), otherSite.close()]));
  const floor = new Floor(async () => {
    await Promise.all([backEnd.listen(), otherSite.listen()]);
    return { PAD_ALLOWED_ORIGINS: backEnd.origin };
  });

  /** An adopter's own page, for a logged-in user. */
  async function open(name: string, at = backEnd): Promise<Page> {
    const { url } = floor.testbed;
    at.token = await floor.store.token(name, name);
    at.policy = `default-src 'none'; script-src 'self'; connect-src 'self' ${url} ${url.replace("http", "ws")}`;
    at.files.set("/", readFileSync("example/index.html", "utf8"));
    at.files.set("/example.js", await bundled(url));
    const { page, messages: said } = await openPage(floor.browser);
    if (at === backEnd) messages.push(said.list);
    await at.logIn(page.context());
    await page.goto(at.origin);
    await state(page, at === backEnd ? "connected" : "forbidden");
    return page;
  }

  test("ten lines show who calls, and claim the call: the first claim wins, and the second page shows whose it is", async () => {
    const [mine, theirs] = [await open("1번 카운터"), await open("2번 카운터")];
    const first = await floor.store.ring("010-1234-5678");
    const second = await floor.store.ring("010-7777-8888");
    for (const page of [mine, theirs]) {
      await rings(page, first.caller).waitFor();
      await rings(page, second.caller).waitFor();
    }
    const late = await rings(theirs, first.caller).elementHandle();
    await rings(mine, first.caller).click();
    for (const page of [mine, theirs]) {
      await gone(rings(page, first.caller));
      assert.ok(await rings(page, second.caller).isVisible());
      assert.equal(await page.locator("#words").textContent(), "");
    }
    // A tap that was meant for the button before.
    await late?.evaluate((button) => (button as HTMLElement).click());
    await theirs.locator("#words", { hasText: /^1번 카운터$/ }).waitFor();
    const loadedMidRing = await open("3번 카운터");
    await rings(loadedMidRing, second.caller).waitFor();
    assert.equal(await loadedMidRing.getByRole("button").count(), 1);
    await second.missed();
    for (const page of [mine, theirs, loadedMidRing]) await gone(rings(page, second.caller));
    assert.deepEqual(messages.flat().filter((message) => message !== "request to localhost"), []);
  });

  test("a page whose origin is not in PAD_ALLOWED_ORIGINS gets nothing, and the reason", async () => {
    const page = await open("1번 카운터", otherSite);
    await floor.store.ring("010-1234-5678");
    await sleep(1_000);
    assert.equal(await page.getByRole("button").count(), 0);
  });
});

describe("on a fake server", () => {
  const shop = new Shop();
  beforeEach(async () => {
    await shop.server.close();
    await shop.serve(new FakeServer("/pad-token"));
  });

  /** The example, on the fake server's own host. */
  async function open(): Promise<Page> {
    shop.server.files.set("index.html", readFileSync("example/index.html"));
    shop.server.files.set("example.js", Buffer.from(await bundled(shop.url)));
    const { page } = await openPage(shop.browser);
    await page.goto(shop.url);
    return page;
  }

  test("a page that is loaded during a ring shows it until it ends", async () => {
    const popUntil = (ms: number) => ({ popUntil: timestampFromMs(Date.now() + ms) });
    shop.server.store(ring("a", "010-1234-5678", 20_000, popUntil(10_000)));
    shop.server.store(ring("b", "010-7777-8888", 60_000, popUntil(-30_000)));
    const page = await open();
    await rings(page, "010-1234-5678").waitFor();
    shop.server.update(ring("c", "010-2222-3333", 0), 1_500);
    await rings(page, "010-2222-3333").waitFor();
    assert.equal(await page.getByRole("button").count(), 2);
    await gone(rings(page, "010-2222-3333"));
    assert.ok(await rings(page, "010-1234-5678").isVisible());
    shop.server.update({ id: "a", state: CallState.ANSWERED });
    await gone(rings(page, "010-1234-5678"));
  });

  test("a clock that is set during a ring does not hide the ring permanently", async () => {
    const page = await open();
    await state(page, "connected");
    for (const [id, display, hours] of [["a", "010-1111-0001", 5], ["b", "010-1111-0002", -10], ["c", "010-1111-0003", 48]] as const) {
      shop.server.update(ring(id, display, 0), 30_000);
      await rings(page, display).waitFor();
      await page.evaluate((by) => {
        const before = Date.now;
        Date.now = () => before() + by;
      }, hours * 3_600_000);
    }
    shop.server.update(ring("d", "010-1111-0004", 0), 30_000);
    for (const last of [1, 2, 3, 4]) await rings(page, `010-1111-000${last}`).waitFor();
    assert.equal(await page.getByRole("button").count(), 4);
  });

  test("a page that was inactive does not wait for its next try", async () => {
    shop.server.refuseWith = NO_SUCH_STORE;
    const page = await open();
    await state(page, "no-store");
    const tries = () => shop.server.requests.length;
    const dispatch: Record<string, () => void> = {
      visibilitychange: () => document.dispatchEvent(new Event("visibilitychange")),
      pageshow: () => window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })),
      online: () => window.dispatchEvent(new Event("online")),
    };
    for (const [event, happens] of Object.entries(dispatch)) {
      // During a try checkNow() has nothing to do: only events after its answer count.
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 500)));
      const [before, began] = [tries(), Date.now()];
      const answered = page.waitForEvent("response");
      await page.evaluate(happens);
      await until(`a try at ${event}`, () => tries() > before);
      assert.ok(Date.now() - began < SOON_AFTER, event);
      await answered;
    }
    const before = tries();
    await page.evaluate(() => Object.defineProperty(document, "visibilityState", { value: "hidden" }));
    await page.evaluate(dispatch["visibilitychange"] as () => void);
    await sleep(500);
    assert.equal(tries(), before, "the page is hidden");
  });
});
