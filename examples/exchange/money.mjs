// Currencies and amounts. An amount is a BigInt of minor units (yen, cents): never a float.

export const CURRENCIES = new Map([
  ['JPY', { name: 'Japanese yen', symbol: '¥', decimals: 0 }],
  ['USD', { name: 'US dollars', symbol: '$', decimals: 2 }],
]);

const AMOUNT_DIGITS_MAX = 12;

/**
 * What somebody wrote in a form, in whole units with decimals where the currency has them
 * (`1500`, `12.5`, `12.50`), as minor units; null if it is anything else.
 */
export function parseAmount(text, currency) {
  const { decimals } = CURRENCIES.get(currency);
  const match = /^(\d+)(?:\.(\d+))?$/.exec(text.trim());
  if (match === null) return null;
  const [, whole, fraction = ''] = match;
  if (whole.length > AMOUNT_DIGITS_MAX || fraction.length > decimals) return null;
  return BigInt(whole + fraction.padEnd(decimals, '0'));
}

/** `¥1,000,000`, `$12.50`. */
export function formatAmount(minor, currency) {
  const { symbol, decimals } = CURRENCIES.get(currency);
  const digits = minor.toString().padStart(decimals + 1, '0');
  const split = digits.length - decimals;
  const whole = digits.slice(0, split).replace(/\B(?=(\d{3})+$)/g, ',');
  return symbol + whole + (decimals > 0 ? `.${digits.slice(split)}` : '');
}
