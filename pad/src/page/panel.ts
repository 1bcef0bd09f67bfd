// What a user has opened besides the calls: one at a time, below the popups. It is no dialog, so that a call that rings is
// always visible, and can be claimed, above it.

import { byId, setHidden, setText } from "./dom.ts";

/** What a panel shows. */
export interface PanelView {
  title(): string;
  node: HTMLElement;
  /** Updates what is shown; `now` is the server's time. */
  update(now: number): void;
}

/** The panel. */
export class Panel {
  readonly #changed: () => void;
  #view: PanelView | undefined;
  /** What had the focus before. */
  #opener: HTMLElement | undefined;

  /** `changed`: the page must be drawn again. */
  constructor(changed: () => void) {
    this.#changed = changed;
    byId("close-panel").addEventListener("click", () => this.close());
    byId("panel").addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.close();
    });
  }

  get isOpen(): boolean {
    return this.#view !== undefined;
  }

  /** Whether this view is open. */
  shows(view: PanelView | undefined): boolean {
    return view !== undefined && this.#view === view;
  }

  /** Shows `view` instead of another one. */
  open(view: PanelView): void {
    if (!this.#view && document.activeElement instanceof HTMLElement) this.#opener = document.activeElement;
    this.#view = view;
    byId("panel-body").replaceChildren(view.node);
    this.#changed();
    byId("panel-title").focus({ preventScroll: true });
    byId("panel").scrollIntoView({ block: "nearest" });
  }

  /** Gives the focus back. */
  close(): void {
    this.#view = undefined;
    byId("panel-body").replaceChildren();
    this.#changed();
    if (this.#opener?.isConnected) this.#opener.focus({ preventScroll: true });
    this.#opener = undefined;
  }

  /** Updates what is shown. */
  show(now: number): void {
    setHidden(byId("panel"), !this.#view);
    setText(byId("panel-title"), this.#view?.title() ?? "");
    this.#view?.update(now);
  }
}
