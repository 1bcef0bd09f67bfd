// A fresh token before the old one expires: the shop sees no interruption, and a source without one is not asked all the time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NoToken, Tokens } from "../src/client/tokens.ts";
import { jwt, jwtFor, Rig, SERVER_EPOCH, settle } from "./fakes.ts";

const SECOND = 1_000;
const DAY = 86_400;

/** A source that gives these one after the other, the last for ever. */
function sourceOf(...tokens: string[]) {
  return () => Promise.resolve((tokens.length > 1 ? tokens.shift() : tokens[0]) ?? "");
}

test("1 to 2 min before the expiry the next stream is opened with a new token", async () => {
  for (const [random, after] of [
    [0, 840],
    [1, 780],
  ] as const) {
    const [old, fresh] = [jwtFor(900), jwtFor(1_800)];
    const rig = new Rig({ token: sourceOf(old, fresh) });
    rig.random = random;
    const first = await rig.connected(7n);
    await rig.live(first, after * SECOND - 1);
    assert.deepEqual(rig.asked, [undefined]);
    await rig.live(first, 1);
    assert.deepEqual(rig.asked, [undefined, old]);
    assert.deepEqual(rig.open.map(({ token }) => token), [old, fresh]);
    rig.resume();
    assert.ok(first.closed);
    assert.deepEqual(rig.states, ["connecting", "connected", "connected"]);
  }
});

test("each token is renewed at its own time, a short one at half of the time that is left", async () => {
  const rig = new Rig({ token: sourceOf(jwtFor(80), jwtFor(140), jwtFor(240)) });
  await rig.connected(7n);
  for (const [streams, seconds] of [
    [2, 40],
    [3, 50],
  ] as const) {
    await rig.live(rig.last(), seconds * SECOND - 1);
    assert.equal(rig.streams.length, streams - 1);
    await rig.live(rig.last(), 1);
    assert.equal(rig.streams.length, streams);
    rig.resume();
  }
  assert.ok(!rig.states.includes("reconnecting"));
});

test("a token that expires within seconds is not renewed, nor one without exp", async () => {
  for (const token of [jwtFor(9), jwtFor(-5), jwt({ sub: "p1" }), "opaque"]) {
    const rig = new Rig({ token: () => Promise.resolve(token) });
    const first = await rig.connected(7n);
    await rig.live(first, 20 * SECOND);
    assert.deepEqual(rig.asked, [undefined], token);
  }
});

test("a token for a year overflows no timer", async () => {
  const rig = new Rig({ token: () => Promise.resolve(jwtFor(365 * DAY)) });
  rig.random = 0;
  await rig.connected(7n);
  for (let hours = 0; hours < 3; hours += 1) {
    await rig.live(rig.last(), 30 * 60 * SECOND);
    rig.resume();
  }
  assert.deepEqual(rig.asked, [undefined]);
});

test("if the source gives a token that expires no later, it is asked once, and no stream is opened", async () => {
  const old = jwtFor(300);
  for (const again of [old, jwt({ sub: "p1", jti: "2", exp: SERVER_EPOCH / 1_000 + 300 })]) {
    const rig = new Rig({ token: sourceOf(old, again, jwtFor(900)) });
    const first = await rig.connected(7n);
    await rig.live(first, 299 * SECOND);
    assert.deepEqual(rig.asked, [undefined, old]);
    assert.equal(rig.streams.length, 1);
    first.end("unauthenticated");
    await settle();
    assert.equal(rig.last().token, jwtFor(900));
  }
});

test("a source that fails, or has no token, is asked again with back-off, without a change of the state", async () => {
  for (const error of [new Error("502"), new NoToken("logged out")]) {
    const [old, fresh] = [jwtFor(900), jwtFor(1_800)];
    let answer = () => Promise.resolve(old);
    const rig = new Rig({ token: () => answer() });
    const first = await rig.connected(7n);
    answer = () => Promise.reject(error);
    await rig.live(first, 780 * SECOND);
    const asked = [rig.asked.length];
    for (const wait of [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      await rig.live(first, wait - 1);
      assert.equal(rig.asked.length, asked.at(-1));
      await rig.live(first, 1);
      asked.push(rig.asked.length);
    }
    assert.deepEqual(asked, [2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(rig.states, ["connecting", "connected"]);
    answer = () => Promise.resolve(fresh);
    await rig.live(first, 10_000);
    assert.equal(rig.last().token, fresh);
    rig.resume();
    assert.deepEqual(rig.states, ["connecting", "connected", "connected"]);
  }
});

test("a source that fails is not asked any more when the token has expired", async () => {
  let answer = () => Promise.resolve(jwtFor(900));
  const rig = new Rig({ token: () => answer() });
  const first = await rig.connected(7n);
  answer = () => Promise.reject(new Error("502"));
  await rig.live(first, 915 * SECOND);
  const asked = rig.asked.length;
  await rig.live(first, 300 * SECOND);
  assert.equal(rig.asked.length, asked);
});

test("a new token that the server refuses does not end the current stream", async () => {
  const [old, bad] = [jwtFor(900), jwtFor(1_800)];
  const rig = new Rig({ token: sourceOf(old, bad) });
  const first = await rig.connected(7n);
  await rig.live(first, 780 * SECOND);
  rig.last().end("unauthenticated");
  await rig.live(first, 60 * SECOND);
  first.update(8n);
  assert.deepEqual(rig.positions, [8n]);
  assert.deepEqual(rig.states, ["connecting", "connected"]);
  assert.ok(rig.asked.length <= 6, `${rig.asked.length} questions`);
  assert.equal(rig.streams.length, 2);
  first.end("unauthenticated");
  await settle();
  assert.equal(rig.state, "needs-token");
});

test("an answer that comes after its stream has ended opens no stream", async () => {
  const [old, fresh] = [jwtFor(900), jwtFor(1_800)];
  const answers: ((token: string) => void)[] = [];
  const rig = new Rig({ token: () => new Promise((resolve) => answers.push(resolve)) });
  rig.connection.start();
  await settle();
  answers.shift()?.(old);
  await settle();
  const first = rig.last();
  first.snapshot({ position: 7n });
  await rig.live(first, 780 * SECOND);
  assert.equal(answers.length, 1);
  rig.connection.close();
  answers.shift()?.(fresh);
  await settle();
  assert.deepEqual([rig.streams.length, rig.clock.nextIn, rig.state], [1, undefined, "closed"]);
});

test("while a reconnect waits for its time, the new token waits as well", async () => {
  const rig = new Rig({ token: sourceOf(jwtFor(900), jwtFor(1_800)) });
  const first = await rig.connected(7n);
  await rig.live(first, 779 * SECOND);
  first.send({ case: "reconnect", value: { after: { seconds: 3n } } });
  await rig.live(first, 2_999);
  assert.deepEqual([rig.asked.length, rig.streams.length], [2, 1]);
  await rig.live(first, 1);
  assert.equal(rig.last().token, jwtFor(1_800));
  assert.equal(rig.streams.length, 2);
});

test("a renewal and an action ask the source once", async () => {
  let asked = 0;
  const tokens = new Tokens(() => Promise.resolve(jwtFor(900 * (asked += 1))));
  const old = await tokens.next(undefined);
  const late = SERVER_EPOCH + 880 * SECOND;
  const both = await Promise.all([tokens.after(old), tokens.next(late)]);
  assert.deepEqual([both, asked], [[jwtFor(1_800), jwtFor(1_800)], 2]);
  assert.equal(await tokens.after(old), jwtFor(1_800));
  assert.equal(asked, 2);
});
