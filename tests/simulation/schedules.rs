//! Mistakes that chance rarely finds: a quiet world, and just the events that
//! lead to each.

use std::collections::BTreeSet;
use std::future::Future;
use std::rc::Rc;

use super::check::settled;
use super::clients::claims;
use super::executor::{FOREVER, MILLI, Micros, SECOND};
use super::history::Route;
use super::objects;
use super::plan::Plan;
use super::run::{self, Outcome};
use super::world::{Ask, Link, Node, Seen, SetCookie, World};

/// Who sends what, when.
#[derive(Clone)]
struct Script(Rc<World>);

/// Plays a script to its end.
fn play<F: Future<Output = ()> + 'static>(plan: Plan, script: impl FnOnce(Script) -> F) -> Outcome {
    let length = plan.length;
    let world = World::new(plan, super::report::number("WARIFU_TRACE").is_some());
    world.exec.spawn(FOREVER, script(Script(Rc::clone(&world))));
    run::advance(&world, length);
    if world.history.borrow().violations.is_empty() {
        settled::at_rest(&world);
    }
    let outcome = run::finish(&world);
    if !outcome.trace.is_empty() {
        super::report::print_trace(&outcome, false);
    }
    outcome
}

impl Script {
    async fn wait(&self, millis: u64) {
        self.0.exec.sleep(millis * MILLI).await;
    }

    async fn log_in(&self, seat: usize, subject: &str) -> usize {
        loop {
            let seen = self.0.request(seat, Ask::log_in("script", subject, None)).await;
            if let SetCookie::Set(cookie) = seen.cookie {
                return cookie;
            }
            self.wait(100).await;
        }
    }

    async fn get(&self, seat: usize, route: Route, cookie: usize) -> Seen {
        self.0.request(seat, Ask::get("script", route, Some(cookie))).await
    }

    async fn act(&self, seat: usize, cookie: usize, command: &str) -> Seen {
        self.0.request(seat, Ask::act("script", Some(cookie), command)).await
    }

    /// One visit after the other, for so long.
    async fn browse(&self, seat: usize, cookie: usize, millis: u64) {
        let until = self.0.exec.now() + millis * MILLI;
        while self.0.exec.now() < until {
            self.get(seat, Route::Account, cookie).await;
            self.wait(100).await;
        }
    }

    async fn kill(&self, seat: usize, subject: &str) -> Seen {
        self.0.history.borrow_mut().doom(Some(subject), None);
        self.0.request(seat, Ask::kill_subject(subject)).await
    }

    /// A new isolate, of the version that is deployed now.
    fn deploy(&self, seat: usize) {
        let edge = self.0.new_edge(seat, 0);
        let old = core::mem::replace(&mut self.0.edges.borrow_mut()[seat], edge);
        self.0.exec.end(old.group);
    }

    fn link(&self, from: Node, to: Node, link: Link) {
        self.0.links.borrow_mut().insert((from, to), link);
    }

    fn replace(&self, node: Node, reached_by: Node) {
        objects::replace(&self.0, self.0.slot(node), BTreeSet::from([reached_by]), 20 * SECOND);
    }

    /// The shard of a subject, in a world of one row.
    fn home(&self, subject: &str) -> Node {
        let subject = warifu::session::Subject::parse(subject).expect("a subject");
        Node::Shard(usize::from(subject.home_shard(self.0.plan.rows[0])))
    }
}

const DOWN: Link = Link { is_down: true, takes: None };

fn slow(takes: Micros) -> Link {
    Link { is_down: false, takes: Some(takes) }
}

/// What is open with the secret of before is looked at when its grace is over.
pub fn a_stream_is_open_over_a_rotation() -> Outcome {
    play(Plan { ends_on_replay: true, ..Plan::quiet(24) }, |script| async move {
        let cookie = script.log_in(0, "u0").await;
        script.0.request(0, Ask::open("script", Route::Account, cookie)).await;
        script.wait(1_000).await;
        let SetCookie::Set(new) = script.act(1, cookie, "do=rotate").await.cookie else { return };
        script.browse(2, new, 6_000).await;
    })
}

/// A browser hears neither of a rotation nor of what its stream brings, and comes back with what
/// it has.
pub fn a_stream_whose_answer_is_lost() -> Outcome {
    play(Plan { ends_on_replay: true, ..Plan::quiet(24) }, |script| async move {
        let cookie = script.log_in(0, "u0").await;
        script.act(1, cookie, "do=rotate").await;
        script.0.request(0, Ask::open("script", Route::Account, cookie)).await;
        script.wait(4_000).await;
        script.browse(2, cookie, 1_000).await;
    })
}

/// Of two streams of an edge the first may make no more calls, and the window is as fresh as ever.
pub fn a_stream_uses_up_its_calls() -> Outcome {
    play(Plan { calls_max: Some(12), ..Plan::quiet(25) }, |script| async move {
        let (cookie, other) = (script.log_in(0, "u0").await, script.log_in(0, "u1").await);
        script.0.request(0, Ask::open("script", Route::Account, cookie)).await;
        script.wait(9_000).await;
        script.0.request(0, Ask::open("script", Route::Account, other)).await;
        let world = &script.0;
        while world.history.borrow().open.len() == 2 {
            script.wait(50).await;
        }
        for _ in 0..50 {
            script.wait(50).await;
            let edge = &world.edges.borrow()[0];
            let age = edge.memory.window_age(edge.clock.read(world.exec.now()));
            if age.is_none_or(|age| age.as_millis() > 2_000) {
                world.history.borrow_mut().violate(world.exec.now(), "I18", format!("a window is {age:?} old"));
            }
        }
    })
}

/// The feed is lost and has as many entries again before the edge polls.
pub fn another_log_of_the_same_length() -> Outcome {
    play(Plan::quiet(1), |script| async move {
        let (cookie, other) = (script.log_in(0, "u0").await, script.log_in(0, "u1").await);
        for _ in 0..3 {
            script.act(1, other, "do=update, claims=:eyJ2IjoxfQ==:").await;
            script.wait(300).await;
        }
        script.browse(0, cookie, 2_500).await;
        objects::restore(&script.0, script.0.slot(Node::Feed), None);
        script.kill(1, "u0").await;
        for _ in 0..3 {
            script.act(1, other, "do=update, claims=:eyJ2IjoxfQ==:").await;
        }
        script.browse(0, cookie, 4_000).await;
    })
}

/// An answer overtakes the one before it, with a kill between them.
pub fn answers_cross() -> Outcome {
    play(Plan::quiet(2), |script| async move {
        let (cookie, other) = (script.log_in(0, "u0").await, script.log_in(0, "u1").await);
        script.browse(0, cookie, 2_500).await;
        script.link(Node::Feed, Node::Edge(0), slow(1_400 * MILLI));
        let polls = script.0.edges.borrow()[0].memory.tally().polls.get();
        while script.0.edges.borrow()[0].memory.tally().polls.get() == polls {
            script.get(0, Route::Account, cookie).await;
            script.wait(50).await;
        }
        script.wait(150).await;
        script.link(Node::Feed, Node::Edge(0), slow(5 * MILLI));
        script.kill(1, "u0").await;
        script.browse(0, other, 1_050).await;
        script.link(Node::Edge(0), Node::Feed, DOWN);
        script.wait(300).await;
        script.browse(0, cookie, 2_000).await;
    })
}

/// A poll is under way when the clock steps back.
pub fn a_step_with_a_poll_under_way() -> Outcome {
    play(Plan::quiet(3), |script| async move {
        let cookie = script.log_in(0, "u0").await;
        script.browse(0, cookie, 2_500).await;
        script.link(Node::Feed, Node::Edge(0), slow(800 * MILLI));
        let polls = script.0.edges.borrow()[0].memory.tally().polls.get();
        while script.0.edges.borrow()[0].memory.tally().polls.get() == polls {
            script.get(0, Route::Account, cookie).await;
            script.wait(50).await;
        }
        script.link(Node::Edge(0), Node::Feed, DOWN);
        script.wait(100).await;
        script.0.edges.borrow()[0].clock.step_back(1_700);
        script.browse(0, cookie, 5_000).await;
    })
}

/// A copy of the feed is replaced while a write of it is durable and not yet
/// confirmed, and is asked then.
pub fn asked_with_a_write_in_flight() -> Outcome {
    play(Plan::quiet(4), |script| async move {
        script.log_in(0, "u0").await;
        script.wait(500).await;
        let feed = script.0.slot(Node::Feed);
        feed.holds_confirmations.set(true);
        let first = script.clone();
        script.0.exec.spawn(FOREVER, async move {
            first.log_in(0, "u1").await;
        });
        script.wait(300).await;
        script.replace(Node::Feed, Node::Edge(1));
        let second = script.clone();
        script.0.exec.spawn(FOREVER, async move {
            second.log_in(1, "u2").await;
        });
        script.wait(300).await;
        feed.holds_confirmations.set(false);
        script.wait(3_000).await;
    })
}

/// A replaced shard is asked for a rotation that it has made before.
pub fn a_rotation_is_asked_for_again() -> Outcome {
    play(Plan::quiet(5), |script| async move {
        let cookie = script.log_in(0, "u0").await;
        script.browse(1, cookie, 2_500).await;
        script.link(Node::Edge(1), Node::Feed, DOWN);
        script.act(0, cookie, "do=rotate").await;
        script.replace(script.home("u0"), Node::Edge(1));
        script.act(1, cookie, "do=rotate").await;
        script.wait(3_000).await;
    })
}

/// New claims, at an edge that has the old ones.
pub fn claims_change_elsewhere() -> Outcome {
    play(Plan::quiet(6), |script| async move {
        let cookie = script.log_in(0, "u0").await;
        script.browse(1, cookie, 2_500).await;
        script.act(0, cookie, &format!("do=update, claims={}", claims(7))).await;
        script.browse(1, cookie, 5_000).await;
    })
}

/// A cookie whose session is dead is tried for more than a minute.
pub fn a_dead_cookie_is_tried_on_and_on() -> Outcome {
    let plan = Plan { length: 90 * SECOND, ..Plan::quiet(7) };
    play(plan, |script| async move {
        let cookie = script.log_in(0, "u0").await;
        script.kill(1, "u0").await;
        for _ in 0..75 {
            script.get(0, Route::Account, cookie).await;
            script.wait(1_000).await;
        }
    })
}

/// A use right after another is not written down, and the next comes late.
pub fn almost_idle() -> Outcome {
    let plan = Plan { idles: vec![10], ..Plan::quiet(8) };
    play(plan, |script| async move {
        let cookie = script.log_in(0, "u0").await;
        script.wait(700).await;
        script.get(0, Route::Account, cookie).await;
        script.wait(9_600).await;
        script.get(0, Route::Account, cookie).await;
    })
}

/// Used all the time, for longer than the idle timeout.
pub fn in_use_for_long() -> Outcome {
    let plan = Plan { idles: vec![10], ..Plan::quiet(9) };
    play(plan, |script| async move {
        let cookie = script.log_in(0, "u0").await;
        script.browse(0, cookie, 20_000).await;
    })
}

/// A log-in that takes longer than kills are remembered, at an edge that could
/// not ask the feed.
pub fn a_log_in_of_two_minutes() -> Outcome {
    let plan = Plan { length: 140 * SECOND, ..Plan::quiet(10) };
    play(plan, |script| async move {
        script.log_in(1, "u0").await;
        script.link(Node::Edge(0), Node::Feed, DOWN);
        let late = Ask { origin_takes: 130 * SECOND, ..Ask::log_in("script", "u0", None) };
        let world = Rc::clone(&script.0);
        script.0.exec.spawn(FOREVER, async move { drop(world.request(0, late).await) });
        script.wait(3_000).await;
        script.kill(1, "u0").await;
    })
}

/// A log-in that takes as long, where the edge's clock says that it took half a
/// minute.
pub fn a_log_in_over_a_step() -> Outcome {
    let plan = Plan { length: 140 * SECOND, ..Plan::quiet(13) };
    play(plan, |script| async move {
        script.log_in(1, "u0").await;
        let other = script.log_in(0, "u1").await;
        let late = Ask { origin_takes: 130 * SECOND, ..Ask::log_in("script", "u0", None) };
        let world = Rc::clone(&script.0);
        script.0.exec.spawn(FOREVER, async move { drop(world.request(0, late).await) });
        script.wait(3_000).await;
        script.kill(1, "u0").await;
        script.wait(57_000).await;
        script.get(0, Route::Account, other).await;
        script.0.edges.borrow()[0].clock.step_back(100_000);
        script.get(0, Route::Account, other).await;
    })
}

/// An edge that does not know the newest row, beside one that does.
fn two_versions(max_sessions: u32) -> (Plan, fn(&Rc<World>)) {
    let plan = Plan { rows: vec![2, 2], max_sessions, ..Plan::quiet(11) };
    (plan, |world| {
        world.rows.set(2);
        let edge = world.new_edge(0, 0);
        world.edges.borrow_mut()[0] = edge;
    })
}

/// A start in a shard that its subject has left.
pub fn a_start_under_an_old_row() -> Outcome {
    let (plan, upgrade) = two_versions(1);
    play(plan, move |script| async move {
        upgrade(&script.0);
        script.log_in(0, "u0").await;
        for _ in 0..2 {
            script.0.request(1, Ask::log_in("script", "u0", None)).await;
        }
    })
}

/// A row is taken out while an edge of the version before still serves who has
/// a session under it. The feed is restarted meanwhile, and has heard of nobody.
/// Once that edge is gone, kills are acknowledged again.
pub fn kills_while_a_row_is_taken_out() -> Outcome {
    let plan = Plan { rows: vec![2, 2], length: 110 * SECOND, ..Plan::quiet(12) };
    play(plan, |script| async move {
        let world = &script.0;
        let cookie = script.log_in(1, "u0").await;
        world.rows.set(2);
        script.deploy(1);
        world.rows_out.set(1);
        script.deploy(0);
        script.log_in(0, "u1").await;
        for _ in 0..3 {
            script.browse(1, cookie, 2_500).await;
            script.log_in(0, "u0").await;
            objects::crash(world, world.slot(Node::Feed));
            script.kill(0, "u0").await;
            script.get(1, Route::Strict, cookie).await;
        }
        script.deploy(1);
        script.deploy(2);
        script.wait(71_000).await;
        script.log_in(0, "u0").await;
        let seen = script.kill(0, "u0").await;
        assert_eq!(seen.status, Some(200), "acknowledged: {}", seen.body);
    })
}

/// A kill by an edge that does not know where else its subject has sessions.
pub fn a_kill_under_an_old_row() -> Outcome {
    let (plan, upgrade) = two_versions(0);
    play(plan, move |script| async move {
        script.log_in(1, "u0").await;
        upgrade(&script.0);
        script.log_in(0, "u0").await;
        script.kill(1, "u0").await;
    })
}

/// A shard holds a kill of the site up, and meanwhile a version of the Worker
/// comes that has one row more, under which somebody logs in.
pub fn a_row_comes_while_the_site_is_ended() -> Outcome {
    let plan = Plan { rows: vec![2, 2], ..Plan::quiet(13) };
    play(plan, |script| async move {
        let world = &script.0;
        script.log_in(0, "u0").await;
        script.link(Node::Feed, Node::Shard(1), DOWN);
        world.history.borrow_mut().doom(None, None);
        let seen = world.request(1, Ask::kill_site()).await;
        assert_eq!(seen.status, Some(202), "{}", seen.body);
        script.wait(1_000).await;
        world.rows.set(2);
        script.deploy(0);
        let cookie = script.log_in(0, "u0").await;
        script.browse(0, cookie, 1_000).await;
        world.links.borrow_mut().clear();
        script.browse(0, cookie, 5_000).await;
    })
}
