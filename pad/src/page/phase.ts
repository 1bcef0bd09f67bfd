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

/** A call and until when it rings; `popUntil` is undefined for calls that never popped here. */
export interface Known {
  call: Call;
  popUntil: number | undefined;
}

/** How long a call rings when nobody told us. */
const USUAL_RING = 30_000;

/** How a call stands at `now`. */
export function phaseOf({ call, popUntil }: Known, now: number): Phase {
  switch (call.state) {
    case CallState.ANSWERED:
      return "answered";
    case CallState.COMPLETED:
      return "ended";
    case CallState.MISSED:
      return "missed";
    default:
      return now < (popUntil ?? ringEnd(call)) ? "ringing" : "unknown";
  }
}

/** Until when a call rings, as far as its beginning tells. */
export function ringEnd(call: Call): number {
  return startedAt(call) + USUAL_RING;
}

/** Not over yet, as far as we were told. */
export function isOpen({ state }: Call): boolean {
  return state === CallState.RINGING || state === CallState.ANSWERED;
}

/** When the call began, ms since 1970. */
export function startedAt(call: Call): number {
  return call.startedAt ? timestampMs(call.startedAt) : 0;
}
