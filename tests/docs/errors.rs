//! `docs/errors.md` is made from `src/error.rs`, and of words for each failure.
//!
//! `WARIFU_WRITE=1 cargo test --test docs` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use warifu::error::{Blame, Failure, Problem, SetCookie, StoreError};

use crate::{read, written_or_compared};

/// Why it comes, and what to do. A new failure does not compile without.
#[allow(clippy::too_many_lines, reason = "a table")]
fn words(failure: &Failure) -> [&'static str; 2] {
    match failure {
        Failure::BadRequest(_) => [
            "A path that applications could read in more than one way, a malformed `Host`, or a GET or HEAD with a body. The detail says which.",
            "Send the path in its plain form; [paths](reference.md#paths) lists what is refused. An application whose links hold such paths has to write them otherwise.",
        ],
        Failure::BadInput(_) => [
            "In a call under `/_warifu/`, or a body that [custody](custody.md) looks into: a parameter, a member or a body that it does not take. The detail says which.",
            "See [the calls](reference.md#calls-under-_warifu), or `GET /_warifu/openapi.json`.",
        ],
        Failure::HeadersTooLarge(_) => [
            "The headers are over `max_header_bytes`, or the `Cookie` header is over 16,384 bytes. The detail says which.",
            "Delete cookies; look for who sets so many. Raise the key, if the application takes as much.",
        ],
        Failure::Misdirected => [
            "The request's host is not in `hosts`, or is that of none of several sites.",
            "Add the host, or take away the route or DNS record that leads here.",
        ],
        Failure::AdminHost => [
            "The application was asked for on `admin_host`, where it is never served.",
            "Use the application's own host.",
        ],
        Failure::CrossOrigin => [
            "Another web origin sent an unsafe method or an upgrade, or used a user's own calls. With `cross_origin = \"strict\"` also a program that sent neither `Origin` nor `Sec-Fetch-Site`.",
            "Nothing, if it was an attack. Else add that origin to `trusted_origins`; it can then act in the name of whoever visits it. The event `cross_origin_refused` names it.",
        ],
        Failure::NoSession => [
            "No, an unknown, an ended or an expired session on a route that needs one. Where `WWW-Authenticate` is there, it is `Cookie`.",
            "Log in. If somebody is asked again and again: does the application's answer to the log-in carry `Warifu-Command`, and has its route `commands`? `command_ignored` in the log says why one did not count.",
        ],
        Failure::NotFound => [
            "A path below `/_warifu/` that is no call; or a session, a receipt or a subject that is not there, or is somebody else's.",
            "To an end it means that nothing lived, and that no such end of the last day is known: else there is a receipt, \
             also when it is done [again](reference.md#receipts). Receipts are kept for 24 hours.",
        ],
        Failure::MethodNotAllowed(_) => [
            "A call with another method; or `TRACE` or `TRACK`, on any route: what the application sends back of such a request would show what only it may know.",
            "`Allow` names those that are taken. On a route of the application every method but `TRACE` and `TRACK` passes.",
        ],
        Failure::StepUp { .. } => [
            "The session's level is lower than the route's, or its log-in is longer ago. `level` and `max_auth_age` (seconds or null) say what is asked for.",
            "Let the person log in more strongly, or once more, and answer with `do=rotate, level=…`. See [step-up](reference.md#step-up).",
        ],
        Failure::BadAdminKey => [
            "An administrator's call without a key of `WARIFU_ADMIN_KEYS`, or with one that is not there.",
            "Send `Authorization: Bearer <key>`: the key itself and not its hash. If all keys are refused, the secret was not deployed, or for another environment.",
        ],
        Failure::MissingScope(_) => [
            "The key is known, and has not the scope that the detail names.",
            "Add the scope to its entry in `WARIFU_ADMIN_KEYS` and deploy that, or use another key.",
        ],
        Failure::AdminHostOnly => [
            "A browser (a request with `Origin` or `Sec-Fetch-Site`) made an administrator's call elsewhere than on `admin_host`.",
            "Use `admin_host`. A proxy that asks `verify` must not pass on its client's headers.",
        ],
        Failure::NeedsRotation => [
            "`PATCH` would raise a level. A copy of the cookie would rise with it.",
            "The application raises it, with `do=rotate` in answer to the person.",
        ],
        Failure::SessionLimit => [
            "The subject has as many sessions as `max_sessions` allows, and `on_limit` is `\"refuse\"`.",
            "End one, or let `on_limit` be `\"end_oldest\"`.",
        ],
        Failure::KilledMeanwhile => [
            "All sessions of the subject, or of the site, were ended while the log-in was on its way; or it took longer than a minute. See [log-ins and kills](reference.md#log-ins-and-kills).",
            "Log in once more. If it goes on for minutes, the feed is out of reach: look for `feed_failed`.",
        ],
        Failure::NoLiveSession => [
            "The application wanted to change a session, and none came with the request; or it has ended while the application took its time.",
            "Let it give such commands only where `Warifu-Subject` is not empty, best on `required` routes.",
        ],
        Failure::RateLimited { .. } => [
            "More log-ins, made-up cookies or wrong administrators' keys came from one network than `[vars.WARIFU.limits]` allows. Or one session has ended all others of its person, or named sessions that do not live, ten times in a minute.",
            "`Retry-After` says when to try again. If honest people are behind that network, raise the limit; that of a session is fixed. The detail names `limits.starts`; the others it does not, since they answer who guesses. The event `rate_limited` names each, and the network. See [rate limits](reference.md#rate-limits).",
        ],
        Failure::BodyTooLarge => [
            "The body of a call under `/_warifu/` is over 16 KiB; or one that [custody](custody.md) looks into, at a path with `body`, is over 64 KiB.",
            "Send less; claims have at most 2,048 bytes. Uploads belong at a path without `body`.",
        ],
        Failure::BodyTimeout => [
            "The body of a call under `/_warifu/`, or one that [custody](custody.md) looks into, did not end within 10 s.",
            "Send it in one piece.",
        ],
        Failure::StoreUnavailable => [
            "One cannot know: the session's object gave no answer within 10 s, or twice none within `bound`; or 500 questions of one edge, or 100 about one session, were on their way already; or a rotation, or an end of everything, could not reach the feed; or the token, or the person's sessions, are under a row of the map that this version lacks. The cookie is never touched.",
            "`Retry-After` says when to try again; sessions live on. If it lasts: see [incidents](operations/incidents.md#everybody-gets-503). If it comes now and then, `bound` may be shorter than the way to a shard.",
        ],
        Failure::EndedInPart(_) => [
            "All others, or all, of a person were to end, and another version of the Worker may let some of them in: it has a row of the map that this one lacks; or had it, an earlier one a minute ago, the newest at any time. What this version knows of is ended. The person's own session goes on, with the new cookie that comes with the answer.",
            "Do it again. If it is the same after two minutes, what is deployed lacks the newest row of the map, as after a rollback, and it will stay so: [deploy the row](upgrading.md#back-past-a-row-of-the-map).",
        ],
        Failure::OriginUnreachable => [
            "The application refused or broke the connection, or answered with a status that HTTP does not know. Deployed, Cloudflare answers for it then, with 520, 521, 523, 525, 526, 527 or 530: of that the client sees nothing. An application that gives such a status itself is taken for one that cannot be reached.",
            "Is it running, is its certificate valid, and is `origin` right as seen from Cloudflare? The event `origin_unreachable` has the reason, and Cloudflare's status in it. See [what each says](platform.md#where-the-application-gives-no-answer).",
        ],
        Failure::OriginTimeout => [
            "The application did not begin its answer, or finish the handshake of a WebSocket, within `origin_timeout`. Or a client took longer than that to send a body of up to 16 KiB. Or Cloudflare gave the application up, with 522 or 524.",
            "Find out what takes so long, or raise the key. The event `origin_unreachable` says whose patience it was: Cloudflare's has [limits of its own](platform.md#where-the-application-gives-no-answer). The application may have done what it was asked for.",
        ],
        Failure::BadCommand(_) => [
            "A `Warifu-Command` that cannot be read or obeyed; the detail says why. The answer that carried it did not reach the client.",
            "Mend the application; see [commands](reference.md#commands-from-the-application).",
        ],
        Failure::BadCustody(_) => [
            "A token of the application's that cannot be kept as it should; the detail says why.",
            "See [custody](custody.md#when-something-is-wrong).",
        ],
        Failure::Misconfigured => [
            "The configuration or the keys are wrong: then every path answers so, public ones too. Or a row of the map was changed: then whatever asks a shard does.",
            "The event `misconfigured` says what is wrong; `warifu check` finds the former before a deployment. Mend it, or go back to the version before: `npx wrangler rollback`. See [incidents](operations/incidents.md#everybody-gets-500).",
        ],
        Failure::Internal => [
            "A defect of warifu's own. Nothing was let through by it.",
            "The log has it, before the event `panicked` or `threw`: report it.",
        ],
    }
}

/// One of each.
fn all() -> Vec<Failure> {
    let text = String::new;
    vec![
        Failure::BadRequest(""),
        Failure::BadInput(text()),
        Failure::NoSession,
        Failure::BadAdminKey,
        Failure::StepUp { level: 2, max_auth_age: Some(Duration::from_mins(5)) },
        Failure::CrossOrigin,
        Failure::MissingScope(""),
        Failure::AdminHostOnly,
        Failure::NotFound,
        Failure::MethodNotAllowed(text()),
        Failure::BodyTimeout,
        Failure::KilledMeanwhile,
        Failure::SessionLimit,
        Failure::NoLiveSession,
        Failure::NeedsRotation,
        Failure::BodyTooLarge,
        Failure::Misdirected,
        Failure::AdminHost,
        Failure::HeadersTooLarge(text()),
        Failure::Internal,
        Failure::Misconfigured,
        Failure::RateLimited { seconds: 1, detail: None },
        Failure::OriginUnreachable,
        Failure::BadCommand(text()),
        Failure::BadCustody(text()),
        StoreError::Unreachable(text()).into(),
        Failure::EndedInPart(Some(SetCookie(Box::new([text(), text()])))),
        Failure::OriginTimeout,
    ]
}

/// How many kinds of failure `src/error.rs` has.
fn variants() -> usize {
    let source = read("src/error.rs");
    let body = source.split("pub enum Failure {").nth(1).expect("the enum").split("\n}").next().expect("its end");
    let is_variant = |line: &&str| line.strip_prefix("    ").is_some_and(|rest| rest.starts_with(char::is_uppercase));
    body.lines().filter(is_variant).count()
}

/// A failure as it looks from outside, with its cause and its cure.
type Told = (Problem, [&'static str; 2]);

#[test]
fn the_page_of_the_errors_has_each_with_its_cause_and_cure() {
    let all = all();
    let kinds: std::collections::HashSet<_> = all.iter().map(core::mem::discriminant).collect();
    assert_eq!((kinds.len(), all.len()), (variants(), variants()), "`all` lacks a failure, or has one twice");
    let mut by_code: BTreeMap<(u16, &str), Vec<Told>> = BTreeMap::new();
    for failure in &all {
        let problem = failure.problem();
        by_code.entry((problem.status, problem.code)).or_default().push((problem, words(failure)));
    }
    let mut page = INTRODUCTION.to_owned();
    for ((status, code), found) in &by_code {
        let blame = match found[0].0.blame {
            Blame::Client => "the client",
            Blame::Configuration => "the configuration",
            Blame::Store => "the store",
            Blame::Origin => "the application",
            Blame::Ourselves => "warifu",
        };
        let _ = write!(page, "\n## {status} `{code}`\n\n*{}.* It is on {blame}.\n\n", found[0].0.title);
        for (problem, [cause, cure]) in found {
            assert_eq!(problem.blame, found[0].0.blame, "{code}");
            let _ = writeln!(page, "- **Cause.** {cause}\n  **Cure.** {cure}");
        }
    }
    written_or_compared("docs/errors.md", &page);
}

/// The codes, with their statuses.
pub fn codes() -> Vec<(u16, &'static str)> {
    all().iter().map(Failure::problem).map(|problem| (problem.status, problem.code)).collect()
}

const INTRODUCTION: &str = "# Errors

<!-- Made by `WARIFU_WRITE=1 cargo test --test docs`; codes and statuses are those of src/error.rs, the words are in tests/docs/errors.rs. -->

What warifu itself answers when it does not pass a request on. A browser that navigates gets a page, which tells people what they can do in the place of the detail where there is something, or is sent to the log-in; anything else gets `application/problem+json` (RFC 9457) with a `code` that stays the same, a `title`, and, where there is something to say, a `detail`. It is never the text of an internal failure. An answer of your application with such a status is passed on as it is: it has no `code`.

A browser that navigates to a route that needs a session, or a stronger one, gets 302 to `login` instead of 401 or 403, with `return_to` and perhaps `step_up`. From a form that was sent, the way back is the page that the form is on, where the browser names it (`Referer`).
";
