// What the pages say, in the browser's language. Every language has the same keys; a test compares.

import { chooseAmong, speak } from "./speech.js";
import en from "./text/en.js";
import ja from "./text/ja.js";

export const LANGUAGES = { en, ja };

export const choose = (languages) => chooseAmong(LANGUAGES, languages);
export const { language, locale, parts, t, has } = speak(LANGUAGES);
