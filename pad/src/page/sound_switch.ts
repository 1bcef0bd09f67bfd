// Sound on or off, and the banner that asks for a tap, without which browsers do not allow sound.

import { byId, element, setData, setHidden, setText } from "./dom.ts";
import { Ringer } from "./ringer.ts";
import { change, settings, type Settings } from "./settings.ts";
import { deviceStorage } from "./storage.ts";
import { text } from "./text.ts";

const STORED = "ringpad.sound";
/** Milliseconds in which a tap's click may come after the finger has left the screen. */
const TAP = 350;
/** Per cent, when somebody turns sound on whose volume was 0. */
const USUAL_VOLUME = 50;

/** The switch in the header and the banner below it. */
export class SoundSwitch {
  readonly #ringer: Ringer;
  readonly #changed: () => void;
  #sound = remembered();
  /** A touch that unlocked sound does not also toggle the switch under it. */
  #unlocking = false;
  /** Ends the tap, some time after the finger has left. */
  #ending: ReturnType<typeof setTimeout> | undefined;
  readonly #name = element("span", "");
  readonly #state = element("span", "");

  /** `changed` is called when {@link show} has something to show. */
  constructor(changed: () => void) {
    this.#changed = () => {
      // Moves nothing, unlike the banner.
      this.#showSwitch();
      changed();
    };
    this.#ringer = new Ringer(this.#changed);
    // Not for screen readers: they read `aria-pressed`, and "off, not pressed" would mean the opposite.
    this.#state.setAttribute("aria-hidden", "true");
    byId("sound-text").replaceChildren(this.#name, " ", this.#state);
    this.#ringer.tune(settings);
    this.#ringer.turn(this.#sound);
    byId("sound").addEventListener("click", () => this.#toggle());
    // Any touch unlocks sound, not only one on the banner.
    const on = (type: string, react: (event: Event) => void) => addEventListener(type, react, { capture: true });
    on("pointerdown", () => this.#touch());
    on("keydown", (event) => (event as KeyboardEvent).repeat || this.#begin());
    // A finger's touch may turn sound on only when it ends, a mouse's when it begins.
    on("touchend", () => this.#ringer.unlock());
    for (const end of ["pointerup", "pointercancel"]) on(end, () => this.#lift());
    // A screen reader's click comes without a touch.
    on("click", () => this.#unlock());
    addEventListener("click", () => (this.#unlocking = false));
  }

  /** Uses the settings as they are now. */
  tune(): void {
    this.#ringer.tune(settings);
  }

  /** Another tab has changed the settings, or has turned sound on or off. */
  reload(): void {
    this.#sound = remembered();
    this.#ringer.tune(settings);
    this.#ringer.turn(this.#sound);
  }

  /** Plays a tone once. */
  test(tone: Settings["tone"]): void {
    this.#ringer.test(tone);
  }

  ring(state: "ringing" | "quiet"): void {
    this.#ringer.ring(state);
  }

  /** Updates what is shown. */
  show(): void {
    setHidden(byId("unlock"), !this.#ringer.blocked);
    this.#showSwitch();
  }

  /** A volume of 0 is no sound, and is shown as such. */
  get #isOn(): boolean {
    return this.#sound === "on" && settings.volume > 0;
  }

  #showSwitch(): void {
    const on = this.#isOn && !this.#ringer.blocked;
    byId("sound").setAttribute("aria-pressed", String(on));
    setData(byId("sound"), "sound", this.#isOn ? "on" : "off");
    setText(this.#name, text.sound);
    setText(this.#state, on ? text.soundOn : text.soundOff);
  }

  #touch(): void {
    clearTimeout(this.#ending);
    this.#begin();
  }

  /** A touch or a key begins. */
  #begin(): void {
    this.#unlocking = false;
    this.#unlock();
  }

  #unlock(): void {
    this.#unlocking ||= this.#ringer.blocked;
    this.#ringer.unlock();
  }

  #lift(): void {
    this.#ringer.unlock();
    clearTimeout(this.#ending);
    this.#ending = setTimeout(() => (this.#unlocking = false), TAP);
  }

  #toggle(): void {
    if (this.#unlocking) return;
    this.#sound = this.#isOn ? "off" : "on";
    if (this.#sound === "on" && settings.volume === 0) change(deviceStorage(), { volume: USUAL_VOLUME });
    this.#ringer.tune(settings);
    this.#ringer.turn(this.#sound);
    try {
      localStorage.setItem(STORED, this.#sound);
    } catch {
      // Then it is kept until the page is loaded again.
    }
    this.#changed();
  }
}

function remembered(): "on" | "off" {
  try {
    return localStorage.getItem(STORED) === "off" ? "off" : "on";
  } catch {
    return "on";
  }
}
