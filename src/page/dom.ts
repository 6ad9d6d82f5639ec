/**
 * Builds elements. Texts become text nodes and attributes only: no function of the page parses markup, so a
 * text of a model, a tool or a person never becomes an element.
 */

type Value = string | number | boolean | undefined;
type Listener = (event: Event) => void;
/** Attributes; `true` is an attribute without a value, `false` and undefined are left out. */
export type Attributes = Readonly<Record<string, Value | Listener>>;
export type Child = Node | string | number | false | undefined;

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An HTML element.
 * @param attributes a function is a listener of the event with this name
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  addChildren(element, children);
  return element;
}

/** An element of a drawing. As `h`. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  addChildren(element, children);
  return element;
}

/** Replaces the children of an element. */
export function fill(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren();
  addChildren(element, children);
}

/** Sets a text, only if it differs: a screen reader would read it again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** The code of a key that an input method handles (UI Events, 7.3.1). */
const IN_COMPOSITION = 229;

/**
 * True for a key that belongs to an input method, such as the Enter that ends a Japanese word. Safari reports
 * that Enter after the end of the composition, and only with its code.
 */
export const isComposing = (event: KeyboardEvent): boolean => event.isComposing || event.keyCode === IN_COMPOSITION;

/** Calls `run` once before the next frame, however often the result is called. */
export function framed(run: () => void): () => void {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    const go = (): void => {
      isAsked = false;
      run();
    };
    // A hidden page has no frames.
    if (document.visibilityState === 'visible') requestAnimationFrame(go);
    else setTimeout(go, 250);
  };
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
}

function addChildren(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === undefined || child === false) continue;
    element.append(typeof child === 'number' ? String(child) : child);
  }
}
