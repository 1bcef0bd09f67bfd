// The client's clocks: a monotonic one for deadlines, and the wall clock only to notice that the machine slept (some
// browsers stop the monotonic clock meanwhile). Neither is compared with the server's time: server_time.ts does that.

/** A pending timer of a {@link Clock}. */
export interface Timer {
  /** Does nothing if it has fired already. */
  cancel(): void;
}

/** The client's source of time; tests have their own. */
export interface Clock {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Milliseconds of the wall clock; may jump. */
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
