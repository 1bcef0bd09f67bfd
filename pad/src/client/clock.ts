// Time as the client sees it: a monotonic reading for deadlines, the wall clock for one thing only (noticing that the
// machine slept, during which some browsers stop the monotonic clock). Nothing here is ever compared with a server's
// time: that is server_time.ts.

/** A pending timer of a {@link Clock}. */
export interface Timer {
  /** Does nothing when it has fired already. */
  cancel(): void;
}

/** Where the client gets its time from; tests bring their own. */
export interface Clock {
  /** Milliseconds, never going back. */
  now(): number;
  /** Milliseconds of the machine's own clock; may jump. */
  wall(): number;
  after(milliseconds: number, run: () => void): Timer;
}

/** The browser's time. */
export const browserClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(milliseconds, run) {
    const id = setTimeout(run, milliseconds);
    return { cancel: () => clearTimeout(id) };
  },
};
