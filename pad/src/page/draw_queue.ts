// Draws once for all messages of a burst. With a message channel and not a timer, because browsers delay timers in hidden
// tabs, where a call must ring as well.

/** Runs `draw` once after the current task, also if it is requested several times. */
export class DrawQueue {
  readonly #channel = new MessageChannel();
  #asked = false;

  constructor(draw: () => void) {
    this.#channel.port1.onmessage = () => {
      this.#asked = false;
      draw();
    };
  }

  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#channel.port2.postMessage(null);
  }
}
