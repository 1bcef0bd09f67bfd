// The pad page: wires the client to the board and the board to the screen.

import { connect, type Pad } from "../client/connect.ts";
import { Board, type Popup } from "./board.ts";
import { CallList } from "./call_list.ts";
import { byId, KeyedList, setHidden, setText } from "./dom.ts";
import { DrawQueue } from "./draw_queue.ts";
import { callerName, customer, fullDate, timeOfDay } from "./format.ts";
import { popupView, type PopupItem } from "./popup_view.ts";
import { SoundSwitch } from "./sound_switch.ts";
import { Status } from "./status.ts";
import { text } from "./text.ts";
import { takeFromAddress, tokenSource, tokenUrlOfPage } from "./token.ts";

const WITH_POPUPS = 1_000;
const WITHOUT = 30_000;

class PadPage {
  readonly #board = new Board();
  readonly #popups: KeyedList<PopupItem>;
  readonly #recent = new CallList(byId("recent"), byId("no-recent"));
  readonly #missed = new CallList(byId("missed"), byId("no-missed"));
  readonly #sound = new SoundSwitch();
  readonly #status = new Status(() => this.#pad.retryNow());
  readonly #drawing = new DrawQueue(() => this.#draw());
  readonly #announced = new Set<string>();
  readonly #pad: Pad;
  #title = "RingPad";
  #tick: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#popups = new KeyedList<PopupItem>(
      byId("popups"),
      ({ popup }) => popup.call.id,
      ({ popup }) => popupView(popup.call.id, (id) => this.#dismiss(id)),
    );
    this.#pad = connect({
      url: location.origin,
      token: tokenSource(tokenUrlOfPage()),
      onSnapshot: (snapshot) => {
        this.#board.replace(snapshot, this.#now());
        setHidden(byId("lists"), false);
        this.#drawing.ask();
      },
      onCall: ({ call, popUntil }) => {
        this.#board.apply(call, popUntil, this.#now());
        this.#drawing.ask();
      },
      onState: (state) => {
        if (state.kind === "connected" && state.store) this.#nameStore(state.store.name);
        this.#status.show(state);
        setText(byId("quiet-words"), state.kind === "connected" ? text.waiting : text.connection[state.kind]);
      },
    });
    addEventListener("hashchange", () => {
      if (takeFromAddress()) this.#pad.retryNow();
    });
    document.addEventListener("visibilitychange", () => this.#draw());
  }

  /** The server's time; there is one by the time there is a call. */
  #now(): number {
    return this.#pad.serverNow() ?? Date.now();
  }

  #dismiss(id: string): void {
    this.#board.dismiss(id);
    this.#draw();
  }

  #nameStore(name: string): void {
    this.#title = name || "RingPad";
    setText(byId("store"), this.#title);
    this.#draw();
  }

  /** Brings the whole screen up to date; what is already so is not touched. */
  #draw(): void {
    const now = this.#now();
    const popups = this.#board.popups(now);
    const missed = this.#board.missed();
    this.#popups.update(popups.map((popup) => ({ popup, now })));
    this.#recent.update(this.#board.recent(), now);
    this.#missed.update(missed, now);
    setText(byId("missed-count"), missed.length > 0 ? String(missed.length) : "");
    setHidden(byId("quiet"), popups.length > 0);
    setText(byId("clock"), timeOfDay(now));
    setText(byId("date"), fullDate(now));
    this.#ring(popups, now);
    clearTimeout(this.#tick);
    const every = popups.length > 0 ? WITH_POPUPS : WITHOUT;
    this.#tick = setTimeout(() => this.#draw(), every - (now % every));
  }

  #ring(popups: readonly Popup[], now: number): void {
    const ringing = popups.filter(({ phase, call }) => phase === "ringing" && !call.claim);
    this.#sound.ring(ringing.length > 0 ? "ringing" : "quiet");
    const first = ringing[0];
    const title = first ? `☎ ${callerName(first.call)}` : this.#title;
    if (document.title !== title) document.title = title;
    for (const { call } of ringing) {
      if (this.#announced.has(call.id)) continue;
      this.#announced.add(call.id);
      const { headline, detail } = customer(call, now);
      byId("announce").textContent = text.announce(callerName(call), `${headline} ${detail}`);
    }
    if (ringing.length === 0) this.#announced.clear();
  }
}

takeFromAddress();
new PadPage();
