//! Programs on a core of their own.

use super::trouble::Outcome;

/// Where a program may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On any core, as the scheduler likes.
    Anywhere,
    /// On the first core.
    First,
    /// On the last core.
    Last,
}

/// Does something; the programs that it starts stay in their place.
///
/// # Errors
/// Those of what is done, and where there are no two cores, or the platform does not place programs.
pub fn placed<T>(place: Place, act: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    match place {
        Place::Anywhere => act(),
        Place::First | Place::Last => imp::placed(place, act),
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    use super::Place;
    use crate::benchmark::trouble::{Outcome, Trouble};

    /// The thread that asks.
    const SELF: Pid = Pid::from_raw(0);

    pub(super) fn placed<T>(place: Place, act: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let cannot = |error| Trouble(format!("cannot choose a core: {error}"));
        let all = sched_getaffinity(SELF).map_err(cannot)?;
        let mut cores = (0..CpuSet::count()).filter(|core| all.is_set(*core) == Ok(true));
        let (Some(first), Some(last)) = (cores.next(), cores.next_back()) else {
            return Err("needs two cores".into());
        };
        let mut one = CpuSet::new();
        one.set(if place == Place::First { first } else { last })
            .map_err(cannot)?;
        sched_setaffinity(SELF, &one).map_err(cannot)?;
        let result = act();
        sched_setaffinity(SELF, &all).map_err(cannot)?;
        result
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::Place;
    use crate::benchmark::trouble::Outcome;

    pub(super) fn placed<T>(_: Place, _: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        Err("cannot choose a core here".into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::benchmark::processes::Process;

    #[test]
    fn a_program_stays_in_its_place_and_the_next_one_is_free_again() {
        let cores = |place| {
            let grep = ["Cpus_allowed_list", "/proc/self/status"];
            let run = || Process::start("grep", &grep)?.finish(Duration::from_secs(60));
            placed(place, run).map(|ended| ended.stdout)
        };
        let anywhere = cores(Place::Anywhere).unwrap();
        let Ok(first) = cores(Place::First) else {
            return; // a machine with a single core
        };
        assert_ne!(first, cores(Place::Last).unwrap());
        assert_ne!(first, anywhere);
        assert_eq!(cores(Place::Anywhere).unwrap(), anywhere);
    }
}
