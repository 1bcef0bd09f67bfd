// A pad that is the npm package, in Node: `make chaos` has it on some of its pads. Prints what a page would be given, each as
// a SubscribeResponse in JSON on a line of its own.
//
//     npm run build:lib && node --experimental-websocket scripts/in_node.mjs URL TOKEN

import { create, toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { SubscribeResponseSchema } from "../lib/gen/ringpad/v1/pad_pb.js";

const [url, token] = process.argv.slice(2);

// What every page has, and Node has not. Nothing ever happens to this one.
const silent = { addEventListener() {}, removeEventListener() {} };
globalThis.window ??= silent;
globalThis.document ??= { ...silent, visibilityState: "visible" };

const { connect } = await import("../lib/index.js");

const print = (event) => console.log(toJsonString(SubscribeResponseSchema, create(SubscribeResponseSchema, { event })));

connect({
  url,
  token: () => Promise.resolve(token),
  onSnapshot: (value) => print({ case: "snapshot", value }),
  onCall({ call, popUntil, position }) {
    const value = { call, popUntil: popUntil === undefined ? undefined : timestampFromMs(popUntil) };
    print(position === undefined ? { case: "early", value } : { case: "update", value: { ...value, position } });
  },
  onState({ kind }) {
    console.error(kind);
  },
});
