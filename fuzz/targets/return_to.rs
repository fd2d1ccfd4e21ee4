//! The way back after a log-in: it never leads to another origin.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use url::Url;
use warifu::error::Failure;
use warifu::headers::HeaderBlock;
use warifu::path::CanonicalPath;
use warifu::request::Request;
use warifu::response::{refusal, safe_return_to};
use warifu::site::Site;
use warifu_fuzz::{reached, site};

thread_local! {
    static SITE: Site = site(r#"{"login": "/login?kind=web"}"#);
}
static HOME: LazyLock<Url> = LazyLock::new(|| Url::parse("https://app.example/").expect("a URL"));
static DEEPER: LazyLock<Url> = LazyLock::new(|| Url::parse("https://app.example/a/b/c?x#y").expect("a URL"));

fuzz_target!(|text: &str| {
    stays_here(text);
    to_the_login(text);
    from_a_form(text);
});

fn stays_here(text: &str) {
    let one_slash = text.starts_with('/') && !text[1..].starts_with('/');
    let is_plain = text.chars().all(|c| ('!'..='~').contains(&c) && c != '\\');
    let Some(target) = safe_return_to(text) else {
        assert!(!one_slash || !is_plain || text.len() > 4_096, "{text:?} is refused");
        return;
    };
    reached!("a return");
    assert_eq!(target, text);
    assert!(one_slash && is_plain && text.len() <= 4_096);
    for base in [&*HOME, &*DEEPER] {
        let resolved = base.join(target).expect("a reference");
        assert_eq!(resolved.origin(), HOME.origin(), "{target:?} leads away");
        assert_eq!((resolved.username(), resolved.password()), ("", None));
    }
}

/// A browser without a session is sent to the login of this site, with the way
/// back to where it was.
fn to_the_login(text: &str) {
    let headers = HeaderBlock::from_pairs([("sec-fetch-mode", "navigate")]);
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query.to_owned())));
    let mut request = Request::new("GET", "https://app.example/", headers).expect("a URL");
    path.clone_into(&mut request.raw_path);
    request.query.clone_from(&query);
    for (failure, step_up) in
        [(Failure::NoSession, None), (Failure::StepUp { level: 3, max_auth_age: None }, Some("3"))]
    {
        let answer = SITE.with(|site| refusal(Some(site), &request, &failure));
        let Some((_, location)) = answer.headers.iter().find(|(name, _)| name == "location") else { continue };
        reached!("to the login");
        let canonical = CanonicalPath::parse(path).expect("else it is no redirect");
        let here = match &query {
            Some(query) => format!("{}?{query}", canonical.as_str()),
            None => canonical.as_str().to_owned(),
        };
        let login = HOME.join(location).expect("a reference");
        assert!(location.bytes().all(|b| b.is_ascii_graphic()), "{location:?}");
        assert_eq!((login.origin(), login.path()), (HOME.origin(), "/login"));
        let pairs: Vec<_> = login.query_pairs().into_owned().collect();
        let find = |name: &str| pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        assert_eq!((find("kind"), find("step_up")), (Some("web"), step_up));
        assert_eq!(pairs.len(), 1 + usize::from(here.len() <= 4_096) + usize::from(step_up.is_some()));
        if let Some(back) = find("return_to") {
            assert_eq!(back, here);
            let is_plain = here.chars().all(|c| ('!'..='~').contains(&c) && c != '\\');
            assert_eq!(safe_return_to(back).is_some(), is_plain, "{back:?}");
        } else {
            reached!("too long to come back");
        }
    }
}

/// After a form that was sent, the way back is a page of this origin, or none.
fn from_a_form(text: &str) {
    let referer = format!("https://app.example{}", text.replace(['\r', '\n'], ""));
    let headers = HeaderBlock::from_pairs([("sec-fetch-mode", "navigate"), ("referer", &referer)]);
    let request = Request::new("POST", "https://app.example/account", headers).expect("a URL");
    let answer = SITE.with(|site| refusal(Some(site), &request, &Failure::NoSession));
    let location = answer.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.as_str());
    let login = HOME.join(location.expect("a location")).expect("a reference");
    for (name, back) in login.query_pairs().filter(|(name, _)| name != "kind") {
        reached!("back to a form");
        assert_eq!((&*name, safe_return_to(&back)), ("return_to", Some(&*back)));
        assert_eq!(HOME.join(&back).expect("a reference").origin(), HOME.origin(), "{back:?} leads away");
    }
}
