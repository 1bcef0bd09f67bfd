// Opens the panels: calling back, reservations, settings, and the approval of another tablet.

import type { Pad } from "../client/connect.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { approvalView } from "./approval_panel.ts";
import type { Board } from "./board.ts";
import type { CallActions } from "./call_actions.ts";
import { callBackView } from "./call_back.ts";
import { CustomerPanel } from "./customer_panel.ts";
import { reservationLine } from "./format.ts";
import { withOthersOf } from "./missed_groups.ts";
import { allowNotifications } from "./notification.ts";
import type { Panel } from "./panel.ts";
import { ReservationsPanel } from "./reservations_panel.ts";
import { change, type Settings } from "./settings.ts";
import { settingsView } from "./settings_panel.ts";
import type { SoundSwitch } from "./sound_switch.ts";
import { deviceStorage } from "./storage.ts";
import { text } from "./text.ts";
import { toast } from "./toast.ts";
import type { UndoOffer } from "./undo_offer.ts";

/** What the panels need of the page. */
export interface PanelsContext {
  panel: Panel;
  pad: Pad;
  board: Board;
  actions: CallActions;
  undo: UndoOffer;
  sound: SoundSwitch;
  /** Opens a call's form. */
  open(call: Call): void;
  now(): number;
  /** Draws the page immediately. */
  draw(): void;
  /** The page must be drawn again. */
  changed(): void;
}

/** Opens panels. */
export class Panels {
  readonly #context: PanelsContext;
  #reservations: ReservationsPanel | undefined;
  #customer: CustomerPanel | undefined;

  constructor(context: PanelsContext) {
    this.#context = context;
  }

  /** Shows the number to call back, and asks what came of it; `ids` are the calls that it was opened for. */
  callBack(call: Call, ids: readonly string[]): void {
    const { panel, board, actions, now } = this.#context;
    const view = callBackView(call, {
      now,
      close: () => panel.close(),
      reached: (note) => {
        if (!actions.addToNote(call, note)) return toast(text.noteTooLong);
        // Those missed since the panel was opened as well.
        actions.close(...withOthersOf(call, ids, board.missed(now())));
      },
      notReached: (note) => {
        const draft = actions.addToNote(call, note);
        if (!draft) return toast(text.noteTooLong);
        void actions.save(call.id, draft);
      },
    });
    panel.open(view);
  }

  /** Asks whether to approve the tablet with this code. */
  approve(code: string): void {
    const { panel, pad } = this.#context;
    panel.open(approvalView(code, (typed, name) => pad.approvePairing(typed, name)));
  }

  /** A call's newest version has come. */
  add(call: Call): void {
    this.#reservations?.add(call);
    this.#customer?.add(call);
  }

  /** There is a new connection. */
  reload(): void {
    const { panel } = this.#context;
    if (panel.shows(this.#reservations)) this.#reservations?.reload();
    if (panel.shows(this.#customer)) this.#customer?.reload();
  }

  /** Shows everything of the call's caller. */
  showCustomer(call: Call): void {
    const { panel, pad, board, open, changed } = this.#context;
    this.#customer = new CustomerPanel(call, {
      listCalls: (query) => pad.listCalls(query),
      saveCustomer: (id, customer) => pad.saveCustomer(id, customer),
      current: (known) => board.current(known),
      open,
      callBack: (it, ids) => this.callBack(it, ids),
      set: (settings) => this.#set(settings),
      changed,
    });
    panel.open(this.#customer);
  }

  showSettings(): void {
    const { panel, sound, board, now } = this.#context;
    const view = settingsView({
      allowNotifications,
      addTablet: () => this.approve(""),
      test: (tone) => sound.test(tone),
      calls: () => board.all(),
      now,
      change: (changed) => this.#set(changed),
    });
    panel.open(view);
  }

  /** Changes settings, which apply at once. */
  #set(changed: Partial<Settings>): void {
    change(deviceStorage(), changed);
    this.#context.sound.tune();
    this.#context.draw();
  }

  showReservations(): void {
    const { panel, pad, open, now, changed } = this.#context;
    this.#reservations = new ReservationsPanel({
      listReservations: (query) => pad.listReservations(query),
      current: (call) => this.#newest(call),
      change: open,
      customer: (call) => this.showCustomer(call),
      cancel: (call) => void this.#cancel(call),
      now,
      changed,
    });
    panel.open(this.#reservations);
  }

  /** Cancels the call's reservation, which can be taken back for some seconds. */
  async #cancel(call: Call): Promise<void> {
    const { actions, undo, now } = this.#context;
    const { reservation } = call;
    const done = actions.setReservation(call, undefined);
    undo.offer(text.cancelled(reservationLine(call, now())), () => void actions.setReservation(this.#newest(call), reservation));
    if (!(await done)) undo.withdraw();
  }

  /** The newest known version of a call, as it will be when this pad's actions succeed. */
  #newest(call: Call): Call {
    return this.#context.board.current({ call, popUntil: undefined }).call;
  }
}
