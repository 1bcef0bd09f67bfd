// How a call stands, as people say it.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";

/** How a call stands. */
export type Phase =
  | "ringing"
  /** It rang, and nobody told how it ended. */
  | "unknown"
  | "answered"
  | "ended"
  | "missed";

/** A call, and what an update said of how long it pops; undefined for calls that never popped here. */
export interface Known {
  call: Call;
  popUntil: number | undefined;
}

/** How a call stands at `now`. */
export function phaseOf(known: Known, now: number): Phase {
  switch (known.call.state) {
    case CallState.ANSWERED:
      return "answered";
    case CallState.COMPLETED:
      return "ended";
    case CallState.MISSED:
      return "missed";
    default:
      return now < (ringEnd(known) ?? now) ? "ringing" : "unknown";
  }
}

/** Until when a call rings; undefined where nobody told: its record came too late, or it is over. */
export function ringEnd({ call, popUntil }: Known): number | undefined {
  return popUntil ?? (call.popUntil && timestampMs(call.popUntil));
}

/** Not over yet, as far as we were told. */
export function isOpen({ state }: Call): boolean {
  return state === CallState.RINGING || state === CallState.ANSWERED;
}

/** When the call began, ms since 1970. */
export function startedAt(call: Call): number {
  return call.startedAt ? timestampMs(call.startedAt) : 0;
}
