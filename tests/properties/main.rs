//! Properties of the parsers: what must hold for any input.
#![cfg(not(target_arch = "wasm32"))]

mod generators;
mod slash;

use std::sync::LazyLock;

use generators::{command, configuration, names_in_pairs, no_token, tokenless_cookies, tricky_path};
use proptest::prelude::*;
use warifu::command::{CommandRefusal, Nonce, parse};
use warifu::cookie::{Presented, canonical, for_origin, presented, without_session};
use warifu::headers::folded;
use warifu::path::CanonicalPath;
use warifu::site::{Secrets, Sites};
use warifu::time::{parse_span, show_span};
use warifu::token::{KeyRing, Locator, Secret};

const KEYS: &str = r#"[{"kid":1,"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;
const NONCE: &str = "fRIlBd04cFMB0hmL1eN_mQ";
const NAME: &str = "__Host-Http-warifu";

/// Derived once: that costs more than all that is done with it.
fn ring() -> &'static KeyRing {
    static RING: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::read(KEYS, "default").expect("keys"));
    &RING
}

/// An origin that decodes once more than it should.
fn decode(text: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(text).collect()
}

/// Whether there is a parser that reads one of these names, tried at each `=` from the beginning.
fn is_read_as(pair: &str, kept: &[String]) -> bool {
    let decoded = percent_encoding::percent_decode_str(pair).decode_utf8_lossy();
    decoded.match_indices('=').any(|(at, _)| {
        let before = decoded[..at].trim();
        let is_separator = |c: char| c.is_control() || " \"(),/:;<=>?@[\\]{}".contains(c);
        let last = before.rsplit(is_separator).next().unwrap_or_default();
        let cut = before.split('\0').next().unwrap_or_default().rsplit(is_separator).next().unwrap_or_default();
        [before, last, cut].into_iter().any(|name| kept.contains(&folded(name)))
    })
}

/// Each `=` ends a name, and may not cost what all before it do: 16 KiB of them would take a
/// processor for seconds.
#[test]
fn a_header_of_names_without_end_is_read_in_no_time() {
    let kept = vec!["s".repeat(128), format!("{}x", "-".repeat(127))];
    let began = std::time::Instant::now();
    for piece in ["=", " =", "%00=", "s=", "\u{2003}=", "a,=", "%3d"] {
        let rest = ["", "\0", "=\0", &" ".repeat(8_000), &"s".repeat(8_000), "\u{2003}"];
        for first in rest {
            let header = [first, &piece.repeat((16_384 - first.len()) / piece.len())].concat();
            assert!(for_origin(&header, NAME, &kept).is_some());
        }
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_canonical_path_is_canonical(raw in tricky_path()) {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            let again = CanonicalPath::parse(path.as_str()).expect("canonical");
            prop_assert_eq!(again.as_str(), path.as_str());
            prop_assert_eq!(decode(path.as_str().as_bytes()), path.decoded());
            prop_assert_eq!(decode(raw.as_bytes()), path.decoded(), "the meaning is kept");
        }
    }

    #[test]
    fn decoding_again_and_again_never_makes_a_separator(raw in tricky_path()) {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            let segments = |bytes: &[u8]| bytes.iter().filter(|b| matches!(b, b'/' | b'\\')).count();
            let expected = segments(path.as_str().as_bytes());
            let mut level = path.as_str().as_bytes().to_vec();
            for _ in 0..5 {
                level = decode(&level);
                prop_assert_eq!(segments(&level), expected);
                prop_assert!(!level.iter().any(u8::is_ascii_control));
                for segment in level.split(|b| *b == b'/') {
                    let bare = segment.split(|b| *b == b';').next().unwrap_or_default();
                    prop_assert!(bare != b"." && bare != b"..");
                }
            }
        }
    }

    #[test]
    fn any_text_is_a_path_or_a_refusal(raw in any::<String>()) {
        let _ = CanonicalPath::parse(&raw);
    }

    #[test]
    fn a_minted_token_verifies_and_any_change_breaks_it(
        secret in any::<[u8; 32]>(), generation: u8, region: u8, shard: u16, at in 0usize..72, other in "[A-Za-z0-9_-]",
    ) {
        let locator = Locator { generation, region, shard };
        let ring = ring();
        let minted = ring.mint(locator, &Secret::new(secret));
        let text = minted.expose();
        let token = ring.verify(text).expect("genuine");
        prop_assert_eq!(token.locator(), locator);
        prop_assert_eq!(token.session_key(), Secret::new(secret).session_key());
        let mut forged = text.to_owned();
        forged.replace_range(at..=at, &other);
        prop_assert_eq!(ring.verify(&forged).is_some(), forged == text);
    }

    #[test]
    fn any_text_is_no_token(text in no_token()) {
        prop_assert!(ring().verify(&text).is_none());
    }

    #[test]
    fn a_cookie_header_never_makes_a_token_out_of_nothing(header in tokenless_cookies()) {
        prop_assert!(matches!(presented(&header, NAME, ring()), Presented::None));
    }

    #[test]
    fn the_session_cookie_is_found_among_others_and_taken_out(
        before in prop::collection::vec("[a-z]{1,5}=[!-:<-~]{0,10}", 0..4),
        after in prop::collection::vec("[a-z]{1,5}=[!-:<-~]{0,10}", 0..4),
    ) {
        let ring = ring();
        let minted = ring.mint(Locator { generation: 1, region: 0, shard: 1 }, &Secret::new([7; 32]));
        let ours = format!("{NAME}={}", minted.expose());
        let header = [before.clone(), vec![ours], after.clone()].concat().join("; ");
        prop_assert!(matches!(presented(&header, NAME, ring), Presented::One(_)));
        let rest = [before, after].concat();
        prop_assert_eq!(without_session(&header, NAME), (!rest.is_empty()).then(|| rest.join("; ")));
    }

    #[test]
    fn without_a_session_cookie_the_header_is_untouched(header in "[ -~]{1,200}") {
        prop_assume!(!header.contains(NAME));
        prop_assert_eq!(without_session(&header, NAME), Some(header));
    }

    #[test]
    fn what_some_parser_reads_under_a_kept_name_is_taken_out(header in names_in_pairs()) {
        let kept = ["sid", "--host-id", "-"].map(str::to_owned);
        let others: Vec<&str> = header.split(';').enumerate()
            .map(|(index, pair)| if index == 0 { pair } else { pair.strip_prefix(' ').unwrap_or(pair) })
            .filter(|pair| !is_read_as(pair, &kept)).collect();
        let others = if others.len() == header.split(';').count() { Some(header.clone()) } else {
            let others: Vec<&str> = others.into_iter().filter(|pair| !pair.contains('\u{fffd}')).collect();
            (!others.is_empty()).then(|| others.join("; "))
        };
        prop_assert_eq!(for_origin(&header, NAME, &kept), others);
    }

    #[test]
    fn a_value_is_the_same_in_all_its_spellings(value in "[ -~]{0,60}", quoted in "[^\"\\\\;,]{0,30}") {
        let known = canonical(&value);
        let each = |text: &str, as_written: fn(u8) -> String| text.bytes().map(as_written).collect::<Vec<_>>().concat();
        let encoded = |text: &str| each(text, |byte| format!("%{byte:02x}"));
        prop_assert!(known.is_ascii());
        prop_assert_eq!(&canonical(&known), &known, "it is its own");
        for spelt in [format!(" {value}\t"), encoded(&value), encoded(&encoded(&value)), format!("\"{}\"", encoded(&value))] {
            prop_assert_eq!(&canonical(&spelt), &known, "{}", spelt);
        }
        let known = canonical(&quoted);
        let octal = each(&quoted, |byte| format!("\\{byte:03o}"));
        let escaped: String = quoted.chars().flat_map(|c| (!c.is_ascii_digit()).then_some('\\').into_iter().chain([c])).collect();
        for spelt in [quoted.clone(), octal, escaped] {
            prop_assert_eq!(&canonical(&format!("\"{spelt}\"")), &known, "{}", spelt);
        }
    }

    #[test]
    fn any_header_is_a_command_or_a_refusal(header in command()) {
        let (plain, wanted) = (parse(&header, Nonce::NotSent), parse(&header, Nonce::Wanted(NONCE)));
        // No text of the generator has the nonce, so none is taken for the origin's own.
        prop_assert!(matches!(wanted, Err(CommandRefusal::Unproven(_))), "{:?}", wanted);
        let repeated = |nonce: &str| format!("{header}, nonce=\"{nonce}\"");
        let another = parse(&repeated("another"), Nonce::Sent(NONCE));
        prop_assert!(another.is_err(), "of another request: {:?}", another);
        match plain {
            Ok(command) => {
                for as_plain in [parse(&header, Nonce::Sent(NONCE)), parse(&repeated(NONCE), Nonce::Wanted(NONCE))] {
                    prop_assert_eq!(as_plain.as_ref(), Ok(&command));
                }
                for more in ["do=end", "x=1", "nonce", "("] {
                    let longer = parse(&format!("{header}, {more}"), Nonce::NotSent);
                    prop_assert!(matches!(longer, Err(CommandRefusal::Malformed(_))), "{}: {:?}", more, longer);
                }
            }
            Err(refusal) => prop_assert!(refusal.explain().starts_with("Warifu-Command: ")),
        }
    }

    #[test]
    fn spans_read_back(ms in 0u64..=3_650 * 86_400_000) {
        let span = std::time::Duration::from_millis(ms);
        prop_assert_eq!(parse_span(&show_span(span)), Some(span));
    }

    #[test]
    fn any_json_is_a_configuration_or_mistakes_with_keys(text in configuration()) {
        let is_misspelt = text.contains(r#""orign":"#);
        match Sites::read(&text, Secrets { keys: Some(KEYS), ..Secrets::default() }) {
            Ok(sites) => prop_assert!(!sites.as_slice().is_empty() && !is_misspelt),
            Err(mistakes) => {
                prop_assert!(!mistakes.is_empty(), "refused without a reason");
                prop_assert!(mistakes.iter().all(|mistake| !mistake.key.is_empty() && !mistake.says.is_empty()));
            }
        }
    }
}
