//! docs/signatures.md says for how long a copied signature is good.

use super::read;

/// The number that stands behind a text.
fn after(file: &str, mark: &str) -> u64 {
    let text = read(file);
    let (_, rest) = text.split_once(mark).unwrap_or_else(|| panic!("{file}: no {mark:?}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{file}: no number behind {mark:?}"))
}

#[test]
fn a_copied_signature_is_good_for_as_long_as_the_examples_take_it() {
    let skew = after("examples/verify/express/app.mjs", "tolerance: ");
    for (file, mark) in [
        ("examples/verify/flask/app.py", "verifier.max_clock_skew = timedelta(seconds="),
        ("examples/verify/axum/src/main.rs", "let (now, skew) = (UNIX_EPOCH.elapsed().ok()?.as_secs(), "),
        ("docs/signatures.md", "allow some seconds for clocks that differ, as the examples do "),
        ("docs/signatures.md", "That is a minute, and the "),
        ("docs/signatures.md", "the seconds that you allow for clocks ("),
    ] {
        assert_eq!(after(file, mark), skew, "{file}: {mark}");
    }
    let lifetime = after("src/signature.rs", "const EXPIRES_SECONDS: u64 = ");
    assert_eq!(lifetime, 60, "a minute");
    for (file, mark) in [
        ("docs/signatures.md", "A copied signature after "),
        ("docs/signatures.md", "**The same request once more, within "),
        ("docs/signatures.md", "that are not covered, within "),
        ("docs/operations/origin.md", "the same request again within "),
        ("docs/threat-model.md", "the same request once more within "),
    ] {
        assert_eq!(after(file, mark), lifetime + skew, "{file}: {mark}");
    }
}
