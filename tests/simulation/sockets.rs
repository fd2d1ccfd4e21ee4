//! What is open after its request: the production code watches it, and here is
//! written down when it is cut.

use std::rc::Rc;

use warifu::session::SessionId;
use warifu::watch::{self, End, Watched};

use super::check::open;
use super::executor::Micros;
use super::history::Route;
use super::ports::Visit;
use super::world::{SetCookie, World};

/// A WebSocket or an event stream.
#[derive(Clone, Debug)]
pub struct Open {
    pub edge: String,
    pub route: Route,
    pub bound: Micros,
    pub session: SessionId,
    pub cookie: usize,
}

/// Takes it out of the history when it is cut, or when its isolate is gone.
struct Listed {
    world: Rc<World>,
    request: usize,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.world.history.borrow_mut().open.remove(&self.request);
    }
}

/// A request has opened it, and its answer may have brought another cookie.
pub fn watch(visit: &Visit, watched: Box<Watched>, cookie: &SetCookie) {
    let (world, request) = (&visit.world, visit.request);
    {
        let mut history = world.history.borrow_mut();
        let asked = &history.asked[request];
        let newer = if let SetCookie::Set(cookie) = cookie { Some(*cookie) } else { None };
        let Some(cookie) = newer.or(asked.cookie) else { return };
        let session = history.cookies[cookie].session;
        let open = Open { edge: visit.edge.name.clone(), route: asked.route, bound: visit.edge.bound, session, cookie };
        history.counts.opened += 1;
        history.note(world.exec.now(), |_| format!("   r{request} stays open"));
        history.open.insert(request, open);
    }
    let listed = Listed { world: Rc::clone(world), request };
    let visit = visit.clone();
    world.exec.spawn(visit.edge.group, async move {
        let end = watch::until_end(&visit.edge.site, &visit, &watched, || false).await;
        let world = &listed.world;
        world.note(|| format!("   r{request} cut at {}: {end:?}", visit.edge.name));
        let now = world.exec.now();
        let mut history = world.history.borrow_mut();
        history.counts.cut += u64::from(end == End::Over);
        open::at_cut(&mut history, &world.plan, request, end, now);
        drop(history);
        drop(listed);
    });
}
