// The mark: a tally, split in two. One half is the traveller's, the other the gate's.

import { svg } from "./dom.js";

// Both halves share the cut; drawn on 96 by 40.
const CUT = "54,0 46,8 55,16 45,24 54,32 48,40";
const LEFT = `M6 0 H54 L46 8 L55 16 L45 24 L54 32 L48 40 H6 A6 6 0 0 1 0 34 V6 A6 6 0 0 1 6 0 Z`;
const RIGHT = `M90 0 H54 L46 8 L55 16 L45 24 L54 32 L48 40 H90 A6 6 0 0 0 96 34 V6 A6 6 0 0 0 90 0 Z`;

/** A tally whose right half goes as `--gone` goes from 0 to 1, and is apart when it is `over`. */
export function tally(attributes = {}) {
  return svg(
    "svg",
    { class: "tally", viewBox: "-2 -4 108 48", "aria-hidden": "true", focusable: "false", ...attributes },
    svg("g", { class: "theirs" }, svg("path", { d: LEFT }), svg("path", { class: "grain", d: "M12 12 H38 M12 20 H34 M12 28 H38" })),
    svg(
      "g",
      { class: "ours" },
      svg("path", { d: RIGHT }),
      svg("path", { class: "grain", d: "M62 12 H84 M58 20 H84 M62 28 H84" }),
    ),
    svg("polyline", { class: "cut", points: CUT }),
  );
}
