// What follows from what is known of a side.

export function factsOf(side, { phase, elapsed, amount }) {
  const { opening, balance, reported, refused_at: refusedAt, expires, transfers } = side;
  const isAfter = refusedAt !== null && reported !== null && refusedAt >= reported;
  return {
    lost: opening === null ? null : opening - balance,
    /** By transfers that were sent after the press; one that was on its way belongs to before. */
    lostAfter: reported === null ? null : amount * transfers.filter(({ at, outcome }) => at >= reported && outcome === "taken").length,
    /** From the press to the first refusal. */
    took: isAfter ? refusedAt - reported : null,
    /** For how long the stolen copy is good by itself. */
    left: expires === null || phase === "waiting" || phase === "opening" ? null : Math.max(0, expires - elapsed),
    condition: conditionOf(side, phase),
  };
}

function conditionOf({ opening, problem, refused_at: refusedAt, reported, transfers }, phase) {
  if (problem !== null) return "silent";
  if (phase === "waiting" || phase === "opening" || opening === null) return "waiting";
  if (refusedAt !== null) return "refused";
  if (transfers.at(-1)?.outcome === "empty") return "empty";
  return reported === null ? "robbed" : "reported";
}
