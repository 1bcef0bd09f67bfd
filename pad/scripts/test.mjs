// Bundles the tests of a directory and runs them with node's test runner:
// `node scripts/test.mjs test|browser [NAME]`; with a name, only that file (`page` is `page.test.ts`).

import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Milliseconds for a whole file; what hangs must not hang for ever. */
const LONGEST = 480_000;
/** Files that run side by side: those on the real services mostly wait. */
const CONCURRENT = 3;
const root = fileURLToPath(new URL("..", import.meta.url));
const suite = process.argv[2] ?? "test";
const out = join(root, "build", suite);
const wanted = process.argv[3] ? `${process.argv[3]}.test.ts` : ".test.ts";
const tests = readdirSync(join(root, suite)).filter((name) => name.endsWith(wanted));

rmSync(out, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: tests.map((name) => join(root, suite, name)),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  sourcemap: "inline",
  external: ["playwright-core", "esbuild"],
  logLevel: "warning",
});

const bundles = tests.map((name) => join(out, name.replace(/\.ts$/, ".mjs")));
const limits = [`--test-timeout=${LONGEST}`, `--test-concurrency=${CONCURRENT}`];
const run = spawnSync(process.execPath, ["--enable-source-maps", "--test", "--test-reporter=spec", ...limits, ...bundles], {
  cwd: root,
  stdio: "inherit",
});
process.exit(run.status ?? 1);
