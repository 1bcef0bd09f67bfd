// `npm run build`: the pad page, ready to be embedded, in dist/ (or in the directory given). Byte for byte the same
// from the same sources and the same lock file.

import { build } from "esbuild";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const NOTICE =
  "/* RingPad, MIT OR Apache-2.0. Contains @bufbuild/protobuf (Apache-2.0 AND BSD-3-Clause, Buf Technologies, Inc. " +
  "and Google Inc.), @connectrpc/connect, connect-web (Apache-2.0, The Connect Authors) and uqr (MIT, Anthony Fu; Project Nayuki). */";

const COPIED = ["index.html", "manifest.webmanifest", "icon.svg", "icon-192.png", "icon-512.png", "icon-maskable.png"];

export async function buildPage(out) {
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const page = join(root, "src/page");
  await build({
    absWorkingDir: root,
    entryPoints: { pad: join(page, "main.ts"), sw: join(page, "sw.ts") },
    entryNames: "[name]",
    outdir: out,
    bundle: true,
    minify: true,
    format: "esm",
    // What a tablet of the last few years runs.
    target: ["chrome105", "safari16", "firefox110"],
    charset: "utf8",
    banner: { js: NOTICE },
    legalComments: "none",
    logLevel: "warning",
  });
  await build({
    absWorkingDir: root,
    entryPoints: [join(page, "pad.css")],
    outdir: out,
    bundle: true,
    minify: true,
    target: ["chrome105", "safari16", "firefox110"],
    charset: "utf8",
    logLevel: "warning",
  });
  for (const file of COPIED) await copyFile(join(page, file), join(out, file));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPage(process.argv[2] ?? join(root, "dist"));
