// The proxy in front of the page knows its files.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

test("nginx's log names every file of the page", () => {
  const conf = readFileSync("../deploy/nginx/nginx.conf", "utf8");
  const names = /^ *"~(\^\S*pad\\\.js\S*)" \$uri;$/m.exec(conf)?.[1];
  assert.ok(names, "no line of the map has pad.js");
  assert.deepEqual(readdirSync("dist").filter((file) => !new RegExp(names).test(`/${file}`)), []);
});
