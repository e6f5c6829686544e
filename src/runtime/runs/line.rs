//! Who waits and who is next: people before the rest, within the bounds of threads, agents and the process.
//!
//! Pure bookkeeping; [`queue`](super::queue) starts what is next.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::agent::cause::{Cause, CauseKind};

use super::super::thread::ThreadRef;

/// Runs without a person before them that are at work at a time, whatever agents they are of.
const AT_ONCE: usize = 64;

/// Where a run stands in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    priority: Priority,
    /// The store's order of insertion.
    place: u64,
}

/// People first, then programs that wait for an answer, then everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Priority {
    Person,
    Asked,
    Background,
}

impl Priority {
    fn of(cause: &Cause) -> Self {
        match cause.kind {
            CauseKind::User => Self::Person,
            CauseKind::Api | CauseKind::Agent => Self::Asked,
            CauseKind::State | CauseKind::Cron | CauseKind::Interval | CauseKind::Webhook | CauseKind::Start => {
                Self::Background
            }
        }
    }
}

/// What the line has to know of a run that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiter {
    pub(super) run_id: String,
    pub(super) thread: ThreadRef,
    pub(super) agent: String,
    pub(super) cause: Cause,
    /// Another run waits for it, which holds what it needs: it is not counted against the agent's bound.
    pub(super) is_child: bool,
    /// Not before, in milliseconds since 1970.
    pub(super) due_at_ms: i64,
}

/// What is at work now.
pub(super) trait AtWork {
    fn is_busy(&self, thread: &ThreadRef) -> bool;
    fn of_agent(&self, agent: &str) -> usize;
    fn in_all(&self) -> usize;
}

/// Whose runs may start.
pub(super) trait Allowed {
    /// How many runs of the agent may be at work, those with people before them included; `None` while it is paused.
    fn at_once(&self, waiter: &Waiter) -> Option<usize>;
}

/// A run that was taken out, told apart from the same run that has come back since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) run_id: String,
    at: Place,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Start(Taken),
    /// Nothing before this time; `None` is nothing until something else happens.
    Wait(Option<i64>),
}

#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: BTreeMap<Place, Waiter>,
    places: HashMap<String, Place>,
    /// Taken out to be started, and not at work yet.
    starting: HashMap<String, Waiter>,
    /// By agent: those that wait, or are about to be stored and to wait.
    held: HashMap<String, usize>,
}

impl Line {
    /// Takes a place of an agent's that may have so many waiting.
    pub(super) fn hold(&mut self, agent: &str, most: usize) -> bool {
        let held = self.held.entry(agent.to_owned()).or_default();
        let has_room = *held < most;
        *held += usize::from(has_room);
        has_room
    }

    /// Gives a place back that was taken for nothing.
    pub(super) fn let_go(&mut self, agent: &str) {
        if let Some(held) = self.held.get_mut(agent) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(agent);
            }
        }
    }

    /// A run whose place was taken is stored and waits now; also one that was taken out, has begun and failed, and comes back
    /// before whoever took it says that it left.
    pub(super) fn enter(&mut self, waiter: Waiter, place: u64) {
        let at = Place { priority: Priority::of(&waiter.cause), place };
        self.starting.remove(&waiter.run_id);
        self.places.insert(waiter.run_id.clone(), at);
        self.waiting.insert(at, waiter);
    }

    /// Takes out the first that may start.
    pub(super) fn next(&mut self, now_ms: i64, at_work: &dyn AtWork, allowed: &dyn Allowed) -> Next {
        let in_all = at_work.in_all() + self.starting.len();
        let mut passed: HashSet<&ThreadRef> = self.starting.values().map(|waiter| &waiter.thread).collect();
        let mut soonest: Option<i64> = None;
        let mut found = None;
        for (place, waiter) in &self.waiting {
            if waiter.due_at_ms > now_ms {
                soonest = Some(soonest.map_or(waiter.due_at_ms, |soonest| soonest.min(waiter.due_at_ms)));
                continue;
            }
            // Runs of one thread keep their order.
            if !passed.insert(&waiter.thread) || at_work.is_busy(&waiter.thread) {
                continue;
            }
            let starting = self.starting.values().filter(|other| other.agent == waiter.agent).count();
            let Some(most) = allowed.at_once(waiter) else { continue };
            let is_within = at_work.of_agent(&waiter.agent) + starting < most && in_all < AT_ONCE;
            if waiter.is_child || is_within {
                found = Some(*place);
                break;
            }
        }
        let Some(place) = found else { return Next::Wait(soonest) };
        Next::Start(self.take_out(place).expect("it was found just now"))
    }

    /// What was taken out is at work, or will never be. `false` when it has come back since, and waits or was taken again.
    pub(super) fn leave(&mut self, taken: &Taken) -> bool {
        let is_it = self.places.get(&taken.run_id) == Some(&taken.at);
        if is_it {
            self.places.remove(&taken.run_id);
            self.starting.remove(&taken.run_id);
        }
        is_it
    }

    /// What was taken out could not be started now.
    pub(super) fn put_back(&mut self, taken: &Taken, due_at_ms: i64) {
        if self.places.get(&taken.run_id) != Some(&taken.at) {
            return;
        }
        if let Some(waiter) = self.starting.remove(&taken.run_id) {
            *self.held.entry(waiter.agent.clone()).or_default() += 1;
            self.waiting.insert(taken.at, Waiter { due_at_ms, ..waiter });
        }
    }

    /// Takes out a run that waits, so that it is not started; `None` when it does not wait.
    pub(super) fn take(&mut self, run_id: &str) -> Option<Taken> {
        self.take_out(*self.places.get(run_id)?)
    }

    fn take_out(&mut self, at: Place) -> Option<Taken> {
        let waiter = self.waiting.remove(&at)?;
        self.let_go(&waiter.agent);
        let run_id = waiter.run_id.clone();
        self.starting.insert(run_id.clone(), waiter);
        Some(Taken { run_id, at })
    }

    /// Whether a run waits, or is just being started.
    pub(super) fn has(&self, run_id: &str) -> bool {
        self.places.contains_key(run_id)
    }

    /// Runs that wait, in order.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Waiter> {
        self.waiting.values()
    }

    /// Runs that wait or are being started, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Waiter> {
        self.starting.values().chain(self.waiting.values())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Owner, Tenant};

    use super::*;

    #[derive(Default)]
    struct World {
        busy: Vec<&'static str>,
        live: HashMap<&'static str, usize>,
        paused: Vec<&'static str>,
        at_once: usize,
    }

    impl AtWork for World {
        fn is_busy(&self, thread: &ThreadRef) -> bool {
            self.busy.contains(&&*thread.id)
        }

        fn of_agent(&self, agent: &str) -> usize {
            self.live.get(agent).copied().unwrap_or(0)
        }

        fn in_all(&self) -> usize {
            self.live.values().sum()
        }
    }

    impl Allowed for World {
        fn at_once(&self, waiter: &Waiter) -> Option<usize> {
            (!self.paused.contains(&waiter.agent.as_str())).then_some(self.at_once)
        }
    }

    fn world(at_once: usize) -> World {
        World { at_once, ..World::default() }
    }

    /// `run agent thread kind`, in the order of insertion.
    fn line(runs: &[(&str, &str, &str, CauseKind)]) -> Line {
        let mut line = Line::default();
        for (place, (run_id, agent, thread, kind)) in runs.iter().enumerate() {
            assert!(line.hold(agent, 100));
            let thread = ThreadRef { tenant: Tenant::new("t"), owner: Owner::new("o"), id: (*thread).into() };
            let (run_id, agent) = ((*run_id).to_owned(), (*agent).to_owned());
            let waiter = Waiter { run_id, thread, agent, cause: Cause::first(*kind), is_child: false, due_at_ms: 0 };
            line.enter(waiter, place as u64);
        }
        line
    }

    fn order(line: &mut Line, world: &World) -> Vec<String> {
        let next = || match line.next(0, world, world) {
            Next::Start(taken) => Some(taken.run_id),
            Next::Wait(_) => None,
        };
        std::iter::from_fn(next).collect()
    }

    /// The first that may start.
    fn first(line: &mut Line, now_ms: i64, world: &World) -> Taken {
        match line.next(now_ms, world, world) {
            Next::Start(taken) => taken,
            Next::Wait(until) => panic!("nothing may start before {until:?}"),
        }
    }

    use CauseKind::{Api, Cron, User};

    #[test]
    fn people_come_before_programs_and_those_before_the_rest() {
        let runs = [("a", "x", "1", Cron), ("b", "x", "2", Api), ("c", "x", "3", User), ("d", "x", "4", User)];
        assert_eq!(order(&mut line(&runs), &world(9)), ["c", "d", "b", "a"]);
    }

    #[test]
    fn one_run_of_a_thread_starts_at_a_time_and_they_keep_their_order() {
        let runs = [("a", "x", "1", Api), ("b", "x", "1", Api), ("c", "x", "2", Api), ("d", "x", "3", Api)];
        let mut line = line(&runs);
        let busy = World { busy: vec!["3"], ..world(9) };
        let [a, c] = [first(&mut line, 0, &busy), first(&mut line, 0, &busy)];
        assert_eq!((a.run_id.as_str(), c.run_id.as_str(), order(&mut line, &busy).len()), ("a", "c", 0));
        assert!(line.leave(&a));
        assert_eq!(order(&mut line, &World { busy: vec!["1", "3"], ..world(9) }), [""; 0]);
        assert_eq!(order(&mut line, &world(9)), ["b", "d"]);
    }

    #[test]
    fn no_more_of_an_agent_start_than_it_may_have_at_once_and_none_while_it_is_paused() {
        let runs = [("a", "x", "1", Api), ("b", "x", "2", Api), ("c", "y", "3", Api), ("d", "x", "4", Api)];
        let one_is_live = World { live: HashMap::from([("x", 1)]), ..world(2) };
        assert_eq!(order(&mut line(&runs), &one_is_live), ["a", "c"]);
        let mut paused = line(&runs);
        assert_eq!(order(&mut paused, &World { paused: vec!["x"], ..world(9) }), ["c"]);
        assert_eq!(order(&mut paused, &world(9)), ["a", "b", "d"]);
    }

    #[test]
    fn a_run_that_another_waits_for_is_not_held_up_by_it() {
        let mut line = line(&[("a", "x", "1", Api)]);
        line.waiting.values_mut().for_each(|waiter| waiter.is_child = true);
        assert_eq!(order(&mut line, &World { live: HashMap::from([("x", 2)]), ..world(2) }), ["a"]);
    }

    #[test]
    fn what_is_put_back_keeps_its_place_and_waits_for_its_time() {
        let mut line = line(&[("a", "x", "1", Api), ("b", "x", "2", Api)]);
        let world = world(1);
        let a = first(&mut line, 0, &world);
        assert_eq!(line.next(0, &world, &world), Next::Wait(None), "one is being started");
        line.put_back(&a, 50);
        let b = first(&mut line, 0, &world);
        assert_eq!((a.run_id.as_str(), b.run_id.as_str()), ("a", "b"));
        line.leave(&b);
        assert_eq!(line.next(49, &world, &world), Next::Wait(Some(50)));
        assert_eq!(first(&mut line, 50, &world), a);
    }

    #[test]
    fn a_run_that_comes_back_before_it_has_left_waits_on() {
        let mut line = line(&[("a", "x", "1", Api)]);
        let world = world(1);
        let once = first(&mut line, 0, &world);
        let waiter = line.starting["a"].clone();
        assert!(line.hold("x", 9));
        line.enter(waiter, 7);
        assert!(!line.leave(&once), "it waits again");
        line.put_back(&once, 50);
        let again = first(&mut line, 0, &world);
        assert!(!line.leave(&once) && line.has("a"), "it is being started again");
        assert!(line.leave(&again) && !line.has("a"));
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let mut line = line(&[("a", "x", "1", Api)]);
        assert!(line.hold("x", 2) && !line.hold("x", 2) && line.hold("y", 2));
        line.let_go("x");
        assert!(line.hold("x", 2));
        let a = first(&mut line, 0, &world(9));
        assert!(line.hold("x", 2) && !line.hold("x", 2), "what is started waits no more");
        line.leave(&a);
        assert!(!line.hold("x", 2));
        assert!(!line.has("a"));
    }

    #[test]
    fn what_is_taken_out_does_not_start() {
        let mut line = line(&[("a", "x", "1", Api)]);
        let taken = line.take("a").expect("it waits");
        assert!(line.take("a").is_none() && line.take("b").is_none());
        assert_eq!(order(&mut line, &world(9)), [""; 0]);
        line.put_back(&taken, 0);
        assert_eq!(order(&mut line, &world(9)), ["a"]);
    }
}
