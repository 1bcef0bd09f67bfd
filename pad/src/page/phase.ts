// The phase of a call, as the page shows it.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";

/** The phase of a call. */
export type Phase =
  | "ringing"
  /** It rang, and its end was not reported. */
  | "unknown"
  | "answered"
  | "ended"
  | "missed";

/** A call, and the `pop_until` of its update; undefined for calls that never popped up here. */
export interface Known {
  call: Call;
  popUntil: number | undefined;
}

/** The phase of a call at `now`. */
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

/** Until when a call rings; undefined if that is not known: its record came too late, or it is over. */
export function ringEnd({ call, popUntil }: Known): number | undefined {
  return popUntil ?? (call.popUntil && timestampMs(call.popUntil));
}

/** Not over yet, as far as it was reported. */
export function isOpen({ state }: Call): boolean {
  return state === CallState.RINGING || state === CallState.ANSWERED;
}

/** When the call began, ms since 1970. */
export function startedAt(call: Call): number {
  return call.startedAt ? timestampMs(call.startedAt) : 0;
}
