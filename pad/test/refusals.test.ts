// Refusals of the server, and a pad without a token: shown, and tried again slowly.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NoToken } from "../src/client/tokens.ts";
import { Rig, settle } from "./fakes.ts";

test("with an expired token the source is asked once, and the stream continues", async () => {
  const tokens = ["old", "new"];
  const rig = new Rig({ token: () => Promise.resolve(tokens.shift() ?? "") });
  (await rig.connected(7n)).end("unauthenticated");
  await settle();
  assert.equal(rig.last().token, "new");
  assert.deepEqual(rig.asked, [undefined, "old"]);
  rig.last().snapshot({ position: 7n, resumed: true });
  assert.equal(rig.state, "connected");
  assert.ok(!rig.states.includes("needs-token"));
});

test("a token that stays refused is shown, and tried again slowly", async () => {
  const rig = new Rig();
  (await rig.start()).end("unauthenticated");
  await settle();
  assert.equal(rig.state, "needs-token");
  assert.equal(rig.streams.length, 1);
  await rig.clock.advance(300_000);
  const tries = rig.streams.length;
  rig.last().end("unauthenticated");
  await rig.clock.advance(29_999);
  assert.equal(rig.streams.length, tries);
  await rig.clock.advance(1);
  assert.equal(rig.streams.length, tries + 1);
  assert.equal(rig.state, "needs-token");
});

test("new tokens that are all refused are tried slowly", async () => {
  let made = 0;
  const rig = new Rig({ token: () => Promise.resolve(`token-${(made += 1)}`) });
  (await rig.start()).end("unauthenticated");
  await settle();
  rig.last().end("unauthenticated");
  await rig.clock.advance(14_999);
  assert.equal(rig.streams.length, 2);
  assert.equal(rig.state, "needs-token");
});

test("without a token the state is shown, and a new one is used immediately", async () => {
  let token = "";
  const rig = new Rig({
    token: () => (token === "" ? Promise.reject(new NoToken("none")) : Promise.resolve(token)),
  });
  rig.connection.start();
  await settle();
  assert.equal(rig.state, "needs-token");
  assert.equal(rig.streams.length, 0);
  token = "fresh";
  rig.connection.retryNow();
  await settle();
  assert.equal(rig.last().token, "fresh");
});

test("a token source that cannot be reached is tried again", async () => {
  const answers = [() => Promise.reject(new Error("502")), () => Promise.resolve("token")];
  const rig = new Rig({ token: () => (answers.shift() ?? (() => Promise.resolve("token")))() });
  rig.connection.start();
  await settle();
  assert.equal(rig.state, "reconnecting");
  await rig.clock.advance(500);
  assert.equal(rig.streams.length, 1);
});

test("forbidden and no such store are shown, and tried again slowly", async () => {
  for (const reason of ["forbidden", "no-store"] as const) {
    const rig = new Rig();
    (await rig.connected(7n)).end(reason);
    assert.equal(rig.state, reason);
    await rig.clock.advance(14_999);
    assert.equal(rig.streams.length, 1);
    await rig.clock.advance(15_001);
    assert.equal(rig.streams.length, 2);
    assert.equal(rig.state, reason);
    rig.last().snapshot({ position: 7n, resumed: true });
    assert.equal(rig.state, "connected");
  }
});

test("a store that was deleted and created again begins with a fresh snapshot", async () => {
  const rig = new Rig();
  (await rig.connected(7n)).end("no-store");
  await settle();
  assert.equal(rig.state, "no-store");
  await rig.clock.advance(300_000);
  assert.equal(rig.last().request.afterPosition, undefined);
});
