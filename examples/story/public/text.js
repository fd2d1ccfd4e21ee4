// What the story says. Every language has the same keys; a test compares.

import { speak } from "/shared/speech.js";
import en from "./words/en.js";
import ja from "./words/ja.js";

export const LANGUAGES = { en, ja };
export const { language, locale, parts, t } = speak(LANGUAGES);

const yenOf = new Intl.NumberFormat(locale, { style: "currency", currency: "JPY", currencyDisplay: "narrowSymbol" });
const tenths = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const yen = (amount) => yenOf.format(amount);
export const inMilliseconds = (ms) => t("milliseconds", { n: Math.round(ms) });
/** Of the same width while it is counted. */
export const inTenths = (ms) => t("seconds", { amount: tenths.format(ms / 1_000) });
export const span = (ms) => (ms < 2_000 ? inMilliseconds(ms) : inTenths(ms));
