//! Resource figures of this process, in the units of the `process_*` metrics of Prometheus' own
//! clients. Figures that the system does not offer are `None`.

use crate::platform;

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
        let (resident_bytes, virtual_bytes) = platform::memory().unzip();
        Self {
            cpu_seconds: platform::cpu_seconds(),
            resident_bytes,
            virtual_bytes,
            open_fds: platform::open_fds(),
            max_fds: platform::open_file_limit(),
        }
    }
}
