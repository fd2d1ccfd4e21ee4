// Points in time, as people say them.

import { h } from "./dom.js";
import { language, locale } from "./text.js";

const relative = new Intl.RelativeTimeFormat(locale, { numeric: "always", style: "long" });
const justNow = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "long" }).format(0, "second");
const two = "2-digit";
const toTheMillisecond = { hour: two, minute: two, second: two, fractionalSecondDigits: 3, hourCycle: "h23" };
const clock = new Intl.DateTimeFormat(locale, toTheMillisecond);
const clockOfDay = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", ...toTheMillisecond });
const day = new Intl.DateTimeFormat(locale, { year: "numeric", month: "short", day: "numeric", hour: two, minute: two, second: two, hourCycle: "h23", timeZoneName: "short" });
const unit = { style: "unit", unitDisplay: language === "en" ? "narrow" : "short", maximumFractionDigits: 2 };
const milliseconds = new Intl.NumberFormat(locale, { ...unit, unit: "millisecond" });
const seconds = new Intl.NumberFormat(locale, { ...unit, unit: "second" });
const tenths = new Intl.NumberFormat(locale, { ...unit, unit: "second", minimumFractionDigits: 1, maximumFractionDigits: 1 });

const STEPS = [
  ["minute", 60],
  ["hour", 3_600],
  ["day", 86_400],
];

// What the gateway's clock has more than this machine's, which may be set wrong.
let offset = 0;

/** It is so late at the gateway: the `Date` of an answer that has just come. */
export function hear(date) {
  const at = Date.parse(date);
  if (!Number.isNaN(at)) offset = at - Date.now();
}

const present = () => Date.now() + offset;

/** `3 hours ago`, `in 12 minutes`. A day is 24 hours, so it is never yesterday's or tomorrow's. */
export function ago(at, now = present()) {
  const passed = (at - now) / 1_000;
  let [unit, size] = ["second", 1];
  for (const [next, length] of STEPS) if (Math.abs(passed) >= length * 0.99) [unit, size] = [next, length];
  const whole = Math.trunc(Math.round((passed / size) * 10) / 10);
  return unit === "second" && Math.abs(passed) < 10 ? justNow : relative.format(whole, unit);
}

/** With the day, if that is not today. */
export function clockTime(iso) {
  const at = new Date(iso);
  return (at.toDateString() === new Date(present()).toDateString() ? clock : clockOfDay).format(at);
}

export const span = (ms) => (ms > 0 && ms < 1_000 ? milliseconds.format(ms) : seconds.format(ms / 1_000));
/** Of the same width while it is counted down. */
export const inTenths = (ms) => tenths.format(ms / 1_000);

/** A point in time that stays true while the page is open; the exact one is its title. */
export function when(iso) {
  const at = new Date(iso);
  return h("time", { datetime: iso, title: day.format(at), "data-since": String(at.getTime()) }, ago(at.getTime()));
}

export const exact = (iso) => h("time", { datetime: iso }, day.format(new Date(iso)));

/** Lets the points in time of the page grow older. */
export function keepTrue() {
  setInterval(() => {
    const now = present();
    for (const element of document.querySelectorAll("time[data-since]")) {
      const text = ago(Number(element.dataset.since), now);
      if (element.textContent !== text) element.textContent = text;
    }
  }, 5_000);
}
