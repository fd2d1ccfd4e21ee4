//! Rate limits. By the network that a request comes from: on log-ins, on tokens with
//! a wrong MAC, on administrators' calls that fail. By the session: on what its user
//! can do again and again, and costs as much as a log-in. They slow down who tries
//! things in great number; of who is right only those of log-ins, and of sessions,
//! refuse anybody, and no limit ends a session or touches a cookie.
//!
//! The platform's own limits are asked where they are bound. Else the isolate
//! counts for itself: in bounded memory, and each isolate anew, so that what a
//! site lets through is a multiple.
//!
//! Fails towards letting through: without an address, and where too many
//! networks come at a time to remember them all.

use core::cell::RefCell;
use core::net::IpAddr;
use core::time::Duration;
use std::hash::RandomState;

use lru::LruCache;

use crate::audit::Event;
use crate::error::Failure;
use crate::ports::Ports;
use crate::request::Request;
use crate::session::SessionId;
use crate::sessions::address;
use crate::site::Site;
use crate::time::{UnixMillis, millis};

/// What is limited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    Starts,
    BadMacs,
    AdminFailures,
}

impl Limit {
    pub const ALL: [Self; 3] = [Self::Starts, Self::BadMacs, Self::AdminFailures];

    /// As in the configuration, in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starts => "starts",
            Self::BadMacs => "bad_macs",
            Self::AdminFailures => "admin_failures",
        }
    }

    /// What the answer says of it. Who tries tokens or keys in great number is
    /// not told which of them was counted; the log has it.
    fn detail(self) -> Option<&'static str> {
        (self == Self::Starts).then_some("there were more log-ins than limits.starts allows")
    }

    /// The platform's own, by the name of its binding.
    pub fn binding(self) -> &'static str {
        match self {
            Self::Starts => "LIMIT_STARTS",
            Self::BadMacs => "LIMIT_BAD_MACS",
            Self::AdminFailures => "LIMIT_ADMIN_FAILURES",
        }
    }
}

/// So many in so long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    pub count: u32,
    pub span: Duration,
}

/// One more from the request's network.
///
/// # Errors
/// It is one too many.
pub async fn count<P: Ports>(site: &Site, ports: &P, request: &Request, limit: Limit) -> Result<(), Failure> {
    let Some(rate) = site.config.limits[limit as usize] else { return Ok(()) };
    let Some(network) = address(request).and_then(Network::of) else { return Ok(()) };
    let memory = ports.memory();
    let now = ports.time();
    let verdict = match ports.is_within_limit(limit, &network.to_text()).await {
        Some(true) => return Ok(()),
        // Its window is the platform's own, and it does not say how much is left.
        Some(false) => memory.buckets().refused(limit, network, rate, now),
        None => memory.buckets().take(limit, network, rate, now),
    };
    let Err(refused) = verdict else { return Ok(()) };
    memory.tally().limited(limit);
    Err(refusal(ports, limit.name(), refused, limit.detail()))
}

/// What can be done again and again with one session. By that and not by the network,
/// or strangers could keep each other from ending what a thief has.
#[derive(Clone, Copy)]
pub enum Own {
    /// To end all others, which costs the store as much as a log-in.
    Others,
    /// To name one that does not live, which is looked for among many.
    Named,
}

/// One more of these.
///
/// # Errors
/// It is one too many.
pub fn count_own<P: Ports>(ports: &P, session: SessionId, own: Own) -> Result<(), Failure> {
    let memory = ports.memory();
    let taken = memory.buckets().take_at(OWN + own as usize, of_session(session), OWN_RATE, ports.time());
    taken.map_err(|refused| {
        memory.tally().own_limited.add();
        let detail = "a session can end all others, or name some that do not live, ten times a minute";
        refusal(ports, OWN_NAME, refused, Some(detail))
    })
}

/// It was none of those, as has turned out.
pub fn uncount_own<P: Ports>(ports: &P, session: SessionId, own: Own) {
    ports.memory().buckets().give_back(OWN + own as usize, of_session(session), OWN_RATE);
}

fn of_session(session: SessionId) -> Network {
    let mut key = [0; 8];
    key.copy_from_slice(&session.as_bytes()[8..]);
    Network(key)
}

fn refusal<P: Ports>(ports: &P, limit: &'static str, refused: Refused, detail: Option<&'static str>) -> Failure {
    if refused.is_first {
        ports.tell(Event::RateLimited { limit });
    }
    let seconds = u32::try_from(millis(refused.wait).div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
    Failure::RateLimited { seconds, detail }
}

/// Whether to write down what anybody can cause as often as they like, and nothing
/// limits: once a minute for each network, and always where none is known.
pub fn is_told<P: Ports>(ports: &P, request: &Request) -> bool {
    let network = address(request).and_then(Network::of);
    network.is_none_or(|network| ports.memory().buckets().is_first(network, ports.time()))
}

/// The same of what is not one network's: once a minute in the isolate.
pub fn is_told_here<P: Ports>(ports: &P) -> bool {
    ports.memory().buckets().is_first(HERE, ports.time())
}

/// Tells of what anybody can cause, or, where it is not to be told of, counts it by the
/// name of its event.
pub fn tell_or_count<P: Ports>(ports: &P, is_told: bool, name: &str, tell: impl FnOnce()) {
    if is_told {
        tell();
    } else {
        ports.memory().tally().event(name);
    }
}

/// No network's number.
const HERE: Network = Network([0; 8]);

/// An IPv4 /24 or an IPv6 /56: what one household or office has, as a number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network([u8; 8]);

impl Network {
    pub fn of(address: &str) -> Option<Self> {
        Some(match address.parse::<IpAddr>().ok()?.to_canonical() {
            IpAddr::V4(v4) => Self::cut(4, &v4.octets()[..3]),
            IpAddr::V6(v6) => Self::cut(6, &v6.octets()[..7]),
        })
    }

    fn cut(family: u8, bytes: &[u8]) -> Self {
        let mut network = [0; 8];
        network[0] = family;
        network[1..=bytes.len()].copy_from_slice(bytes);
        Self(network)
    }

    fn to_text(self) -> String {
        base16ct::lower::encode_string(&self.0)
    }
}

/// What each network has left, as far as this isolate knows: each limit for the
/// networks that came last; and, behind the limits, of whom something was told, and
/// what sessions have done.
#[derive(Debug)]
pub struct Buckets(RefCell<[LruCache<Network, Bucket, RandomState>; PLACES]>);

/// The generic cell rate algorithm (ITU-T I.371): one point in time instead of
/// a number of tokens and when they were counted.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In microseconds: when it is full again.
    full: u64,
    /// When it was last told of.
    told: UnixMillis,
}

/// It was one too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Until there is room for one more.
    pub wait: Duration,
    /// Whether to write it down: once a minute for each network.
    pub is_first: bool,
}

impl Default for Buckets {
    fn default() -> Self {
        Self(RefCell::new([(); PLACES].map(|()| LruCache::unbounded_with_hasher(RandomState::new()))))
    }
}

impl Buckets {
    /// Takes one.
    ///
    /// # Errors
    /// There is none left; it is not counted.
    pub fn take(&self, limit: Limit, network: Network, rate: Rate, now: UnixMillis) -> Result<(), Refused> {
        self.take_at(limit as usize, network, rate, now)
    }

    fn take_at(&self, place: usize, network: Network, rate: Rate, now: UnixMillis) -> Result<(), Refused> {
        let (now_us, span) = (now.0.saturating_mul(1_000), micros(rate.span));
        let mut bucket = self.bucket(place, network);
        // One that is full later than a span from now was seen by a clock that
        // has stepped back since.
        let is_of_another_time = bucket.full > now_us.saturating_add(span);
        let full = if is_of_another_time { now_us } else { bucket.full.max(now_us) };
        let full = full.saturating_add(span / u64::from(rate.count));
        let over = full.saturating_sub(now_us.saturating_add(span));
        if over > 0 {
            return self.refuse(place, network, bucket, Duration::from_micros(over), now);
        }
        bucket.full = full;
        self.keep(place, network, bucket);
        Ok(())
    }

    fn give_back(&self, place: usize, network: Network, rate: Rate) {
        let mut bucket = self.bucket(place, network);
        bucket.full = bucket.full.saturating_sub(micros(rate.span / rate.count));
        self.keep(place, network, bucket);
    }

    /// The platform has refused.
    ///
    /// # Errors
    /// Always.
    pub fn refused(&self, limit: Limit, network: Network, rate: Rate, now: UnixMillis) -> Result<(), Refused> {
        let place = limit as usize;
        self.refuse(place, network, self.bucket(place, network), rate.span / rate.count, now)
    }

    /// Whether to write down what is refused without a limit.
    pub fn is_first(&self, network: Network, now: UnixMillis) -> bool {
        let refused = self.refuse(TOLD, network, self.bucket(TOLD, network), Duration::ZERO, now);
        refused.is_err_and(|refused| refused.is_first)
    }

    fn refuse(
        &self,
        place: usize,
        network: Network,
        mut bucket: Bucket,
        wait: Duration,
        now: UnixMillis,
    ) -> Result<(), Refused> {
        let is_first = now < bucket.told || now.since(bucket.told) >= TOLD_EVERY;
        if is_first {
            bucket.told = now;
        }
        self.keep(place, network, bucket);
        Err(Refused { wait, is_first })
    }

    fn bucket(&self, place: usize, network: Network) -> Bucket {
        let known = self.0.borrow_mut()[place].get(&network).copied();
        known.unwrap_or(Bucket { full: 0, told: UnixMillis(0) })
    }

    fn keep(&self, place: usize, network: Network, bucket: Bucket) {
        let kept = &mut self.0.borrow_mut()[place];
        kept.put(network, bucket);
        if kept.len() > NETWORKS_MAX {
            kept.pop_lru();
        }
    }

    /// How many networks are remembered.
    pub fn len(&self, limit: Limit) -> usize {
        self.0.borrow()[limit as usize].len()
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Networks of one limit: about 200 kB.
pub const NETWORKS_MAX: usize = 2_000;

const TOLD_EVERY: Duration = Duration::from_mins(1);

/// Places behind those of the limits.
const TOLD: usize = Limit::ALL.len();
const OWN: usize = TOLD + 1;
const PLACES: usize = OWN + 2;

/// In the log and in metrics.
pub const OWN_NAME: &str = "own_ends";

const OWN_RATE: Rate = Rate { count: 10, span: Duration::from_mins(1) };

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { count: 10, span: Duration::from_secs(60) };
    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

    fn at(ms: u64) -> UnixMillis {
        NOW.plus(Duration::from_millis(ms))
    }

    fn home() -> Network {
        Network::of("203.0.113.7").expect("an address")
    }

    #[test]
    fn a_network_is_a_household() {
        let same = |one: &str, other: &str| Network::of(one) == Network::of(other);
        assert!(same("203.0.113.7", "203.0.113.255") && !same("203.0.113.7", "203.0.114.7"));
        assert!(same("2001:db8:1:2ff::1", "2001:db8:1:200::2") && !same("2001:db8:1:2ff::1", "2001:db8:1:300::1"));
        assert!(same("::ffff:203.0.113.7", "203.0.113.9"), "the same network written in another way");
        assert!(!same("::1", "0.0.0.1"));
        assert_eq!(Network::of("1.2.3.4, 5.6.7.8"), None);
    }

    #[test]
    fn as_many_as_there_may_be_and_then_one_at_a_time() {
        let buckets = Buckets::default();
        let take = |ms| buckets.take(Limit::Starts, home(), RATE, at(ms));
        for _ in 0..10 {
            assert_eq!(take(0), Ok(()));
        }
        let wait = Duration::from_secs(6);
        assert_eq!(take(0), Err(Refused { wait, is_first: true }));
        assert_eq!(take(0), Err(Refused { wait, is_first: false }), "what is refused is not counted");
        assert!(take(5_999).is_err() && take(6_000).is_ok() && take(6_000).is_err());
        assert_eq!((6_000..600_000).step_by(100).filter(|ms| take(*ms).is_ok()).count(), 98, "ten a minute");
    }

    #[test]
    fn limits_and_networks_do_not_share() {
        let buckets = Buckets::default();
        let other = Network::of("198.51.100.7").expect("an address");
        while buckets.take(Limit::Starts, home(), RATE, NOW).is_ok() {}
        assert!(buckets.take(Limit::BadMacs, home(), RATE, NOW).is_ok());
        assert!(buckets.take(Limit::Starts, other, RATE, NOW).is_ok());
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out() {
        let buckets = Buckets::default();
        while buckets.take(Limit::Starts, home(), RATE, at(86_400_000)).is_ok() {}
        assert_eq!((0..20).filter(|_| buckets.take(Limit::Starts, home(), RATE, NOW).is_ok()).count(), 10);
    }

    #[test]
    fn a_flood_of_networks_takes_bounded_memory() {
        let buckets = Buckets::default();
        for number in 0..100_000_u32 {
            let address = std::net::Ipv4Addr::from(number << 8).to_string();
            let network = Network::of(&address).expect("an address");
            assert!(buckets.take(Limit::BadMacs, network, RATE, NOW).is_ok());
        }
        assert_eq!(buckets.len(Limit::BadMacs), NETWORKS_MAX);
        assert_eq!(buckets.len(Limit::Starts), 0);
    }
}
