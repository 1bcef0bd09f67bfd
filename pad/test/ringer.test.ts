// The ring tone: it sounds while a call rings, and stops immediately.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Ringer } from "../src/page/ringer.ts";
import { FakeClock } from "./fakes.ts";

/** A node of a {@link FakeAudio}. */
class FakeNode {
  into: FakeNode | undefined;
  readonly gain = { value: 1, setValueAtTime() {}, linearRampToValueAtTime() {}, exponentialRampToValueAtTime() {} };
  readonly frequency = { value: 0 };

  connect(into: FakeNode): void {
    this.into = into;
  }

  disconnect(): void {
    this.into = undefined;
  }

  /** Whether the sound reaches the loudspeaker. */
  reaches(end: FakeNode): boolean {
    return this === end || (this.into?.reaches(end) ?? false);
  }
}

/** Web Audio as far as the ringer uses it. */
class FakeAudio extends EventTarget {
  state = "running";
  readonly destination = new FakeNode();
  readonly notes: FakeNode[] = [];
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    super();
    this.#clock = clock;
  }

  get currentTime(): number {
    return this.#clock.now() / 1_000;
  }

  createGain(): FakeNode {
    return new FakeNode();
  }

  createOscillator(): FakeNode {
    const { notes } = this;
    return Object.assign(new FakeNode(), { start(this: FakeNode) { notes.push(this); }, stop() {} });
  }

  become(state: "running" | "suspended"): void {
    this.state = state;
    this.dispatchEvent(new Event("statechange"));
  }

  get audible(): number {
    return this.notes.filter((note) => note.reaches(this.destination)).length;
  }
}

function rig() {
  const clock = new FakeClock();
  const audio = new FakeAudio(clock);
  const ringer = new Ringer(() => {}, { context: audio as unknown as AudioContext, clock });
  return { clock, audio, ringer };
}

const FIGURE = 5;

test("while a call rings the figure is repeated, one at a time, however often ring() is called", async () => {
  const { clock, audio, ringer } = rig();
  ringer.ring("ringing");
  ringer.ring("ringing");
  assert.equal(audio.notes.length, FIGURE);
  for (let second = 0; second < 24; second += 1) {
    await clock.advance(1_000);
    ringer.ring("ringing");
  }
  assert.equal(audio.notes.length, 11 * FIGURE);
  assert.equal(audio.audible, FIGURE);
});

const ENDS: [string, (parts: ReturnType<typeof rig>) => void][] = [
  ["the ring ends", ({ ringer }) => ringer.ring("quiet")],
  ["somebody mutes it", ({ ringer }) => ringer.turn("off")],
  ["the browser takes sound away", ({ audio }) => audio.become("suspended")],
];
for (const [what, end] of ENDS) {
  test(`when ${what}, sound stops immediately, and no note follows`, async () => {
    const parts = rig();
    const { clock, audio, ringer } = parts;
    ringer.ring("ringing");
    await clock.advance(2_500);
    assert.ok(audio.audible > 0);
    end(parts);
    assert.equal(audio.audible, 0);
    const { length } = audio.notes;
    await clock.advance(60_000);
    assert.equal(audio.notes.length, length);
    assert.equal(clock.nextIn, undefined);
  });
}

test("a ring that was muted sounds again when sound is turned on, and one that waited for a tap after it", async () => {
  const { audio, ringer } = rig();
  ringer.turn("off");
  audio.become("suspended");
  ringer.ring("ringing");
  assert.equal(ringer.blocked, false);
  ringer.turn("on");
  assert.equal(ringer.blocked, true);
  assert.equal(audio.notes.length, 0);
  audio.become("running");
  assert.equal(audio.audible, FIGURE);
  assert.equal(ringer.blocked, false);
});

test("another volume is heard at once, also in the middle of a figure; at 0 nothing is heard", () => {
  const { audio, ringer } = rig();
  ringer.ring("ringing");
  const out = () => audio.notes.at(-1)?.into?.into ?? assert.fail("no note");
  assert.equal(out().gain.value, 0.5);
  for (const [volume, amplitude] of [[50, 0.125], [0, 0]] as const) {
    ringer.tune({ tone: "bell", volume });
    assert.equal(out().gain.value, amplitude);
  }
});

test("a test plays the tone once, also while sound is off; during a ring it plays nothing", async () => {
  const { clock, audio, ringer } = rig();
  ringer.turn("off");
  ringer.test("chime");
  await clock.advance(10_000);
  assert.equal(audio.notes.length, 3);
  ringer.turn("on");
  ringer.ring("ringing");
  ringer.test("chime");
  assert.equal(audio.notes.length, 3 + FIGURE);
});

test("without Web Audio there is no sound, and no banner that asks for a tap", () => {
  const ringer = new Ringer(() => {}, { context: undefined, clock: new FakeClock() });
  ringer.ring("ringing");
  ringer.unlock();
  assert.equal(ringer.blocked, false);
});
