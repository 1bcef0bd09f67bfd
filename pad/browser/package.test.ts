// The npm package as somebody else gets it: packed, installed from its tarball, type-checked, bundled, and used by the
// ten lines of example/.

import assert from "node:assert/strict";
import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { openPage } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { Shop } from "./shop.ts";

const shop = new Shop();
const COMPILER_OPTIONS = { strict: true, noEmit: true, target: "es2022", module: "esnext", moduleResolution: "bundler", lib: ["es2022", "dom"], types: [] };
let consumer: string;

/** A project that has nothing of ours but the tarball. Its dependencies are ours, so that no registry is asked. */
function install(): void {
  execFileSync("npm", ["pack", "--silent", "--pack-destination", consumer]);
  const tarball = readdirSync(consumer).find((name) => name.endsWith(".tgz")) ?? "";
  const target = join(consumer, "node_modules/@ringpad/pad");
  mkdirSync(target, { recursive: true });
  execFileSync("tar", ["-xzf", join(consumer, tarball), "-C", target, "--strip-components=1"]);
  for (const scope of ["@bufbuild", "@connectrpc"]) symlinkSync(resolve("node_modules", scope), join(consumer, "node_modules", scope));
  copyFileSync("example/example.ts", join(consumer, "example.ts"));
  writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, files: ["example.ts"] }));
}

before(async () => {
  consumer = mkdtempSync(join(tmpdir(), "ringpad-consumer-"));
  install();
});
after(() => rmSync(consumer, { recursive: true, force: true }));

test("its types are there for another project", () => {
  execFileSync("node_modules/.bin/tsc", ["-p", consumer], { stdio: "inherit" });
});

test("only what a user needs is in it", () => {
  const names = readdirSync(join(consumer, "node_modules/@ringpad/pad"));
  assert.deepEqual(names.sort(), ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "lib", "package.json"]);
});

test("ten lines show who calls, and take the call", async () => {
  const lines = readFileSync("example/example.ts", "utf8").split("\n").filter((line) => line.trim() !== "");
  assert.ok(lines.length <= 10, `${lines.length} lines`);
  const bundle = await build({ entryPoints: [join(consumer, "example.ts")], absWorkingDir: consumer, bundle: true, format: "esm", write: false });
  shop.server.files.set("example.js", bundle.outputFiles[0]?.contents ?? new Uint8Array());
  shop.server.files.set("index.html", readFileSync("example/index.html"));
  const { page } = await openPage(shop.browser);
  await page.goto(`${shop.url}/?token=${padToken("p1", "다른 제품")}`);
  shop.server.update(ring("a", "010-1234-5678", 1_000), 30_000);
  await page.locator("#caller", { hasText: "010-1234-5678" }).waitFor();
  await page.getByRole("button", { name: "받기" }).click();
  await page.locator("#caller", { hasText: "010-1234-5678 (다른 제품)" }).waitFor();
  assert.equal(await page.locator("#take").isVisible(), false);
});
