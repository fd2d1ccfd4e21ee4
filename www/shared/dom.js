// Elements out of text. Text never becomes markup: there is no way to say it.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `on` are its listeners, `true` an attribute without a value, null and false none. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button that is out of use while its work goes on. */
export function button(label, work, { kind = "plain", ...attributes } = {}) {
  const element = h("button", { type: "button", class: `button ${kind}`, ...attributes }, label);
  element.addEventListener("click", async () => {
    if (element.getAttribute("aria-disabled") === "true") return;
    element.setAttribute("aria-disabled", "true"); // `disabled` would drop the focus
    try {
      await work(element);
    } finally {
      element.removeAttribute("aria-disabled");
    }
  });
  return element;
}

/** Whether nobody is doing something else: the focus is nowhere, or in one of these. */
export function isIdle(...parts) {
  const { activeElement } = document;
  return activeElement === null || activeElement === document.body || parts.some((part) => part?.contains(activeElement));
}

let announcer;

/** The element whose text is read out when it changes; it has to be on the page before that. */
function ears() {
  announcer ??= h("p", { class: "for-ears", role: "status", "aria-live": "polite" });
  if (!announcer.isConnected) document.body.append(announcer);
  return announcer;
}

/** Shows these and nothing else of what was there, and is ready to say something. */
export function fill(...elements) {
  ears().textContent = "";
  document.body.replaceChildren(...elements, announcer);
}

/** Says something to who listens to the page. */
export function announce(text) {
  ears().textContent = text;
}

/** Writes a text that is read out where it changes; the same again is no change. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says what went wrong, also to who has scrolled away from where that stands. */
export function complain(element, text) {
  element.replaceChildren(...[text].flat());
  element.scrollIntoView({ block: "nearest" });
}

/** Puts the focus there, also where that is no control, for those who read with it. */
export function focusOn(element) {
  if (element.tabIndex < 0) element.tabIndex = -1; // a control stays where it is
  element.focus();
}

/** Asks before something that cannot be undone. Resolves to what is in the field, true without one, or null. */
export function ask({ title, body, confirm, cancel, kind = "danger", label = null, field = null, isGood = () => true }) {
  return new Promise((resolve) => {
    let answer = null;
    const yes = h("button", { type: "submit", class: `button ${kind}` }, confirm);
    const check = () => {
      const good = isGood(field?.value ?? "");
      yes.disabled = !good;
    };
    field?.addEventListener("input", check);
    const dialog = h(
      "dialog",
      {
        class: "ask",
        "aria-labelledby": "ask-title",
        "aria-describedby": "ask-body",
        // A key that is still down from the question's own button is no answer to it.
        on: { keydown: (event) => event.repeat && event.key === "Enter" && event.preventDefault() },
      },
      h(
        "form",
        {
          method: "dialog",
          on: {
            submit: (event) => {
              event.preventDefault();
              answer = field === null ? true : field.value;
              dialog.close();
            },
          },
        },
        h("h2", { id: "ask-title" }, title),
        h("div", { id: "ask-body" }, body),
        label,
        field,
        h("div", { class: "row end" }, h("button", { type: "button", class: "button plain", on: { click: () => dialog.close() } }, cancel), yes),
      ),
    );
    check();
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    (field ?? yes).focus();
  });
}
