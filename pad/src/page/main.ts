// The pad page: connects the client with the board, and the board with the screen.

import { browserClock } from "../client/clock.ts";
import type { CallQuery } from "../client/actions.ts";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { connect, type Pad } from "../client/connect.ts";
import { sayThatItWaits, wordsOf } from "./action_words.ts";
import { Announcer, rings } from "./announcer.ts";
import { arrange } from "./arrangement.ts";
import { Board, type Popup } from "./board.ts";
import { CallActions } from "./call_actions.ts";
import { CallList } from "./call_list.ts";
import { CallSearch } from "./call_search.ts";
import { DaySummary } from "./day_summary.ts";
import { byId, KeyedList, setData, setHidden, setText } from "./dom.ts";
import { Drafts } from "./drafts.ts";
import { Expectations } from "./expectations.ts";
import { callerLabel, fullDate, names, timeOfDay } from "./format.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { setUpLanguage } from "./language_switch.ts";
import { MissedCalls } from "./missed_calls.ts";
import { groupByCaller } from "./missed_groups.ts";
import { Pairing, watchOtherTabs } from "./pairing.ts";
import { pairingWords, showPairing } from "./pairing_screen.ts";
import { PairingService } from "../gen/ringpad/v1/pairing_pb.ts";
import { Panel } from "./panel.ts";
import { Panels } from "./panels.ts";
import { notifyOnce } from "./notification.ts";
import { Painter } from "./painter.ts";
import { offerMore, popupView, type PopupContext, type PopupItem } from "./popup_view.ts";
import { formOf } from "./reservation_form.ts";
import { SoundSwitch } from "./sound_switch.ts";
import { QuietNotice } from "./quiet_notice.ts";
import { isDark, load, settings } from "./settings.ts";
import { silenceOf } from "./silence.ts";
import { Status } from "./status.ts";
import { keepShell } from "./shell.ts";
import { startAgain } from "./start_again.ts";
import { deviceStorage, tabStorage } from "./storage.ts";
import { text } from "./text.ts";
import { pairCodeFromAddress, takeFromAddress, tokenFault, tokenSource, tokenUrlOfPage } from "./token.ts";
import { toast } from "./toast.ts";
import { UndoOffer } from "./undo_offer.ts";
import { Unsent } from "./unsent.ts";
import { Viewport } from "./viewport.ts";
import { keepScreenOn } from "./wake_lock.ts";
import { isTyping, keepWritingInSight } from "./writing_place.ts";

const WITH_POPUPS = 1_000;
const WITHOUT = 30_000;

class PadPage {
  readonly #unsent = new Unsent(tabStorage());
  readonly #drafts = new Drafts(tabStorage(), (id) => this.#unsent.has("save", id));
  readonly #expectations = new Expectations();
  readonly #board = new Board({
    me: () => this.#actions.me(),
    expected: (call) => this.#expectations.of(call),
    hasDraft: (id) => this.#drafts.has(id),
    isDone: (id) => this.#actions.isDone(id),
  });
  readonly #asking = {
    listCalls: (query?: CallQuery) => this.#pad.listCalls(query),
    now: () => this.#now(),
    changed: () => this.#painter.ask(),
    clock: browserClock,
    random: Math.random,
  };
  readonly #day = new DaySummary(this.#asking);
  readonly #older = new MissedCalls({
    ...this.#asking,
    found: (calls) => {
      this.#board.addMissed(calls, this.#now());
      this.#painter.ask();
    },
    cut: () => this.#board.cutMissed(),
  });
  readonly #painter = new Painter({ sound: () => this.#ring(), screen: () => this.#paint() });
  readonly #announcer = new Announcer(
    (call) => isTyping() || bringIntoSight(call),
    (call) => settings.notify && notifyOnce(call.id, text.phase.ringing, names(call) || this.#title),
  );
  readonly #sound = new SoundSwitch(() => this.#painter.ask());
  readonly #status = new Status({
    retry: () => this.#pad.retryNow(),
    tokenFault: () => tokenFault(this.#now()),
    pairingWords: () => pairingWords(this.#pairing.state, this.#pairCode !== undefined),
    changed: () => this.#painter.ask(),
  });
  readonly #viewport = new Viewport({ resized: () => this.#painter.resized(), scrolled: () => this.#painter.ask() });
  readonly #panel = new Panel(() => this.#draw());
  readonly #quietNotice = new QuietNotice({
    now: () => this.#now(),
    calls: () => this.#board.all(),
    showSettings: () => this.#panels.showSettings(),
    changed: () => this.#draw(),
  });
  readonly #undoOffer = new UndoOffer(() => this.#draw());
  readonly #panels: Panels;
  readonly #pairing = new Pairing({
    client: createClient(PairingService, createGrpcWebTransport({ baseUrl: location.origin, useBinaryFormat: true })),
    clock: browserClock,
    storage: deviceStorage(),
    paired: () => this.#pad.tokenChanged(),
    revoked: startAgain,
    changed: () => this.#painter.ask(),
  });
  /** The code of another tablet, which this one is to approve as soon as it is connected. */
  #pairCode = pairCodeFromAddress();
  readonly #pad: Pad;
  readonly #actions: CallActions;
  readonly #popups: KeyedList<PopupItem>;
  readonly #recent: CallList;
  readonly #missed: CallList;
  readonly #search: CallSearch;
  #title = "RingPad";
  /** There was a snapshot. */
  #known = false;
  /** The missed calls that were painted last: "all done" is for these, and not for one that came during the press. */
  #missedShown: ReadonlySet<string> = new Set();
  /** Calls whose cards show the whole text. */
  readonly #whole = new Set<string>();
  /** The call for which the page shows that "done" can be taken back. */
  #undoable: string | undefined;
  #tick: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#pad = this.#connect();
    this.#actions = new CallActions({
      pad: this.#pad,
      board: this.#board,
      expectations: this.#expectations,
      drafts: this.#drafts,
      unsent: this.#unsent,
      clock: browserClock,
      connected: () => this.#status.reachable,
      now: () => this.#now(),
      changed: () => this.#draw(),
      isWhole: (id) => formOf(id)?.checkValidity() ?? true,
      unfinished: (id) => this.#showFault(id),
      failed: (action, error) => toast(wordsOf(action, error)),
      waits: (action, id) => sayThatItWaits(action, id),
    });
    const open = (call: Call) => this.#open(call);
    this.#panels = new Panels({
      panel: this.#panel,
      pad: this.#pad,
      board: this.#board,
      actions: this.#actions,
      undo: this.#undoOffer,
      sound: this.#sound,
      open,
      now: () => this.#now(),
      draw: () => this.#draw(),
      changed: () => this.#painter.ask(),
    });
    const close = (ids: readonly string[]) => this.#actions.close(...ids);
    const callBack = (call: Call, ids: readonly string[]) => this.#panels.callBack(call, ids);
    this.#popups = this.#popupList(open);
    this.#recent = new CallList(byId("recent"), byId("no-recent"), { open, callBack });
    this.#missed = new CallList(byId("missed"), byId("no-missed"), { open, close, callBack });
    byId("all-done").addEventListener("click", () => {
      const shown = this.#board.missed(this.#now()).filter(({ call }) => this.#missedShown.has(call.id));
      close(shown.map(({ call }) => call.id));
    });
    this.#search = new CallSearch({
      open,
      callBack,
      listCalls: (query) => this.#pad.listCalls(query),
      current: (known) => this.#board.current(known),
      now: () => this.#now(),
      changed: () => this.#painter.ask(),
    });
    byId("show-settings").addEventListener("click", () => this.#panels.showSettings());
    byId("show-reservations").addEventListener("click", () => this.#panels.showReservations());
    addEventListener("hashchange", () => {
      if (takeFromAddress()) this.#pad.tokenChanged();
      this.#pairCode = pairCodeFromAddress() ?? this.#pairCode;
      this.#askForApproval();
    });
    addEventListener("storage", () => this.#settingsOfOtherTab());
    watchOtherTabs(() => this.#pad.tokenChanged());
    document.addEventListener("visibilitychange", () => this.#draw());
    byId("undo-button").addEventListener("click", () => {
      if (this.#undoOffer.words !== undefined) this.#undoOffer.take();
      else if (this.#undoable !== undefined) this.#actions.undo(this.#undoable);
    });
  }

  #connect(): Pad {
    return connect({
      url: location.origin,
      token: tokenSource(tokenUrlOfPage(), this.#pairing),
      onSnapshot: (snapshot) => {
        this.#board.replace(snapshot, this.#now());
        this.#day.begin();
        this.#older.begin();
        this.#known = true;
        this.#painter.ask();
      },
      onCall: ({ call, popUntil }) => {
        this.#board.apply(call, popUntil, this.#now());
        this.#day.add(call);
        this.#panels.add(call);
        this.#painter.ask();
      },
      onState: (state) => {
        if (state.kind === "connected" && state.store) this.#title = state.store.name || "RingPad";
        const before = this.#status.connected;
        this.#status.set(state);
        if (state.kind === "needs-token") this.#pairing.begin();
        else this.#pairing.stop();
        this.#askForApproval();
        if (!before && this.#status.connected) {
          void this.#actions.sendUnsent();
          this.#panels.reload();
        }
        this.#painter.ask();
      },
      onServerTime: (corrected) => {
        this.#board.corrected(corrected);
        // After a small correction the next tick is early enough.
        if (Math.abs(corrected) >= WITH_POPUPS) this.#painter.ask();
      },
    });
  }

  #popupList(open: (call: Call) => void): KeyedList<PopupItem> {
    const context: PopupContext = {
      drafts: this.#drafts,
      unsent: this.#unsent,
      services: () => this.#board.services(),
      claim: (id) => void this.#actions.claim(id),
      release: (id) => void this.#actions.release(id),
      close: (id) => this.#actions.close(id),
      open,
      callBack: (call, ids) => this.#panels.callBack(call, ids),
      customer: (call) => this.#panels.showCustomer(call),
      write: (id, draft, shown) => this.#actions.write(id, draft, shown),
      follow: (id) => this.#actions.follow(id),
      save: (id, draft) => this.#actions.save(id, draft),
      dismiss: (id) => {
        this.#board.dismiss(id);
        this.#draw();
      },
      toggleMore: (id) => {
        if (!this.#whole.delete(id)) this.#whole.add(id);
        this.#draw();
      },
      changed: () => this.#painter.ask(),
    };
    const spots = { stage: byId("popups"), strip: byId("strip") };
    return new KeyedList<PopupItem>(
      [spots.stage, spots.strip],
      ({ popup }) => popup.call.id,
      ({ popup }) => popupView(popup.call, context),
      ({ spot }) => spots[spot],
    );
  }

  /** The page in the language that was just chosen. */
  translate(): void {
    this.#popups.update([]);
    this.#panel.close();
    for (const list of [this.#recent, this.#missed, this.#search]) list.reset();
    this.#draw();
  }

  /** The estimated server's time; known before the first call. */
  #now(): number {
    return this.#pad.serverNow() ?? Date.now();
  }

  #open(call: Call): void {
    this.#actions.opened(call.id);
    this.#board.open(call, this.#now());
    this.#draw();
    bringIntoSight(call);
  }

  /** Another tab of this tablet may have changed the settings. */
  #settingsOfOtherTab(): void {
    load(deviceStorage());
    this.#sound.reload();
    this.#painter.ask();
  }

  /** Approves another tablet, if the page was opened with its code. */
  #askForApproval(): void {
    if (this.#pairCode === undefined || !this.#status.connected) return;
    this.#panels.approve(this.#pairCode);
    this.#pairCode = undefined;
  }

  /** Opens the call whose form cannot be saved, and shows why. */
  #showFault(id: string): void {
    const call = this.#board.call(id);
    if (call) this.#open(call);
    formOf(id)?.reportValidity();
  }

  #draw(): void {
    this.#painter.paint();
  }

  #ring(): void {
    const now = this.#now();
    const heard = this.#popupsAt(now).some((popup) => rings(popup) && !silenceOf(popup.call, settings, now));
    this.#sound.ring(heard ? "ringing" : "quiet");
  }

  #popupsAt(now: number): Popup[] {
    const popups = this.#board.popups(now, this.#pad.serverAtLeast() ?? -Infinity);
    return popups.filter(({ call, phase, writing }) => {
      if (writing || !silenceOf(call, settings, now)) return true;
      // It does not appear later either, unless it still rings then.
      if (phase !== "ringing") this.#board.dismiss(call.id);
      return false;
    });
  }

  /** Updates the whole screen; elements that do not change are not touched. */
  #paint(): void {
    const now = this.#now();
    const popups = this.#popupsAt(now);
    const keepInSight = keepWritingInSight();
    const spots = arrange(popups);
    const missed = groupByCaller(this.#board.missed(now));
    this.#missedShown = new Set(missed.flatMap(({ ids }) => ids));
    this.#viewport.show();
    setData(document.documentElement, "size", settings.size);
    setData(document.documentElement, "dark", String(isDark(now) && popups.length === 0 && !this.#panel.isOpen));
    this.#quietNotice.show(now);
    this.#status.show();
    showPairing(this.#pairing.state);
    this.#sound.show();
    const whole = ({ call }: Popup) => this.#whole.has(call.id);
    this.#popups.update(popups.map((popup) => ({ popup, spot: spots.get(popup) ?? "stage", whole: whole(popup), now })));
    this.#recent.update(this.#board.recent(), now);
    this.#missed.update(missed.map(({ newest, key, ids }) => ({ ...newest, key, ids })), now);
    setHidden(byId("all-done"), missed.length < 2);
    setText(byId("missed-limit"), this.#board.missedCut ? text.missedCut : text.missedSince);
    setText(byId("recent-limit"), this.#board.recentCut ? text.recentCut : "");
    this.#panel.show(now);
    this.#search.draw();
    setText(byId("store"), this.#title);
    setText(byId("missed-count"), missed.length > 0 ? String(missed.length) : "");
    const hadStrip = !byId("strip").hidden;
    setHidden(byId("strip"), ![...spots.values()].includes("strip"));
    setHidden(byId("quiet"), popups.length > 0 || this.#panel.isOpen);
    setHidden(byId("lists"), !this.#known);
    offerMore();
    setText(byId("clock"), timeOfDay(now));
    setText(byId("date"), fullDate(now));
    setText(byId("quiet-words"), this.#status.quietWords);
    // Without a connection the figures would miss calls.
    setText(byId("day"), this.#status.connected ? this.#day.words() : "");
    for (const id of this.#whole) if (!popups.some(({ call }) => call.id === id)) this.#whole.delete(id);
    this.#offerUndo();
    keepInSight();
    // In the strip it was always visible.
    const urgent = popups.find(rings);
    if (hadStrip && byId("strip").hidden && urgent && !isTyping()) bringIntoSight(urgent.call);
    this.#announcer.update(popups, this.#title, now);
    this.#scheduleTick(popups, now);
  }

  #offerUndo(): void {
    const { words } = this.#undoOffer;
    this.#undoable = words === undefined ? this.#actions.undoable : undefined;
    const call = this.#undoable === undefined ? undefined : this.#board.call(this.#undoable);
    const calls = call ? this.#actions.undoes(call.id) : 0;
    setText(byId("undo-text"), words !== undefined ? words : call ? (calls > 1 ? text.undoableMany(calls) : text.undoable(callerLabel(call))) : "");
    setHidden(byId("undo"), words === undefined && call === undefined);
  }

  #scheduleTick(popups: readonly Popup[], now: number): void {
    clearTimeout(this.#tick);
    const every = popups.length > 0 ? WITH_POPUPS : WITHOUT;
    // The end of a ring is drawn at that moment, not at the next full second.
    const ends = popups.map(({ ringsUntil = now }) => ringsUntil - now).filter((left) => left > 0);
    this.#tick = setTimeout(() => this.#draw(), Math.min(every - (now % every), ...ends));
  }
}

function bringIntoSight({ id }: Call): void {
  document.getElementById(`who-${id}`)?.scrollIntoView({ block: "nearest" });
}

takeFromAddress();
let page: PadPage | undefined;
load(deviceStorage());
setUpLanguage(() => page?.translate());
page = new PadPage();
keepScreenOn();
keepShell();
