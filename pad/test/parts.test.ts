// The client's small parts: back-off, the server's time, tokens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, slowRetry } from "../src/client/backoff.ts";
import { ServerTime } from "../src/client/server_time.ts";
import { expiryOf, identityOf, Tokens } from "../src/client/tokens.ts";
import { jwt } from "./fakes.ts";

test("back-off stays between 0 and min(10 s, 0.5 s · 2^n)", () => {
  const longest = [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000];
  longest.forEach((most, failures) => {
    assert.equal(backoff(failures, () => 0), 0);
    assert.equal(backoff(failures, () => 0.5), most / 2);
    assert.equal(backoff(failures, () => 1), most);
  });
  assert.equal(backoff(5_000, () => 1), 10_000);
});

/** The machine's own clock, at any time. */
const WALL = 5_000_000;

test("after a refusal the source is asked again after 15 to 30 s", () => {
  assert.equal(slowRetry(() => 0), 15_000);
  assert.equal(slowRetry(() => 1), 30_000);
});

test("the server's time is the best of the last samples: a delayed message does not make it worse", () => {
  const time = new ServerTime();
  assert.equal(time.at(0, WALL), undefined);
  time.sample(1_000_000, 100, WALL + 100);
  time.sample(1_005_000, 5_900, WALL + 5_900);
  assert.equal(time.at(6_000, WALL + 6_000), 1_005_900);
});

test("the server's time follows a clock that continued while ours stood still", () => {
  const time = new ServerTime();
  time.sample(1_000_000, 100, WALL);
  time.sample(1_600_000, 5_100, WALL + 600_000);
  assert.equal(time.at(5_200, WALL + 600_100), 1_600_100);
});

test("sleep of the machine is noticed by its own clock, before a message of the server; a clock that was set by a little is not sleep", () => {
  const time = new ServerTime();
  time.sample(1_000_000, 100, WALL);
  assert.equal(time.at(200, WALL + 3 * 3_600_000 + 100), 1_000_100 + 3 * 3_600_000);
  assert.equal(time.at(200, WALL + 9_000), 1_000_100);
  assert.equal(time.at(200, WALL - 3_600_000), 1_000_100);
});

test("an old sample is dropped", () => {
  const time = new ServerTime();
  time.sample(9_000_000, 0, WALL);
  for (let i = 1; i <= 12; i += 1) time.sample(1_000_000 + i * 5_000, i * 5_000, WALL);
  assert.equal(time.at(60_000, WALL), 1_060_000);
});

test("a token's expiry is read; other tokens are opaque", () => {
  assert.equal(expiryOf(jwt({ exp: 1_700_000_000, name: "카운터" })), 1_700_000_000_000);
  assert.equal(expiryOf(jwt({})), undefined);
  assert.equal(expiryOf("opaque"), undefined);
});

test("a token is asked for once, and again when the server's time says that it is about to expire", async () => {
  const asked: (string | undefined)[] = [];
  const token = jwt({ exp: 1_000 });
  const tokens = new Tokens((refused) => {
    asked.push(refused);
    return Promise.resolve(token);
  });
  await tokens.next(undefined);
  await tokens.next(undefined);
  await tokens.next(970_000);
  assert.deepEqual(asked, [undefined]);
  await tokens.next(970_001);
  assert.deepEqual(asked, [undefined, token]);
});

test("a stream and an action that are refused together ask for the next token once", async () => {
  let asked = 0;
  const tokens = new Tokens(() => Promise.resolve(`token-${(asked += 1)}`));
  const old = await tokens.next(undefined);
  assert.ok(tokens.refused(old));
  const both = Promise.all([tokens.next(undefined), tokens.next(undefined)]);
  assert.ok(tokens.refused(old));
  assert.deepEqual(await both, ["token-2", "token-2"]);
  assert.ok(tokens.refused(old), "somebody has replaced it already");
  assert.ok(!tokens.refused("token-2"), "the new one is refused too");
});

test("a token names its pad, in any script; one that cannot be read names none", () => {
  const claims = Buffer.from(JSON.stringify({ sub: "p1", name: "1번 카운터" })).toString("base64url");
  assert.deepEqual(identityOf(`a.${claims}.c`), { id: "p1", name: "1번 카운터" });
  for (const token of ["", "a.b.c", "opaque"]) assert.equal(identityOf(token), undefined);
});
