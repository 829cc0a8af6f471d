//! What this process has used, by the account of the operating system.

/// CPU time and memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
}

/// What this process has used until now; none where the system does not say.
#[cfg(target_os = "linux")]
pub(crate) fn of_this_process() -> Option<Usage> {
    let stat = procfs::process::Process::myself().ok()?.stat().ok()?;
    let ticks = (stat.utime + stat.stime) as f64;
    Some(Usage {
        cpu_seconds: ticks / procfs::ticks_per_second() as f64,
        resident_bytes: stat.rss * procfs::page_size(),
    })
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of_this_process() -> Option<Usage> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted() {
        let before = of_this_process().unwrap();
        let begun = std::time::Instant::now();
        let mut sum = 0_u64;
        while begun.elapsed().as_millis() < 120 {
            sum = sum.wrapping_mul(31).wrapping_add(7);
        }
        let after = of_this_process().unwrap();
        assert!(after.cpu_seconds > before.cpu_seconds, "{before:?} {after:?} {sum}");
        assert!(after.resident_bytes > 100_000);
    }
}
