//! `Signature` and `Signature-Input` of a client: what the origin reads of them
//! is the client's own but for what could pass for ours.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use sfv::{Dictionary, Parser};
use warifu::signature::without_ours;
use warifu_fuzz::{assembled, reached};

const OURS: &str = "warifu";

const PIECES: [&str; 23] = [
    "a", "b", "warifu", "=", ", ", ",", "\"", "%\"", "\\", "(", ")", "=()", ":YWJj:", ";x", "=1", "=?1", " ", "\t",
    "%", "%c3%a4", "\"a\"", "=@1", "=%\"",
];

fuzz_target!(|data: &str| -> Corpus {
    let header = &*assembled(data, &PIECES);
    let kept = without_ours(header);
    let Ok(mut expected) = Parser::new(header).parse::<Dictionary>() else {
        assert_eq!(kept, None, "{header:?} is no Dictionary");
        // Thousands of ways to be none would crowd the others out.
        return Corpus::Reject;
    };
    reached!("a Dictionary");
    let had_ours = expected.shift_remove(OURS).is_some();
    let Some(kept) = kept else {
        assert!(expected.is_empty(), "the client's own are lost");
        return Corpus::Keep;
    };
    if had_ours {
        reached!("one of ours among others");
    }
    let found = Parser::new(&kept).parse::<Dictionary>().expect("what is kept is a Dictionary");
    assert!(!found.contains_key(OURS), "{kept:?} could pass for ours");
    assert!(found.iter().eq(expected.iter()), "{kept:?} is not what the client sent");
    assert_eq!(without_ours(&kept).as_deref(), Some(kept.as_str()), "idempotent");
    // Appended to it as the gateway does, ours is the only one.
    let whole = format!("{kept}, {OURS}=1");
    let whole = Parser::new(&whole).parse::<Dictionary>().expect("a Dictionary");
    assert_eq!(whole.len(), found.len() + 1);
    Corpus::Keep
});
