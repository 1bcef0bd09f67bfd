// Draws once for all the messages of a burst. A message channel and no timer: timers sleep in hidden tabs, where a call
// must ring all the same.

/** Runs `draw` after what is running now, however often it is asked to meanwhile. */
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
