// What somebody has who has copied the stores: the files of workerd's SQLite databases and
// of its KV, with the logs that go with them.
import { formsOf } from "../../scan/forms.mjs";
import { filesIn } from "../../scan/leaks.mjs";

export const copyOf = (state) => filesIn(state).map(({ bytes }) => bytes);

// The ways in which it is there.
export function findIn(copy, what) {
  return formsOf(what).filter(([, form]) => copy.some((file) => file.includes(form))).map(([name]) => name);
}
