// `npm run check`: is the committed output up to date? Generates and builds it in another directory, and compares.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { buildPage } from "./build.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const LARGEST_PAGE = 120 * 1024;

function filesOf(directory) {
  const files = readdirSync(directory, { recursive: true }).filter((name) => statSync(join(directory, name)).isFile());
  return new Map(files.sort().map((name) => [name, readFileSync(join(directory, name))]));
}

function differences(committed, fresh) {
  const names = new Set([...committed.keys(), ...fresh.keys()]);
  return [...names].filter((name) => !committed.get(name)?.equals(fresh.get(name) ?? Buffer.alloc(0)));
}

function compare(what, committed, fresh, repair) {
  const different = differences(filesOf(committed), filesOf(fresh));
  if (different.length === 0) return true;
  console.error(`${what} is stale (${different.join(", ")}): run \`${repair}\` and commit`);
  return false;
}

const scratch = mkdtempSync(join(tmpdir(), "ringpad-check-"));
try {
  const generated = spawnSync(join(root, "node_modules/.bin/buf"), ["generate", "-o", scratch], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}` },
  });
  if (generated.status !== 0) throw new Error("buf generate failed");
  const fresh = join(scratch, "dist");
  await buildPage(fresh);
  const results = [
    compare("pad/src/gen", join(root, "src/gen"), join(scratch, "src/gen"), "npm run generate"),
    compare("pad/dist", join(root, "dist"), fresh, "npm run build"),
  ];
  const size = [...filesOf(fresh).values()].reduce((sum, bytes) => sum + gzipSync(bytes, { level: 9 }).length, 0);
  console.log(`pad page: ${size} bytes gzipped`);
  if (size > LARGEST_PAGE) {
    console.error(`the pad page is larger than ${LARGEST_PAGE} bytes`);
    results.push(false);
  }
  process.exitCode = results.every(Boolean) ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
