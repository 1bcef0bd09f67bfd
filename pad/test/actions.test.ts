// Actions against a scripted server: what is sent, what is repeated, and what an action rejects with.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { ActionError } from "../src/client/action_error.ts";
import { Actions } from "../src/client/actions.ts";
import { NoToken, Tokens, type TokenSource } from "../src/client/tokens.ts";
import { CallSchema, CallState, ClaimSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { PadService } from "../src/gen/ringpad/v1/pad_pb.ts";
import { FakeClock, settle } from "./fakes.ts";

type Handlers = Partial<ServiceImpl<typeof PadService>>;

function rig(handlers: Handlers, source: TokenSource = () => Promise.resolve("token")) {
  const clock = new FakeClock();
  const transport = createRouterTransport(({ service }) => service(PadService, handlers));
  const client = createClient(PadService, transport);
  const tokens = new Tokens(source);
  const actions = new Actions({ client, tokens, clock, random: () => 0.5, serverNow: () => undefined });
  return { clock, actions, tokens };
}

const call = create(CallSchema, { id: "a", revision: 9n });
const unavailable = () => new ConnectError("draining", Code.Unavailable);

/** Lets time pass until the action is over; gives the error it rejected with, if it did. */
async function outcome(clock: FakeClock, action: Promise<unknown>): Promise<ActionError | undefined> {
  let over = false;
  const ended = action.then(() => undefined, (error: unknown) => error).finally(() => (over = true));
  for (let i = 0; i < 200 && !over; i += 1) {
    await settle();
    if (!over) await clock.advance(100);
  }
  assert.ok(over, "the action came to an end");
  const error = await ended;
  if (error !== undefined) assert.ok(error instanceof ActionError, String(error));
  return error;
}

test("each action has the call's id, a new request id, and the token", async () => {
  const ids = new Set<string>();
  const seen = (name: string) => (request: { callId: string; requestId: string }, context: { requestHeader: Headers }) => {
    assert.equal(context.requestHeader.get("authorization"), "Bearer token");
    assert.match(request.requestId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    ids.add(request.requestId);
    return { call: { ...call, memo: `${name} ${request.callId}` } };
  };
  const { actions } = rig({
    claimCall: seen("claim"),
    releaseCall: seen("release"),
    closeCall: seen("close"),
    reopenCall: seen("reopen"),
    saveNote(request, context) {
      assert.equal(request.note, "흰색");
      assert.equal(request.reservation?.carNumber, "12가 3456");
      return seen("note")(request, context);
    },
  });
  assert.equal((await actions.claim("a")).memo, "claim a");
  assert.equal((await actions.release("b")).memo, "release b");
  assert.equal((await actions.close("c")).memo, "close c");
  assert.equal((await actions.reopen("c")).memo, "reopen c");
  assert.equal((await actions.saveNote("d", { note: "흰색", reservation: { carNumber: "12가 3456" } })).memo, "note d");
  assert.equal(ids.size, 5);
});

test("without an answer an action is sent again with the same id and back-off", async () => {
  const ids: string[] = [];
  const { actions, clock } = rig({
    claimCall({ requestId }) {
      ids.push(requestId);
      if (ids.length < 4) throw ids.length === 1 ? new TypeError("Failed to fetch") : unavailable();
      return { call };
    },
  });
  assert.equal(await outcome(clock, actions.claim("a")), undefined);
  assert.equal(ids.length, 4);
  assert.equal(new Set(ids).size, 1);
});

test("after 10 s without an answer an action fails, and is not sent again", async () => {
  let asked = 0;
  const { actions, clock } = rig({
    closeCall() {
      asked += 1;
      throw unavailable();
    },
  });
  const began = clock.now();
  assert.equal((await outcome(clock, actions.close("a")))?.kind, "offline");
  assert.ok(clock.now() - began <= 10_100);
  assert.ok(asked >= 4, `${asked} attempts`);
  const before = asked;
  await clock.advance(60_000);
  assert.equal(asked, before);
});

test("an attempt that hangs is aborted, and the next one may succeed", async () => {
  let asked = 0;
  const { actions, clock } = rig({
    releaseCall() {
      asked += 1;
      return asked === 1 ? new Promise<never>(() => {}) : { call };
    },
  });
  assert.equal(await outcome(clock, actions.release("a")), undefined);
  assert.equal(asked, 2);
});

test("if another pad was first, the action fails immediately, with that pad's name if the server sends it", async () => {
  const holder = { padId: "p2", padName: "2번 카운터" };
  for (const details of [[{ desc: ClaimSchema, value: holder }], []]) {
    let asked = 0;
    const { actions, clock } = rig({
      claimCall() {
        asked += 1;
        throw new ConnectError("2번 카운터 has it", Code.FailedPrecondition, undefined, details);
      },
    });
    const error = await outcome(clock, actions.claim("a"));
    assert.equal(error?.kind, "claimed");
    assert.equal(error.claim?.padName, details.length > 0 ? "2번 카운터" : undefined);
    assert.match(error.message, /2번 카운터/);
    assert.equal(asked, 1);
  }
});

test("refusals of the server are final: not found, unimplemented, not allowed", async () => {
  for (const [code, kind] of [
    [Code.NotFound, "not-found"],
    [Code.Unimplemented, "refused"],
    [Code.PermissionDenied, "refused"],
    [Code.InvalidArgument, "refused"],
  ] as const) {
    const refuse = () => {
      throw new ConnectError("no", code);
    };
    const { actions, clock } = rig({ closeCall: refuse });
    assert.equal((await outcome(clock, actions.close("a")))?.kind, kind);
  }
});

test("with an expired token the source is asked once, and the same action is sent again", async () => {
  const tokens = ["old", "new"];
  const ids = new Set<string>();
  const { actions, clock } = rig(
    {
      claimCall({ requestId }, { requestHeader }) {
        ids.add(requestId);
        if (requestHeader.get("authorization") === "Bearer old") throw new ConnectError("expired", Code.Unauthenticated);
        return { call };
      },
    },
    () => Promise.resolve(tokens.shift() ?? ""),
  );
  assert.equal(await outcome(clock, actions.claim("a")), undefined);
  assert.equal(ids.size, 1);
});

test("an action fails if the token stays refused, or there is none", async () => {
  const refuse = () => {
    throw new ConnectError("bad", Code.Unauthenticated);
  };
  const stays = rig({ claimCall: refuse });
  assert.equal((await outcome(stays.clock, stays.actions.claim("a")))?.kind, "no-token");
  const none = rig({ claimCall: refuse }, () => Promise.reject(new NoToken("none")));
  assert.equal((await outcome(none.clock, none.actions.claim("a")))?.kind, "no-token");
});

test("a search sends its query, and resolves to a page", async () => {
  const { actions } = rig({
    listCalls(request) {
      assert.equal(request.callerSuffix, "5678");
      assert.deepEqual(request.states, [CallState.MISSED]);
      assert.deepEqual(request.since, timestampFromMs(1_000));
      assert.equal(request.until, undefined);
      assert.deepEqual([request.pageSize, request.pageToken], [20, "next"]);
      return { calls: [call], nextPageToken: "more" };
    },
  });
  const query = { callerSuffix: "5678", states: [CallState.MISSED], since: 1_000, pageSize: 20, pageToken: "next" };
  const page = await actions.listCalls(query);
  assert.deepEqual([page.calls.map(({ id }) => id), page.nextPageToken], [["a"], "more"]);
});
