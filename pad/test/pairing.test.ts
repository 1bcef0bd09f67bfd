// How a tablet is paired: codes, what ends them, and the credential.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { NoToken } from "../src/client/tokens.ts";
import { BeginResponseSchema, IssueTokenResponseSchema, PollResponseSchema } from "../src/gen/ringpad/v1/pairing_pb.ts";
import { Pairing } from "../src/page/pairing.ts";
import { FakeClock, settle } from "./fakes.ts";

/** A tablet, and a server whose answers a test sets. */
class Rig {
  readonly clock = new FakeClock();
  readonly stored: Map<string, string>;
  begun = 0;
  polls = 0;
  paired = 0;
  begin: Code | undefined;
  poll: Code | "waits" | "approved" = "waits";
  issue: Code | undefined;
  revoked = 0;

  constructor(stored = new Map<string, string>()) {
    this.stored = stored;
  }

  readonly pairing = new Pairing({
    client: {
      begin: async () => {
        if (this.begin !== undefined) throw new ConnectError("", this.begin);
        this.begun += 1;
        const times = { expiresAfter: durationFromMs(60_000), pollInterval: durationFromMs(3_000) };
        return create(BeginResponseSchema, { credential: `c${this.begun}`, code: `10000${this.begun}`, ...times });
      },
      poll: async () => {
        this.polls += 1;
        if (typeof this.poll === "number") throw new ConnectError("", this.poll);
        return create(PollResponseSchema, this.poll === "approved" ? { pad: { id: "p1" } } : {});
      },
      issueToken: async ({ credential }) => {
        if (this.issue !== undefined) throw new ConnectError("", this.issue);
        return create(IssueTokenResponseSchema, { token: `token for ${credential}` });
      },
    },
    clock: this.clock,
    storage: {
      getItem: (key) => this.stored.get(key) ?? null,
      setItem: (key, value) => void this.stored.set(key, value),
      removeItem: (key) => void this.stored.delete(key),
    },
    paired: () => (this.paired += 1),
    revoked: () => (this.revoked += 1),
    changed: () => {},
  });

  get code(): string | undefined {
    const { state } = this.pairing;
    return state?.kind === "code" ? state.code : state?.kind;
  }

  async after(milliseconds: number): Promise<void> {
    await this.clock.advance(milliseconds);
    await settle();
  }
}

test("a code that is approved becomes a credential, and the credential tokens", async () => {
  const rig = new Rig();
  rig.pairing.begin();
  rig.pairing.begin();
  await settle();
  assert.deepEqual([rig.code, rig.begun], ["100001", 1]);
  await rig.after(3_000);
  assert.deepEqual([rig.polls, rig.paired], [1, 0]);
  rig.poll = "approved";
  await rig.after(3_000);
  assert.deepEqual([rig.code, rig.paired, [...rig.stored.values()]], [undefined, 1, ["c1"]]);
  assert.equal(await rig.pairing.token(), "token for c1");
});

test("a code that is approved while the page is loaded again is the tablet's, and an expired one is replaced", async () => {
  const before = new Rig();
  before.pairing.begin();
  await settle();
  const after = new Rig(before.stored);
  after.pairing.begin();
  await settle();
  assert.deepEqual([after.code, after.begun], ["100001", 0]);
  after.poll = "approved";
  await after.after(2_000);
  assert.deepEqual([after.code, after.paired], [undefined, 1]);
  assert.deepEqual([...after.stored.values()], ["c1"]);

  const stale = new Rig(new Map([["ringpad.code", "999999 old"]]));
  stale.poll = Code.NotFound;
  stale.pairing.begin();
  await stale.after(2_000);
  assert.deepEqual([stale.code, stale.begun], ["100001", 1]);
});

test("a code that has expired is replaced, by the server's word and by its own time", async () => {
  const rig = new Rig();
  rig.pairing.begin();
  await rig.after(0);
  rig.poll = Code.NotFound;
  await rig.after(3_000);
  assert.equal(rig.code, "100002");
  rig.poll = Code.Unavailable;
  for (let polls = 0; polls < 20; polls += 1) await rig.after(3_000);
  assert.equal(rig.code, "100003");
});

test("without an answer it tries again, and says why there is no code", async () => {
  for (const [code, state, again] of [[Code.Unavailable, "offline", 5_000], [Code.ResourceExhausted, "full", 30_000]] as const) {
    const rig = new Rig();
    rig.begin = code;
    rig.pairing.begin();
    await settle();
    assert.equal(rig.code, state);
    rig.begin = undefined;
    await rig.after(again);
    assert.equal(rig.code, "100001");
  }
  const old = new Rig();
  old.begin = Code.Unimplemented;
  old.pairing.begin();
  await settle();
  assert.equal(old.code, "unavailable");
});

test("only UNAUTHENTICATED ends a credential", async () => {
  const rig = new Rig();
  rig.stored.set("ringpad.credential", "c9");
  for (const code of [Code.Unavailable, Code.Unimplemented, Code.PermissionDenied, Code.NotFound, Code.ResourceExhausted, Code.Unknown]) {
    rig.issue = code;
    await assert.rejects(rig.pairing.token(), (error) => !(error instanceof NoToken));
    assert.equal(rig.pairing.isPaired, true);
  }
  assert.equal(rig.revoked, 0);
  rig.issue = Code.Unauthenticated;
  await assert.rejects(rig.pairing.token(), NoToken);
  assert.equal(rig.pairing.isPaired, false);
  await assert.rejects(rig.pairing.token(), NoToken);
  assert.equal(rig.revoked, 1);
});

test("a tab whose credential was removed by another tab forgets as well, and one that never had one does not", async () => {
  const rig = new Rig();
  await assert.rejects(rig.pairing.token(), NoToken);
  assert.equal(rig.revoked, 0);
  rig.stored.set("ringpad.credential", "c9");
  await rig.pairing.token();
  rig.stored.delete("ringpad.credential");
  await assert.rejects(rig.pairing.token(), NoToken);
  assert.equal(rig.revoked, 1);
});
