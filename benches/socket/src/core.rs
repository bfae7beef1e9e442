//! The server and the load run on a core of their own each.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;

/// Returns the first and the last core that this process may use.
pub fn two() -> Result<[usize; 2]> {
    let set = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core));
    let two = cores.next().zip(cores.next_back());
    let (first, last) = two.ok_or("two cores are needed")?;
    Ok([first, last])
}

/// Pins this process, and those that it starts, to a core.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
