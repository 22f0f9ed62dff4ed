// Elements of the page.

// element makes an element with attributes and children, which are elements or text.
export function element(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== false && value != null) e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}

// byID returns the element of an id.
export const byID = (id) => document.getElementById(id);

// say shows a sentence in an element, or hides the element where there is none.
export function say(e, sentence) {
  e.textContent = sentence;
  e.hidden = !sentence;
}

// visible writes spaces and line ends so that they can be seen.
export function visible(name) {
  return name.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥");
}

// count returns a number and a thing in singular or plural.
export const count = (n, thing) => `${n.toLocaleString("en")} ${thing}${n === 1 ? "" : thing.endsWith("ch") ? "es" : "s"}`;

// percent returns a share in percent.
export const percent = (share, digits = 0) => (100 * share).toFixed(digits) + " %";

// roam lets the arrow keys, the pointer and a tap choose among the children of an element that match a selector. One of
// them at a time can be reached with the Tab key. choose is called with it.
export function roam(parent, selector, choose) {
  let chosen = null;
  const pick = (e, focus) => {
    if (!e || e === chosen) return;
    parent.querySelectorAll(selector + "[tabindex='0']").forEach((other) => { other.tabIndex = -1; });
    chosen?.classList.remove("chosen");
    chosen = e;
    e.tabIndex = 0;
    e.classList.add("chosen");
    if (focus) e.focus({ preventScroll: false });
    choose(e);
  };
  const find = (event) => event.target.closest?.(selector);
  for (const kind of ["pointerover", "click", "focusin"]) parent.addEventListener(kind, (event) => pick(find(event)));
  parent.addEventListener("keydown", (event) => {
    const at = find(event);
    if (!at) return;
    const all = [...parent.querySelectorAll(selector)];
    const i = all.indexOf(at);
    const next = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    pick(all[Math.max(0, Math.min(all.length - 1, next))], true);
  });
}
