// What a connection reports to the page.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Snapshot, StoreRef } from "../gen/ringpad/v1/pad_pb.ts";
import type { TransportName } from "./transport.ts";

/** The state of the connection. */
export type ConnectionState =
  | { kind: "connecting" }
  | { kind: "connected"; store: StoreRef | undefined; transport: TransportName }
  | { kind: "reconnecting" }
  /** No token, or one that the server refuses. The token source is asked again now and then. */
  | { kind: "needs-token" }
  | { kind: "forbidden" }
  | { kind: "no-store" }
  /** Another stream of this session has replaced ours repeatedly. Tried again now and then. */
  | { kind: "replaced" }
  | { kind: "closed" };

/** The newest version of a call. */
export interface CallEvent {
  call: Call;
  /** Until when (server time, ms since 1970) it is worth a popup; undefined: do not pop. */
  popUntil: number | undefined;
  /** Undefined for an early one, which comes again with its position. */
  position: bigint | undefined;
}

/** Gets the events of a connection. */
export interface ConnectionListener {
  /** Replaces all calls. */
  onSnapshot(snapshot: Snapshot): void;
  /** Replaces the call with the same id, unless that one has a higher revision. */
  onCall(event: CallEvent): void;
  onState(state: ConnectionState): void;
  /**
   * The server's time was estimated wrongly by `corrected` milliseconds: by hours if the machine's own clock was set.
   * Everything that depends on the server's time must be decided again.
   */
  onServerTime?(corrected: number): void;
}

/** An exception in a listener is reported to the page, and changes neither the stream nor the order of events. */
export function notify(call: () => void): void {
  try {
    call();
  } catch (error) {
    reportError(error);
  }
}
