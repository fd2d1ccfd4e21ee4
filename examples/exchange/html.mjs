// HTML by tagged template. Whatever is put into a template is escaped there and then, unless
// it came out of such a template itself; so text is escaped once, at the place where it enters.
// Attribute values in the templates are always quoted.

class Html {
  #text;
  constructor(text) {
    this.#text = text;
  }
  toString() {
    return this.#text;
  }
}

/** Strings and numbers are escaped, `Html` and lists of it go in as they are, nothing stays nothing. */
export function html(strings, ...values) {
  let text = strings[0];
  values.forEach((value, i) => {
    text += render(value) + strings[i + 1];
  });
  return new Html(text);
}

function render(value) {
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(render).join('');
  if (value === undefined || value === null || value === false) return '';
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
