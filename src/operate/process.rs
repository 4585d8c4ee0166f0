//! What the system says of this process, in the units of the `process_*` metrics that
//! Prometheus' own clients have. What it doesn't say is left out.

/// Figures of this process, now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// CPU time used, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Memory in RAM, in bytes.
    pub resident_bytes: Option<u64>,
    /// Address space, in bytes.
    pub virtual_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Most file descriptors that may be open.
    pub max_fds: Option<u64>,
}

impl Process {
    /// Looks now. Takes some microseconds.
    #[must_use]
    pub fn look() -> Self {
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

/// Resident and virtual bytes (proc(5), `statm`).
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
    // The directory is open itself while it is read.
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
