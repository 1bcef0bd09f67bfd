// The DOM functions that the page needs. Nodes are made once, found by their key and updated in place: a form that
// somebody is typing into is never made again, nor moved.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: Node[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/** Makes a button. */
export function button(className: string, label: string, onClick: () => void): HTMLButtonElement {
  const made = element("button", className);
  made.type = "button";
  made.textContent = label;
  made.addEventListener("click", onClick);
  return made;
}

/** Makes a field for a line of text, with its label. */
export function textField(label: string, value: string): { node: HTMLElement; input: HTMLInputElement } {
  const name = element("span", "form-label");
  name.textContent = label;
  const input = element("input", "form-input");
  input.type = "text";
  input.value = value;
  return { node: element("label", "form-field", name, input), input };
}

/** Makes an icon from a path in a 24 × 24 box. */
export function icon(path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}

/** Sets the text, and hides the element if it is empty. Changes nothing if the text is the same. */
export function setText(target: HTMLElement, content: string): void {
  if (target.textContent !== content) target.textContent = content;
  setHidden(target, content === "");
}

/** Sets `data-…`. */
export function setData(target: HTMLElement, name: string, value: string): void {
  if (target.dataset[name] !== value) target.dataset[name] = value;
}

export function setHidden(target: HTMLElement, hidden: boolean): void {
  if (target.hidden !== hidden) target.hidden = hidden;
}

/** The element with this id, which index.html has. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** A view of one item: a node, and a function that updates it. */
export interface ItemView<Item> {
  readonly node: HTMLElement;
  update(item: Item): void;
}

/** Children that follow a list, each keyed by its item, in one container or in several. */
export class KeyedList<Item> {
  readonly #containers: readonly HTMLElement[];
  readonly #containerOf: (item: Item) => HTMLElement;
  readonly #key: (item: Item) => string;
  readonly #make: (item: Item) => ItemView<Item>;
  #views = new Map<string, ItemView<Item>>();

  /** `containerOf` says which of several `containers` an item belongs in. */
  constructor(
    containers: readonly [HTMLElement, ...HTMLElement[]],
    key: (item: Item) => string,
    make: (item: Item) => ItemView<Item>,
    containerOf: (item: Item) => HTMLElement = () => containers[0],
  ) {
    this.#containers = containers;
    this.#containerOf = containerOf;
    this.#key = key;
    this.#make = make;
  }

  update(items: readonly Item[]): void {
    const views = new Map<string, ItemView<Item>>();
    const nodes = new Map<HTMLElement, HTMLElement[]>(this.#containers.map((container) => [container, []]));
    for (const item of items) {
      const key = this.#key(item);
      const view = this.#views.get(key) ?? this.#make(item);
      view.update(item);
      views.set(key, view);
      nodes.get(this.#containerOf(item))?.push(view.node);
    }
    for (const [key, view] of this.#views) if (!views.has(key)) view.node.remove();
    this.#views = views;
    const focused = document.activeElement;
    for (const [container, its] of nodes) place(container, its);
    // A node that was moved to another container has lost the focus.
    if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }
}

/** Puts `nodes` in order, moving others around the one that has the focus: a moved node would lose it. */
function place(container: HTMLElement, nodes: readonly HTMLElement[]): void {
  let at = container.firstChild;
  for (const node of nodes) {
    if (node === at) at = node.nextSibling;
    else if (node.parentNode === container && node.contains(document.activeElement)) at = node.nextSibling;
    else container.insertBefore(node, at);
  }
}
