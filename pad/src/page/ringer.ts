// The ring tone: a soft three-note figure, made with Web Audio, for as long as a call rings. Browsers keep a page silent
// until somebody touches it, so whether sound can come is a state that people must see.

/** Notes of the figure: frequency in Hz, start in seconds. */
const FIGURE: readonly (readonly [number, number])[] = [
  [659.26, 0],
  [830.61, 0.14],
  [987.77, 0.28],
  [830.61, 0.56],
  [987.77, 0.7],
];
const EVERY = 2_400;
const LOUDNESS = 0.5;

/** Rings, once it may. */
export class Ringer {
  readonly #context: AudioContext | undefined;
  readonly #onChange: () => void;
  #on = true;
  #ringing = false;
  #timer: ReturnType<typeof setInterval> | undefined;
  #playing: GainNode | undefined;

  /** `onChange` is told when {@link blocked} may have changed. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#context = typeof AudioContext === "undefined" ? undefined : new AudioContext();
    this.#context?.addEventListener("statechange", () => this.#stateChanged());
  }

  /** True while the browser keeps us silent. */
  get blocked(): boolean {
    return this.#on && this.#context !== undefined && this.#context.state !== "running";
  }

  /** Call this from a tap or a key press: nothing else unlocks sound. */
  unlock(): void {
    if (this.#context && this.#context.state !== "running") this.#context.resume().catch(() => this.#onChange());
  }

  turn(sound: "on" | "off"): void {
    this.#on = sound === "on";
    this.#update();
    this.#onChange();
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
    const sounds = this.#ringing && this.#on && this.#context?.state === "running";
    if (sounds && this.#timer === undefined) {
      this.#play();
      this.#timer = setInterval(() => this.#play(), EVERY);
    } else if (!sounds && this.#timer !== undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#playing?.disconnect();
    }
  }

  #play(): void {
    const context = this.#context;
    if (!context) return;
    this.#playing?.disconnect();
    const out = new GainNode(context, { gain: LOUDNESS });
    out.connect(context.destination);
    for (const [frequency, at] of FIGURE) note(context, out, frequency, context.currentTime + at);
    this.#playing = out;
  }
}

/** A bell-like note: quickly there, slowly gone. */
function note(context: AudioContext, out: AudioNode, frequency: number, at: number): void {
  const envelope = new GainNode(context, { gain: 0 });
  envelope.gain.setValueAtTime(0, at);
  envelope.gain.linearRampToValueAtTime(0.7, at + 0.015);
  envelope.gain.exponentialRampToValueAtTime(0.001, at + 0.9);
  envelope.connect(out);
  const tone = new OscillatorNode(context, { frequency, type: "triangle" });
  tone.connect(envelope);
  tone.start(at);
  tone.stop(at + 1);
}
