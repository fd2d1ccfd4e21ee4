//! What a receipt says of the log, in numbers.

use jiff::Timestamp;
use serde_json::Value;
use warifu::session::KillId;

use crate::executor::{MILLI, Micros};
use crate::history::History;
use crate::plan::Plan;

/// I19: a receipt has the number that its kill has in the log, the largest bound of
/// all versions, and a time that is as much later than the feed's; and no kill is
/// called quiet before the bound is over.
pub fn i19_receipts_say_what_the_log_says(history: &mut History, plan: &Plan, receipt: &Value, now: Micros) {
    let Some(id) = receipt["kill_id"].as_str().and_then(KillId::parse) else { return };
    let found = if receipt["state"] == "committed" {
        let says_more =
            ["epoch", "seq", "accepted_at", "refused_everywhere_by"].iter().find(|name| !receipt[**name].is_null());
        says_more.map(|name| format!("has {name} of what is committed only"))
    } else {
        of_published(history, plan, id, receipt, now)
    };
    if let Some(says) = found {
        history.violate(now, "I19", format!("a receipt {says}: {receipt}"));
    }
}

fn of_published(history: &History, plan: &Plan, id: KillId, receipt: &Value, now: Micros) -> Option<String> {
    let seq = receipt["seq"].as_u64();
    // Of another epoch, perhaps: numbers go on where the feed is woken anew.
    let entries = history.published.iter().filter(|entry| entry.id == id && Some(entry.seq) == seq);
    let Some(at) = entries.map(|entry| entry.at).min() else {
        return Some("has a number that the log has not".to_owned());
    };
    let bound = plan.bounds.iter().copied().max().unwrap_or(0).max(plan.continue_for * 1_000);
    if receipt["bound_ms"].as_u64() != Some(bound) {
        return Some(format!("has another bound than {bound} ms"));
    }
    let time = |name: &str| receipt[name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let ends = time("refused_everywhere_by").zip(time("accepted_at"));
    let span = ends.map(|(end, accepted)| end.as_millisecond() - accepted.as_millisecond());
    let quiet = bound + bound / 1_000 + 50;
    if span.and_then(|span| u64::try_from(span).ok()).is_none_or(|span| span != quiet) {
        return Some(format!("allows {span:?} ms, and not {quiet}"));
    }
    // By another clock, in whole milliseconds.
    let early =
        (at + bound * MILLI).checked_sub(now + 3 * MILLI).filter(|early| *early > 0 && receipt["state"] == "quiesced");
    early.map(|early| format!("is quiet {} ms too early", early / MILLI))
}
