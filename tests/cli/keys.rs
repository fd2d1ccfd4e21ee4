//! Keys: what is printed is what the gateway takes, and no error quotes one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use warifu::token::{KeyRing, Locator, Secret};

use crate::{warifu, warifu_with};

const LOCATOR: Locator = Locator { generation: 1, region: 0, shard: 7 };

fn ring(value: &str) -> KeyRing {
    KeyRing::read(value, "default").unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn kids(value: &str) -> Vec<u64> {
    let list: Value = serde_json::from_str(value).expect("JSON");
    list.as_array().expect("a list").iter().map(|entry| entry["kid"].as_u64().expect("a number")).collect()
}

/// A value with these kids, each with a key of its own.
fn value(kids: impl IntoIterator<Item = u8>) -> String {
    let key = |kid: u8| Base64UrlUnpadded::encode_string(&Sha256::digest([kid]));
    json!(kids.into_iter().map(|kid| json!({"kid": kid, "key": key(kid)})).collect::<Vec<_>>()).to_string()
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[test]
fn a_new_value_is_one_good_key_and_nothing_else() {
    let mut seen = BTreeSet::new();
    for (arguments, kid) in
        [(&["keys", "new"][..], 1), (&["keys", "new", "--kid", "255"], 255), (&["keys", "new", "--kid", "0"], 0)]
    {
        let run = warifu(arguments);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        assert_eq!((run.stdout.lines().count(), kids(&run.stdout)), (1, vec![kid]));
        let token = ring(&run.stdout).mint(LOCATOR, &Secret::new([9; 32]));
        assert!(seen.insert(token.expose()[8..].to_owned()), "the same key again");
    }
}

#[test]
fn after_a_rotation_old_tokens_count_and_new_ones_have_the_new_key() {
    let before = warifu(&["keys", "new"]).stdout;
    let old_token = ring(&before).mint(LOCATOR, &Secret::new([9; 32]));
    let run = warifu_with(&["keys", "rotate"], &before);
    assert_eq!((run.code, run.stderr.as_str(), kids(&run.stdout)), (0, "", vec![2, 1]));
    let after = ring(&run.stdout);
    let verified = after.verify(old_token.expose()).expect("the old token counts");
    assert!(verified.kid() == 1 && !verified.is_current());
    let token = after.verify(after.mint(LOCATOR, &Secret::new([9; 32])).expose()).expect("the new one too");
    assert!(token.kid() == 2 && token.is_current());
    assert!(ring(&before).verify(after.mint(LOCATOR, &Secret::new([9; 32])).expose()).is_none());
}

#[test]
fn keep_leaves_the_oldest_out_and_says_whose_sessions_end() {
    let present = value([7, 5, 3]);
    let token = ring(&value([3])).mint(LOCATOR, &Secret::new([9; 32]));
    let run = warifu_with(&["keys", "rotate", "--keep", "2"], &present);
    assert_eq!((run.code, kids(&run.stdout)), (0, vec![8, 7, 5]));
    assert!(run.stderr.contains("1 old key is left out (kid 3): every session under it ends"), "{}", run.stderr);
    assert!(ring(&run.stdout).verify(token.expose()).is_none());

    let run = warifu_with(&["keys", "rotate", "--keep", "0"], &present);
    assert_eq!((run.code, kids(&run.stdout)), (0, vec![8]));
    assert!(run.stderr.contains("3 old keys are left out (kids 7, 5, 3)"), "{}", run.stderr);

    let run = warifu_with(&["keys", "rotate", "--keep", "3"], &present);
    assert_eq!((run.code, run.stderr.as_str(), kids(&run.stdout)), (0, "", vec![8, 7, 5, 3]));
}

#[test]
fn a_staged_key_is_known_before_it_signs() {
    let before = warifu(&["keys", "new"]).stdout;
    let staged = warifu_with(&["keys", "rotate", "--stage"], &before);
    assert_eq!((staged.code, kids(&staged.stdout)), (0, vec![1, 2]));
    assert!(staged.stderr.contains("warifu keys promote 2"), "{}", staged.stderr);
    let promoted = warifu_with(&["keys", "promote"], &staged.stdout);
    assert_eq!((promoted.code, kids(&promoted.stdout)), (0, vec![2, 1]));
    assert!(promoted.stderr.contains("key 2 signs once this value is deployed"), "{}", promoted.stderr);

    let [old, middle, new] = [&before, &staged.stdout, &promoted.stdout].map(|value| ring(value));
    let mint = |ring: &KeyRing| ring.mint(LOCATOR, &Secret::new([9; 32]));
    // At each step, whatever one edge mints counts on the edges that are one step away.
    for (minting, others) in [(&old, [&old, &middle]), (&middle, [&old, &new]), (&new, [&middle, &new])] {
        let token = mint(minting);
        assert!(others.iter().all(|ring| ring.verify(token.expose()).is_some()));
    }
    assert!(old.verify(mint(&new).expose()).is_none());

    let run = warifu_with(&["keys", "rotate", "--stage", "--keep", "1"], &value([7, 5]));
    assert_eq!((run.code, kids(&run.stdout)), (0, vec![7, 8]));
    assert!(run.stderr.contains("1 old key is left out (kid 5)"), "{}", run.stderr);
    let run = warifu_with(&["keys", "rotate", "--stage", "--keep", "0"], &value([7, 5]));
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
}

#[test]
fn a_key_is_promoted_by_its_kid_or_as_the_newer_second() {
    for (present, arguments, after) in [
        (vec![1, 2, 0], &[][..], vec![2, 1, 0]),
        (vec![255, 0], &[], vec![0, 255]),
        (vec![3, 2, 1], &["1"], vec![1, 3, 2]),
        (vec![3, 2], &["3"], vec![3, 2]),
    ] {
        let run = warifu_with(&[&["keys", "promote"], arguments].concat(), &value(present.clone()));
        assert_eq!((run.code, kids(&run.stdout)), (0, after), "{present:?} {}", run.stderr);
    }
    for (present, arguments, says) in [
        // A second run would take the rotation back.
        (vec![2, 1], &[][..], "key 1 behind it looks older"),
        (vec![1], &[], "found key 1 only"),
        (vec![2, 1], &["7"], "found no key 7; it must be one of 2, 1"),
    ] {
        let run = warifu_with(&[&["keys", "promote"], arguments].concat(), &value(present));
        assert_eq!((run.code, run.stdout.as_str()), (1, ""));
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}

#[test]
fn dropped_keys_are_gone_and_it_is_said_whose_sessions_end() {
    let run = warifu_with(&["keys", "drop", "5", "3"], &value([7, 5, 3]));
    assert_eq!((run.code, kids(&run.stdout)), (0, vec![7]));
    assert!(run.stderr.contains("2 keys are dropped (kids 5, 3): every session under them ends"), "{}", run.stderr);
    let run = warifu_with(&["keys", "drop", "7"], &value([7, 8]));
    assert_eq!((run.code, kids(&run.stdout)), (0, vec![8]));
    assert!(run.stderr.contains("key 8 signs once this value is deployed"), "{}", run.stderr);
    for (kids, says) in [(&["9"][..], "found no key 9"), (&["7", "8"], "no key would be left")] {
        let run = warifu_with(&[&["keys", "drop"], kids].concat(), &value([7, 8]));
        assert_eq!((run.code, run.stdout.as_str()), (1, ""));
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
    assert_eq!(warifu_with(&["keys", "drop"], &value([7, 8])).code, 2);
}

#[test]
fn the_next_kid_is_one_that_is_free() {
    for (present, next) in [(vec![255], 0), (vec![1, 2, 3], 4), (vec![255, 0, 1], 2)] {
        let run = warifu_with(&["keys", "rotate"], &value(present.clone()));
        assert_eq!(kids(&run.stdout)[0], next, "{present:?}");
    }
    let full = value((0..=255).rev());
    let run = warifu_with(&["keys", "rotate"], &full);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("all 256 kids taken"), "{}", run.stderr);
    // One that is given up is free.
    let run = warifu_with(&["keys", "rotate", "--keep", "255"], &full);
    assert_eq!((run.code, kids(&run.stdout)[0], kids(&run.stdout).len()), (0, 0, 256));
    assert!(run.stderr.contains("at most 5 KB"), "{}", run.stderr);
    ring(&run.stdout);
}

#[test]
fn a_kid_that_was_in_use_is_not_given_again() {
    for (present, gone, says) in [
        (
            vec![2, 1],
            &["2"][..],
            Some("2 again, or cookies of the old one are taken for made up: warifu keys rotate --kid 3"),
        ),
        (
            vec![3, 2, 1],
            &["2", "3"],
            Some("3, 2 again, or cookies of the old ones are taken for made up: warifu keys rotate --kid 4"),
        ),
        (
            vec![255, 254],
            &["255"],
            Some("255 again, or cookies of the old one are taken for made up: warifu keys rotate --kid 0"),
        ),
        // `rotate` counts on from the key that signs.
        (
            vec![1, 3, 2],
            &["2"],
            Some("2 again, or cookies of the old one are taken for made up: warifu keys rotate --kid 4"),
        ),
        (vec![2, 1], &["1"], None),
        (vec![0, 255], &["255"], None),
        (vec![3, 2, 1], &["2"], None),
    ] {
        let run = warifu_with(&[&["keys", "drop"], gone].concat(), &value(present.clone()));
        let told = run.stderr.lines().find_map(|line| line.strip_prefix("note: the next key must not be called "));
        assert_eq!((run.code, told), (0, says), "{present:?} {}", run.stderr);
        // Without the remark no rotation to come gives what was dropped.
        let mut after = run.stdout;
        if let Some(kid) = told.and_then(|told| told.rsplit(' ').next()) {
            after = warifu_with(&["keys", "rotate", "--kid", kid], &after).stdout;
        }
        for _ in 0..3 {
            after = warifu_with(&["keys", "rotate"], &after).stdout;
        }
        assert!(
            gone.iter().all(|gone| !kids(&after).contains(&gone.parse().expect("a number"))),
            "{present:?} {after}"
        );
    }
    let run = warifu_with(&["keys", "rotate", "--kid", "3"], &value([1]));
    assert_eq!((run.code, run.stderr.as_str(), kids(&run.stdout)), (0, "", vec![3, 1]));
    let run = warifu_with(&["keys", "rotate", "--stage", "--kid", "0"], &value([1]));
    assert_eq!((run.code, kids(&run.stdout)), (0, vec![1, 0]));
    assert!(run.stderr.contains("warifu keys promote 0"), "{}", run.stderr);
    for arguments in [&["--kid", "1"][..], &["--kid", "1", "--keep", "0"]] {
        let run = warifu_with(&[&["keys", "rotate"], arguments].concat(), &value([2, 1]));
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(run.stderr.contains("found key 1 already; --kid must be none of 2, 1"), "{}", run.stderr);
    }
}

#[test]
fn a_bad_value_is_refused_and_no_error_quotes_a_key() {
    let key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
    let cut = &key[..42];
    let bad = [
        key.to_owned(),
        format!("{{\"kid\":1,\"key\":\"{key}\"}}"),
        format!("[{{\"kid\":1,\"key\":\"{key}\"}}"),
        format!("[{{\"kid\":1,\"key\":\"{cut}\"}}]"),
        format!("[{{\"kid\":1,\"key\":\"{key}\",\"{key}\":1}}]"),
        format!("[{{\"kid\":\"{key}\",\"key\":\"{key}\"}}]"),
        format!("[{{\"kid\":256,\"key\":\"{key}\"}}]"),
        format!("[{{\"kid\":1,\"key\":\"{key}\"}},{{\"kid\":1,\"key\":\"{key}\"}}]"),
        "[]".to_owned(),
    ];
    for value in bad {
        for command in [&["rotate"][..], &["rotate", "--stage"], &["promote"], &["drop", "1"]] {
            let run = warifu_with(&[&["keys"], command].concat(), &value);
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{value}");
            assert!(run.stderr.starts_with("error: WARIFU_KEYS"), "{}", run.stderr);
            assert!(!run.stderr.contains(&key[..6]), "{}", run.stderr);
        }
    }
    for nothing in ["", " \n"] {
        let run = warifu_with(&["keys", "rotate"], nothing);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains("found nothing on stdin"), "{}", run.stderr);
    }
}

#[test]
fn an_admin_key_is_shown_once_beside_its_entry() {
    let run =
        warifu(&["admin-key", "new", "--id", "ops", "--scope", "revoke", "sessions:read", "--scope", "mint,revoke"]);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1));
    let key = run.stderr.lines().find_map(|line| line.strip_prefix("    ")).expect("the key, on a line of its own");
    let entry: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(entry, json!({"id": "ops", "sha256": sha256(key), "scopes": ["sessions:read", "mint", "revoke"]}));
    assert!(!run.stdout.contains(key));
    assert_eq!(Base64UrlUnpadded::decode_vec(key).expect("base64url").len(), 32);
}

#[test]
fn an_admin_key_for_programs_is_all_on_stdout() {
    let run = warifu(&["admin-key", "new", "--id", "ci", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let both: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let all = ["sessions:read", "sessions:write", "mint", "revoke", "verify", "metrics"];
    assert_eq!(
        both["entry"],
        json!({"id": "ci", "sha256": sha256(both["key"].as_str().expect("a key")), "scopes": all})
    );
}

#[test]
fn an_admin_key_wants_a_name_and_scopes_that_exist() {
    for (arguments, says) in [
        (&["--id", "ops", "--scope", "everything"][..], "sessions:read"),
        (&["--id", "a b"], "1 to 64 of A-Z a-z 0-9"),
        (&["--id", ""], "--id"),
        (&[], "--id"),
    ] {
        let run = warifu(&[&["admin-key", "new"], arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}
