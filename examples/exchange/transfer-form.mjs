// From the text in the transfer form to a transfer in the ledger, or to what is wrong with it.

import { TransferRefused } from './ledger.mjs';
import { CURRENCIES, parseAmount } from './money.mjs';

/**
 * Carries the transfer out. Returns null when it is done, else what is wrong, by the name
 * of the form field (`form` for the whole of it).
 */
export function submitTransfer({ ledger, from, fields, at }) {
  const { currency } = fields;
  const to = fields.to.trim();
  const problems = {};

  const amount = CURRENCIES.has(currency) ? parseAmount(fields.amount, currency) : null;

  if (to === '') problems.to = 'Say who gets the money.';
  if (!CURRENCIES.has(currency)) problems.currency = 'Choose a currency.';
  else if (amount === null) problems.amount = AMOUNT_HINTS[currency];
  if (Object.keys(problems).length > 0) return problems;

  try {
    ledger.transfer({ from, to, currency, amount, at });
    return null;
  } catch (error) {
    if (error instanceof TransferRefused) return REFUSALS[error.reason];
    throw error;
  }
}

const AMOUNT_HINTS = {
  JPY: 'Write a whole number of yen, in digits only, such as 1500.',
  USD: 'Write dollars and cents, in digits only, such as 12.50.',
};

const REFUSALS = {
  no_account: { form: 'You have no account with us to send money from.' },
  unknown_recipient: { to: 'Nobody here has this account name.' },
  same_account: { to: 'This is your own account.' },
  unknown_currency: { currency: 'One of the two accounts does not hold this currency.' },
  not_positive: { amount: 'Send more than nothing.' },
  insufficient_funds: { amount: 'You do not have that much.' },
};
