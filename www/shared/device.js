// A session's device and place, in plain words.

import { name } from "./names.js";
import { locale, parts, t } from "./text.js";
import { browserOf } from "./user_agent.js";

const countries = new Intl.DisplayNames(locale, { type: "region", fallback: "code" });

/** `Firefox on Windows`. */
export function deviceOf({ user_agent }) {
  if (user_agent === undefined || user_agent === "") return t("device_unknown");
  const known = browserOf(user_agent);
  return known === null ? name(user_agent) : t("device_on", known);
}

/** `Osaka, Japan`; null where nothing is known. */
export function placeOf({ city, country }) {
  const land = country && countryOf(country);
  if (city && land) return parts("place_in", { city: name(city), country: land });
  if (city) return name(city);
  return land ?? null;
}

function countryOf(code) {
  try {
    return countries.of(code);
  } catch {
    return name(code); // no code of the form that there is
  }
}
