// The ring tone: a soft figure of notes, made with Web Audio, while a call rings. Browsers keep a page silent until the user
// touches it, so the page must show whether sound is possible.

import type { Settings } from "./settings.ts";
import { browserClock, type Clock, type Timer } from "../client/clock.ts";

/** Notes of each tone's figure: frequency in Hz, start in seconds. */
const FIGURES: Record<Settings["tone"], readonly (readonly [number, number])[]> = {
  bell: [
    [659.26, 0],
    [830.61, 0.14],
    [987.77, 0.28],
    [830.61, 0.56],
    [987.77, 0.7],
  ],
  chime: [
    [1046.5, 0],
    [783.99, 0.35],
    [1046.5, 0.7],
  ],
  phone: [0, 0.09, 0.18, 0.27, 0.36, 0.9, 0.99, 1.08, 1.17, 1.26].map((at, index) => [index % 2 ? 880 : 698.46, at] as const),
};
const EVERY = 2_400;
/** The amplitude at 100 %. */
const LOUDEST = 0.5;

/** What the ringer needs of a browser; tests have their own. */
export interface RingerParts {
  /** Undefined where there is no Web Audio. */
  context: AudioContext | undefined;
  clock: Pick<Clock, "after">;
}

/** Plays the ring tone, as soon as the browser allows it. */
export class Ringer {
  readonly #context: AudioContext | undefined;
  readonly #clock: Pick<Clock, "after">;
  readonly #onChange: () => void;
  #on = true;
  #ringing = false;
  #tone: Settings["tone"] = "bell";
  #volume = 100;
  /** Plays the figure again; undefined while nothing is played. */
  #again: Timer | undefined;
  #playing: GainNode | undefined;

  /** `onChange` is called when {@link blocked} may have changed. */
  constructor(onChange: () => void, { context, clock }: RingerParts = browserParts()) {
    this.#onChange = onChange;
    this.#context = context;
    this.#clock = clock;
    this.#context?.addEventListener("statechange", () => this.#stateChanged());
  }

  /** True while the browser does not allow sound. */
  get blocked(): boolean {
    return this.#on && this.#context !== undefined && this.#context.state !== "running";
  }

  /** To be called in the event of a tap or a key: browsers allow sound only then. */
  unlock(): void {
    if (this.#context && this.#context.state !== "running") this.#context.resume().catch(() => this.#onChange());
  }

  turn(sound: "on" | "off"): void {
    this.#on = sound === "on";
    this.#update();
    this.#onChange();
  }

  /** Uses another tone from the next figure on, and another volume (per cent) at once. */
  tune({ tone, volume }: Pick<Settings, "tone" | "volume">): void {
    this.#tone = tone;
    this.#volume = volume;
    if (this.#playing) this.#playing.gain.value = loudness(volume);
  }

  /** Plays a tone's figure once, also while the sound is off; not during a ring. */
  test(tone: Settings["tone"]): void {
    if (this.#context?.state === "running" && !this.#again) this.#figure(this.#context, tone);
  }

  /** Whether a call rings now. */
  ring(state: "ringing" | "quiet"): void {
    this.#ringing = state === "ringing";
    this.#update();
  }

  #stateChanged(): void {
    this.#update();
    this.#onChange();
  }

  #update(): void {
    const context = this.#context;
    const sounds = this.#ringing && this.#on && context?.state === "running";
    if (sounds && !this.#again) this.#play(context);
    if (!sounds && this.#again) this.#stop();
  }

  #figure(context: AudioContext, tone = this.#tone): void {
    this.#playing?.disconnect();
    const out = context.createGain();
    out.gain.value = loudness(this.#volume);
    out.connect(context.destination);
    for (const [frequency, at] of FIGURES[tone]) note(context, out, frequency, context.currentTime + at);
    this.#playing = out;
  }

  #play(context: AudioContext): void {
    this.#figure(context);
    this.#again = this.#clock.after(EVERY, () => this.#play(context));
  }

  /** Immediately, also notes that are sounding. */
  #stop(): void {
    this.#again?.cancel();
    this.#again = undefined;
    this.#playing?.disconnect();
    this.#playing = undefined;
  }
}

function browserParts(): RingerParts {
  return { context: typeof AudioContext === "undefined" ? undefined : new AudioContext(), clock: browserClock };
}

/** The amplitude for a volume in per cent: ears hear half of it at a quarter. */
function loudness(volume: number): number {
  return LOUDEST * (volume / 100) ** 2;
}

/** A note like a bell: a fast attack and a slow decay. */
function note(context: AudioContext, out: AudioNode, frequency: number, at: number): void {
  const envelope = context.createGain();
  envelope.gain.value = 0;
  envelope.gain.setValueAtTime(0, at);
  envelope.gain.linearRampToValueAtTime(0.7, at + 0.015);
  envelope.gain.exponentialRampToValueAtTime(0.001, at + 0.9);
  envelope.connect(out);
  const tone = context.createOscillator();
  tone.frequency.value = frequency;
  tone.type = "triangle";
  tone.connect(envelope);
  tone.start(at);
  tone.stop(at + 1);
}
