//! Resource figures of this process, in the units of the `process_*` metrics of Prometheus' own
//! clients. Figures that the system does not offer are `None`.

/// Resource figures of this process at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// User and system CPU time, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Resident memory, in bytes.
    pub resident_bytes: Option<u64>,
    /// Size of the address space, in bytes.
    pub virtual_bytes: Option<u64>,
    /// Number of open file descriptors.
    pub open_fds: Option<u64>,
    /// Limit of open file descriptors (RLIMIT_NOFILE).
    pub max_fds: Option<u64>,
}

impl Process {
    /// Reads the figures; this takes some microseconds.
    #[must_use]
    pub fn sample() -> Self {
        let (resident_bytes, virtual_bytes) = memory().unzip();
        Self {
            cpu_seconds: cpu_seconds(),
            resident_bytes,
            virtual_bytes,
            open_fds: open_fds(),
            max_fds: max_fds(),
        }
    }
}

#[cfg(unix)]
fn cpu_seconds() -> Option<f64> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9)
}

#[cfg(unix)]
fn max_fds() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn cpu_seconds() -> Option<f64> {
    None
}

#[cfg(not(unix))]
fn max_fds() -> Option<u64> {
    None
}

/// Returns resident and virtual bytes (proc(5), `statm`).
#[cfg(target_os = "linux")]
fn memory() -> Option<(u64, u64)> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = statm.split_ascii_whitespace().map_while(|n| n.parse::<u64>().ok());
    let page_bytes = rustix::param::page_size() as u64;
    let (all, resident) = (pages.next()?, pages.next()?);
    Some((resident * page_bytes, all * page_bytes))
}

#[cfg(target_os = "linux")]
fn open_fds() -> Option<u64> {
    // The descriptor of the directory itself is counted, too.
    Some((std::fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<(u64, u64)> {
    None
}

#[cfg(not(target_os = "linux"))]
fn open_fds() -> Option<u64> {
    None
}
