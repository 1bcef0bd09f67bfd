// The position of this pad in its store's events. Only this file decides whether a position is the next one, an old one,
// or shows a gap. Nothing is skipped: at a gap the caller opens a new stream from the position that is kept here.

import type { Snapshot } from "../gen/ringpad/v1/pad_pb.ts";

/** What a snapshot means: its calls replace all, or the stream continues at our position, or there is a gap. */
export type SnapshotVerdict = "replace" | "resume" | "gap";
/** What an update's position means. */
export type UpdateVerdict = "next" | "seen" | "gap";

/** The last delivered position, with its store and epoch. */
export class Cursor {
  #store = "";
  #epoch = "";
  #position: bigint | undefined;
  /** Our position is of no use for the next stream, e.g. because it is of another store. */
  #needsSnapshot = false;

  get epoch(): string {
    return this.#epoch;
  }

  /** The position after which the next stream begins; undefined: with a fresh snapshot. */
  get resumption(): bigint | undefined {
    return this.#needsSnapshot ? undefined : this.#position;
  }

  /** Judges the first message of a stream. */
  snapshot(snapshot: Pick<Snapshot, "resumed" | "epoch" | "position" | "store">): SnapshotVerdict {
    const store = snapshot.store?.id ?? "";
    if (!snapshot.resumed) {
      this.#needsSnapshot = false;
      this.#store = store;
      this.#epoch = snapshot.epoch;
      this.#position = snapshot.position;
      return "replace";
    }
    if (store !== this.#store) {
      // The token is for another store now: begin with a fresh snapshot. The current stream continues until then.
      this.#needsSnapshot = true;
      return "gap";
    }
    // It may begin before our position: another stream may have delivered more since this one was opened.
    const continues =
      snapshot.epoch === this.#epoch && this.#position !== undefined && snapshot.position <= this.#position;
    return continues ? "resume" : "gap";
  }

  /** The store was deleted. If it is created again, its positions continue, but it has none of the calls that we know. */
  storeIsGone(): void {
    this.#needsSnapshot = true;
  }

  /** Judges an update's position; after `next` it is our position. */
  update(position: bigint): UpdateVerdict {
    if (this.#position === undefined) return "gap";
    if (position <= this.#position) return "seen";
    if (position !== this.#position + 1n) return "gap";
    this.#position = position;
    return "next";
  }

  /** Whether a heartbeat shows that updates before it were lost. */
  isBehind(heartbeat: bigint): boolean {
    return this.#position === undefined || heartbeat > this.#position;
  }
}
