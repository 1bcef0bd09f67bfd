// How far this pad has come in its store's events. The one place that decides whether a position is next, old, or
// shows that something between has been lost. Nothing is ever skipped: a gap is for the caller to mend by asking for a
// new stream from the position that is kept here.

import type { Snapshot } from "../gen/ringpad/v1/pad_pb.ts";

/** What a snapshot means: the calls in it replace all, or the stream goes on where we are, or it left a hole. */
export type SnapshotVerdict = "replace" | "resume" | "gap";
/** What an update's position means. */
export type UpdateVerdict = "next" | "seen" | "gap";

/** The last position handed on, and the store and epoch it belongs to. */
export class Cursor {
  #store = "";
  #epoch = "";
  #position: bigint | undefined;
  /** The next stream is of a store whose positions say nothing about ours. */
  #anew = false;

  get epoch(): string {
    return this.#epoch;
  }

  /** What the next stream is to go on from; undefined: from nothing. */
  get resumption(): bigint | undefined {
    return this.#anew ? undefined : this.#position;
  }

  /** Takes the beginning of a stream. */
  snapshot(snapshot: Pick<Snapshot, "resumed" | "epoch" | "position" | "store">): SnapshotVerdict {
    const store = snapshot.store?.id ?? "";
    if (!snapshot.resumed) {
      this.#anew = false;
      this.#store = store;
      this.#epoch = snapshot.epoch;
      this.#position = snapshot.position;
      return "replace";
    }
    if (store !== this.#store) {
      // The token is for another store now: all anew. What lives of ours goes on until then.
      this.#anew = true;
      return "gap";
    }
    // Beginning behind us is fine: another stream may have brought us further since this one was asked for.
    const continues =
      snapshot.epoch === this.#epoch && this.#position !== undefined && snapshot.position <= this.#position;
    return continues ? "resume" : "gap";
  }

  /** The store was deleted. Should it come back, it goes on from its position, but has none of the calls that we know. */
  storeIsGone(): void {
    this.#anew = true;
  }

  /** Takes an update's position; on `next` it is now ours. */
  update(position: bigint): UpdateVerdict {
    if (this.#position === undefined) return "gap";
    if (position <= this.#position) return "seen";
    if (position !== this.#position + 1n) return "gap";
    this.#position = position;
    return "next";
  }

  /** Whether a heartbeat shows that updates sent before it never came. */
  isBehind(heartbeat: bigint): boolean {
    return this.#position === undefined || heartbeat > this.#position;
  }
}
