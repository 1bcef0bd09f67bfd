// How long to wait before the next try. Full jitter, so that the pads of a restarted replica do not reconnect at the same time.

const FIRST_STEP = 500;
const LONGEST = 10_000;
const SLOW_FROM = 15_000;
const SLOW_TO = 30_000;

/** Milliseconds before the try after `failures` failed ones: random(0, min(10 s, 0.5 s · 2^failures)). */
export function backoff(failures: number, random: () => number): number {
  return random() * Math.min(LONGEST, FIRST_STEP * 2 ** failures);
}

/** Milliseconds before the next try after a refusal: the answer changes only after a person has done something. */
export function slowRetry(random: () => number): number {
  return SLOW_FROM + random() * (SLOW_TO - SLOW_FROM);
}
