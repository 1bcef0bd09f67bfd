// `npm run fixtures`: writes ../tests/fixtures/wire from test/wire_samples.ts.

import { build } from "esbuild";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bundle = join(root, "build/wire_samples.mjs");
await build({
  absWorkingDir: root,
  entryPoints: [join(root, "test/wire_samples.ts")],
  outfile: bundle,
  bundle: true,
  platform: "node",
  format: "esm",
});
const { fixtureFiles } = await import(pathToFileURL(bundle).href);
const target = join(root, "../tests/fixtures/wire");
await mkdir(target, { recursive: true });
for (const [name, content] of fixtureFiles()) await writeFile(join(target, name), content);
