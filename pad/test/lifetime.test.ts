// A connection that is closed by its own listener, one that cannot be opened at all, and one whose token changes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NoToken } from "../src/client/tokens.ts";
import { jwt, Rig, settle } from "./fakes.ts";

const HOUR = 3_600_000;

test("a connection that is closed in a listener stays closed", async () => {
  for (const reason of ["network", "unavailable", "no-store", "forbidden", "unauthenticated", "replaced"] as const) {
    const rig = new Rig();
    const stream = await rig.connected(7n);
    rig.onState = (kind) => {
      if (kind !== "connected" && kind !== "closed") rig.connection.close();
    };
    stream.end(reason);
    await rig.clock.advance(HOUR);
    assert.deepEqual([rig.streams.length, rig.state], [1, "closed"], reason);
  }
});

test("closed in onSnapshot", async () => {
  const rig = new Rig({ token: () => Promise.resolve(jwt({ exp: 4_000_000_000 })) });
  rig.onSnapshot = () => rig.connection.close();
  (await rig.start()).snapshot({ position: 7n });
  await rig.clock.advance(HOUR);
  assert.deepEqual([rig.streams.length, rig.open.length, rig.states], [1, 0, ["connecting", "closed"]]);
});

test("closed in onState when there is no token", async () => {
  const rig = new Rig({ token: () => Promise.reject(new NoToken("none")) });
  rig.onState = (kind) => {
    if (kind === "needs-token") rig.connection.close();
  };
  rig.connection.start();
  await rig.clock.advance(HOUR);
  assert.deepEqual([rig.asked.length, rig.state], [1, "closed"]);
});

test("an address that the browser does not accept is an error: reported, and tried again", async () => {
  const errors: unknown[] = [];
  const rig = new Rig();
  Object.assign(globalThis, { reportError: (error: unknown) => errors.push(error) });
  rig.refuses = new SyntaxError("no such scheme");
  rig.connection.start();
  await rig.clock.advance(5_000);
  assert.equal(rig.state, "reconnecting");
  rig.refuses = undefined;
  await rig.clock.advance(10_000);
  rig.last().snapshot({ position: 7n });
  assert.equal(rig.state, "connected");
  assert.ok(errors.length > 0 && errors.every((error) => error instanceof SyntaxError));
});

test("another token is used immediately for a new stream, while the current one continues", async () => {
  let token = "a";
  const rig = new Rig({ token: () => Promise.resolve(token) });
  const first = await rig.connected(7n);
  token = "b";
  rig.connection.tokenChanged();
  await settle();
  assert.deepEqual([rig.last().token, first.closed, rig.state], ["b", false, "connected"]);
  rig.resume();
  assert.deepEqual([first.closed, rig.states], [true, ["connecting", "connected", "connected"]]);
});

test("tokenChanged() asks the source", async () => {
  let token = "for a store that is gone";
  const rig = new Rig({ token: () => Promise.resolve(token) });
  (await rig.start()).end("no-store");
  token = "for one that is there";
  rig.connection.retryNow();
  await settle();
  assert.equal(rig.last().token, token);
});
